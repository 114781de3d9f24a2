"""Whether a process got its turn: what a busy machine adds, told apart from what a fault did."""

from __future__ import annotations

import time
from collections.abc import Callable

from twisted.internet.task import LoopingCall

LOOK_SECONDS = 0.02
LATE_SECONDS = 0.02
"""From here on a process counts as late: three of them could then use up the time that is left
between a gap that everybody has to survive and the 200 ms."""


def watchLateness(late: Callable[[float], object]) -> LoopingCall:
    """Call back with how late, in s, whenever the reactor is woken late; stop what this gives."""
    due = time.monotonic() + LOOK_SECONDS

    def look() -> None:
        nonlocal due
        now = time.monotonic()
        if now - due >= LATE_SECONDS:
            late(now - due)
        due = now + LOOK_SECONDS

    call = LoopingCall(look)
    call.start(LOOK_SECONDS, now=False)
    return call
