"""What an installer says of a router's ports (EnergyNet §2.1, §2.2).

Data only: `epnet.router.ports` acts on it.  Powers are W at the port's terminals.
"""

from __future__ import annotations

import enum
from math import inf
from typing import Final

import attrs

from epnet.errors import UsageError
from epnet.limits import between, oneOf
from epnet.router.losses import LOSSLESS, Loss
from epnet.router.terms import MOST
from epnet.wire import Bounds

AC_VOLTAGE: Final = Bounds(207, 253)
DC_VOLTAGE: Final = Bounds(200, 1000)


class Tier(enum.IntEnum):
    """The fixed order of sources where no price is known: cheaper first."""

    LOCAL = 0
    STORAGE = 1
    ROUTER = 2
    GRID = 3

    @property
    def words(self) -> str:
        """What people call it."""
        return _TIER_WORDS[self]


_TIER_WORDS = ("local production", "storage", "other routers", "the grid")


def _window(_: object, attribute: attrs.Attribute[Bounds], value: Bounds) -> None:
    if not 0.0 < value.min <= value.max <= 1e5:
        raise UsageError(
            f"{attribute.name} is {value.min:g} to {value.max:g} V: it must rise, from above 0"
        )


@attrs.frozen
class PortSettings:
    """What the installer says of a port.  Raises `UsageError` for a value out of its range.

    side: A loads, B utility grid, C other routers, D local resources (EnergyNet §2.2).
    kind: 'AC' or 'DC'.
    phases: of an AC port, 1 or 3; currents are per phase, voltages from phase to neutral.
    direction: 'import' (into the router), 'export' (out of it), or 'both'.
    voltage: what the port can work at, V, minimum and maximum, above 0.
    max_current: what the port can carry, A, 0 to 10,000.
    cable_current: what the cable can carry, A, 0 to 10,000; the smaller of the two rules.
    max_power: what the port's converter can convert, W, above 0.
    min_w: below this much its device gets nothing, W.
    priority: class as a sink, higher first.
    weight: share within its class, 1e-6 to 1e6.
    bid: as a sink it takes only power up to this price: a price per kWh where `price` and the
        devices' forecasts give prices, a `Tier` where they do not; infinite: must be served.
    price: what its power costs as a source, per kWh; None: by its device's forecast, else what
        `epnet.router.prices` has for its tier.
    ramp_w_s: how fast its set-point may rise, W/s, above 0; None: over the full range in 1 s.
    group: the policy group it belongs to, or None.
    loss_ms: the longest silence in a transfer, ms, 200 to 400 (wire-profile S5).
    loss: of the conversion between the bus and the port.
    converter: the class of its power electronics, ``MODULE.CLASS[:key=value,…]``; None: simulated.
    """

    side: str = attrs.field(default="A", validator=oneOf("A", "B", "C", "D"))
    kind: str = attrs.field(default="AC", validator=oneOf("AC", "DC"))
    phases: int = attrs.field(default=1, validator=oneOf(1, 3))
    direction: str = attrs.field(default="both", validator=oneOf("import", "export", "both"))
    voltage: Bounds = attrs.field(default=AC_VOLTAGE, validator=_window)
    max_current: float = attrs.field(default=32.0, validator=between(0.0, 1e4))
    cable_current: float = attrs.field(default=32.0, validator=between(0.0, 1e4))
    max_power: float = attrs.field(default=22_000.0, validator=between(1e-3, MOST))
    min_w: float = attrs.field(default=0.0, validator=between(0.0, MOST))
    priority: int = attrs.field(default=1, validator=between(-1e6, 1e6))
    weight: float = attrs.field(default=1.0, validator=between(1e-6, 1e6))
    bid: float = attrs.field(default=inf, validator=between(-inf, inf))
    price: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(between(-MOST, MOST))
    )
    ramp_w_s: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(between(1e-3, MOST))
    )
    group: str | None = None
    loss_ms: float = attrs.field(default=200.0, validator=between(200.0, 400.0))
    loss: Loss = LOSSLESS
    converter: str | None = None

    @property
    def current_limit(self) -> float:
        """What port and cable can carry, A."""
        return min(self.max_current, self.cable_current)

    @property
    def conductors(self) -> int:
        """How many conductors carry the current: messages count it over all phases (W = V·A)."""
        return self.phases if self.kind == "AC" else 1


DEFAULT_PORTS: Final = {
    "solar": PortSettings(side="D", kind="DC", voltage=DC_VOLTAGE),
    "wind": PortSettings(side="D", kind="DC", voltage=DC_VOLTAGE),
    "battery": PortSettings(side="D", kind="DC", voltage=DC_VOLTAGE, bid=Tier.LOCAL),
    "vehicle": PortSettings(side="D", kind="DC", voltage=DC_VOLTAGE),
    "grid": PortSettings(side="B", priority=0, bid=Tier.LOCAL),
    "router": PortSettings(side="C", kind="DC", voltage=DC_VOLTAGE),
}
"""By the type in Session Parameters, for devices whose port nobody has described.

Batteries and the grid take only what local sources have left over; a battery does so whatever the
cheapest of them asks.
"""
