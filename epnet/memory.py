"""How Python collects garbage in a program that must never pause for long."""

from __future__ import annotations

import gc
from typing import Final

_THRESHOLDS: Final = (1000, 5, 400)
"""Net allocations before the young are looked at; how often before the middle-aged, and then the
old: these after 2,000,000, the objects of a few thousand connections.  The first two take a
millisecond or two at most."""


def settle() -> None:
    """Spare what start-up has made from every later collection, and make those of the old rare.

    By default all live objects are looked at after some thousand connections, which takes tens of
    milliseconds in a router with many sessions.  Messages are no reason to: they leave no cycles.
    Call it once the program is up.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
