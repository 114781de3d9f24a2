"""Established devices whose messages are watched: how old are they when the server has them?"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple, Self

from epnet.bench.frame import Row
from epnet.bench.processes import ALONE, Worker, WorkerFailed

HERTZ: Final = 10.0
ROOMY: Final = {"connections": 100_000, "perAddress": 100_000}
"""Limits for devices that come from few addresses."""
WARM_SECONDS: Final = 1.0
_SLICE_SECONDS: Final = 0.2


class P99(NamedTuple):
    """99th percentiles of messages that arrived.

    age: how old they were, in ms.
    wait: how long the server worked on something else meanwhile, in ms of its processor clock.
    """

    age: float
    wait: float


def rows(
    among: str, what: str, busy: Sequence[P99], quiet: Sequence[P99], most: float
) -> list[Row]:
    """The figures of a benchmark: how much worse it gets, by either clock.

    among, what: whose messages, and what else happens.
    most: the highest ratio that is wanted.
    """
    return [
        Row(
            f"{how} of messages of {among} in a {what}, p99",
            "ms",
            [getattr(each, how) for each in busy],
            f"no {what}",
            [getattr(each, how) for each in quiet],
            most,
        )
        for how in P99._fields
    ]


class Watch:
    """A server with sessions at 10 Hz; use it in a ``with``.

    folder: a `household`.
    port: where the server listens.
    server: its process.
    """

    def __init__(self, folder: Path, devices: int) -> None:
        self.server = Worker("Listening", folder, cores=ALONE)
        self._crowd = Worker("Crowd", folder)
        self._devices = devices
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Connect all devices."""
        self._stack.enter_context(self.server)
        self._stack.enter_context(self._crowd)
        self.port: int = self.server.ask("listen", ROOMY)
        self._crowd.ask("connect", self.port, 0, self._devices, 64, True)
        return self

    def __exit__(self, *_: object) -> None:
        """End both processes."""
        self._stack.close()

    def during(self, seconds: float) -> P99:
        """The 99th percentiles in so many s."""
        self._run(WARM_SECONDS)
        self.server.ask("ages")
        self._run(seconds)
        return self._p99()

    def whileBusy(self, other: Worker) -> P99:
        """The 99th percentiles until another process has an answer."""
        self.server.ask("ages")
        while not other.answered():
            self._run(_SLICE_SECONDS)
        return self._p99()

    def _p99(self) -> P99:
        return P99(*self.server.ask("ages"))

    def _run(self, seconds: float) -> None:
        lost = self._crowd.ask("run", seconds, HERTZ)["lost"]
        if lost:
            raise WorkerFailed(f"{lost} devices lost their connection")
