"""The connection to the public grid."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from math import fsum, isclose
from typing import Any, ClassVar, Final

import attrs
from zope.interface import implementer

from epnet.devices.base import SimulatedDevice
from epnet.devices.options import flag, option, quantity, whole
from epnet.interfaces import IDevice
from epnet.wire import Bounds, DemandParameters, Mix, Price, Source, SupplyParameters

SINCE: Final = datetime(2025, 1, 1, tzinfo=UTC)
"""From when a price holds: long since."""

SOURCES: Final = {source.title: source for source in Source}
"""By their names in the spec."""


def _price(value: Any) -> Price | None:
    """Read ``0.30 EUR``."""
    if value is None or isinstance(value, Price):
        return value
    found = re.fullmatch(r"(-?\d+(?:\.\d+)?) ([A-Z]{3})", value)
    if found is None:
        raise ValueError("no price")
    return Price(SINCE, float(found[1]), found[2])


def _mix(value: Any) -> Mix:
    """Read ``Wind 60/Hydro 40``."""
    if not isinstance(value, str):
        return dict(value)
    words = [part.split() for part in value.split("/")]
    if any(len(each) != 2 or each[0] not in SOURCES for each in words):
        raise ValueError("not sources and their shares")
    shares: dict[Source | int, float] = {SOURCES[title]: float(share) for title, share in words}
    if (
        len(shares) < len(words)
        or min(shares.values()) < 0
        or not isclose(fsum(shares.values()), 100)
    ):
        raise ValueError("not the shares of a whole")
    return shares


@implementer(IDevice)
@attrs.define(slots=False, eq=False)
class Grid(SimulatedDevice):
    """Supplies whatever is asked for up to its fuse, and takes as much back.

    Options: fuse_a, the fuse of a phase; phases; voltage, of a phase; feed_in, whether it takes
    power back; price, of a kWh; mix, the sources of its energy.
    Its currents are the sum over the phases, so that voltage times current is the power.
    """

    type: ClassVar[str] = "grid"

    fuse_a: float = quantity(16, "A", above=0)
    phases: int = whole(1, "phases", 1, 3)
    voltage: float = quantity(230, "V", above=0)
    feed_in: bool = flag(True)
    price: Price | None = option(None, _price, "an amount and a currency, such as 0.30 EUR")
    mix: Mix = option(
        {Source.UNKNOWN: 100}, _mix, "sources and shares that add to 100 %, such as Wind 60/Gas 40"
    )

    @property
    def rating_w(self) -> float:
        """What the fuse lets through, W."""
        return self.fuse_a * self.phases * self.voltage_v

    @property
    def window(self) -> Bounds:
        """The voltage of a phase ± 10 %, V."""
        return Bounds(round(0.9 * self.voltage, 3), round(1.1 * self.voltage, 3))

    @property
    def voltage_v(self) -> float:
        """That of a phase, V."""
        return self.voltage

    def available_w(self) -> float:
        """As much as the fuse lets through, W."""
        return self.rating_w

    def wanted_w(self) -> float:
        """As much as the fuse lets through, W, if it takes any."""
        return self.rating_w if self.feed_in else 0.0

    def supply(self) -> SupplyParameters:
        """As much as the fuse lets through."""
        prices = None if self.price is None else (self.price,)
        return self.supplyOf(self.available_w(), power_mix=self.mix, energy_prices=prices)

    def demand(self) -> DemandParameters | None:
        """As much as the fuse lets through; None if it takes none back."""
        return self.demandOf(self.wanted_w()) if self.feed_in else None
