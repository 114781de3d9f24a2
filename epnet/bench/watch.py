"""Established devices whose messages are watched: how old are they when the server has them?"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from epnet.bench.processes import Worker, WorkerFailed

HERTZ: Final = 10.0
ROOMY: Final = {"connections": 100_000, "perAddress": 100_000}
"""Limits for devices that come from few addresses."""
WARM_SECONDS: Final = 1.0
_SLICE_SECONDS: Final = 0.2


class Watch:
    """A server with sessions at 10 Hz; use it in a ``with``.

    folder: a `household`.
    port: where the server listens.
    server: its process.
    """

    def __init__(self, folder: Path, devices: int) -> None:
        self.server = Worker("Listening", folder)
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

    def during(self, seconds: float) -> float:
        """The 99th percentile of the ages in so many s, in ms."""
        self._run(WARM_SECONDS)
        self.server.ask("ages")
        self._run(seconds)
        return self._p99()

    def whileBusy(self, other: Worker) -> float:
        """The 99th percentile of the ages, in ms, until another process has an answer."""
        self.server.ask("ages")
        while not other.answered():
            self._run(_SLICE_SECONDS)
        return self._p99()

    def _p99(self) -> float:
        p99: float = self.server.ask("ages")[1]
        return p99

    def _run(self, seconds: float) -> None:
        lost = self._crowd.ask("run", seconds, HERTZ)["lost"]
        if lost:
            raise WorkerFailed(f"{lost} devices lost their connection")
