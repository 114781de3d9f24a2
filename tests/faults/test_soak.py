"""What the soak says of its figures, and what it keeps."""

from __future__ import annotations

import csv
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.faults.campaign import FROM_FAULT, FROM_MESSAGE, Report
from tests.faults.soak import HEADER, keep, percentile, problemsOf, rowsOf


class FigureTests(SynchronousTestCase):
    def test_percentiles(self) -> None:
        figures = [float(number) for number in range(200, 0, -1)]
        self.assertEqual([percentile(figures, s) for s in (0.5, 0.99, 1.0)], [100.0, 198.0, 200.0])
        self.assertEqual(percentile([7.0], 0.5), 7.0)

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
    def test_everyPercentileIsAFigureAndTheLastTheLargest(self, figures: list[float]) -> None:
        self.assertIn(percentile(figures, 0.5), figures)
        self.assertEqual(percentile(figures, 1.0), max(figures))

    def test_rowsAreInMilliseconds(self) -> None:
        report = Report("black hole", {(FROM_MESSAGE, "router"): [0.2, 0.21]})
        row = ("black hole", FROM_MESSAGE, "router", "2", "200", "210", "210", "4")
        self.assertEqual(list(rowsOf(report, 0.004)), [row])

    def test_problems(self) -> None:
        figures = {(FROM_MESSAGE, "router"): [0.2, 0.6], (FROM_FAULT, "router"): [9.0]}
        report = Report("black hole", figures, wrong=["stuck"], leaks=["a timer"])
        problems = list(problemsOf(report))
        self.assertEqual(problems[:2], ["black hole: stuck", "black hole: a timer"])
        self.assertIn("router took 0.600 s", problems[2])
        self.assertEqual(len(problems), 3)


class KeepTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def rows(self) -> list[tuple[str, ...]]:
        with self.path.open(newline="") as file:
            return [tuple(row) for row in csv.reader(file)]

    def row(self, fault: str, n: int = 1) -> tuple[str, ...]:
        return (fault, FROM_MESSAGE, "router", str(n), "1", "2", "3", "4")

    def test_partsAddUpInTheOrderOfTheFaults(self) -> None:
        for fault in ("relay cuts", "black hole", "device killed"):
            keep([self.row(fault)], self.path)
        names = [row[0] for row in self.rows()[1:]]
        self.assertEqual(names, ["black hole", "relay cuts", "device killed"])
        self.assertEqual(self.rows()[0], HEADER)

    def test_anotherRunReplacesTheRowsOfItsFaultsAlone(self) -> None:
        keep([self.row("black hole"), self.row("relay cuts")], self.path)
        keep([self.row("relay cuts", 200)], self.path)
        self.assertEqual(self.rows()[1:], [self.row("black hole"), self.row("relay cuts", 200)])

    def test_faultsThatAreNoMoreGo(self) -> None:
        self.path.write_text(",".join(HEADER) + "\nmeteor,a,b,1,1,1,1,1\n")
        keep([self.row("black hole")], self.path)
        self.assertEqual(self.rows()[1:], [self.row("black hole")])
