"""Simulated power electronics: a ramp behind a contactor."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from epnet.devices.ramp import FALL_SECONDS, RISE_SECONDS, STILL, Flow, Ramp

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

NEAR_ZERO: Final = 0.01
"""Below this fraction of the rating a contactor may open."""

OPEN_SECONDS: Final = 0.5
"""A contactor opens at the latest so long after it was told to."""


class PowerStage:
    """What carries the power of a simulated device or router port.

    clock: the one clock; permissions expire by it without anyone calling.
    rating_w: the most it carries in either direction, W, above 0.
    riseSeconds, fallSeconds: times of a change over the full rating, s, above 0.

    It starts open.
    """

    __slots__ = ("_clock", "_nearZero_w", "_opening", "_ramp")

    def __init__(
        self,
        clock: IReactorTime,
        rating_w: float,
        riseSeconds: float = RISE_SECONDS,
        fallSeconds: float = FALL_SECONDS,
    ) -> None:
        self._clock = clock
        self._nearZero_w = NEAR_ZERO * rating_w
        self._ramp = Ramp(rating_w, riseSeconds, fallSeconds)
        self._opening: float | None = -math.inf

    @property
    def isClosed(self) -> bool:
        """Whether power can flow."""
        return self._closedAt(self._clock.seconds())

    @property
    def quietAfter(self) -> float:
        """When no power flows any more at the latest, s, if nobody calls again."""
        return self._ramp.quietAfter

    def flow(self) -> Flow:
        """The power it carries now."""
        return self.flowAt(self._clock.seconds())

    def flowAt(self, when: float) -> Flow:
        """The power at a time, s, not before the last call that changed something."""
        flow = self._ramp.at(when)
        return flow if flow is STILL or self._closedAt(when) else STILL

    def setLimits(self, draw_w: float, supply_w: float, expires: float) -> None:
        """Follow these limits, W, until `expires`; nothing flows through an open contactor."""
        if self._opening is None:
            self._ramp.follow(draw_w, supply_w, expires, self._clock.seconds())

    def rate(self, rating_w: float) -> None:
        """Be of another rating from now on, W."""
        self._nearZero_w = NEAR_ZERO * rating_w
        self._ramp.rate(rating_w, self._clock.seconds())

    def close(self) -> None:
        """Close the contactor."""
        if not self.isClosed:
            self._ramp.stop()
        self._opening = None

    def open(self) -> None:
        """Ramp to zero; open the contactor at near-zero current, or after 500 ms."""
        if self._opening is None:
            now = self._clock.seconds()
            self._ramp.follow(0.0, 0.0, now, now)
            self._opening = now

    def _closedAt(self, when: float) -> bool:
        if self._opening is None:
            return True
        left_w = max(self._ramp.at(when))
        return left_w > self._nearZero_w and when - self._opening < OPEN_SECONDS
