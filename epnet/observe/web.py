"""The router over HTTP: the live page, its state, metrics, health and readiness."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from twisted.web.server import Site

from epnet.observe.metrics import CONTENT_TYPE, Metrics
from epnet.observe.resources import (
    JSON,
    TEXT,
    Branch,
    Content,
    GuardedSite,
    ReadOnlyRequest,
)
from epnet.observe.snapshot import Snapshots

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from epnet.connections import Connections
    from epnet.router.router import Router

IDLE_SECONDS: Final = 30
"""How long a connection may stay silent."""

PAGE: Final = {
    "index.html": "text/html; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""The files of the live page and their media types."""


def makeSite(router: Router, connections: Connections, clock: IReactorTime) -> Site:
    """Everything a router shows over HTTP, as a factory to listen with; it keeps no access log."""
    snapshots = Snapshots(router, connections, clock)
    metrics = Metrics(snapshots)
    page = {name.encode(): _staticFile(name) for name in PAGE}
    state = Content(JSON, lambda: json.dumps(snapshots.state(), allow_nan=False).encode())
    root = Branch(
        {
            b"": page[b"index.html"],
            b"static": Branch(page),
            b"api": Branch({b"v1": Branch({b"state": state})}),
            b"metrics": Content(CONTENT_TYPE, metrics.render),
            b"healthz": Content(TEXT, lambda: b"ok\n"),
        }
    )
    return GuardedSite(root, requestFactory=ReadOnlyRequest, timeout=IDLE_SECONDS, reactor=clock)


def _staticFile(name: str) -> Content:
    body = (files("epnet.observe") / "static" / name).read_bytes()
    return Content(PAGE[name], lambda: body)
