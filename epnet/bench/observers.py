"""A router with observers against the same without: how old messages get, how late grants are.

The worst of observers: a history whose disk never answers, and twenty people with the page open
none of whom reads.  Then their best: the disk answers, and all of them read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import attrs

from epnet.bench.frame import Row, inTurn
from epnet.bench.processes import ANY, ELSEWHERE, Worker, WorkerFailed, household
from epnet.bench.watch import HERTZ, ROOMY

DEVICES: Final = 100
"""How many devices there are unless told otherwise."""
TRADING: Final = 40
"""Between how many of them power flows, at most."""
VIEWERS: Final = 20
WARM_SECONDS: Final = 2.0
SECONDS: Final = 4.0
MOST_RATIO: Final = 1.2


@attrs.frozen
class Found:
    """What was found in one window.

    ages: of messages when they had been handled: median and 99th percentile, ms.
    waits: of messages for what the router itself was busy with: mean and 99th percentile, ms.
    falls, rises: from a changed demand until the grant that follows it: the same, ms.
    deciding: of the processor's time for a decision, mean, ms.
    share: of a core that the router took, %.
    lost: how many devices lost their session.
    """

    ages: list[float]
    waits: list[float]
    falls: list[float]
    rises: list[float]
    deciding: float
    share: float
    lost: int


class Scene:
    """A router, its devices and its viewers, each kind in a process; use it in a ``with``."""

    def __init__(self, folder: Path, devices: int) -> None:
        self._server = Worker("Observed", folder, cores=ANY)
        self._crowd = Worker("Crowd", folder)
        self._exchange = Worker("Exchange", folder)
        self._viewers = Worker("Viewers", folder, ELSEWHERE)
        self._trading = min(TRADING, devices // 2)
        self._resting = devices - self._trading
        self._stack = ExitStack()

    def __enter__(self) -> Scene:
        """Let the router listen."""
        for process in (self._server, self._crowd, self._exchange, self._viewers):
            self._stack.enter_context(process)
        self._port: int = self._server.ask("listen", ROOMY)
        self._crowd.ask("rest")
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes."""
        self._stack.close()

    def alone(self) -> Found:
        """Measure without observers."""
        return self._measured(lambda: None)

    def watched(self, dead: bool) -> Found:
        """Measure with observers.

        dead: whether neither the disk nor any viewer answers.
        """
        page = self._server.ask("watch", dead)
        self._viewers.ask("look", page, VIEWERS, not dead)
        found = self._measured(lambda: self.check(dead))
        if (there := self._viewers.ask("leave")) != VIEWERS:
            raise WorkerFailed(f"only {there} of {VIEWERS} viewers were there to the end")
        self._server.ask("unwatch")
        return found

    def check(self, dead: bool) -> None:
        """Make sure that those who do not answer are felt."""
        stalled, samples = self._server.ask("waiting")
        if dead and (stalled != VIEWERS or not samples):
            raise WorkerFailed(f"only {stalled} of {VIEWERS} viewers are stalled")

    def _measured(self, check: Callable[[], None]) -> Found:
        """Connect all devices and let power flow; look at the second part of the time."""
        self._crowd.ask("connect", self._port, 0, self._resting, 64, True)
        self._crowd.tell("run", WARM_SECONDS + SECONDS, HERTZ)
        self._exchange.ask("connect", self._port, self._resting, self._trading, 16, True)
        self._exchange.tell("trade", WARM_SECONDS + SECONDS)
        self._exchange.runFor(WARM_SECONDS)
        asked = ("ages", "waits", "deciding", "usage")
        *_, before = map(self._server.ask, asked)
        took = self._exchange.answer()
        ages, waits, deciding, after = map(self._server.ask, asked)
        check()
        lost = self._crowd.answer()["lost"] + took["lost"]
        for devices in (self._crowd, self._exchange):
            devices.ask("hangUp")
        share = (after[0] - before[0]) / (after[1] - before[1]) * 100
        return Found(ages, waits, took["falls"], took["rises"], deciding, share, lost)


def run(rounds: int, devices: int) -> Iterator[Row]:
    """Measure the same router with and without observers, round by round."""
    with household(devices) as folder, Scene(folder, devices) as scene:
        alone, dead, alive = inTurn(
            rounds,
            scene.alone,
            lambda: scene.watched(True),
            lambda: scene.watched(False),
        )
    yield from _rows("all stalled", dead, alone, MOST_RATIO)
    yield from _rows("all reading", alive, alone, None)
    lost = [sum(found.lost for found in each) for each in zip(alone, dead, alive, strict=True)]
    yield Row("sessions lost", "", lost, most=0)


def _rows(
    which: str, watched: list[Found], alone: list[Found], mostRatio: float | None
) -> Iterator[Row]:
    for what, unit, of in (
        ("age of messages, median", "ms", lambda found: found.ages[0]),
        ("age of messages, p99", "ms", lambda found: found.ages[1]),
        ("wait for the router's own work, mean", "ms", lambda found: found.waits[0]),
        ("wait for the router's own work, p99", "ms", lambda found: found.waits[1]),
        ("a lower demand until the lower grant, median", "ms", lambda found: found.falls[0]),
        ("a lower demand until the lower grant, p99", "ms", lambda found: found.falls[1]),
        ("a higher demand until a higher grant, median", "ms", lambda found: found.rises[0]),
        ("a higher demand until a higher grant, p99", "ms", lambda found: found.rises[1]),
        ("a decision", "ms", lambda found: found.deciding),
        ("of a core", "%", lambda found: found.share),
    ):
        values, baselines = ([of(found) for found in each] for each in (watched, alone))
        yield Row(f"{which}: {what}", unit, values, "no observers", baselines, mostRatio)
