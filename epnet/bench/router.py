"""A whole router: how soon a grant follows a change, and what that costs the processor.

Most devices are connected and say so ten times a second; between some of them power flows, and
those say so twenty times a second, as in any transfer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import attrs

from epnet.bench.frame import Row, inTurn
from epnet.bench.processes import ALONE, Worker, household
from epnet.bench.watch import HERTZ, ROOMY

DEVICES: Final = 500
"""How many devices there are unless told otherwise."""
TRADING: Final = 40
"""Between how many of them power flows, at most."""
FEW: Final = 50
"""How many devices the baseline has, at most; power flows between as many of them."""
WARM_SECONDS: Final = 2.0
SECONDS: Final = 5.0
MOST_PERIOD: Final = 1.1
"""By how much longer than it ought to be the time between two messages to a device may be."""


@attrs.frozen
class Found:
    """What was found in one window.

    falls, rises: from a changed demand until the grant that follows: median, 99th percentile, ms.
    share: of a core that the router took, %.
    period: between two messages to a device at rest, mean, ms.
    lost: how many devices lost their session.
    """

    falls: list[float]
    rises: list[float]
    share: float
    period: float
    lost: int


def run(rounds: int, devices: int) -> Iterator[Row]:
    """Measure a router with many devices, and one with few."""
    few = min(FEW, devices)
    trading = min(TRADING, few // 2)
    with household(devices) as folder:
        many, little = inTurn(
            rounds,
            lambda: _measured(folder, devices, trading),
            lambda: _measured(folder, few, trading),
        )
    against = f"{few} devices"

    def row(what: str, unit: str, of: Callable[[Found], float], most: float | None = None) -> Row:
        return Row(what, unit, list(map(of, many)), against, list(map(of, little)), most=most)

    yield row("a lower demand until the lower grant, median", "ms", lambda found: found.falls[0])
    yield row("a lower demand until the lower grant, p99", "ms", lambda found: found.falls[1])
    yield row("a higher demand until a higher grant, median", "ms", lambda found: found.rises[0])
    yield row("a higher demand until a higher grant, p99", "ms", lambda found: found.rises[1])
    yield row(f"of a core, {devices} devices", "%", lambda found: found.share, most=100.0)
    most = 1000 / HERTZ * MOST_PERIOD
    yield row("between two messages to a device", "ms", lambda found: found.period, most=most)
    yield Row("sessions lost", "", [found.lost for found in many], most=0)


def _measured(folder: Path, devices: int, trading: int) -> Found:
    with (
        Worker("Routing", folder, cores=ALONE) as server,
        Worker("Crowd", folder) as crowd,
        Worker("Exchange", folder) as exchange,
    ):
        port = server.ask("listen", ROOMY)
        resting = devices - trading
        crowd.ask("rest")
        crowd.ask("connect", port, 0, resting, 64, True)
        crowd.tell("run", WARM_SECONDS + SECONDS, HERTZ)
        exchange.ask("connect", port, resting, trading, 16, True)
        exchange.tell("trade", WARM_SECONDS + SECONDS)
        exchange.runFor(WARM_SECONDS)
        before = server.ask("usage")
        exchange.runFor(SECONDS / 2)
        share = _share(before, server.ask("usage"))
        took, done = exchange.answer(), crowd.answer()
    heard = done["received"] / (WARM_SECONDS + SECONDS) / resting
    lost = done["lost"] + took["lost"]
    return Found(took["falls"], took["rises"], share, 1000 / max(heard, 1e-3), lost)


def _share(before: list[float], after: list[float]) -> float:
    """How much of a core was used between two answers of a server, in %."""
    return (after[0] - before[0]) / (after[1] - before[1]) * 100
