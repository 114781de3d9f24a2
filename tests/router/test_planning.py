"""The short way to let all sinks rise beside the fill that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum, inf
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.router import planning
from epnet.router.fairness import Groups
from epnet.router.losses import Loss
from epnet.router.planning import Place, Plan, plan
from epnet.router.reasons import Reason
from epnet.router.terms import Group, Setpoint, Sink, Source

WATTS = st.sampled_from([0.0, 700.0, 1000.0, 1380.0, 2500.0, 4000.0]) | st.floats(0.0, 5000.0)
PRICES = st.sampled_from([0.0, 0.1, 0.3])
LOSSES = st.sampled_from([Loss(), Loss(0.0109, 1e-7)])
RANGE_W = 11_000.0


@st.composite
def places(draw: st.DrawFn, number: int) -> Place:
    """A port that offers, wants, or does both; under way, with more or less of it confirmed."""
    name, loss = f"port {number}", draw(LOSSES)
    offer, wish = draw(WATTS), draw(WATTS)
    source = Source(name, draw(st.sampled_from([0.0, offer])), draw(PRICES), loss)
    sink = Sink(
        name,
        draw(st.sampled_from([0.0, wish])),
        draw(st.sampled_from([0.0, 1380.0])),
        priority=draw(st.integers(0, 1)),
        weight=draw(st.sampled_from([1.0, 2.0])),
        bid=draw(st.sampled_from([inf, 0.1, 0.2])),
        loss=loss,
        firm_w=draw(st.sampled_from([0.0, 500.0])),
    )
    place = Place(source, sink, RANGE_W)
    place.confirmed_w = draw(st.sampled_from([0.0, offer / 2, offer, inf]))
    place.export_w = place.draws_w = draw(st.sampled_from([0.0, 0.0, wish / 2]))
    place.draws_w += draw(st.sampled_from([0.0, 0.0, 0.0, 300.0]))
    place.importStep_w = place.exportStep_w = draw(st.sampled_from([1100.0, RANGE_W]))
    sink.running = place.export_w > 0.0
    return place


HOUSES = st.integers(1, 6).flatmap(lambda count: st.tuples(*map(places, range(count))))
CAPS = st.sampled_from([1e6, 1500.0, 4000.0])


class ShortWayTests(SynchronousTestCase):
    def planned(self, house: tuple[Place, ...], groups: Groups, short: bool) -> Plan:
        taken: list[Mapping[str, Setpoint] | None] = []

        def either(*args: Any) -> Mapping[str, Setpoint] | None:
            taken.append(whole(*args) if short else None)
            return taken[-1]

        whole = planning._raiseAll
        self.patch(planning, "_raiseAll", either)
        made = plan(house, groups, 40.0, 0.0, 100.0)
        self.patch(planning, "_raiseAll", whole)
        if short:
            event("the short way" if any(taken) else "the fill" if taken else "nobody rises")
        return made

    @settings(max_examples=400)
    @given(HOUSES, CAPS)
    def test_itFindsWhatTheFillFinds(self, house: tuple[Place, ...], cap: float) -> None:
        groups = Groups([Group("feeder", cap, [place.sink.identity for place in house[::2]])])
        quick = self.planned(house, groups, short=True)
        plain = self.planned(house, groups, short=False)
        for name, step in plain.steps.items():
            same = quick.steps[name]
            for found, expected in (
                (same.import_w, step.import_w),
                (same.export_w, step.export_w),
                (same.asked_w, step.asked_w),
            ):
                self.assertAlmostEqual(found, expected, places=3)
            self.assertIs(same.exportWhy.reason, step.exportWhy.reason)
            self.assertIs(same.importWhy.reason, step.importWhy.reason)
        self.assertAlmostEqual(quick.used_w, plain.used_w, places=3)

    @settings(max_examples=400)
    @given(st.lists(st.tuples(st.floats(1.0, 5000.0), LOSSES, st.booleans()), min_size=2))
    def test_alsoWhereAllMinimumsTogetherAreAllThereIs(
        self, wishes: list[tuple[float, Loss, bool]]
    ) -> None:
        """Rounding flips no decision of all or nothing: it would be the same one for ever."""
        house = [self.picky(number, *wish) for number, wish in enumerate(wishes)]
        # Rounded once: what is a hair less is less, and the fill says so each time.
        all_w = fsum([40.0, *(p.sink.loss.withdrawn(p.sink.max_w) for p in house)])
        sun = Place(Source("sun", all_w), Sink("sun", 0.0), RANGE_W, confirmed_w=all_w)
        for short in (True, False):
            made = self.planned((sun, *house), Groups(), short)
            for place in house:
                self.assertEqual(made.steps[place.sink.identity].export_w, place.sink.max_w)

    def picky(self, number: int, wish: float, loss: Loss, running: bool) -> Place:
        """One that takes all that it wants, or nothing."""
        name = f"port {number}"
        place = Place(Source(name, 0.0), Sink(name, wish, wish, loss=loss), RANGE_W)
        place.export_w = place.draws_w = wish if running else 0.0
        place.exportStep_w = RANGE_W
        place.sink.running = running
        return place

    def test_itIsTaken(self) -> None:
        """Where all that is needed is confirmed; not where an old grant may still be drawn."""
        source, sink = Source("sun", 3000.0), Sink("home", 2000.0)
        sun = Place(source, Sink("sun", 0.0), RANGE_W, confirmed_w=2100.0)
        home = Place(Source("home", 0.0), sink, RANGE_W, exportStep_w=RANGE_W)
        filled: list[object] = []
        self.patch(planning, "_raise", lambda *args: filled.append(args))
        for drawn_w, confirmed_w, isTaken in (
            (0.0, 2100.0, True),
            (0.0, 1900.0, False),
            (500.0, 2100.0, False),
        ):
            sun.confirmed_w, home.draws_w = confirmed_w, drawn_w
            filled.clear()
            made = plan([sun, home], Groups(), 40.0, 0.0, 100.0)
            self.assertEqual(not filled, isTaken)
            self.assertEqual(made.steps["home"].export_w, 2000.0 if isTaken else 0.0)


class OldGrantTests(SynchronousTestCase):
    def test_whatIsAskedForNoMoreIsNoRoomBesideThem(self) -> None:
        """One wants nothing any more and still draws: its source is asked for less from now on."""
        sun = Place(Source("sun", 5000.0), Sink("sun", 0.0), RANGE_W)
        sun.import_w = sun.asked_w = sun.confirmed_w = 4000.0
        car = Place(Source("car", 0.0), Sink("car", 0.0), RANGE_W)
        car.export_w = car.draws_w = 2118.0
        home = Place(Source("home", 0.0), Sink("home", 60.0), RANGE_W, exportStep_w=RANGE_W)
        home.export_w = home.draws_w = 30.0
        home.banded = False
        for drawn_w, export_w, reason in (
            (2118.0, 30.0, Reason.OLD_GRANTS),
            (20.0, 40.0, Reason.UNCONFIRMED),
            (0.0, 60.0, Reason.REQUEST),
        ):
            car.draws_w = drawn_w
            made = plan([sun, car, home], Groups(), 0.0, 0.0, 100.0).steps
            self.assertAlmostEqual(made["home"].export_w, export_w)
            self.assertIs(made["home"].exportWhy.reason, reason)
            self.assertEqual(made["sun"].asked_w, 60.0)
