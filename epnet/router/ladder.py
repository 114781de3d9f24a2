"""Power of several prices, offered at one price at a time.  No I/O; times are passed in, s.

A Supply has one price for all of it, and what a network has left may come from sources of several
prices.  So the cheapest is offered first, at its price; when that is all taken, the next one with
it, at the next one's price; and so on, rung by rung, and down again when less is taken than a lower
rung has.

Who needs no more at the higher price may then take nothing at all, and take all of the cheap again
when that alone is offered.  So a rung that was refused is not tried again for a minute, then for
two, up to an hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Final, NamedTuple

PART: Final = 0.98
"""The part of an offer that has to be taken for it to count as all."""

STEP_SECONDS: Final = 1.0
"""For how long on end an offer has to be taken, or not needed, before another one is made."""

TRIAL_SECONDS: Final = 5.0
"""How soon after a rung was offered its being left counts as a refusal."""

REFUSED_SECONDS: Final = 60.0
REFUSED_LONGEST: Final = 3600.0


class Rung(NamedTuple):
    """What can be had up to a price: at the bus, and W at the terminals."""

    price: float
    watts: float


class Ladder:
    """Which rung a network offers to the router above it."""

    __slots__ = ("_enough", "_full", "_offeredAt", "_price", "_refusedFor", "_tryAt")

    def __init__(self) -> None:
        self._price = -inf
        self._full: float | None = None
        self._enough: float | None = None
        self._offeredAt = self._tryAt = -inf
        self._refusedFor = REFUSED_SECONDS

    def choose(self, rungs: Sequence[Rung], taken_w: float, now: float) -> Rung:
        """The rung to offer: of one at least, the cheapest first; `taken_w`: what is taken now."""
        number = next((i for i, rung in enumerate(rungs) if rung.price >= self._price), None)
        number = len(rungs) - 1 if number is None else number
        isTop = number == len(rungs) - 1
        full = not isTop and taken_w >= PART * rungs[number].watts
        self._full = _since(self._full, full, now)
        enough = number > 0 and taken_w < PART * rungs[number - 1].watts
        self._enough = _since(self._enough, enough, now)
        if self._enough is not None and now - self._enough >= STEP_SECONDS:
            number -= 1
            self._left(now)
        elif self._full is not None and now - self._full >= STEP_SECONDS and now >= self._tryAt:
            number += 1
            self._offeredAt = now
            self._full = None
        self._price = rungs[number].price
        return rungs[number]

    def _left(self, now: float) -> None:
        """The rung is not needed: for now, or was it refused?"""
        self._enough = None
        if now - self._offeredAt < TRIAL_SECONDS:
            self._tryAt = now + self._refusedFor
            self._refusedFor = min(2.0 * self._refusedFor, REFUSED_LONGEST)
        else:
            self._refusedFor = REFUSED_SECONDS


def _since(since: float | None, isSo: bool, now: float) -> float | None:
    if not isSo:
        return None
    return now if since is None else since
