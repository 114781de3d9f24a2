"""``python -m tests.faults.soak``: every fault many times over, a table, and a verdict.

Exit status 1 if a session got stuck or ended without need, if a program holds more than at the
start, or if a shutdown came later than `BOUND_SECONDS` after the last message.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, react

from tests.faults.campaign import FROM_MESSAGE, Report, strikeRepeatedly
from tests.faults.faults import FAULTS
from tests.faults.network import whyNot

BOUND_SECONDS: Final = 0.5
"""Generous, since the machine may be busy with other things."""
TARGET_SECONDS: Final = 0.25
"""What an idle machine keeps."""
DEVICES: Final = 4
LOOK_SECONDS: Final = 0.02

LINE: Final = "{:34} {:28} {:7} {:>5} {:>6} {:>6} {:>6}"


def percentile(figures: Sequence[float], share: float) -> float:
    """The smallest figure that so large a share of them does not exceed."""
    ordered = sorted(figures)
    return ordered[max(0, -(-round(share * 100) * len(ordered) // 100) - 1)]


def rowsOf(report: Report) -> Iterator[str]:
    """The lines of the table for one fault, in ms."""
    for (what, side), figures in report.figures.items():
        numbers = [percentile(figures, share) for share in (0.5, 0.99, 1.0)]
        cells = [f"{number * 1000:.0f}" for number in numbers]
        yield LINE.format(report.fault, what, side, len(figures), *cells)


def problemsOf(report: Report) -> Iterator[str]:
    """What makes the soak fail."""
    for text in (*report.wrong, *report.leaks):
        yield f"{report.fault}: {text}"
    for (what, side), figures in report.figures.items():
        if what == FROM_MESSAGE and max(figures) > BOUND_SECONDS:
            yield f"{report.fault}: {side} took {max(figures):.3f} s, more than {BOUND_SECONDS:g} s"


class Lateness:
    """How late this process itself is called: what the machine adds to every figure."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._due = 0.0
        self._loop: LoopingCall = LoopingCall(self._called)
        self._loop.start(LOOK_SECONDS)

    def _called(self) -> None:
        now = reactor.seconds()  # type: ignore[attr-defined]
        if self._due:
            self.seconds.append(max(0.0, now - self._due))
        self._due = now + LOOK_SECONDS


async def soak(repetitions: int, words: str) -> int:
    """Run it; the exit status."""
    missing = whyNot()
    if missing:
        print(f"no faults of the network, only those through the relay: {missing}")
    lateness, problems, figures = Lateness(), [], []
    print(LINE.format("fault", "ms from", "side", "n", "p50", "p99", "max"), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for number, fault in enumerate(FAULTS):
            if words not in fault.name or (fault.network and missing):
                continue
            report = await strikeRepeatedly(fault, Path(folder) / str(number), repetitions, DEVICES)
            print(*rowsOf(report), sep="\n", flush=True)
            problems.extend(problemsOf(report))
            figures.extend(
                f for (what, _), fs in report.figures.items() if what == FROM_MESSAGE for f in fs
            )
    late = [percentile(lateness.seconds, share) * 1000 for share in (0.5, 0.99, 1.0)]
    print("this process was called late by {:.0f}, {:.0f}, {:.0f} ms (p50, p99, max)".format(*late))
    print(
        "load average {:.1f}, {:.1f}, {:.1f}".format(*os.getloadavg()), f"on {os.cpu_count()} cores"
    )
    if figures:
        kept = sum(figure <= TARGET_SECONDS for figure in figures)
        print(f"{kept} of {len(figures)} shutdowns within {TARGET_SECONDS * 1000:.0f} ms")
    print(*problems or ["nothing got stuck, nothing leaked"], sep="\n")
    return 1 if problems else 0


def main() -> None:
    """Read the options, and run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=200, help="of each fault [200]")
    parser.add_argument("--only", default="", help="only faults whose name contains this")
    options = parser.parse_args()

    async def run(_: object) -> None:
        sys.exit(await soak(options.repetitions, options.only))

    react(lambda _: Deferred.fromCoroutine(run(_)))


if __name__ == "__main__":
    main()
