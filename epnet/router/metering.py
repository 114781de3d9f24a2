"""Energy meters: integers that only ever rise (router design, *Meters*).

Pure: a meter is handed readings and times, and adds up.  Between two readings power counts as the
straight line from one to the other (the trapezoid rule).  Power is taken to the milliwatt and time
to the microsecond, halves to even; from there on all is integer arithmetic and nothing is rounded
or lost, however many intervals are added.  So reading a straight line once more on its way changes
the energy of the interval by at most a quarter of a milliwatt times its length: 50 µJ at most,
since nothing is added up over more than 200 ms.
"""

from __future__ import annotations

from typing import Final

import attrs

from epnet.router.terms import MOST

GAP: Final = 200_000
"""The longest time between two readings that energy is added up over, µs."""

UNITS: Final = 2_000_000
"""Half nanojoules in a millijoule; a half nanojoule is half a milliwatt for a microsecond."""


@attrs.define(eq=False)
class Register:
    """The energy of one direction, kept in half nanojoules.

    Both parts only ever rise: what was measured, and what was estimated for want of a meter.
    """

    _measured: int = 0
    _estimated: int = 0

    @classmethod
    def of(cls, millijoules: int, estimated: int) -> Register:
        """The register that shows this."""
        return cls((millijoules - estimated) * UNITS, estimated * UNITS)

    @property
    def millijoules(self) -> int:
        """All of it, mJ."""
        return (self._measured + self._estimated) // UNITS

    @property
    def estimated(self) -> int:
        """How much of it is an estimate, mJ."""
        return self._estimated // UNITS

    def add(self, milliwatts: int, microseconds: int, estimated: bool) -> None:
        """Add an interval; milliwatts are those of its two ends added up."""
        if estimated:
            self._estimated += milliwatts * microseconds
        else:
            self._measured += milliwatts * microseconds


class Meter:
    """The meter of one port: energy into the router (*import*) and out of it (*export*).

    gaps: how often readings were more than 200 ms apart, with nothing added up in between.
    gapMicroseconds: how long these gaps were together.
    refused: how many readings were no power, or out of order, and were left out.
    """

    __slots__ = ("_last", "exported", "gapMicroseconds", "gaps", "imported", "refused")

    def __init__(self) -> None:
        self.imported = Register()
        self.exported = Register()
        self.gaps = 0
        self.gapMicroseconds = 0
        self.refused = 0
        self._last: tuple[int, int, int, bool] | None = None

    @property
    def idle(self) -> bool:
        """Whether it has never counted any energy."""
        return not (self.imported.millijoules or self.exported.millijoules)

    def read(self, now: float, import_w: float, export_w: float, estimated: bool = False) -> None:
        """Take a reading, W, at a monotonic time, s; what is no power from 0 to 1e12 is refused."""
        # Written so that NaN fails it.
        if not (0.0 <= import_w <= MOST and 0.0 <= export_w <= MOST):
            self.refused += 1
            return
        at, imported, exported = round(now * 1e6), round(import_w * 1e3), round(export_w * 1e3)
        if self._last is not None:
            before, importedBefore, exportedBefore, estimatedBefore = self._last
            elapsed = at - before
            if elapsed < 0:
                self.refused += 1
                return
            if elapsed > GAP:
                self.missed(elapsed)
            else:
                estimate = estimated or estimatedBefore
                if imported or importedBefore:
                    self.imported.add(imported + importedBefore, elapsed, estimate)
                if exported or exportedBefore:
                    self.exported.add(exported + exportedBefore, elapsed, estimate)
        self._last = (at, imported, exported, estimated)

    def missed(self, microseconds: int) -> None:
        """Note a gap."""
        self.gaps += 1
        self.gapMicroseconds += microseconds
