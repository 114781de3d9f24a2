"""How observers look at a router: all of them share one snapshot, and hold nothing up.

Who needs an answer in the same call gets it by `Snapshots.state`.  Who looks again and again waits
for `Snapshots.soon`, which looks at a few devices at a time and lets the router work in between.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from epnet.observe.history import HistoryState
from epnet.observe.snapshot import DeviceState, State, deviceStates, stateWith

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from epnet.connections import Connections
    from epnet.router.router import Router

FRESH_SECONDS: Final = 0.25
"""How long a snapshot serves everybody who looks."""
AT_ONCE: Final = 25
"""How many devices are looked at in one turn: half a millisecond."""


class Snapshots:
    """The newest snapshot, taken anew only when somebody looks and it is older than 250 ms.

    clock: the one clock.
    timeOfDay: tells the time of day, aware.
    history: says how the recording of history fares; None where none is kept.
    """

    def __init__(
        self,
        router: Router,
        connections: Connections,
        clock: IReactorTime,
        timeOfDay: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._router = router
        self._connections = connections
        self._clock = clock
        self.timeOfDay = timeOfDay
        self.history: Callable[[], HistoryState] | None = None
        self._since = clock.seconds()
        self._takenAt = -math.inf
        self._state: State
        self._waiting: list[Deferred[State]] = []

    def state(self) -> State:
        """A state at most 250 ms old; shared, so not to be changed."""
        if not self._isFresh():
            self._take(deviceStates(self._router, self._connections, sorted(self._router.ports)))
        return self._state

    def soon(self) -> Deferred[State]:
        """The same, as soon as all devices have been looked at, a few in each turn."""
        if self._isFresh():
            return succeed(self._state)
        waiting: Deferred[State] = Deferred()
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            self._look([], iter(sorted(self._router.ports)))
        return waiting

    def _look(self, devices: list[DeviceState], identities: Iterator[str]) -> None:
        some = list(islice(identities, AT_ONCE))
        result: State | Failure
        try:
            devices += deviceStates(self._router, self._connections, some)
            if len(some) == AT_ONCE:
                self._clock.callLater(0, self._look, devices, identities)
                return
            self._take(devices)
            result = self._state
        except Exception:
            result = Failure()
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(result)

    def _isFresh(self) -> bool:
        return self._clock.seconds() - self._takenAt < FRESH_SECONDS

    def _take(self, devices: list[DeviceState]) -> None:
        now = self._clock.seconds()
        self._state = stateWith(
            devices, self._router, self._connections, now - self._since, self.timeOfDay()
        )
        if self.history is not None:
            self._state["history"] = self.history()
        self._takenAt = now
