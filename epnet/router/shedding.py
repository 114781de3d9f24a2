"""What to take from whom at once if the largest source is lost: made ready before it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from epnet.router.allocation import Terms, solve
from epnet.router.fairness import Groups
from epnet.router.planning import NEAR, Place


class ShedList(NamedTuple):
    """For the loss of `source`: the grants, W, that sinks then have left, where that is less."""

    source: str
    grants: Mapping[str, float]


NOTHING = ShedList("", {})


def prepare(places: Sequence[Place], groups: Groups, standing_w: float) -> ShedList:
    """The list for the loss of the source that now gives most; empty if the others replace it."""
    largest = _largest(places)
    if largest is None:
        return NOTHING
    offers = {
        place.source.identity: place.import_w if place.strict else place.source.max_w
        for place in places
    }
    offers[largest.source.identity] = 0.0
    wishes = {place.sink.identity: place.export_w for place in places}
    left, _ = solve(
        [place.source for place in places],
        [place.sink for place in places],
        groups,
        Terms(standing_w, offers=offers, wishes=wishes),
    )
    grants = {
        place.sink.identity: left.sinks[place.sink.identity].power_w
        for place in places
        if left.sinks[place.sink.identity].power_w < place.export_w - NEAR
    }
    return ShedList(largest.source.identity, grants)


def _largest(places: Iterable[Place]) -> Place | None:
    giving = [place for place in places if place.import_w > 0.0]
    return max(
        giving,
        key=lambda p: (p.source.loss.injected(p.import_w), p.source.identity),
        default=None,
    )
