"""Stored energy: what fits in, what can come out, and what is lost on the way."""

from __future__ import annotations

from typing import Final

import attrs

TAPER: Final = 0.05
"""The part of the capacity before a bound over which the power falls with the room left."""

TRICKLE: Final = 0.05
"""The fraction of full power at which the bound is reached."""

NOTHING: Final = 1e-6
"""A room of less than this part of the capacity is none."""


@attrs.define
class Reservoir:
    """Energy between a floor and a ceiling.

    capacity_wh: when full, Wh, above 0.
    stored_wh: now, Wh, from 0 to the capacity; it may start outside floor and ceiling.
    floor_wh, ceiling_wh: it is not drained below nor filled above them, Wh.
    efficiency: of one way, above 0 to 1: stored per energy put in, and given per energy taken out.
    """

    capacity_wh: float
    stored_wh: float
    floor_wh: float
    ceiling_wh: float
    efficiency: float

    @property
    def soc(self) -> float:
        """The state of charge, %."""
        return 100.0 * self.stored_wh / self.capacity_wh

    @property
    def room_wh(self) -> float:
        """What must be put in to reach the ceiling, Wh at the terminals."""
        return max(0.0, self.ceiling_wh - self.stored_wh) / self.efficiency

    def intake(self) -> float:
        """The fraction of full power it takes now, 0 to 1."""
        return self._taper(self.ceiling_wh - self.stored_wh)

    def outlet(self) -> float:
        """The fraction of full power it gives now, 0 to 1."""
        return self._taper(self.stored_wh - self.floor_wh)

    def put(self, energy_wh: float) -> None:
        """Store energy, Wh at the terminals, as far as there is room."""
        room = max(0.0, self.ceiling_wh - self.stored_wh)
        self.stored_wh += min(room, energy_wh * self.efficiency)

    def take(self, energy_wh: float) -> None:
        """Give energy, Wh at the terminals, as far as there is some above the floor."""
        rest = max(0.0, self.stored_wh - self.floor_wh)
        self.stored_wh -= min(rest, energy_wh / self.efficiency)

    def _taper(self, room_wh: float) -> float:
        part = room_wh / self.capacity_wh
        return min(1.0, max(TRICKLE, part / TAPER)) if part > NOTHING else 0.0
