"""What the allocation is told and what it answers: sources, sinks, groups and set-points.

Each is checked when it is made, so that the fill itself never meets a NaN.  All powers are watts at
a port's terminals unless a name or text says bus.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import Final, NamedTuple

import attrs

from epnet.errors import UsageError
from epnet.limits import oneOf
from epnet.router.losses import LOSSLESS, Loss
from epnet.router.reasons import Reason, Ruling

MOST: Final = 1e12
"""The largest watts and prices taken: beyond any real one, and safe to square."""


def checkRange(name: str, field: str, value: float, least: float, most: float) -> None:
    """Raise `UsageError` unless `value`, the `field` of `name`, is from `least` to `most`."""
    if not least <= value <= most:
        raise UsageError(f"{name}: {field} is {value}: it must be from {least:g} to {most:g}")


def _names(members: Iterable[str]) -> frozenset[str]:
    return frozenset(members)


@attrs.define(eq=False)
class Source:
    """What a port could put on the bus: up to `max_w`, at `price` at the bus.

    Where no price is known the caller gives tiers: local wind and solar 0, storage 1, other routers
    2, the grid 3.  Of sources at one price those of a lower `turn` come first.  Raises `UsageError`
    for a number out of its range: `max_w` 0 to 1e12, `price` -1e12 to 1e12.  A port keeps its
    `Source` and changes it from tick to tick, unchecked.
    """

    identity: str
    max_w: float
    price: float = 0.0
    loss: Loss = LOSSLESS
    turn: int = 0

    def __attrs_post_init__(self) -> None:
        name = f"source {self.identity!r}"
        checkRange(name, "max_w", self.max_w, 0.0, MOST)
        checkRange(name, "price", self.price, -MOST, MOST)


@attrs.define(eq=False)
class Sink:
    """What a port wants from the bus: nothing, or `min_w` to `max_w`.

    It takes only power whose price is at most `bid`, but for `firm_w` of it, which must be served.
    `running` says that it has a grant now, `yields` that it has had it for long enough to stand
    back for those that have waited for room for their minimum for `waited_s`, if that is above 0.
    A `min_w` above `max_w` is no mistake: bounds move; such a sink gets nothing.  Raises
    `UsageError` for a number out of its range: `max_w`, `min_w` and `firm_w` 0 to 1e12, `priority`
    -1e6 to 1e6, `weight` 1e-6 to 1e6, `bid` not NaN, `waited_s` 0 to 1e12.  As with `Source`, a
    port changes its own.
    """

    identity: str
    max_w: float
    min_w: float = 0.0
    priority: int = 1
    weight: float = 1.0
    bid: float = inf
    loss: Loss = LOSSLESS
    running: bool = False
    firm_w: float = 0.0
    yields: bool = False
    waited_s: float = 0.0

    def __attrs_post_init__(self) -> None:
        name = f"sink {self.identity!r}"
        checkRange(name, "max_w", self.max_w, 0.0, MOST)
        checkRange(name, "min_w", self.min_w, 0.0, MOST)
        checkRange(name, "firm_w", self.firm_w, 0.0, MOST)
        checkRange(name, "priority", self.priority, -1e6, 1e6)
        checkRange(name, "weight", self.weight, 1e-6, 1e6)
        checkRange(name, "bid", self.bid, -inf, inf)
        checkRange(name, "waited_s", self.waited_s, 0.0, MOST)


@attrs.frozen
class Group:
    """A cap of `max_w` over `members`: identities of ports, or names of other groups.

    It holds for the members' sinks together and for their sources together; with a `direction` of
    'import' for their sources alone, with 'export' for their sinks alone.  Groups may nest and
    overlap.  Raises `UsageError` unless `max_w` is 0 to 1e12.
    """

    name: str
    max_w: float
    members: frozenset[str] = attrs.field(converter=_names)
    direction: str = attrs.field(default="both", validator=oneOf("import", "export", "both"))

    def __attrs_post_init__(self) -> None:
        checkRange(f"group {self.name!r}", "max_w", self.max_w, 0.0, MOST)


class Setpoint(NamedTuple):
    """The power one port is to have in one direction, and why.

    `limit` is the number that ruled, watts or a price as `reason` says; `by` names the group, class
    or bound that ruled, or is empty.
    """

    identity: str
    power_w: float
    reason: Reason
    limit: float
    by: str = ""

    @property
    def text(self) -> str:
        """The reason in plain words."""
        return Ruling(self.reason, self.limit, self.by).text

    @property
    def more(self) -> str:
        """What would have to change for more."""
        return Ruling(self.reason, self.limit, self.by).more


NOTHING: Final = Setpoint("", 0.0, Reason.REQUEST, 0.0)
"""The set-point of whoever could have none."""


class Setpoints(dict[str, Setpoint]):
    """Set-points by identity; whoever is not in it has `NOTHING`."""

    def __missing__(self, identity: str) -> Setpoint:
        return NOTHING


@attrs.frozen
class Allocation:
    """Set-points for every source and sink given, by identity, and the sums.

    The sources stand in the order of their price, the sinks in the order in which they are served.
    `bus_w` goes over the bus; `losses_w` is lost in the ports' conversion; `standing_w` is what the
    standing losses got, less than was asked for only if all sources together have less.  What the
    sources deliver is what the sinks receive and `losses_w` and `standing_w`.
    """

    sources: Mapping[str, Setpoint]
    sinks: Mapping[str, Setpoint]
    bus_w: float
    losses_w: float
    standing_w: float
