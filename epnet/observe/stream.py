"""Server-sent events: the state each second, and what happens, to everybody who listens.

All viewers get the same bytes, made once a second and only while somebody reads.  A viewer that
does not read misses states, and nothing waits for it; one that has not read for 20 s is cut off.

Each second an event ``state`` has the form of ``/api/v1/state``; an event ``log`` has a list of the
entries that are new, and the first one after connecting all that are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.web import http
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from epnet.observe.journal import Journal
from epnet.observe.looking import Snapshots
from epnet.observe.resources import abort, refuse

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from epnet.observe.snapshot import State

EVENT_STREAM: Final = "text/event-stream"
PERIOD_SECONDS: Final = 1.0
MAX_VIEWERS: Final = 64
PATIENCE_SECONDS: Final = 20.0
"""How long a viewer may read nothing."""
RETRY_MS: Final = 2000
"""How soon a browser comes back after the connection broke."""


@implementer(IPushProducer)
class Viewer:
    """One who listens.

    shown: the number of the newest journal entry it has been sent.
    stalledSince: since when it has read nothing, in s; None while it reads.
    """

    def __init__(self, request: Request, clock: IReactorTime) -> None:
        self.request = request
        self.shown = 0
        self.stalledSince: float | None = None
        self._clock = clock

    def pauseProducing(self) -> None:
        """It does not read: what it has not read fills the buffer."""
        self.stalledSince = self._clock.seconds()

    def resumeProducing(self) -> None:
        """It has read everything."""
        self.stalledSince = None

    def stopProducing(self) -> None:
        """It is gone; `Request.notifyFinish` tells as well."""


class EventStream:
    """Everybody who listens.

    viewers: who they are.
    """

    log = Logger()

    def __init__(self, snapshots: Snapshots, journal: Journal, clock: IReactorTime) -> None:
        self.viewers: dict[Viewer, None] = {}
        self._snapshots = snapshots
        self._journal = journal
        self._clock = clock
        self._telling: LoopingCall = LoopingCall(self._tell)
        self._telling.clock = clock

    def listen(self, request: Request) -> int:
        """Let one more listen."""
        if len(self.viewers) >= MAX_VIEWERS:
            request.setHeader("Retry-After", "60")
            return refuse(request, http.SERVICE_UNAVAILABLE, f"{MAX_VIEWERS} viewers are enough")
        request.setHeader("Content-Type", EVENT_STREAM)
        done: int = NOT_DONE_YET
        if request.method == b"HEAD":
            request.finish()
            return done
        viewer = Viewer(request, self._clock)
        self.viewers[viewer] = None
        request.notifyFinish().addBoth(self._left, viewer)
        request.registerProducer(viewer, True)
        request.write(f"retry: {RETRY_MS}\n\n".encode())
        self._show(viewer, _event("state", self._snapshots.state()))
        if not self._telling.running:
            self._telling.start(PERIOD_SECONDS, now=False)
        return done

    def _left(self, _: object, viewer: Viewer) -> None:
        self.viewers.pop(viewer, None)
        if not self.viewers and self._telling.running:
            self._telling.stop()

    def _tell(self) -> None:
        """Tell everybody what is new."""
        now = self._clock.seconds()
        reading = [viewer for viewer in self.viewers if viewer.stalledSince is None]
        for viewer in tuple(self.viewers):
            if viewer.stalledSince is not None and now - viewer.stalledSince >= PATIENCE_SECONDS:
                abort(viewer.request)
        if reading:
            looking = self._snapshots.soon().addCallback(self._showAll, reading)
            looking.addErrback(lambda failure: self.log.failure("viewers miss a state", failure))

    def _showAll(self, state: State, viewers: Iterable[Viewer]) -> None:
        event = _event("state", state)
        for viewer in viewers:
            if viewer in self.viewers:
                self._show(viewer, event)

    def _show(self, viewer: Viewer, state: bytes) -> None:
        entries = self._journal.since(viewer.shown)
        viewer.shown = self._journal.newest
        viewer.request.write((_event("log", entries) if entries else b"") + state)


def _event(kind: str, value: object) -> bytes:
    data = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()
