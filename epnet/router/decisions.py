"""What a router decided for a port in one direction, and why: for observers.

A `Decision` is immutable and says one thing: from `since` on, this was the set-point, this the
state of the transfer, this the bound or rule that ruled.  `Port.history` has the newest of each
direction and the last ten changes.  Sentences are made when they are read.

A `Change` is what an operator calls one: the whole way of a set-point with one cause, however many
steps it took.  What a set-point waits for on its way (a ramp, supply that is not confirmed yet) is
no cause; the bound or rule that it moves to is.
"""

from __future__ import annotations

import enum
from typing import Final

import attrs

from epnet.router.reasons import Reason, Ruling

CHANGES_KEPT: Final = 10
"""How many changes of a port are remembered."""

WORTH_TELLING: Final = 0.05
"""The part by which a set-point has to move to have changed."""

WORTH_TELLING_W: Final = 100.0
"""The least W by which it has to."""

REST_SECONDS: Final = 5.0
"""Whoever has rested for so long and moves again changes anew."""

MOMENT_SECONDS: Final = 1.0
"""A cause that moved nothing and was gone again after so long is no change."""


class Direction(enum.StrEnum):
    """Which way power flows: import is into the router, export out of it."""

    IMPORT = "import"
    EXPORT = "export"


class TransferState(enum.Enum):
    """Where the transfer in one direction of a port stands (router design, *Consent*)."""

    IDLE = "idle"
    OFFERED = "offered"
    REQUESTED = "requested"
    GRANTED = "granted"
    ACTIVE = "active"
    DRAINING = "draining"
    SHUTDOWN = "shutdown"
    COOLDOWN = "cooldown"


@attrs.frozen
class Decision:
    """What holds for one direction of a port.

    since: when it began to hold, s of the router's clock.
    power_w: the set-point, W at the port's terminals.
    target_w: where the set-point is going, W: what the fill gives for the bounds of this moment.
    bound_w: the most that the bounds of device, port, cable and policies allow, W.
    ruling: what keeps the set-point where it is.
    cause: what sets its target; the same, but while the set-point is on its way there.
    """

    since: float
    direction: Direction
    state: TransferState
    power_w: float
    target_w: float
    bound_w: float
    ruling: Ruling
    cause: Ruling


@attrs.define(eq=False)
class Change:
    """The way of a set-point with one cause.

    before_w: the set-point before it, W.
    after: the newest decision of it.
    since, until: when it began, and when the set-point last moved, s of the router's clock.
    """

    before_w: float
    after: Decision
    since: float
    until: float
    _furthest_w: float

    @classmethod
    def to(cls, decision: Decision, before_w: float) -> Change:
        """The change that begins with a decision."""
        return cls(before_w, decision, decision.since, decision.since, decision.power_w)

    def takes(self, decision: Decision) -> bool:
        """Take a decision as one more step of this change; False if it is none."""
        before, now = self.after.cause, decision.cause
        if (before.reason, before.by) != (now.reason, now.by) or not self._leadsTo(decision):
            return False
        if decision.power_w != self.after.power_w:
            self.until = decision.since
        if self._way * (decision.power_w - self._furthest_w) >= 0.0:
            self._furthest_w = decision.power_w
        self.after = decision
        return True

    @property
    def _way(self) -> float:
        return self._furthest_w - self.before_w

    def _leadsTo(self, decision: Decision) -> bool:
        if not _isMove(self._furthest_w, decision.power_w):
            return True
        onward = self._way * (decision.power_w - self._furthest_w) >= 0.0
        return onward and decision.since - self.until < REST_SECONDS

    def isMomentary(self, now: float) -> bool:
        """Whether nothing has come of it so soon that nobody has to know."""
        return not _isMove(self.before_w, self._furthest_w) and now - self.since < MOMENT_SECONDS


def _isMove(before_w: float, after_w: float) -> bool:
    if not before_w or not after_w:
        return before_w != after_w
    return abs(after_w - before_w) > max(WORTH_TELLING_W, WORTH_TELLING * before_w)


def _onlyWaits(before: Decision, after: Decision) -> bool:
    """Whether a port at rest only waits before its other direction may begin."""
    return after.cause.reason is Reason.REVERSAL and after.power_w == before.power_w


class History:
    """The newest decision of each direction of a port, and the changes that led there.

    decisions: the newest, by direction; empty before the first tick.
    changes: the last ten, of both directions together, in the order in which they began.
    """

    __slots__ = ("changes", "decisions")

    def __init__(self) -> None:
        self.decisions: dict[Direction, Decision] = {}
        self.changes: list[Change] = []  # an empty deque takes more than most ports ever need

    def note(self, decision: Decision) -> None:
        """Keep a new decision: a step of the last change of its direction, or a change."""
        before = self.decisions.get(decision.direction)
        self.decisions[decision.direction] = decision
        if before is not None and _onlyWaits(before, decision):
            return
        last = self._last(decision.direction)
        if last is not None and last.takes(decision):
            return
        if last is not None and last.isMomentary(decision.since):
            self.changes.remove(last)
            earlier = self._last(decision.direction)
            if earlier is not None and earlier.takes(decision):
                return
        self.changes.append(Change.to(decision, 0.0 if before is None else before.power_w))
        del self.changes[:-CHANGES_KEPT]

    def _last(self, direction: Direction) -> Change | None:
        changes = reversed(self.changes)
        return next((each for each in changes if each.after.direction is direction), None)
