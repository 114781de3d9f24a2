"""Devices that send as fast as they can beside those that do not, and devices that do not read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from epnet.bench.frame import Row
from epnet.bench.processes import ALONE, ELSEWHERE, Worker, household
from epnet.bench.watch import HERTZ, P99, ROOMY, Watch, rows

DEVICES: Final = 200
"""How many devices there are unless told otherwise; one in twenty floods."""
QUIET_SECONDS: Final = 3.0
FLOOD_SECONDS: Final = 3.0
DEAF_SECONDS: Final = 5.0
PUBLISHED: Final = 500
"""How many messages a router has to send in that time, a hundred a second."""


def run(rounds: int, devices: int) -> Iterator[Row]:
    """Measure both, round by round."""
    loud = max(1, devices // 20)
    quiet, flooded, ages, waited = [], [], [], []
    with household(devices) as folder:
        for _ in range(rounds):
            with Watch(folder, devices - loud) as watch:
                quiet.append(watch.during(QUIET_SECONDS))
                flooded.append(_flooded(folder, watch, devices - loud, loud))
            newest, held = _deaf(folder, loud)
            ages.append(newest)
            waited.append(held)
    yield from rows(f"{devices - loud} devices", f"flood by {loud}", flooded, quiet, 2.0)
    yield Row("age of the newest message once a device reads again", "ms", ages, most=200.0)
    yield Row(f"messages that had waited, of {PUBLISHED}", "", waited, most=PUBLISHED / 4)


def _flooded(folder: Path, watch: Watch, first: int, count: int) -> P99:
    with Worker("Crowd", folder, ELSEWHERE) as flooders:
        flooders.tell("connect", watch.port, first, count, 8, True)
        watch.whileBusy(flooders)
        flooders.answer()
        flooders.tell("flood", watch.port, first, count, FLOOD_SECONDS)
        p99 = watch.whileBusy(flooders)
        flooders.answer()
    return p99


def _deaf(folder: Path, devices: int) -> tuple[float, float]:
    """The worst age, ms, of what devices hear last when they read again; how much waited."""
    with Worker("Eager", folder, cores=ALONE) as server, Worker("Deaf", folder) as crowd:
        port = server.ask("listen", ROOMY)
        crowd.ask("connect", port, 0, devices, 8, True)
        found: dict[str, list[float]] = crowd.ask("ignore", DEAF_SECONDS, HERTZ)
    return max(found["ages"]) * 1000, max(found["waited"])
