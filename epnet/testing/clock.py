"""Time that only moves when told to."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any

from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer


@implementer(IReactorTime)
class VirtualClock:
    """A clock for tests and simulations, in place of the reactor's: the time is what one makes it.

    Unlike `twisted.internet.task.Clock`, it shows each call the time at which it was due, however
    far one advances, and its cost hardly grows with the number of calls that wait.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._order = count()
        self._calls: list[tuple[float, int, DelayedCall]] = []

    def seconds(self) -> float:
        """The time, in s since it was made."""
        return self._now

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> IDelayedCall:
        """Call when so many seconds have passed; 0 is at the next `advance`."""
        call = DelayedCall(
            self._now + delay, callable, args, kwargs, _nothing, self._put, self.seconds
        )
        self._put(call)
        return call

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """What is to be called, the next one first."""
        waiting = {id(call): call for _, _, call in self._calls if call.active()}
        return sorted(waiting.values(), key=lambda call: call.getTime())

    def advance(self, seconds: float) -> None:
        """Let time pass, and call whatever becomes due, each at its own time and in order."""
        until = self._now + seconds
        while self._calls and self._calls[0][0] <= until:
            at, _, call = heappop(self._calls)
            if not call.active():
                continue
            if call.getTime() > at:  # put off meanwhile
                self._put(call)
                continue
            self._now = max(self._now, at)
            call.called = 1
            call.func(*call.args, **call.kw)
        self._now = until

    def _put(self, call: DelayedCall) -> None:
        """Put a call where its time is; where it was before, it is passed over."""
        heappush(self._calls, (call.getTime(), next(self._order), call))


def _nothing(call: DelayedCall) -> None:
    """What is cancelled is passed over when its time comes."""
