"""How old the messages of live devices get during a storm of 256 handshakes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from epnet.bench.frame import Row
from epnet.bench.processes import ELSEWHERE, Worker, household
from epnet.bench.watch import Watch, rows

DEVICES: Final = 500
"""How many live devices there are unless told otherwise."""
STORM: Final = 256
QUIET_SECONDS: Final = 3.0


def run(rounds: int, devices: int) -> Iterator[Row]:
    """Measure without and with a storm, in turn."""
    quiet, stormy, rates = [], [], []
    with (
        household(devices + STORM) as folder,
        Watch(folder, devices) as watch,
        Worker("Crowd", folder, ELSEWHERE) as others,
    ):
        for _ in range(rounds):
            quiet.append(watch.during(QUIET_SECONDS))
            others.tell("connect", watch.port, devices, STORM, STORM, True)
            stormy.append(watch.whileBusy(others))
            rates.append(STORM / max(others.answer()))
            others.ask("hangUp")
    yield from rows(f"{devices} devices", f"storm of {STORM}", stormy, quiet, 3.0)
    yield Row("handshakes", "/s", rates)
