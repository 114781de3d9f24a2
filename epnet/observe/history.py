"""The history of a router: every device's parameters and grants, each second, into a store.

The router knows nothing of it.  Each second the shared snapshot is looked at; the numbers in it go
into a bounded backlog, and from there in batches to the store, which has a thread of its own.  One
batch is under way at a time: a store that is slow, fails, or never answers again makes the backlog
grow, and when that is full the oldest samples go, and are counted.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from epnet.interfaces import IHistoryStore, Sample

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from epnet.observe.looking import Snapshots
    from epnet.observe.snapshot import DeviceState, State
    from epnet.observe.worker import Worker

PortField = Literal["granted_import_w", "granted_export_w", "import_w", "export_w"]
MessageField = Literal["supply", "demand", "storage"]

SAMPLE_SECONDS: Final = 1.0
BATCH_SECONDS: Final = 5
"""How many seconds are written at once: fewer writes wear a memory card less."""
MAX_BACKLOG: Final = 20_000
"""Samples that wait to be written: an hour of five devices."""
MAX_BATCH: Final = 5_000
FIRST_RETRY_SECONDS: Final = 1.0
LONGEST_RETRY_SECONDS: Final = 60.0
SILENT_SECONDS: Final = 10.0
"""After how long a store that has not answered counts as one that cannot be written."""
JUMP_SECONDS: Final = 60.0
"""By how much the wall clock may differ from the steady one between two samples untold."""
STOP_SECONDS: Final = 2.0
"""How long the last batch may take when the program ends."""

OF_PORT: Final[tuple[PortField, ...]] = (
    "granted_import_w",
    "granted_export_w",
    "import_w",
    "export_w",
)
OF_MESSAGES: Final[tuple[MessageField, ...]] = ("supply", "demand", "storage")


class HistoryState(TypedDict):
    """How the history fares.

    waiting: samples that are not written yet.
    written, dropped: samples since the program began.
    failure: why nothing can be written now; null when all is well.
    """

    waiting: int
    written: int
    dropped: int
    failure: str | None


def valuesOf(device: DeviceState) -> dict[str, float]:
    """The numbers in a device's state that are worth a history, by field: ``storage.soc``…"""
    numbers = dict(_numbers("", {name: device[name] for name in OF_PORT}))
    for name in OF_MESSAGES:
        numbers.update(_numbers(f"{name}.", device[name] or {}))
    numbers["connected"] = float(device["session"]["connected"])
    return {name: number for name, number in numbers.items() if math.isfinite(number)}


def _numbers(prefix: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _numbers(f"{prefix}{name}.", value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{name}", float(value)


class Recorder(Service):
    """Records while it runs.

    snapshots: what is looked at.
    store: where it goes; used in the worker's thread alone.
    worker: has that thread.
    clock: the one clock.
    """

    log = Logger()

    def __init__(
        self, snapshots: Snapshots, store: IHistoryStore, worker: Worker, clock: IReactorTime
    ) -> None:
        self._snapshots = snapshots
        self._store = store
        self._worker = worker
        self._clock = clock
        self._backlog: deque[Sample] = deque()
        self._underWay: Deferred[None] | None = None
        self._inHand = 0
        self._writingSince = math.inf
        self._retryAt = -math.inf
        self._retry = FIRST_RETRY_SECONDS
        self._written = 0
        self._dropped = 0
        self._failure: str | None = None
        self._lastTime = 0
        self._sampledAt = math.inf
        self._sampling: LoopingCall = LoopingCall(self._sample)
        self._sampling.clock = clock
        self._ticks = 0

    def state(self) -> HistoryState:
        """How it fares."""
        return {
            "waiting": self._inHand + len(self._backlog),
            "written": self._written,
            "dropped": self._dropped,
            "failure": self._failure,
        }

    def startService(self) -> None:
        """Begin to record."""
        super().startService()
        self._sampling.start(SAMPLE_SECONDS, now=False)

    def stopService(self) -> Deferred[None]:
        """Write what waits, if that is done soon; fires in any case within 2 s."""
        super().stopService()
        if self._sampling.running:
            self._sampling.stop()
        ended: Deferred[None] = Deferred()

        def end(_: object = None) -> None:
            if not ended.called:
                if timeout.active():
                    timeout.cancel()
                self._worker.stop()
                ended.callback(None)

        timeout = self._clock.callLater(STOP_SECONDS, end)
        written = self._underWay or succeed(None)
        written.addCallback(lambda _: None if ended.called else self._write()).addBoth(end)
        return ended

    def _sample(self) -> None:
        """Look, and now and then write."""
        looking = self._snapshots.soon().addCallback(self._take)
        looking.addErrback(lambda failure: self.log.failure("a sample failed", failure))
        self._ticks += 1
        now = self._clock.seconds()
        if self._underWay is not None and now - self._writingSince >= SILENT_SECONDS:
            self._cannot("it does not answer")
        idle = self._underWay is None and now >= self._retryAt
        if idle and (self._ticks % BATCH_SECONDS == 0 or self._failure is not None):
            self._write()

    def _take(self, state: State) -> None:
        """Keep what was seen until it is written."""
        time = int(datetime.fromisoformat(state["router"]["time"]).timestamp())
        for device in state["devices"] if time != self._lastTime else ():
            self._backlog.append(Sample(time, device["identity"], valuesOf(device)))
        self._watchClock(time)
        while len(self._backlog) > MAX_BACKLOG:
            self._backlog.popleft()
            self._dropped += 1

    def _watchClock(self, time: int) -> None:
        """Tell of a wall clock that jumps; samples go on at the time that it shows."""
        now = self._clock.seconds()
        ahead = (time - self._lastTime) - (now - self._sampledAt)
        self._lastTime, self._sampledAt = time, now
        if JUMP_SECONDS < abs(ahead) < math.inf:
            self.log.warn(
                "the clock of this machine has jumped {seconds:.0f} s {direction}: history goes on "
                "at the time it shows, and keeps what is old until that has held for a day",
                seconds=abs(ahead),
                direction="ahead" if ahead > 0 else "back",
            )

    def _write(self) -> Deferred[None]:
        """Have a batch written; what comes in meanwhile waits."""
        batch = [self._backlog.popleft() for _ in range(min(MAX_BATCH, len(self._backlog)))]
        self._inHand, self._writingSince = len(batch), self._clock.seconds()

        def write() -> None:
            try:
                self._store.write(batch)
            except Exception:
                self._store.close()
                raise

        writing = self._underWay = self._worker.do(write)
        writing.addCallbacks(self._done, self._failed, (batch,), {}, (batch,), {})
        return writing

    def _done(self, _: None, batch: Sequence[Sample]) -> None:
        self._underWay, self._inHand = None, 0
        self._written += len(batch)
        if self._failure is not None:
            self.log.info(
                "history is written again; {dropped} samples have been dropped so far",
                dropped=self._dropped,
            )
        self._failure, self._retry = None, FIRST_RETRY_SECONDS
        if len(self._backlog) >= MAX_BATCH and self.running:
            self._write()

    def _failed(self, failure: Failure, batch: Sequence[Sample]) -> None:
        self._underWay, self._inHand = None, 0
        self._backlog.extendleft(reversed(batch))
        self._cannot(failure.getErrorMessage())
        self._retryAt = self._clock.seconds() + self._retry
        self._retry = min(self._retry * 2, LONGEST_RETRY_SECONDS)

    def _cannot(self, reason: str) -> None:
        """Say why nothing can be written, once."""
        if self._failure is None:
            self.log.warn(
                "history cannot be written: {reason}; it is tried again, and {most} samples wait",
                reason=reason,
                most=MAX_BACKLOG,
            )
        self._failure = reason
