"""Solar panels behind a maximum-power-point tracker."""

from __future__ import annotations

from typing import ClassVar

import attrs
from zope.interface import implementer

from epnet.devices.base import SOUND, DailyDevice
from epnet.devices.options import quantity
from epnet.devices.world import clearSky, sineOfElevation
from epnet.interfaces import IDevice
from epnet.wire import Bounds, Source, SupplyParameters


@implementer(IDevice)
@attrs.define(slots=False, eq=False)
class Solar(DailyDevice):
    """Supplies what the sun gives on a clear day.

    Options: peak_w, the power in full sunlight (1 kW/m²); latitude, in degrees.
    """

    type: ClassVar[str] = "solar"

    peak_w: float = quantity(5000, "W", above=0)
    latitude: float = quantity(50, "degrees", low=-90, high=90)

    @property
    def rating_w(self) -> float:
        """The power in full sunlight, W."""
        return self.peak_w

    @property
    def window(self) -> Bounds:
        """What the tracker's output may be set to, V."""
        return Bounds(400, 800)

    @property
    def voltage_v(self) -> float:
        """What the tracker puts out, V."""
        return 600.0

    def available_w(self) -> float:
        """What the sun gives now, W."""
        world = self.world
        elevation = sineOfElevation(self.latitude, world.dayOfYear, world.timeOfDay)
        return self.peak_w * min(1.0, clearSky(elevation))

    def supply(self) -> SupplyParameters:
        """What the sun gives now."""
        return self.supplyOf(
            self.available_w(), power_mix={Source.LOCAL_SOLAR: 100}, isolation=SOUND
        )
