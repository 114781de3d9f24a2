"""A device that draws, for those that tell what becomes of it."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from epnet.interfaces import IDevice, Limits, Reading
from epnet.wire import DemandParameters


@implementer(IDevice)
class Drawing:
    """Asks for all that it can draw, draws what it may, and stores nothing."""

    type, version, name, rating_w = "drawing", "1.0", "A device that draws", 1000.0

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._limits = Limits(0.0, 0.0, 0.0)

    def supply(self) -> None:
        return None

    def demand(self) -> DemandParameters:
        return DemandParameters(voltage=230, voltage_limit=250, power_limit=self.rating_w)

    def storage(self) -> None:
        return None

    def reading(self) -> Reading:
        fresh = self._clock.seconds() < self._limits.expires
        return Reading(230.0, self._limits.draw_w if fresh else 0.0, 0.0)

    def setLimits(self, limits: Limits) -> None:
        self._limits = limits

    def shutDown(self, reason: str) -> None:
        self._limits = Limits(0.0, 0.0, 0.0)
