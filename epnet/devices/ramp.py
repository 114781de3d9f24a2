"""How power follows a permission: up slowly, down at once, to zero when the permission ends.

Pure: every question carries its time.  Nothing here needs to be called for power to fall; whoever
asks later gets the power as it was then.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

RISE_SECONDS: Final = 1.0
"""Time of an increase over the full rating (router design, *Defaults*)."""

FALL_SECONDS: Final = 0.1
"""Time of a decrease over the full rating (wire-profile S5)."""


class Flow(NamedTuple):
    """Power at a pair of terminals, W, 0 or more; at most one of the two is above 0.

    draw_w: into the device.
    supply_w: out of it.
    """

    draw_w: float
    supply_w: float


STILL: Final = Flow(0.0, 0.0)


class Ramp:
    """A power between drawing its full rating and supplying it, that follows the newest limits.

    rating_w: the most in either direction, W, above 0.
    riseSeconds, fallSeconds: times of an increase and a decrease over the full rating, s, above 0.

    A direction reverses through zero.  Limits above zero in both directions contradict each other
    and allow nothing.
    """

    __slots__ = ("_expires", "_fall", "_from_w", "_rating_w", "_rise", "_since", "_target_w")

    def __init__(
        self,
        rating_w: float,
        riseSeconds: float = RISE_SECONDS,
        fallSeconds: float = FALL_SECONDS,
    ) -> None:
        self._rating_w = rating_w
        self._rise = rating_w / riseSeconds
        self._fall = rating_w / fallSeconds
        # Inside, one signed number: drawing is positive.
        self._since = 0.0
        self._from_w = 0.0
        self._target_w = 0.0
        self._expires = 0.0

    @property
    def quietAfter(self) -> float:
        """When the power is zero at the latest, s, if no newer limits come."""
        return max(self._since, self._expires) + self._rating_w / self._fall

    def follow(self, draw_w: float, supply_w: float, expires: float, now: float) -> None:
        """From `now` on, stay within these limits (W) until `expires`; then go to zero."""
        self._from_w = self._signedAt(now)
        self._since = now
        self._expires = expires
        if (draw_w > 0.0) == (supply_w > 0.0):
            self._target_w = 0.0
        elif draw_w > 0.0:
            self._target_w = min(draw_w, self._rating_w)
        else:
            self._target_w = -min(supply_w, self._rating_w)

    def rate(self, rating_w: float, now: float) -> None:
        """Be of another rating from `now` on, as fast over the whole of it; more flows no more."""
        self._from_w, self._since = self._signedAt(now), now
        self._rise *= rating_w / self._rating_w
        self._fall *= rating_w / self._rating_w
        self._rating_w = rating_w
        self._from_w = max(-rating_w, min(rating_w, self._from_w))
        self._target_w = max(-rating_w, min(rating_w, self._target_w))

    def stop(self) -> None:
        """Be at zero at once: the contactor has opened."""
        self._from_w = self._target_w = 0.0

    def at(self, when: float) -> Flow:
        """The power at a time, s, not before the newest limits came."""
        if self._from_w == 0.0 == self._target_w:
            return STILL
        power_w = self._signedAt(when)
        return Flow(max(0.0, power_w), max(0.0, -power_w))

    def _signedAt(self, when: float) -> float:
        end = max(self._since, self._expires)
        if when <= end:
            return self._moved(self._from_w, self._target_w, when - self._since)
        atEnd = self._moved(self._from_w, self._target_w, end - self._since)
        return self._moved(atEnd, 0.0, when - end)

    def _moved(self, power_w: float, target_w: float, seconds: float) -> float:
        """Where power is after some time on its way to a target."""
        same = power_w * target_w >= 0.0
        least_w = min(abs(power_w), abs(target_w)) if same else 0.0
        fallen_w = abs(power_w) - self._fall * seconds
        if fallen_w > least_w:
            return math.copysign(fallen_w, power_w)
        seconds -= (abs(power_w) - least_w) / self._fall
        return math.copysign(min(abs(target_w), least_w + self._rise * seconds), target_w)
