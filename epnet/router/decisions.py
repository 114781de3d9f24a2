"""What a router decided for a port in one direction, and why: for observers.

A `Decision` is immutable and says one thing: from `since` on, this was the set-point, this the
state of the transfer, this the bound or rule that ruled.  `Port.history` has the newest of each
direction and the last ten changes.  Sentences are made when they are read.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import Final

import attrs

from epnet.router.reasons import Reason

CHANGES_KEPT: Final = 10
"""How many changes of a port are remembered."""

WORTH_TELLING: Final = 0.05
"""The part by which a set-point has to change, without a new reason, to be a change."""

WORTH_TELLING_W: Final = 100.0
"""The least W by which it has to."""


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
    reason, limit, by: which bound or rule ruled, its number (W, a price, %, s) and whose it is.
    """

    since: float
    direction: Direction
    state: TransferState
    power_w: float
    target_w: float
    bound_w: float
    reason: Reason
    limit: float
    by: str = ""

    @property
    def text(self) -> str:
        """What ruled, in plain words."""
        return self.reason.text.format(limit=self.limit, by=self.by)

    @property
    def more(self) -> str:
        """What would have to change for more."""
        return self.reason.more.format(limit=self.limit, by=self.by)


@attrs.frozen
class Change:
    """A change: the decision before it, and the one from then on, which names its cause."""

    before: Decision | None
    after: Decision

    @property
    def at(self) -> float:
        """When, s of the router's clock."""
        return self.after.since


class History:
    """The newest decision of each direction of a port, and the changes that led there.

    decisions: the newest, by direction; empty before the first tick.
    changes: the last ten, of both directions together, oldest first.
    """

    __slots__ = ("_told", "changes", "decisions")

    def __init__(self) -> None:
        self.decisions: dict[Direction, Decision] = {}
        self.changes: deque[Change] = deque(maxlen=CHANGES_KEPT)
        # The decision of each direction that the newest change led to.
        self._told: dict[Direction, Decision] = {}

    def note(self, decision: Decision) -> None:
        """Keep a new decision; it is a change if it differs by more than a step of a ramp."""
        self.decisions[decision.direction] = decision
        told = self._told.get(decision.direction)
        if told is None or _worthTelling(told, decision):
            self.changes.append(Change(told, decision))
            self._told[decision.direction] = decision


def _worthTelling(before: Decision, after: Decision) -> bool:
    if (before.reason, before.by, before.state) != (after.reason, after.by, after.state):
        return True
    if after.reason is Reason.RAMP:
        return False
    step = abs(after.power_w - before.power_w)
    return step > max(WORTH_TELLING_W, WORTH_TELLING * before.power_w)
