"""Why a port has the set-point that it has: the bound or rule that rules, for people.

While a set-point moves, what holds it at each moment (a ramp, a dead band, a wait) tells little.
Where it has nearly come to its target, what rules the target is told instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict

from epnet.router.decisions import WORTH_TELLING, WORTH_TELLING_W, Decision, Direction
from epnet.router.reasons import Reason, Ruling
from epnet.wire import DemandParameters, SupplyParameters

if TYPE_CHECKING:
    from epnet.router.ports import Port

MOMENTARY: Final = frozenset(
    {
        Reason.RAMP,
        Reason.UNCONFIRMED,
        Reason.OLD_GRANTS,
        Reason.STANDS_IN,
        Reason.DEAD_BAND,
        Reason.REVERSAL,
    }
)
"""What ends by itself within seconds."""


class WhyState(TypedDict):
    """What set a port's set-point.

    why, reason, more: in words, and by its name in `epnet.router.reasons`; and what would have to
        change for more.  Of an idle port that can do both, the latter two are those of what it
        might get.  They are null before the first decision.
    """

    why: str
    reason: str | None
    more: str | None


def lasting(decision: Decision) -> Ruling:
    """What rules; where the set-point is nearly at its target, what rules that."""
    near = max(WORTH_TELLING_W, WORTH_TELLING * decision.target_w)
    reached = decision.target_w - decision.power_w <= near
    return decision.cause if reached else decision.ruling


def whyState(port: Port) -> WhyState:
    """What set the port's set-point; for an idle port what rules in each direction."""
    if port.link is None:
        return _ruled(Ruling(Reason.ABSENT, 0.0))
    if port.leaving:
        return _ruled(Ruling(Reason.LEAVING, 0.0))
    if port.blocked:
        return _ruled(Ruling(Reason.ISOLATION, 0.0))
    if len(port.decisions) < len(Direction):
        return {"why": "just connected: not decided yet", "reason": None, "more": None}
    giving, getting = (lasting(port.decisions[direction]) for direction in Direction)
    offers = port.link.latest(SupplyParameters) is not None
    wants = port.link.latest(DemandParameters) is not None
    if port.import_w > 0.0 or (offers and not wants):
        return _ruled(giving)
    if port.export_w > 0.0 or (wants and not offers):
        return _ruled(getting)
    if offers and wants:
        text = f"gives nothing: {giving.text}; gets nothing: {getting.text}"
        return {**_ruled(getting), "why": text}
    return {"why": "it neither offers nor wants power", "reason": None, "more": None}


def _ruled(ruling: Ruling) -> WhyState:
    return {"why": ruling.text, "reason": ruling.reason.name.lower(), "more": ruling.more}
