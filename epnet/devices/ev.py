"""An electric car at its charger."""

from __future__ import annotations

from typing import ClassVar

import attrs
from zope.interface import implementer

from epnet.devices.options import quantity, timeOfDay
from epnet.devices.reservoir import Reservoir
from epnet.devices.storing import StoringDevice
from epnet.interfaces import IDevice
from epnet.wire import Bounds, DemandParameters, StorageParameters


@implementer(IDevice)
@attrs.define(slots=False, eq=False)
class Vehicle(StoringDevice):
    """Wants to be charged up to its target as soon as it is plugged in; it never gives back.

    Options: soc_target, the state of charge it wants; plug, the time of day from which it is
    plugged in (all along, if not given); efficiency, of the charge.
    """

    type: ClassVar[str] = "vehicle"

    capacity_wh: float = quantity(60_000, "Wh", above=0)
    charge_w: float = quantity(11_000, "W", above=0)
    soc_target: float = quantity(80, "%", high=100)
    plug: float | None = timeOfDay()
    efficiency: float = quantity(95, "%", above=0, high=100)

    def makeReservoir(self) -> Reservoir:
        """The energy it holds at the start, and may hold."""
        onePercent_wh = self.capacity_wh / 100
        return Reservoir(
            self.capacity_wh,
            self.soc * onePercent_wh,
            0.0,
            self.soc_target * onePercent_wh,
            self.efficiency / 100,
        )

    @property
    def rating_w(self) -> float:
        """The most it charges with, W."""
        return self.charge_w

    @property
    def window(self) -> Bounds:
        """Around what its cells have, from empty to full, V."""
        return Bounds(300, 450)

    @property
    def voltage_v(self) -> float:
        """Rises with the state of charge, V."""
        return 340 + 0.8 * self.reservoir.soc

    @property
    def isPluggedIn(self) -> bool:
        """Whether it has arrived."""
        return self.plug is None or self.world.sinceMidnight >= self.plug

    def intake_w(self) -> float:
        """The most it can be charged with, as full as it was when last settled, W."""
        return super().intake_w() if self.isPluggedIn else 0.0

    def demand(self) -> DemandParameters:
        """What it wants now, and how long that takes, in world time."""
        wanted_w = self.wanted_w()
        if not wanted_w:
            return self.demandOf(0.0)
        left_ms = self.reservoir.room_wh / wanted_w * 3_600_000
        return self.demandOf(wanted_w, duration=round(left_ms))

    def storage(self) -> StorageParameters:
        """How full it is and wants to be."""
        self.settle()
        return StorageParameters(
            soc=self.reservoir.soc, soc_target=self.soc_target, capacity=self.capacity_wh
        )
