"""A device that says what it may draw whenever that changes, for tests that read its log."""

from __future__ import annotations

from epnet.interfaces import Limits
from tests.drawing import Drawing


class Telling(Drawing):
    """Draws up to 3 kW."""

    type, name, rating_w = "telling", "A telling device", 3000.0

    def setLimits(self, limits: Limits) -> None:
        if round(limits.draw_w) != round(self._limits.draw_w):
            print(f"MAY DRAW {limits.draw_w:.0f} W", flush=True)
        super().setLimits(limits)

    def shutDown(self, reason: str) -> None:
        print(f"SHUT DOWN: {reason}", flush=True)
        super().shutDown(reason)
