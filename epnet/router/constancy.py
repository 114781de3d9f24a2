"""What must hold over minutes, watched while the router runs: invariants 9 and 10.

A look a second at what a plan was made of and what it gave.  It sees what lasts, not what comes and
goes between two looks.

9. Nobody starves: who has waited four dwells for room for its minimum, while another of its class,
   bid and groups has had that much room all the time, has been passed over.
10. Constant inputs settle: once bounds, prices, classes and weights have been the same for longer
    than any ramp takes, set-points stand at their targets.  Where minimums take turns they move,
    but nobody gives up its place twice within a minute.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import Final, NamedTuple

from epnet.router.dynamics import TICK_SECONDS
from epnet.router.fairness import Groups
from epnet.router.planning import Place, Plan
from epnet.router.reasons import Reason
from epnet.router.restraints import DWELL_SECONDS

LOOK_SECONDS: Final = 1.0
"""Time between two looks; after more than five of them all begins anew."""

STARVED_SECONDS: Final = 4 * DWELL_SECONDS
"""Longer than anybody else's turns, and those of whoever needs several places, keep one waiting."""

SETTLED_SECONDS: Final = 10.0
"""What reversals, confirmations and old grants take, besides ramps, before all stands still."""

STILL_W: Final = 1.0
STILL_PART: Final = 1e-3
"""A set-point that moves by no more than the larger of these W and this part of it stands still."""


class _Seen(NamedTuple):
    """A port as it was at a look: its set-points, its targets, and whether its minimum waits."""

    import_w: float
    export_w: float
    importTarget_w: float
    exportTarget_w: float
    waits: bool


class Constancy:
    """Watches the plans of one router over time."""

    def __init__(self) -> None:
        self._lookedAt = -inf
        self._begin(())

    def _begin(self, inputs: tuple[object, ...]) -> None:
        self._inputs = inputs
        self._seen: dict[str, _Seen] = {}
        self._waitsSince: dict[str, float] = {}
        self._runsSince: dict[str, float] = {}
        self._gaveUpAt: dict[str, float] = {}
        self._again: list[tuple[str, float]] = []
        self._stillSince = self._turnedAt = -inf

    def look(self, places: Sequence[Place], made: Plan, groups: Groups, now: float) -> bool:
        """Look if it is time; whether it was.  Then ask `starving` and `moving`."""
        passed = now - self._lookedAt
        if 0.0 <= passed < LOOK_SECONDS:
            return False
        self._lookedAt = now
        inputs = (groups, *map(_inputsOf, places))
        if not 0.0 <= passed < 5 * LOOK_SECONDS:
            self._begin(inputs)
        if inputs != self._inputs or self._stillSince == -inf:
            self._inputs, self._stillSince = inputs, now
            self._gaveUpAt.clear()
        self._places, self._groups, self._now = places, groups, now
        self._before, self._seen = (
            self._seen,
            {place.sink.identity: _seen(place, made) for place in places},
        )
        self._noteTurns()
        return True

    def _noteTurns(self) -> None:
        """Bring up to now who waits, who runs, and who has made room for another."""
        now, before = self._now, self._before
        waits, runs = self._waitsSince, self._runsSince
        self._waitsSince = {n: waits.get(n, now) for n, s in self._seen.items() if s.waits}
        self._runsSince = {n: runs.get(n, now) for n, s in self._seen.items() if s.export_w > 0.0}
        self._again = []
        for name in self._waitsSince.keys() - waits.keys():
            if name in before and before[name].export_w > 0.0:
                self._again.append((name, now - self._gaveUpAt.get(name, -inf)))
                self._gaveUpAt[name] = now
        if self._waitsSince.keys() != waits.keys():
            self._turnedAt = now

    def starving(self) -> Iterator[str]:
        """9. Who has waited for too long although there was room."""
        long = self._now - STARVED_SECONDS
        waiting = {name for name, since in self._waitsSince.items() if since <= long}
        if not waiting:
            return
        running: dict[object, tuple[float, str]] = {}
        for place in self._places:
            name = place.sink.identity
            if self._runsSince.get(name, inf) <= long and place.sink.min_w > 0.0:
                power = place.sink.loss.withdrawn(self._seen[name].export_w)
                kind = self._kind(place)
                running[kind] = max(running.get(kind, (0.0, "")), (power, name))
        for place in self._places:
            sink = place.sink
            room, name = running.get(self._kind(place), (0.0, ""))
            fits = sink.min_w <= sink.max_w and sink.loss.withdrawn(sink.min_w) <= room
            if sink.identity in waiting and fits and not place.source.max_w:
                yield f"{sink.identity} waits for room for its minimum, which {name} has had"

    def _kind(self, place: Place) -> object:
        sink = place.sink
        return sink.priority, sink.bid, self._groups.above(sink.identity)

    def moving(self) -> Iterator[str]:
        """10. What moves, or is not where it should be, although nothing else has changed."""
        for name, seconds in self._again:
            if seconds < DWELL_SECONDS - 2 * LOOK_SECONDS:
                yield f"{name} has given up its place twice within {seconds:.0f} s"
        settling = SETTLED_SECONDS + max(map(_rampSeconds, self._places), default=0.0)
        if self._now - max(self._stillSince, self._turnedAt) < settling:
            return
        for name, now in self._seen.items():
            before = self._before.get(name, now)
            if not (_same(now.import_w, before.import_w) and _same(now.export_w, before.export_w)):
                yield f"{name} moves to {now.import_w:.6g} W in, {now.export_w:.6g} W out"
            elif not _same(now.export_w, now.exportTarget_w):
                yield f"{name} gets {now.export_w:.6g} W and not {now.exportTarget_w:.6g} W"
            elif not _same(now.import_w, now.importTarget_w):
                yield f"{name} gives {now.import_w:.6g} W and not {now.importTarget_w:.6g} W"


def _inputsOf(place: Place) -> tuple[object, ...]:
    source, sink = place.source, place.sink
    return (
        source.identity,
        source.max_w,
        source.price,
        place.confirmed_w if place.strict else 0.0,
        sink.max_w,
        sink.min_w,
        sink.priority,
        sink.weight,
        sink.bid,
        sink.firm_w,
    )


def _seen(place: Place, made: Plan) -> _Seen:
    step = made.steps[place.sink.identity]
    return _Seen(
        step.import_w,
        step.export_w,
        step.importTarget.power_w,
        step.exportTarget.power_w,
        step.exportTarget.reason is Reason.MINIMUM and place.sink.max_w > 0.0,
    )


def _rampSeconds(place: Place) -> float:
    """At most twice how long its ramp takes: a step is the rise in up to two ticks."""
    step = min(place.importStep_w, place.exportStep_w)
    return 2 * TICK_SECONDS * place.range_w / step if step > 0.0 else inf


def _same(one_w: float, other_w: float) -> bool:
    return abs(one_w - other_w) <= max(STILL_W, STILL_PART * one_w)
