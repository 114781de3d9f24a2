"""From a plan to what observers see: the decision of each port and direction, and the sums."""

from __future__ import annotations

from collections.abc import Iterable
from math import fsum

from epnet.router.bounds import Bound
from epnet.router.decisions import Decision, Direction
from epnet.router.planning import Plan, Step, idleStep
from epnet.router.ports import Port
from epnet.router.reasons import Reason, Ruling
from epnet.router.terms import Allocation, Setpoint

_AT_ITS_BOUND = (Reason.REQUEST, Reason.OFFER)
_BY_PRICE = (Reason.SHARE, Reason.SPARE)
_ON_ITS_WAY = (Reason.RAMP, Reason.UNCONFIRMED, Reason.OLD_GRANTS, Reason.DEAD_BAND)


def decided(port: Port, step: Step, now: float) -> None:
    """Note what was decided for a port, where it differs from what was decided before."""
    _note(port, Direction.IMPORT, port.import_w, step.importTarget, step.importWhy, now)
    _note(port, Direction.EXPORT, port.export_w, step.exportTarget, step.exportWhy, now)


def _note(
    port: Port, direction: Direction, power_w: float, target: Setpoint, why: Setpoint, now: float
) -> None:
    bound = port.imports if direction is Direction.IMPORT else port.exports
    ruled = ruling(port, bound, why)
    state = port.states[direction]
    last = port.history.decisions.get(direction)
    if (
        last is not None
        and last.power_w == power_w
        and last.target_w == target.power_w
        and last.bound_w == bound.watts
        and last.state is state
        and last.ruling == ruled
    ):
        return
    cause = ruling(port, bound, target) if why.reason in _ON_ITS_WAY else ruled
    rulings = Ruling(*ruled), Ruling(*cause)
    port.history.note(
        Decision(now, direction, state, power_w, target.power_w, bound.watts, *rulings)
    )


def ruling(port: Port, bound: Bound, why: Setpoint) -> tuple[Reason, float, str]:
    """What ruled: the bound, where nothing else kept a set-point below it; as `Ruling` has it."""
    if bound.watts <= 0.0 or why.reason in _AT_ITS_BOUND:
        return bound.reason, bound.limit, bound.by
    if why.reason in _BY_PRICE:
        return why.reason, why.limit, port.rank
    return why.reason, why.limit, why.by


def summed(ports: Iterable[Port], plan: Plan) -> Allocation:
    """What was decided for all ports, as set-points with their sums."""
    sources, sinks = {}, {}
    injected, lost = [], []
    for port in ports:
        name, loss = port.identity, port.settings.loss
        step = plan.steps.get(name) or idleStep(port.place, 0.0)  # of one that dozes
        sources[name] = Setpoint(name, step.import_w, *ruling(port, port.imports, step.importWhy))
        sinks[name] = Setpoint(name, step.export_w, *ruling(port, port.exports, step.exportWhy))
        if step.import_w > 0.0:
            bus = loss.injected(step.import_w)
            injected.append(bus)
            lost.append(step.import_w - bus)
        if step.export_w > 0.0:
            lost.append(loss.withdrawn(step.export_w) - step.export_w)
    return Allocation(sources, sinks, fsum(injected), fsum(lost), plan.standing_w)
