"""Conversion losses of a port: from watts at its terminals to watts at the bus, and back.

A source delivering x W at its terminals injects ``x - b*x - c*x**2`` into the bus; a sink receiving
x W withdraws ``x + b*x + c*x**2``.  Both are quadratics and invert in closed form.
"""

from __future__ import annotations

from math import inf, sqrt
from typing import Final

import attrs

from epnet.errors import UsageError


@attrs.frozen
class Loss:
    """The loss curve of one port.

    `linear` is b, a share from 0 to under 1.  `quadratic` is c in 1/W, from 0 to 1.
    Raises `UsageError` for others.
    """

    linear: float = 0.0
    quadratic: float = 0.0

    def __attrs_post_init__(self) -> None:
        if not (0.0 <= self.linear < 1.0 and 0.0 <= self.quadratic <= 1.0):
            raise UsageError(f"{self}: linear must be from 0 to under 1, quadratic from 0 to 1")

    @property
    def peak(self) -> float:
        """The terminal watts above which a source would inject less, not more; inf if none."""
        if self.quadratic == 0.0:
            return inf
        return (1.0 - self.linear) / (2.0 * self.quadratic)

    def injected(self, power: float) -> float:
        """Bus watts that a source delivering `power` terminal watts (up to `peak`) injects."""
        return power * (1.0 - self.linear - self.quadratic * power)

    def withdrawn(self, power: float) -> float:
        """Bus watts that a sink receiving `power` terminal watts withdraws."""
        return power * (1.0 + self.linear + self.quadratic * power)

    def delivering(self, bus: float) -> float:
        """Terminal watts a source has to deliver to inject `bus` watts: the inverse of `injected`.

        Of the two solutions the smaller is meant; above the maximum of the curve it is `peak`.
        """
        slope = 1.0 - self.linear
        # The usual formula, turned round so that a small c loses no digits and c = 0 needs no case.
        return 2.0 * bus / (slope + sqrt(max(0.0, slope * slope - 4.0 * self.quadratic * bus)))

    def receiving(self, bus: float) -> float:
        """Terminal watts a sink receives for `bus` watts: the inverse of `withdrawn`."""
        slope = 1.0 + self.linear
        return 2.0 * bus / (slope + sqrt(slope * slope + 4.0 * self.quadratic * bus))


LOSSLESS: Final = Loss()
"""A port that loses nothing."""
