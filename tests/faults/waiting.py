"""To wait for other processes, on the real reactor."""

from __future__ import annotations

import time
from collections.abc import Callable

from twisted.internet import reactor
from twisted.internet.task import deferLater

PATIENCE = 30.0
"""How long anything may take before it counts as stuck, in s: these machines can be slow."""
LOOK_SECONDS = 0.01


async def pause(seconds: float) -> None:
    """Let the reactor run for a while."""
    await deferLater(reactor, seconds)


async def until(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait until it is so; raises AssertionError if it takes too long."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {patience:g} s: {what}")
        await pause(LOOK_SECONDS)
