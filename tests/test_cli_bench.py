"""``epnet bench``: which benchmarks run, and what they print."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from epnet.bench import BENCHMARKS
from epnet.bench.frame import Row
from tests.clicase import Result, run


class Counting(ModuleType):
    """A benchmark that finds out how many rounds it was asked for."""

    def run(self, rounds: int) -> Iterator[Row]:
        yield Row("rounds", "each", [float(rounds)], "one", [1.0])


class Sized(ModuleType):
    """A benchmark that finds out how many devices it was asked for."""

    DEVICES = 50

    def run(self, rounds: int, devices: int) -> Iterator[Row]:
        yield Row("devices", "each", [float(devices)])


class BenchTests(SynchronousTestCase):
    def bench(self, *arguments: str) -> Result:
        modules = {"epnet.bench.first": Counting("first"), "epnet.bench.other": Counting("other")}
        names = {"first": "Counts.", "other": "Counts, too."}
        with patch.dict(sys.modules, modules), patch.dict(BENCHMARKS, names, clear=True):
            return run("bench", *arguments)

    def test_allOfThemWithoutAName(self) -> None:
        result = self.bench()
        self.assertEqual(result.status, 0)
        self.assertIn("first: Counts.\n", result.text)
        self.assertIn("other: Counts, too.\n", result.text)
        self.assertIn("rounds    5 each    1 each   5.00", result.text)

    def test_one(self) -> None:
        self.assertNotIn("first", self.bench("other").text)

    def test_rounds(self) -> None:
        self.assertIn("7 each", self.bench("first", "--rounds", "7").text)

    def test_devices(self) -> None:
        modules = {"epnet.bench.sized": Sized("sized")}
        with patch.dict(sys.modules, modules), patch.dict(BENCHMARKS, {"sized": "Sized."}):
            self.assertIn("50 each", run("bench", "sized").text)
            self.assertIn("200 each", run("bench", "sized", "--devices", "200").text)
            for devices in ("19", "10001"):
                result = run("bench", "sized", "--devices", devices)
                self.assertEqual(result.status, 2)
                self.assertIn("--devices must be between 20 and 10000", result.err)

    def test_jsonIsOneObjectALine(self) -> None:
        lines = self.bench("--json", "--rounds", "3").text.splitlines()
        first, other = map(json.loads, lines)
        self.assertEqual((first["benchmark"], other["benchmark"]), ("first", "other"))
        self.assertEqual(first["rows"][0]["value"], 3)
        self.assertEqual(first["rows"][0]["ratio"], 3)
        self.assertEqual((first["rounds"], "devices" in first), (3, False))

    def test_jsonSaysOnWhat(self) -> None:
        modules = {"epnet.bench.sized": Sized("sized")}
        with patch.dict(sys.modules, modules), patch.dict(BENCHMARKS, {"sized": "Sized."}):
            [line] = run("bench", "sized", "--json").text.splitlines()
        found = json.loads(line)
        self.assertEqual(found["devices"], 50)
        self.assertEqual(found["machine"]["epnet"], version("epnet"))
        self.assertGreaterEqual(found["machine"]["cores"], 1)

    def compared(self, *ratios: float, against: str = "y") -> Result:
        files = []
        for ratio in ratios:
            row = Row("x", "ms", [0.9 * ratio, ratio, 1.1 * ratio], against, [1, 1, 1])
            files.append(Path(self.mktemp()))
            files[-1].write_text(json.dumps({"benchmark": "b", "rows": [row.form()]}) + "\n")
        return run("bench", "--compare", *map(str, files))

    def test_twoRunsMayDifferByTheirNoise(self) -> None:
        for second, status, told in ((1.19, 0, ""), (1.21, 1, " (beyond)")):
            result = self.compared(1.0, second)
            self.assertEqual(result.status, status, result.text)
            apart = f"{second - 1:.0%}"
            self.assertIn(f"b: x, against y      1    {second}    {apart}", result.text)
            self.assertTrue(result.text.endswith(f"± 20%{told}\n"), result.text)

    def test_whatIsNoRunIsNotCompared(self) -> None:
        for text in ("", "{}", "no", '{"benchmark": "b", "rows": [1]}'):
            file = Path(self.mktemp())
            file.write_text(text)
            status = run("bench", "--compare", str(file), "/nowhere").status
            self.assertEqual(status, 2)
        first = Path(self.mktemp())
        first.write_text("")
        second = Path(self.mktemp())
        second.write_text(json.dumps({"benchmark": "b", "rows": [Row("x", "s", [1]).form()]}))
        result = run("bench", "--compare", str(first), str(second))
        self.assertEqual(result.status, 2)
        self.assertIn("not runs of the same", result.err)

    def test_thePageTellsEveryFieldOfTheFile(self) -> None:
        page = (Path(__file__).parent.parent / "docs/reference/benchmarks.rst").read_text()
        told = set(re.findall(r"``(\w+)``", page.partition("The file of a run")[2]))
        [line] = self.bench("first", "--json").text.splitlines()
        found = json.loads(line)
        fields = {"devices", *found, *found["machine"], *found["rows"][0]}
        self.assertEqual(fields - told, set())

    def test_unknownNamesAndSenselessRoundsAreRefused(self) -> None:
        self.assertEqual(self.bench("nonsense").status, 2)
        for rounds in ("0", "1001"):
            result = self.bench("first", "--rounds", rounds)
            self.assertEqual(result.status, 2)
            self.assertIn("--rounds must be between 1 and 1000", result.err)

    def test_theHelpNamesThem(self) -> None:
        self.assertIn("first       Counts.", self.bench("--help").text)

    def test_eachBenchmarkIsAModuleWithRun(self) -> None:
        for name in BENCHMARKS:
            self.assertTrue(callable(import_module(f"epnet.bench.{name}").run), name)
