"""How long a router counts on what another one may be about to give.  No I/O; times come in, s.

Another router has to ask its own sources first, and perhaps others behind them.  Meanwhile plans
are made as if it would give what we need or what it offers, so that nobody has to make room for
others and no dearer source is asked in vain; *used* is only what it has confirmed.  A parent that
is short, or a neighbour that offers what it has not got, must not be counted on for long.
"""

from __future__ import annotations

from math import inf
from typing import Final

from epnet.router.bounds import Bound
from epnet.router.reasons import Reason

NEWS_W: Final = 1.0
"""By how much a power has to change to be another one."""

HOPE_SECONDS: Final = 1.0
"""How long a parent has for giving more."""

STALLED_SECONDS: Final = 2.0
"""For how long on end a router below may get no further towards what it is asked for."""

DOUBTED_SECONDS: Final = 30.0
DOUBTED_LONGEST: Final = 3600.0
"""How long it is then not asked for more: each time twice as long."""


class Hope:
    """Whether our parent may still be about to give all that we need.

    It may for a second after the need has risen above what it gave.  Where it has taken back what
    it gave, there is no hope.
    """

    __slots__ = ("_met_w", "_since")

    def __init__(self) -> None:
        self._met_w = 0.0
        self._since: float | None = None

    def holds(self, need_w: float, granted: Bound, now: float) -> bool:
        """Whether it may, with that bound to what it gives now."""
        if need_w <= granted.watts + NEWS_W:
            self._met_w, self._since = need_w, None
            return False
        if granted.reason is not Reason.OFFER or need_w <= self._met_w + NEWS_W:
            self._since = None
            return False
        if self._since is None:
            self._since = now
        return 0.0 <= now - self._since < HOPE_SECONDS


class Trust:
    """Whether a router below gives what it offers, once it is asked."""

    __slots__ = ("_best_w", "_doubtedFor", "_since", "_until")

    def __init__(self) -> None:
        self._best_w = 0.0
        self._since: float | None = None
        self._until = -inf
        self._doubtedFor = DOUBTED_SECONDS

    def doubts(self, asked_w: float, ready_w: float, now: float) -> bool:
        """Whether nothing beyond what it has ready is to be counted on."""
        if now < self._until <= now + self._doubtedFor:
            return True
        if ready_w >= asked_w - NEWS_W:
            self._since = None
            if asked_w > NEWS_W:
                self._doubtedFor = DOUBTED_SECONDS
        elif self._since is None or ready_w > self._best_w + NEWS_W:
            self._best_w, self._since = ready_w, now
        elif now - self._since >= STALLED_SECONDS:
            self._since = None
            self._until = now + self._doubtedFor
            self._doubtedFor = min(2.0 * self._doubtedFor, DOUBTED_LONGEST)
            return True
        return False
