"""A household's load."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import attrs
from zope.interface import implementer

from epnet.devices.base import DailyDevice
from epnet.devices.options import quantity
from epnet.devices.world import DAY_SECONDS
from epnet.errors import UsageError
from epnet.interfaces import IDevice
from epnet.wire import Bounds, DemandParameters

PEAKS: Final = ((7.5, 1.0, 0.6), (19.0, 2.0, 1.0))
"""The busy hours: when (h), how long about (h), how high (1: the peak of the day)."""


@implementer(IDevice)
@attrs.define(slots=False, eq=False)
class Load(DailyDevice):
    """Draws between base_w and peak_w, with a lower peak in the morning and one in the evening.

    Options: base_w, peak_w.
    """

    type: ClassVar[str] = "home"

    base_w: float = quantity(300, "W")
    peak_w: float = quantity(2000, "W", above=0)

    def __attrs_post_init__(self) -> None:
        """Check the options against each other."""
        if self.base_w > self.peak_w:
            raise UsageError(f"base_w={self.base_w:g} is above peak_w={self.peak_w:g}")
        super().__attrs_post_init__()

    @property
    def rating_w(self) -> float:
        """The peak, W."""
        return self.peak_w

    @property
    def window(self) -> Bounds:
        """230 V ± 10 %."""
        return Bounds(207, 253)

    @property
    def voltage_v(self) -> float:
        """That of the household's wiring, V."""
        return 230.0

    def wanted_w(self) -> float:
        """What the household uses at this time of day, W."""
        return self.base_w + (self.peak_w - self.base_w) * activity(self.world.timeOfDay)

    def demand(self) -> DemandParameters:
        """What the household uses at this time of day."""
        return self.demandOf(self.wanted_w())


def activity(timeOfDay: float) -> float:
    """How busy a household is, 0 to 1.

    timeOfDay: s since midnight.
    """
    return max(
        height * math.exp(-((_hoursApart(timeOfDay / 3600, hour) / width) ** 2))
        for hour, width, height in PEAKS
    )


def _hoursApart(one: float, other: float) -> float:
    day = DAY_SECONDS / 3600
    return abs((one - other + day / 2) % day - day / 2)
