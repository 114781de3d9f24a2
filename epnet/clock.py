"""The one clock: the reactor, telling monotonic time."""

from __future__ import annotations

import time
from typing import Any


def steadyReactor() -> Any:
    """The reactor, telling monotonic time.

    By itself Twisted's reactor goes by the wall clock: set back by an hour, it would call nothing
    for an hour, and leases of power would live on.  Call this before anything is scheduled.
    """
    from twisted.internet import reactor

    reactor.seconds = time.monotonic  # type: ignore[method-assign]
    return reactor
