"""How figures are taken and shown."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epnet.bench.frame import Row, inTurn, quantile, table


class RowTests(SynchronousTestCase):
    def test_valueAndBaselineAreMedians(self) -> None:
        row = Row("x", "µs", [1, 9, 2], "y", [4, 40, 5])
        self.assertEqual((row.value, row.baseline), (2, 5))

    def test_theRatioIsTheMedianOfThoseOfEachRound(self) -> None:
        row = Row("x", "µs", [1, 10, 300], "y", [1, 5, 100])
        self.assertEqual(row.ratio, 2)

    def test_withoutABaselineThereIsNoRatio(self) -> None:
        row = Row("x", "µs", [1])
        self.assertEqual((row.baseline, row.ratio), (None, None))

    def test_theNoiseIsHowFarTheRoundsLieApart(self) -> None:
        self.assertEqual(Row("x", "ms", [90, 100, 130]).noise, 0.2)
        row = Row("x", "ms", [90, 50, 300], "y", [90, 50, 200])
        self.assertEqual(row.noise, 0.25)
        self.assertEqual(Row("x", "ms", [100, 300, 100], "y", [100, 300, 100]).noise, 0.0)
        self.assertIsNone(Row("x", "ms", [1]).noise)
        self.assertIsNone(Row("lost", "", [0, 0]).noise)

    def test_goodIsWhatIsWanted(self) -> None:
        for value, good in ((3, True), (3.1, False)):
            self.assertIs(Row("x", "ms", [value], mostRatio=1, most=3).good, good)
            self.assertIs(Row("x", "ms", [value], "y", [1], mostRatio=3).good, good)

    def test_theJSONForm(self) -> None:
        form = Row("x", "ms", [1.23456], "y", [2], mostRatio=3).form()
        self.assertEqual(
            form,
            {
                "what": "x",
                "unit": "ms",
                "value": 1.235,
                "against": "y",
                "baseline": 2.0,
                "ratio": 0.6173,
                "noise": None,
                "wanted_ratio": 3,
                "wanted": None,
                "good": True,
            },
        )


class InTurnTests(SynchronousTestCase):
    def test_measuresTakeTurns(self) -> None:
        order: list[str] = []
        taken = inTurn(2, lambda: order.append("a"), lambda: order.append("b"))
        self.assertEqual(order, ["a", "b", "a", "b"])
        self.assertEqual(taken, [[None, None], [None, None]])

    def test_whatEachFoundIsInOrder(self) -> None:
        numbers = iter(range(6))
        taken = inTurn(3, lambda: next(numbers), lambda: -next(numbers))
        self.assertEqual(taken, [[0, 2, 4], [-1, -3, -5]])


class QuantileTests(SynchronousTestCase):
    def test_quantiles(self) -> None:
        values = list(range(100, 0, -1))
        self.assertEqual([quantile(values, part) for part in (0, 0.5, 0.99, 1)], [1, 51, 100, 100])

    def test_ofNothing(self) -> None:
        self.assertEqual(quantile([], 0.99), 0)


class TableTests(SynchronousTestCase):
    def test_forPeople(self) -> None:
        rows = [
            Row("quick thing", "µs", [1.35, 1.5, 1.65], "cbor2", [3.0] * 3, mostRatio=1),
            Row("slow", "ms", [1234.5], most=1000),
        ]
        self.assertEqual(
            table(rows).splitlines(),
            [
                "             measured  baseline  ratio   noise               wanted",
                "quick thing    1.5 µs      3 µs   0.50  ± 10 %                 <= 1",
                "slow          1234 ms                           <= 1000 ms (missed)",
            ],
        )
