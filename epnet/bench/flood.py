"""How old the messages of established devices get while strangers try to connect 10,000 times.

Of the attempts half begin a handshake and hang up, a quarter sends garbage, a quarter is silent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from epnet.bench.frame import Row
from epnet.bench.processes import ELSEWHERE, Worker, household
from epnet.bench.watch import Watch, rows

DEVICES: Final = 500
"""How many devices there are unless told otherwise."""
ATTEMPTS: Final = 10_000
"""How many there are in all rounds together."""
QUIET_SECONDS: Final = 4.0


def run(rounds: int, devices: int) -> Iterator[Row]:
    """Measure without and with a flood, in turn."""
    quiet, flooded, rates = [], [], []
    attempts = -(-ATTEMPTS // rounds)
    with household(devices) as folder, Watch(folder, devices) as watch:
        for _ in range(rounds):
            quiet.append(watch.during(QUIET_SECONDS))
            with Worker("Attackers", folder, ELSEWHERE) as attackers:
                attackers.tell("flood", watch.port, attempts)
                flooded.append(watch.whileBusy(attackers))
                rates.append(attempts / attackers.answer())
    yield from rows(f"{devices} devices", "flood", flooded, quiet, 3.0)
    yield Row("attempts of strangers", "/s", rates)
