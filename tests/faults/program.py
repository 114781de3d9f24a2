"""``python -m tests.faults.program ep-… OPTIONS``: twistd with witnesses, and a clock that jumps.

All is as with ``twistd -n``, but for what is said here: sessions and router ports are those of
`tests.faults.witness`; whoever dials has forgotten all failures after `STABLE_SECONDS` of a session
and not after a minute, so that many faults fit into an hour; SIGUSR1 makes the wall clock jump, a
day ahead and 25 h back in turn; and the program ends when its standard input does, that is, with
whoever started it.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
import time
from types import FrameType

STABLE_SECONDS = 0.1
JUMPS = (86_400.0, -90_000.0)
"""By how much the wall clock jumps, in turn, in s; all in all it goes backwards."""


class JumpingClock:
    """A wall clock for `time.time`, for everything in Python that asks for it by that name."""

    def __init__(self) -> None:
        self._real = time.time
        self._offset = 0.0
        self._jumps = itertools.cycle(JUMPS)

    def __call__(self) -> float:
        """The time it pretends, in s since 1970."""
        return self._real() + self._offset

    def jump(self, number: int, frame: FrameType | None) -> None:
        """A signal handler."""
        self._offset += next(self._jumps)


def endWithParent() -> None:
    """Wait for the end of standard input, then end the process on the spot."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def main() -> None:
    """Put everything in its place, then run twistd."""
    clock = JumpingClock()
    time.time = clock  # before Twisted is imported: it keeps the function it finds
    signal.signal(signal.SIGUSR1, clock.jump)
    threading.Thread(target=endWithParent, daemon=True).start()

    from twisted.scripts.twistd import run

    import epnet.router.portmaker
    from epnet.dialler import Backoff
    from epnet.factory import EPFactory
    from tests.faults.witness import WitnessConverter, WitnessProtocol

    assert Backoff.STABLE_SECONDS == 60.0
    Backoff.STABLE_SECONDS = STABLE_SECONDS  # type: ignore[misc]
    EPFactory.protocol = WitnessProtocol  # type: ignore[assignment]
    epnet.router.portmaker.SimulatedConverter = WitnessConverter  # type: ignore[misc]
    sys.argv[1:1] = ["-n", "--pidfile="]
    run()


if __name__ == "__main__":
    main()
