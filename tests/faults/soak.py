"""``python -m tests.faults.soak``: every fault many times over, a table, and a verdict.

``--only WORDS`` runs the faults whose names contain them, and ``--csv FILE`` keeps the figures:
rows of faults that were not run stay as they are, so that a table can be made in parts.

Exit status 1 if a session got stuck or ended without need, if a program holds more than at the
start, or if a shutdown came later than `BOUND_SECONDS` after the last message.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from tests.faults.campaign import FROM_MESSAGE, Report, strikeRepeatedly
from tests.faults.faults import FAULTS, Fault
from tests.faults.network import whyNot

BOUND_SECONDS: Final = 0.5
"""Generous, since the machine may be busy with other things."""
TARGET_SECONDS: Final = 0.25
"""What an idle machine keeps."""
DEVICES: Final = 4
SHARES: Final = (0.5, 0.99, 1.0)
LOOK_SECONDS: Final = 0.02

Row = tuple[str, ...]
HEADER: Final = ("fault", "ms from", "side", "n", "p50", "p99", "max", "late")
"""The last one: by how much, at most, a thread was woken too late that does nothing else."""
LINE: Final = "{:34} {:28} {:7} {:>5} {:>6} {:>6} {:>6} {:>6}"


def percentile(figures: Sequence[float], share: float) -> float:
    """The smallest figure that so large a share of them does not exceed."""
    ordered = sorted(figures)
    return ordered[max(0, -(-round(share * 100) * len(ordered) // 100) - 1)]


def rowsOf(report: Report, late: float) -> Iterator[Row]:
    """The rows of the table for one fault, in ms."""
    for (what, side), figures in report.figures.items():
        numbers = [*(percentile(figures, share) for share in SHARES), late]
        cells = [f"{number * 1000:.0f}" for number in numbers]
        yield (report.fault, what, side, str(len(figures)), *cells)


def problemsOf(report: Report, bound: float = BOUND_SECONDS) -> Iterator[str]:
    """What makes the soak fail.

    bound: for the time from the last message to the shutdown, in s.
    """
    for text in (*report.wrong, *report.leaks):
        yield f"{report.fault}: {text}"
    for (what, side), figures in report.figures.items():
        if what == FROM_MESSAGE and max(figures) > bound:
            yield f"{report.fault}: {side} took {max(figures):.3f} s, more than {bound:g} s"


class Lateness:
    """How late a thread that does nothing else is woken: what the machine adds to every figure."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._measure)
        self._thread.start()

    def stop(self) -> None:
        """Measure no more."""
        self._stopped.set()
        self._thread.join()

    def _measure(self) -> None:
        due = time.monotonic() + LOOK_SECONDS
        while not self._stopped.wait(LOOK_SECONDS):
            now = time.monotonic()
            self.seconds.append(max(0.0, now - due))
            due = now + LOOK_SECONDS


class Soak:
    """The faults, one after the other, and what is said of them.

    repetitions: of each fault.
    """

    def __init__(self, repetitions: int) -> None:
        self.problems: list[str] = []
        self.rows: list[Row] = []
        self._repetitions = repetitions
        self._shutdowns: list[float] = []

    async def run(self, faults: Iterable[Fault]) -> None:
        """Let them strike, and print the table."""
        print(LINE.format(*HEADER), flush=True)
        folder = Path(tempfile.mkdtemp(prefix="epnet-faults-"))
        for number, fault in enumerate(faults):
            await self._strike(fault, folder / str(number))
        self._sayHowItWas()
        if self.problems:
            print(f"{len(self.problems)} problems, see above; journals and logs: {folder}")
        else:
            print("nothing got stuck, nothing leaked")
            shutil.rmtree(folder)

    async def _strike(self, fault: Fault, folder: Path) -> None:
        lateness = Lateness()
        try:
            report = await strikeRepeatedly(fault, folder, self._repetitions, DEVICES)
        finally:
            lateness.stop()
        rows = list(rowsOf(report, max(lateness.seconds, default=0.0)))
        print(*(LINE.format(*row) for row in rows), sep="\n", flush=True)
        if report.disturbed:
            print(f"  {report.disturbed} more did not count: the machine was busy")
        self.rows += rows
        problems = list(problemsOf(report))
        print(*problems, sep="\n", end="\n" if problems else "", flush=True)
        self.problems += problems
        for (what, _), figures in report.figures.items():
            if what == FROM_MESSAGE:
                self._shutdowns.extend(figures)

    def _sayHowItWas(self) -> None:
        kept = sum(figure <= TARGET_SECONDS for figure in self._shutdowns)
        print(f"{kept} of {len(self._shutdowns)} shutdowns within {TARGET_SECONDS * 1000:.0f} ms")
        print(f"{os.cpu_count()} cores, load average {os.getloadavg()[2]:.1f} over 15 minutes")


def keep(rows: Sequence[Row], path: Path) -> None:
    """Put rows into a CSV file, in the order of `FAULTS`; older ones of those faults go."""
    kept: list[Row] = []
    if path.exists():
        with path.open(newline="") as file:
            kept = [tuple(row) for row in csv.reader(file)][1:]
    renewed = {row[0] for row in rows}
    order = [fault.name for fault in FAULTS]
    merged = [row for row in kept if row[0] not in renewed and row[0] in order] + list(rows)
    merged.sort(key=lambda row: order.index(row[0]))
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER, *merged])


def main() -> None:
    """Read the options, and run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=200, help="of each fault [200]")
    parser.add_argument("--only", default="", help="only faults whose name contains this")
    parser.add_argument("--csv", type=Path, help="keep the figures in this file")
    options = parser.parse_args()
    faults = [fault for fault in FAULTS if options.only in fault.name]
    if missing := whyNot():
        print(f"without the faults of the network, only those through the relay: {missing}")
        faults = [fault for fault in faults if not fault.network]
    soak = Soak(options.repetitions)
    react(lambda _: Deferred.fromCoroutine(_runAndKeep(soak, faults, options.csv)))


async def _runAndKeep(soak: Soak, faults: Sequence[Fault], path: Path | None) -> None:
    await soak.run(faults)
    if path is not None:
        keep(soak.rows, path)
    if soak.problems:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
