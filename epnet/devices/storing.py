"""What simulated devices with a battery have in common: charge follows the power they carry."""

from __future__ import annotations

from abc import abstractmethod
from typing import Final

import attrs

from epnet.devices.base import DailyDevice
from epnet.devices.options import quantity
from epnet.devices.reservoir import Reservoir
from epnet.interfaces import Limits, Reading

STEP_SECONDS: Final = 0.02
"""Power is integrated in steps of at most this much real time."""


@attrs.define(slots=False, eq=False)
class StoringDevice(DailyDevice):
    """The base of devices that store energy.

    Options: capacity_wh; soc, the state of charge at the start; charge_w, the most it charges with.
    """

    capacity_wh: float = quantity(10_000, "Wh", above=0)
    soc: float = quantity(50, "%", high=100)
    charge_w: float = quantity(5000, "W", above=0)
    reservoir: Reservoir = attrs.field(init=False)
    _settled: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Fill it as the options say."""
        super().__attrs_post_init__()
        self.reservoir = self.makeReservoir()
        self._settled = self.clock.seconds()

    @abstractmethod
    def makeReservoir(self) -> Reservoir:
        """The energy it holds at the start."""

    def settle(self) -> None:
        """Bring the stored energy up to now.

        No power flows for longer than its permission, so the steps are few however long ago the
        last call was.
        """
        now = self.clock.seconds()
        end = min(now, self.stage.quietAfter)
        while self._settled < end:
            upTo = min(self._settled + STEP_SECONDS, end)
            self._carry((self._settled + upTo) / 2, upTo - self._settled)
            self._settled = upTo
        self._settled = now

    def _carry(self, when: float, seconds: float) -> None:
        """Store or give what flows for some real seconds around a time."""
        draw_w, supply_w = self.stage.flowAt(when)
        hours = seconds * self.world.speed / 3600
        if draw_w:
            self.reservoir.put(min(draw_w, self.intake_w()) * hours)
        elif supply_w:
            self.reservoir.take(min(supply_w, self.outlet_w()) * hours)

    def intake_w(self) -> float:
        """The most it can be charged with as full as it was when last settled, W."""
        return self.charge_w * self.reservoir.intake()

    def outlet_w(self) -> float:
        """The most it can give as full as it was when last settled, W: nothing, here."""
        return 0.0

    def wanted_w(self) -> float:
        """The most it would draw now, W."""
        self.settle()
        return self.intake_w()

    def available_w(self) -> float:
        """The most it could supply now, W."""
        self.settle()
        return self.outlet_w()

    def reading(self) -> Reading:
        """What flows now."""
        self.settle()
        return super().reading()

    def setLimits(self, limits: Limits) -> None:
        """Settle what was carried under the last permission, and follow the newest."""
        self.settle()
        super().setLimits(limits)

    def shutDown(self, reason: str) -> None:
        """Settle what was carried, ramp to zero within 100 ms and open the contactor."""
        self.settle()
        super().shutDown(reason)
