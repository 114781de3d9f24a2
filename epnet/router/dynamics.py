"""How set-points move in time: up slowly and on firm ground, down at once.  No clock, no I/O.

Every question carries its time, s of one monotonic clock.  Who uses it: `epnet.router.planning`.
"""

from __future__ import annotations

from math import inf
from typing import Final, NamedTuple

TICK_SECONDS: Final = 0.1
"""How often power is allocated."""

RISE_SECONDS: Final = 1.0
"""Time of an increase over the full range of a port without a ramp of its own."""

BAND_PART: Final = 0.02
BAND_W: Final = 100.0
"""An increase below this part of the port's range and below these W waits while it moves."""

STEADY_SECONDS: Final = 0.3
STEADY_W: Final = 1.0
"""A target that has not moved by more W for so long is constant: no dead band withholds it."""

REVERSAL_SECONDS: Final = 2.0
"""How long a port stands at zero before its direction reverses."""

ROUND_TRIP_SECONDS: Final = 0.05
"""The longest way of a message and back on a network that loses nothing (wire-profile S7)."""

CONFIRMING_SECONDS: Final = TICK_SECONDS + ROUND_TRIP_SECONDS
"""How long after our Demand a Supply has to arrive to answer it."""

OLD_GRANT_SECONDS: Final = 0.5
"""How long an old, higher grant counts after the lower one was acknowledged, at the longest."""

METER_PART: Final = 0.005
METER_W: Final = 1.0
"""What a meter may read above a set-point and still mean it."""

_REQUESTS_KEPT: Final = 32


def rampStep(range_w: float, ramp_w_s: float | None, elapsed: float) -> float:
    """How far a set-point may rise in `elapsed` s, W; at most two ticks' worth after a stall."""
    rate = range_w / RISE_SECONDS if ramp_w_s is None else ramp_w_s
    return rate * max(0.0, min(elapsed, 2 * TICK_SECONDS))


def band(range_w: float) -> float:
    """What is little for a port of this range, W."""
    return min(BAND_W, BAND_PART * range_w)


class Approach(NamedTuple):
    """A target, and since when it has been constant."""

    target_w: float = 0.0
    since: float = -inf

    def seeing(self, target_w: float, now: float) -> Approach:
        """The same with the target of this moment."""
        return self if abs(target_w - self.target_w) <= STEADY_W else Approach(target_w, now)

    def isHeld(self, from_w: float, target_w: float, range_w: float, now: float) -> bool:
        """Whether the dead band withholds this increase: never from zero, nor a constant one."""
        return (
            0.0 < target_w - from_w < band(range_w)
            and from_w > 0.0
            and now - self.since < STEADY_SECONDS
        )


ANYWHERE: Final = Approach()
"""No target has been seen yet."""


class Requests:
    """What we asked of a source, and how much of it the source has answered.

    A Supply answers a Demand if it arrived at least a tick and a round trip after it.  What was
    asked since then counts too: a lower request takes back a higher one.
    """

    __slots__ = ("_sent",)

    def __init__(self) -> None:
        # When, and how much from then on without a break: both rising.
        self._sent: list[tuple[float, float]] = []  # an empty deque takes more than all else here

    def sent(self, watts: float, now: float) -> None:
        """A Demand of so many W went out."""
        sent = self._sent
        if sent and sent[-1][1] == watts:
            return
        since = now
        while sent and sent[-1][1] >= watts:
            since = sent.pop()[0]
        sent.append((since, watts))
        del sent[:-_REQUESTS_KEPT]

    def confirmed(self, arrived: float) -> float:
        """The W that a Supply which arrived then answers; its own limits are another matter."""
        sent = self._sent
        answered = arrived - CONFIRMING_SECONDS
        while len(sent) > 1 and sent[1][0] <= answered:
            del sent[0]
        return sent[0][1] if sent and sent[0][0] <= answered else 0.0

    def clear(self) -> None:
        """The device is gone: it has answered nothing."""
        self._sent.clear()


class Draw:
    """What a sink may still draw: its grant, or for a while an older one that was higher.

    An old grant counts until the meter reads no more than the new one, or until 500 ms after the
    lower one was acknowledged: after a message of the device that arrived a round trip after the
    lower grant went out.
    """

    __slots__ = ("_acknowledged", "_old_w", "_sent")

    def __init__(self) -> None:
        self._old_w = 0.0
        self._sent: float | None = None
        self._acknowledged: float | None = None

    @property
    def isHigher(self) -> bool:
        """Whether an old grant still counts."""
        return self._old_w > 0.0

    def lowered(self, before_w: float) -> None:
        """The grant has just become less than `before_w`."""
        self._old_w = max(self._old_w, before_w)
        self._sent = self._acknowledged = None

    def sent(self, now: float) -> None:
        """The grant went out."""
        if self._old_w and self._sent is None:
            self._sent = now

    def heard(self, arrived: float) -> None:
        """A message of the device arrived."""
        if self._sent is None or self._acknowledged is not None:
            return
        if arrived >= self._sent + ROUND_TRIP_SECONDS:
            self._acknowledged = arrived

    def lost(self, now: float) -> None:
        """The device is gone, and its port opens."""
        if self._old_w:
            self._sent = self._acknowledged = now

    def most(self, granted_w: float, metered_w: float | None, now: float) -> float:
        """What it may draw, W; `metered_w`: what the port's meter reads, None without one."""
        if not self._old_w:
            return granted_w
        quiet = metered_w is not None and metered_w <= granted_w * (1 + METER_PART) + METER_W
        if self._acknowledged is not None and now - self._acknowledged >= OLD_GRANT_SECONDS:
            quiet = True
        if quiet:
            self._old_w = 0.0
            return granted_w
        return max(granted_w, self._old_w)
