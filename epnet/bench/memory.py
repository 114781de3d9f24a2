"""The memory of an idle established session, against a connection of Twisted's TLS alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from epnet.bench.frame import Row, inTurn
from epnet.bench.processes import ALONE, Worker, WorkerFailed, household
from epnet.bench.watch import HERTZ, ROOMY

DEVICES: Final = 300
"""How many connections there are unless told otherwise, after a third as many to warm up."""
SETTLING_SECONDS: Final = 1.0


def run(rounds: int, devices: int) -> Iterator[Row]:
    """Measure what all connections but the first take."""
    with household(devices + devices // 3, shared=False) as folder:
        ours, bare = inTurn(
            rounds,
            lambda: _each(folder, "Ports", devices),
            lambda: _each(folder, "Echo", devices),
        )
    yield Row("memory of a session", "KiB", ours, "TLS echo", bare, 1.3)


def _each(folder: Path, role: str, devices: int) -> float:
    """KiB of the server's memory for each connection."""
    greet = role != "Echo"
    first = devices // 3
    with Worker(role, folder, cores=ALONE) as server, Worker("Crowd", folder) as crowd:
        port = server.ask("listen", ROOMY)

        def taken(first: int, count: int) -> int:
            crowd.ask("connect", port, first, count, 16, greet)
            lost = crowd.ask("run", SETTLING_SECONDS, HERTZ)["lost"]
            if lost:
                raise WorkerFailed(f"{lost} devices lost their connection")
            memory: int = server.ask("memory")
            return memory

        before = taken(0, first)
        return (taken(first, devices) - before) / devices / 1024
