"""How figures are taken and shown: interleaved rounds, medians, ratios to a baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen
class Row:
    """One figure, with its baseline.

    what: what was measured.
    unit: of values and baselines.
    values: one for each round.
    against: what the baseline is; empty where there is none.
    baselines: one for each round, of the same rounds; empty where there is none.
    mostRatio: the highest ratio that is wanted, or None.
    most: the highest value that is wanted, or None.
    """

    what: str
    unit: str
    values: Sequence[float]
    against: str = ""
    baselines: Sequence[float] = ()
    mostRatio: float | None = None
    most: float | None = None

    @property
    def value(self) -> float:
        """The median."""
        return median(self.values)

    @property
    def baseline(self) -> float | None:
        """The median of the baseline."""
        return median(self.baselines) if self.baselines else None

    @property
    def ratio(self) -> float | None:
        """The median of the ratios of each round: what slows a round down slows both."""
        return median(self._ratios) if self.baselines else None

    @property
    def _ratios(self) -> list[float]:
        return [v / b for v, b in zip(self.values, self.baselines, strict=True)]

    @property
    def noise(self) -> float | None:
        """Half of how far the rounds lie apart, as a part of their median; None for one round.

        It is of the ratios where there are any.
        """
        found = sorted(self._ratios if self.baselines else self.values)
        middle = median(found)
        return (found[-1] - found[0]) / 2 / middle if len(found) > 1 and middle else None

    @property
    def good(self) -> bool:
        """Whether it is what is wanted."""
        if self.ratio is not None and self.mostRatio is not None and self.ratio > self.mostRatio:
            return False
        return self.most is None or self.value <= self.most

    def form(self) -> dict[str, object]:
        """For JSON: times and sizes rounded to what they can be worth."""
        return {
            "what": self.what,
            "unit": self.unit,
            "value": _rounded(self.value),
            "against": self.against,
            "baseline": _rounded(self.baseline),
            "ratio": _rounded(self.ratio),
            "noise": _rounded(self.noise),
            "wanted_ratio": self.mostRatio,
            "wanted": self.most,
            "good": self.good,
        }


def inTurn(rounds: int, *measures: Callable[[], T]) -> list[list[T]]:
    """Take each measure once a round; gives what each found, round by round.

    rounds: 1 or more.
    """
    taken = [[measure() for measure in measures] for _ in range(rounds)]
    return [list(column) for column in zip(*taken, strict=True)]


def quantile(values: Iterable[float], part: float) -> float:
    """The value that this part of all values (0 to 1) does not exceed; 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def table(rows: Sequence[Row]) -> str:
    """The rows for people."""
    heads = ("", "measured", "baseline", "ratio", "noise", "wanted")
    return aligned([heads, *((row.what, *_figures(row)) for row in rows)])


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells in columns: the first one to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
        for line in lines
    )


def _figures(row: Row) -> tuple[str, ...]:
    baseline = "" if row.baseline is None else f"{_shown(row.baseline)} {row.unit}"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    wanted = [f"<= {row.mostRatio:g}"] if row.mostRatio is not None else []
    wanted += [f"<= {row.most:g} {row.unit}"] if row.most is not None else []
    verdict = "" if row.good else " (missed)"
    noise = "" if row.noise is None else f"± {row.noise * 100:.0f} %"
    return f"{_shown(row.value)} {row.unit}", baseline, ratio, noise, ", ".join(wanted) + verdict


def _shown(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
