"""A whole router: how soon a grant follows a change, and what that costs the processor.

Most devices are connected and say so ten times a second; between some of them power flows, and
those say so twenty times a second, as in any transfer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from epnet.bench.frame import Row
from epnet.bench.processes import Worker, household
from epnet.bench.watch import HERTZ, ROOMY

DEVICES: Final = 500
"""How many devices there are unless told otherwise."""
TRADING: Final = 40
"""Between how many of them power flows, at most."""
WARM_SECONDS: Final = 2.0
SECONDS: Final = 5.0


def run(rounds: int, devices: int) -> Iterator[Row]:
    """Measure the same router, round by round."""
    trading = min(TRADING, devices // 2)
    changes: dict[str, list[list[float]]] = {"falls": [], "rises": []}
    use, lost = [], []
    with (
        household(devices) as folder,
        Worker("Routing", folder) as server,
        Worker("Crowd", folder) as crowd,
        Worker("Exchange", folder) as exchange,
    ):
        port = server.ask("listen", ROOMY)
        crowd.ask("rest")
        crowd.ask("connect", port, 0, devices - trading, 64, True)
        for _ in range(rounds):
            crowd.tell("run", WARM_SECONDS + SECONDS, HERTZ)
            exchange.ask("connect", port, devices - trading, trading, 16, True)
            exchange.tell("trade", WARM_SECONDS + SECONDS)
            time.sleep(WARM_SECONDS)
            before = server.ask("usage")
            time.sleep(SECONDS / 2)
            use.append(_share(before, server.ask("usage")))
            took = exchange.answer()
            exchange.ask("hangUp")
            for change, found in changes.items():
                found.append(took[change])
            lost.append(crowd.answer()["lost"] + took["lost"])
    yield from _rows("a lower demand until the lower grant", changes["falls"])
    yield from _rows("a higher demand until a higher grant", changes["rises"])
    yield Row(f"of a core, {devices} devices", "%", use, most=100.0)
    yield Row("sessions lost", "", lost, most=0)


def _rows(what: str, found: list[list[float]]) -> Iterator[Row]:
    for number, name in enumerate(("median", "p99")):
        yield Row(f"{what}, {name}", "ms", [each[number] for each in found])


def _share(before: list[float], after: list[float]) -> float:
    """How much of a core was used between two answers of a server, in %."""
    return (after[0] - before[0]) / (after[1] - before[1]) * 100
