"""The router over HTTP: the live page, the calls for programs, metrics, health and readiness."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from twisted.internet.task import LoopingCall
from twisted.web import http
from twisted.web.server import NOT_DONE_YET, Request

from epnet.observe.access import Access
from epnet.observe.api import Api
from epnet.observe.calls import tree
from epnet.observe.export import HistoryReader
from epnet.observe.journal import Journal
from epnet.observe.looking import Snapshots
from epnet.observe.metrics import CONTENT_TYPE, Metrics
from epnet.observe.resources import (
    TEXT,
    Answer,
    Branch,
    Content,
    GuardedSite,
    refuse,
    reply,
)
from epnet.observe.stream import EventStream

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from epnet.connections import Connections
    from epnet.router.router import Router

IDLE_SECONDS: Final = 30
"""How long a connection may stay silent."""

READY_SECONDS: Final = 1.0
"""How long a router that is ready may take to decide."""
READY_LOOK_SECONDS: Final = 0.05

MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Of the files of the live page, by the end of their names."""


def makeSite(
    router: Router,
    connections: Connections,
    clock: IReactorTime,
    snapshots: Snapshots,
    *,
    access: Access | None = None,
    journal: Journal | None = None,
    history: HistoryReader | None = None,
) -> GuardedSite:
    """Everything a router shows and takes over HTTP, as a factory; it keeps no access log.

    access: who is answered; None for everybody on this machine.
    journal: what has happened lately, for the event stream.
    history: answers for what was; None where none is kept.
    """
    access = access or Access()
    metrics = Metrics(snapshots)
    page = dict(_pageFiles())
    stream = EventStream(snapshots, journal or Journal(), clock)
    api = Api(router, snapshots, stream, clock, access, history)
    root = Branch(
        {
            b"": page[b"index.html"],
            b"static": Branch(page),
            b"api": tree(api.calls),
            b"metrics": Content(CONTENT_TYPE, metrics.render),
            b"healthz": Content(TEXT, lambda: b"ok\n"),
            b"readyz": Readiness(router, connections, clock),
        }
    )
    return GuardedSite(root, access, timeout=IDLE_SECONDS, reactor=clock)


class Readiness(Answer):
    """Whether the router does its work now: takes connections, and decides.

    Waits for the next decision, which is due ten times a second; 503 without one within 1 s.
    """

    def __init__(self, router: Router, connections: Connections, clock: IReactorTime) -> None:
        super().__init__()
        self._router = router
        self._connections = connections
        self._clock = clock

    def answer(self, request: Request) -> int:
        """Say so once it is known."""
        if not self._connections.running:
            text = "the router has not started, or is shutting down"
            return refuse(request, http.SERVICE_UNAVAILABLE, text)
        before, deadline = self._router.allocation, self._clock.seconds() + READY_SECONDS

        def look() -> None:
            if self._router.allocation is not before:
                reply(request, http.OK, TEXT, b"ready\n")
            elif self._clock.seconds() >= deadline:
                refuse(request, http.SERVICE_UNAVAILABLE, f"no decision within {READY_SECONDS:g} s")

        looking: LoopingCall = LoopingCall(look)
        looking.clock = self._clock
        request.notifyFinish().addBoth(lambda _: looking.stop())
        looking.start(READY_LOOK_SECONDS)
        done: int = NOT_DONE_YET
        return done


def _pageFiles() -> Iterator[tuple[bytes, Content]]:
    """The files of the live page, by name, read once."""
    for path in (files("epnet.observe") / "static").iterdir():
        mediaType = MEDIA_TYPES.get(PurePath(path.name).suffix)
        if mediaType is not None:
            yield path.name.encode(), _fixed(mediaType, path.read_bytes())


def _fixed(mediaType: str, body: bytes) -> Content:
    return Content(mediaType, lambda: body)
