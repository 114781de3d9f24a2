"""``epnet bench``: figures with a baseline from the same run."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from importlib import import_module

from epnet.bench import BENCHMARKS
from epnet.bench.frame import Row, table
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
        "--rounds",
        type=int,
        default=5,
        metavar="N",
        help="how often to measure each thing, in turn with its baseline [default: %(default)s]",
    )


def run(options: argparse.Namespace) -> int:
    """Run the benchmarks; return 0 whatever the figures are: judging them needs an idle machine.

    Raises `UsageError` for fewer rounds than one, or more than 1000.
    """
    if not 1 <= options.rounds <= 1000:
        raise UsageError("--rounds must be between 1 and 1000")
    for name in [options.name] if options.name else list(BENCHMARKS):
        if not options.json:
            print(f"{name}: {BENCHMARKS[name]}", flush=True)
        rows: list[Row] = list(import_module(f"epnet.bench.{name}").run(options.rounds))
        print(_json(name, rows) if options.json else f"{table(rows)}\n", flush=True)
    return 0


def _json(name: str, rows: list[Row]) -> str:
    return json.dumps(
        {
            "benchmark": name,
            "python": platform.python_version(),
            "system": f"{sys.platform} {platform.machine()}",
            "rows": [row.form() for row in rows],
        }
    )
