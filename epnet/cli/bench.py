"""``epnet bench``: figures with a baseline from the same run."""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from pathlib import Path
from types import ModuleType

from epnet.bench import BENCHMARKS
from epnet.bench.compare import compare
from epnet.bench.frame import Row, table
from epnet.bench.machine import machine
from epnet.errors import UsageError


def addArguments(parser: argparse.ArgumentParser) -> None:
    """Add which benchmark to run, and how."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    lines = [f"  {name:<12}{summary}" for name, summary in BENCHMARKS.items()]
    parser.epilog = "\n".join(["benchmarks:", *lines])
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        choices=BENCHMARKS,
        help="the benchmark; without it, all of them",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line for each")
    parser.add_argument(
        "--compare",
        nargs=2,
        type=Path,
        metavar="FILE",
        help="hold two runs with --json against each other, and measure nothing; the exit status is"
        " 1 where they lie further apart than their noise",
    )
    parser.add_argument(
        "--devices",
        type=int,
        metavar="N",
        help="how many devices to measure with [default: as fits into a minute]",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=5,
        metavar="N",
        help="how often to measure each thing, in turn with its baseline [default: %(default)s]",
    )


def run(options: argparse.Namespace) -> int:
    """Run the benchmarks; return 0 whatever the figures are: judging them needs an idle machine.

    Or compare two runs, and return 1 where they differ.

    Raises `UsageError` for fewer rounds than one, or more than 1000, and for a number of devices
    that is not between 20 and 10,000.
    """
    if options.compare:
        text, allWithin = compare(*options.compare)
        print(text)
        return 0 if allWithin else 1
    if not 1 <= options.rounds <= 1000:
        raise UsageError("--rounds must be between 1 and 1000")
    if options.devices is not None and not 20 <= options.devices <= 10_000:
        raise UsageError("--devices must be between 20 and 10000")
    for name in [options.name] if options.name else list(BENCHMARKS):
        if not options.json:
            print(f"{name}: {BENCHMARKS[name]}", flush=True)
        benchmark = import_module(f"epnet.bench.{name}")
        sizes = _sizes(benchmark, options)
        on = machine()
        rows = list(benchmark.run(**sizes))
        print(_json(name, on, sizes, rows) if options.json else f"{table(rows)}\n", flush=True)
    return 0


def _sizes(benchmark: ModuleType, options: argparse.Namespace) -> dict[str, int]:
    """How many rounds, and for those that have any how many devices."""
    usual: int | None = getattr(benchmark, "DEVICES", None)
    devices = {} if usual is None else {"devices": options.devices or usual}
    return {"rounds": options.rounds, **devices}


def _json(name: str, on: dict[str, object], sizes: dict[str, int], rows: list[Row]) -> str:
    forms = [row.form() for row in rows]
    return json.dumps({"benchmark": name, **sizes, "machine": on, "rows": forms})
