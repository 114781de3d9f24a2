"""The policies of a local energy network, on its three levels (EnergyNet §2.4).

Data only.  A policy is valid until it is replaced as a whole; replacing it drops no connection.
Powers are W at a port's terminals; *import* is power into the router, *export* power out of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

import attrs

from epnet.errors import UsageError
from epnet.limits import between, oneOf
from epnet.router.terms import MOST, Group

_watts = between(0.0, inf)
_percent = between(0.0, 100.0)


def _currency(_: object, attribute: attrs.Attribute[Any], value: str | None) -> None:
    if value is not None and not (len(value) == 3 and value.isascii() and value.isupper()):
        raise UsageError(f"{attribute.name} is {value!r}: it must be three capital letters")


@attrs.frozen
class NetworkPolicy:
    """What holds for the whole local network.

    max_import_w, max_export_w: the most the network takes from and gives to the outside (sides B
        and C together), W.
    min_soc: storage keeps at least this charge unless it is needed to serve what must be served,
        percent over all storage by capacity, 0 to 100.
    reserve: the part of what the largest source can give that increases leave free for its loss,
        0 to 1; with 1 the others can replace it.
    currency: of all prices, three capital letters; a forecast in another one counts as no price.
        None: that of the devices' forecasts, if they agree.
    fee: what is added to the price of all power that anyone receives, per kWh, from 0.
    """

    max_import_w: float = attrs.field(default=inf, validator=_watts)
    max_export_w: float = attrs.field(default=inf, validator=_watts)
    min_soc: float = attrs.field(default=0.0, validator=_percent)
    reserve: float = attrs.field(default=0.0, validator=between(0.0, 1.0))
    currency: str | None = attrs.field(default=None, validator=_currency)
    fee: float = attrs.field(default=0.0, validator=between(0.0, MOST))


@attrs.frozen
class DevicePolicy:
    """What holds for one device.

    min_soc: below this charge its storage gives nothing, percent, 0 to 100.
    max_soc: above this charge its storage takes nothing, percent, `min_soc` to 100.
    max_w: the most it takes or gives, W.
    derating: the part of its port's power that it may use, 0 to 1.
    """

    min_soc: float = attrs.field(default=0.0, validator=_percent)
    max_soc: float = attrs.field(default=100.0, validator=_percent)
    max_w: float = attrs.field(default=inf, validator=_watts)
    derating: float = attrs.field(default=1.0, validator=between(0.0, 1.0))

    def __attrs_post_init__(self) -> None:
        if self.min_soc > self.max_soc:
            raise UsageError(f"min_soc {self.min_soc:g} is above max_soc {self.max_soc:g}")


@attrs.frozen
class RemotePolicy:
    """What holds for the networks of one tenant, as its certificate says it.

    tenant: whose; '*' for everybody without a policy of their own.
    access: which way power may go to (`export`) and from (`import`) them: 'import', 'export',
        'both' or 'none'.
    priority: their class as a sink.
    max_w: the most in each direction, for each of their routers, W.
    price: what is asked of them, per kWh: their routers are told so, and get only power that costs
        no more; None for our own price.
    """

    tenant: str
    access: str = attrs.field(default="both", validator=oneOf("import", "export", "both", "none"))
    priority: int = attrs.field(default=1, validator=between(-1e6, 1e6))
    max_w: float = attrs.field(default=inf, validator=_watts)
    price: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(between(-MOST, MOST))
    )


@attrs.frozen
class Policies:
    """All policies of a router; its parts are replaced together.

    devices: by identity.
    remotes: by tenant.
    """

    network: NetworkPolicy = NetworkPolicy()
    devices: Mapping[str, DevicePolicy] = attrs.field(factory=dict)
    groups: tuple[Group, ...] = ()
    remotes: Mapping[str, RemotePolicy] = attrs.field(factory=dict)
