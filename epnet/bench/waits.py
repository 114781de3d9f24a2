"""What messages wait for in a server: its own work, told from that of others on its machine."""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Final

import attrs

_KEPT: Final = 256


@attrs.frozen
class Turn:
    """A turn of the reactor: first it waits for something to happen, then it acts on it.

    began, ended: in s of the clock that all processes share.
    workedBefore, workedAfter: the time of the processor that the server had taken then, in s.
    """

    began: float
    ended: float
    workedBefore: float
    workedAfter: float

    def workedAt(self, now: float) -> float:
        """The time of the processor that it had taken at a time within the turn; rather less.

        After that it cannot have worked for longer than the rest of the turn lasted.
        """
        return max(self.workedBefore, self.workedAfter - (self.ended - now))


class Waits:
    """The turns of a reactor.

    Where the machine does other things, too, a message also waits for those.  So its age is told
    in two ways: as it is, and as what the server itself did in that time.
    """

    def __init__(self, reactor: Any) -> None:
        self._turns: deque[Turn] = deque(maxlen=_KEPT)
        self._began, self._worked = time.monotonic(), time.thread_time()
        self._iterate = reactor.doIteration
        reactor.doIteration = self._turn

    def _turn(self, delay: float | None) -> None:
        now, worked = time.monotonic(), time.thread_time()
        self._turns.append(Turn(self._began, now, self._worked, worked))
        self._began, self._worked = now, worked
        self._iterate(delay)

    def since(self, sent: float) -> float:
        """How much the server has worked since a message was sent that is here now, in s."""
        worked = self._worked  # where it came while nothing happened, and started the turn
        for turn in reversed(self._turns):
            if turn.ended <= sent:
                break
            worked = turn.workedAt(sent)
        return time.thread_time() - worked
