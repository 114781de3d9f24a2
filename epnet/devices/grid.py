"""The connection to the public grid."""

from __future__ import annotations

from typing import ClassVar

import attrs
from zope.interface import implementer

from epnet.devices.base import SimulatedDevice
from epnet.devices.options import flag, quantity, whole
from epnet.interfaces import IDevice
from epnet.wire import Bounds, DemandParameters, Source, SupplyParameters


@implementer(IDevice)
@attrs.define(slots=False, eq=False)
class Grid(SimulatedDevice):
    """Supplies whatever is asked for up to its fuse, and takes as much back.

    Options: fuse_a, the fuse of a phase; phases; voltage, of a phase; feed_in, whether it takes
    power back.
    Its currents are the sum over the phases, so that voltage times current is the power.
    """

    type: ClassVar[str] = "grid"

    fuse_a: float = quantity(16, "A", above=0)
    phases: int = whole(1, "phases", 1, 3)
    voltage: float = quantity(230, "V", above=0)
    feed_in: bool = flag(True)

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
        """As much as the fuse lets through, from sources nobody knows."""
        return self.supplyOf(self.available_w(), power_mix={Source.UNKNOWN: 100})

    def demand(self) -> DemandParameters | None:
        """As much as the fuse lets through; None if it takes none back."""
        return self.demandOf(self.wanted_w()) if self.feed_in else None
