"""How long a device takes to connect while 300 strangers are silent or half-silent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from epnet.bench.frame import Row
from epnet.bench.processes import ALONE, ELSEWHERE, Worker, household

DEVICES: Final = 20
"""How many devices connect in each round, one after the other, unless told otherwise."""
STRANGERS: Final = 300


def run(rounds: int, devices: int) -> Iterator[Row]:
    """Measure the slowest device of each round, with strangers and without."""
    alone, beside = [], []
    with (
        household(devices) as folder,
        Worker("Listening", folder, cores=ALONE) as server,
        Worker("Crowd", folder) as crowd,
        Worker("Attackers", folder, ELSEWHERE) as attackers,
    ):
        port = server.ask("listen", {})

        def slowest() -> float:
            took: list[float] = crowd.ask("connect", port, 0, devices, 1, True)
            crowd.ask("hangUp")
            return max(took) * 1000

        for _ in range(rounds):
            alone.append(slowest())
            attackers.ask("stay", port, STRANGERS // 2, STRANGERS - STRANGERS // 2)
            beside.append(slowest())
            attackers.ask("leave")
    what = f"the slowest of {devices} devices to connect beside {STRANGERS} strangers"
    yield Row(what, "ms", beside, "no strangers", alone, most=1000.0)
