"""The router over HTTP: the live page, its state, metrics, health and readiness."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from twisted.internet.task import LoopingCall
from twisted.web import http
from twisted.web.server import NOT_DONE_YET, Request, Site

from epnet.observe.metrics import CONTENT_TYPE, Metrics
from epnet.observe.resources import (
    JSON,
    TEXT,
    Answer,
    Branch,
    Content,
    GuardedSite,
    ReadOnlyRequest,
    Refusal,
    reply,
)
from epnet.observe.snapshot import Snapshots

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


def makeSite(router: Router, connections: Connections, clock: IReactorTime) -> Site:
    """Everything a router shows over HTTP, as a factory to listen with; it keeps no access log."""
    snapshots = Snapshots(router, connections, clock)
    metrics = Metrics(snapshots)
    page = dict(_pageFiles())
    state = Content(JSON, lambda: json.dumps(snapshots.state(), allow_nan=False).encode())
    root = Branch(
        {
            b"": page[b"index.html"],
            b"static": Branch(page),
            b"api": Branch({b"v1": Branch({b"state": state})}),
            b"metrics": Content(CONTENT_TYPE, metrics.render),
            b"healthz": Content(TEXT, lambda: b"ok\n"),
            b"readyz": Readiness(router, connections, clock),
        }
    )
    return GuardedSite(root, requestFactory=ReadOnlyRequest, timeout=IDLE_SECONDS, reactor=clock)


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
            return Refusal(
                http.SERVICE_UNAVAILABLE, "the router has not started, or is shutting down"
            ).answer(request)
        before, deadline = self._router.allocation, self._clock.seconds() + READY_SECONDS

        def look() -> None:
            if self._router.allocation is not before:
                reply(request, http.OK, TEXT, b"ready\n")
            elif self._clock.seconds() >= deadline:
                Refusal(http.SERVICE_UNAVAILABLE, f"no decision within {READY_SECONDS:g} s").answer(
                    request
                )

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
