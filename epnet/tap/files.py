"""How many files a program may have open: each connection is one."""

from __future__ import annotations

import resource
from typing import Final

from twisted.logger import Logger

from epnet.limits import ConnectionLimits

OTHERS: Final = 256
"""What a program has open besides connections: files, its page and who looks at it, upstreams."""

_log = Logger()


def allowFiles(needed: int) -> int:
    """Let this process, and all that it starts, have so many files open; gives how many it may.

    The usual limit of the system is 1,024, and whoever may raise it is the process itself, up to
    a hard limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return needed
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if allowed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


def makeRoom(limits: ConnectionLimits) -> None:
    """Let this process have as many files open as its limits of connections may need.

    Where the system does not let it, the log says what to do: a router that may open no more files
    cannot save its meters either.
    """
    needed = limits.connections + limits.strangers + OTHERS
    allowed = allowFiles(needed)
    if allowed < needed:
        _log.warn(
            "this system lets us have {allowed} files open, and as many connections as we take "
            "need {needed}: raise its limit (ulimit -n, LimitNOFILE= of systemd), or lower "
            "connections and strangers in [limits]",
            allowed=allowed,
            needed=needed,
        )
