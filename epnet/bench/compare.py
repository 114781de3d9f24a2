"""Two runs held against each other: does the second find what the first did?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from epnet.bench.frame import aligned
from epnet.errors import UsageError

_HEADS = ("", "first", "second", "apart", "noise")


def compare(first: Path, second: Path) -> tuple[str, bool]:
    """The rows of two files of ``epnet bench --json``, and whether all lie within the noise.

    What is compared are ratios, and values where there are none.  They may lie as far apart as the
    noise of both runs together.  Raises `UsageError` for what is no such file, or has other rows.
    """
    rows, others = dict(_figures(first)), dict(_figures(second))
    if list(rows) != list(others):
        raise UsageError(f"{first} and {second} are not runs of the same benchmarks")
    lines, allWithin = [_HEADS], True
    for what, (was, noise) in rows.items():
        now, otherNoise = others[what]
        noise += otherNoise
        apart = abs(now - was) / abs(was) if was else float(now != was)
        verdict = "" if apart <= noise else " (beyond)"
        allWithin = allWithin and not verdict
        lines.append((what, f"{was:.3g}", f"{now:.3g}", f"{apart:.0%}", f"± {noise:.0%}{verdict}"))
    return aligned(lines), allWithin


def _figures(file: Path) -> Iterator[tuple[str, tuple[float, float]]]:
    """What was measured against what in each benchmark: its ratio or else its value, its noise."""
    try:
        for line in file.read_text().splitlines():
            run = json.loads(line)
            for row in run["rows"]:
                against = f", against {row['against']}" if row["against"] else ""
                figure = row["value"] if row["ratio"] is None else row["ratio"]
                yield f"{run['benchmark']}: {row['what']}{against}", (figure, row["noise"] or 0.0)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file} is no file of 'epnet bench --json': {error}") from error
