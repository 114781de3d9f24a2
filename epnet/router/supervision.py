"""Whether a device does what it was told and its cable is its own: pure, times come in.

*Overdraw*: a device that carries more than it may is noticed within 500 ms, warned of, then cut.
*Mismatch*: what the port meters and what the device reports has to agree within 5 % during a
transfer; otherwise this cable is not that device's.  Before the contactor closes, a voltage on the
cable that is not the device's says the same; a cable without any says nothing.
"""

from __future__ import annotations

import enum
from math import isfinite
from typing import Final

REACTION_SECONDS: Final = 0.15
"""How long a device may take to follow a lower set-point: a message, and 100 ms of ramp."""

WARN_SECONDS: Final = 0.1
CUT_SECONDS: Final = 0.5
"""For how long on end it has to carry too much to be warned of, and to be cut."""

OVER_PART: Final = 0.05
OVER_W: Final = 50.0
"""What a device may carry above its set-point: the larger of a part of it and these W."""

AGREE_PART: Final = 0.05
AGREE_RATING: Final = 0.02
"""How far meter and report may differ: the larger of a part of the meter's and of the rating."""

AGREE_SECONDS: Final = 2.0
"""For how long on end they have to differ: longer than any ramp."""

FAULT_COOLDOWN_SECONDS: Final = 60.0
"""How long a port stays open after either."""

LOSS_COOLDOWN_SECONDS: Final = 0.5
"""How long a port stays open after a loss: until its contactor is open (router design)."""


DEAD_PART: Final = 0.1
"""Below this part of what its device tells, a cable is not under voltage yet."""


def mayClose(metered_v: float, reported_v: float) -> bool:
    """Whether the voltage on a cable, before its contactor closes, may be its device's."""
    # Written so that a voltage that is no number says nothing.
    return not metered_v >= DEAD_PART * reported_v or _agree(metered_v, reported_v)


def _agree(metered_v: float, reported_v: float) -> bool:
    return abs(metered_v - reported_v) <= AGREE_PART * metered_v


class Finding(enum.Enum):
    """What supervision found; the value is a reason for people."""

    OVERDRAWING = "it carries more than it may"
    OVERDRAWN = "it carried more than it may, and did not stop"
    FAILED = "its converter fails"
    MISMATCHED = "meter and device disagree: this cable is not that device's"


class _Lasting:
    """For how long on end something has been so."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since: float | None = None

    def seconds(self, isSo: bool, now: float) -> float:
        """Take whether it is so now; 0 while it is not, or not for longer than this moment."""
        if not isSo:
            self._since = None
            return 0.0
        if self._since is None or now < self._since:
            self._since = now
        return now - self._since


class Watch:
    """Watches one port.

    rating_w: the most it can carry, W.
    """

    __slots__ = ("_before_w", "_different", "_over", "_reacting_w", "_until", "_warned", "rating_w")

    def __init__(self, rating_w: float) -> None:
        self.rating_w = rating_w
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._over = _Lasting()
        self._different = _Lasting()
        self._warned = False
        self._before_w = self._reacting_w = self._until = 0.0

    def carries(self, allowed_w: float, measured_w: float | None, now: float) -> Finding | None:
        """Hold what flows against what may, W; None without a meter."""
        if allowed_w < self._before_w:
            if now >= self._until:
                self._reacting_w = 0.0
            self._reacting_w = max(self._reacting_w, self._before_w)
            self._until = now + REACTION_SECONDS
        self._before_w = allowed_w
        if measured_w is None or not isfinite(measured_w):
            return None
        most = max(allowed_w, self._reacting_w) if now < self._until else allowed_w
        tooMuch = measured_w > most + max(OVER_W, OVER_PART * most)
        lasting = self._over.seconds(tooMuch, now)
        if lasting >= CUT_SECONDS:
            return Finding.OVERDRAWN
        if not tooMuch:
            self._warned = False
        elif lasting >= WARN_SECONDS and not self._warned:
            self._warned = True
            return Finding.OVERDRAWING
        return None

    def agrees(
        self, metered: tuple[float, float], reported: tuple[float, float] | None, now: float
    ) -> Finding | None:
        """Hold the port's meter against the device's report, each V and W of a transfer.

        reported: None where the device reports nothing, or no transfer is on.
        """
        lasting = self._different.seconds(
            reported is not None and not self._near(metered, reported), now
        )
        return Finding.MISMATCHED if lasting >= AGREE_SECONDS else None

    def _near(self, metered: tuple[float, float], reported: tuple[float, float]) -> bool:
        (meterVolts, meterWatts), (volts, watts) = metered, reported
        allowed_w = max(AGREE_PART * meterWatts, AGREE_RATING * self.rating_w)
        return _agree(meterVolts, volts) and abs(meterWatts - watts) <= allowed_w
