"""What the running router notices of itself: invariants 7, 9 and 10, broken on purpose."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from epnet.router import allocation, restraints, router
from epnet.router.dynamics import Approach
from epnet.router.planning import Plan, plan
from tests.router.histories import Device, World
from tests.router.test_histories import NAMES, QUICKLY, Happening, happen, happenings, houses
from tests.router.test_rules import DC

LONG = settings(max_examples=6, deadline=None, phases=QUICKLY)


class WatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        # The world's own checks would end the test at the first error.
        self.patch(self.world, "check", lambda: None)
        self.events: list[str] = []
        globalLogPublisher.addObserver(self.note)
        self.addCleanup(globalLogPublisher.removeObserver, self.note)

    def note(self, event: Any) -> None:
        if event.get("log_namespace") == "epnet.router.invariants.Invariants":
            self.events.append(event["wrong"])

    def plug(self, supply_w: float, *wishes_w: float, min_w: float = 0.0) -> None:
        self.world.plug(Device("sun", offer_w=supply_w), DC)
        for number, wish_w in enumerate(wishes_w):
            self.world.plug(Device(f"sink {number}", wish_w=wish_w), attrs.evolve(DC, min_w=min_w))

    def assertBroken(self, *numbers: int) -> None:
        invariants = self.world.router.invariants
        self.assertEqual({number for number in (7, 9, 10) if invariants.broken[number]}, {*numbers})
        for number in (7, 9, 10):
            self.assertGreater(invariants.checked[number], 0)

    def test_turnsAreInOrder(self) -> None:
        self.plug(5000.0, 3000.0, 3000.0, 3000.0, min_w=2600.0)
        self.world.run(400.0)
        self.assertBroken()
        self.assertEqual(self.events, [])

    def test_9_whoNeverGetsItsTurn(self) -> None:
        self.patch(restraints.Turns, "yields", lambda self, now: False)
        self.plug(5000.0, 3000.0, 3000.0, min_w=2600.0)
        self.world.run(230.0)
        self.assertBroken()
        self.world.run(25.0)
        self.assertBroken(9)
        self.assertEqual(
            self.events, ["sink 1 waits for room for its minimum, which sink 0 has had"]
        )

    def test_10_turnsThatAreTooShort(self) -> None:
        self.patch(restraints, "DWELL_SECONDS", 20.0)
        self.plug(5000.0, 3000.0, 3000.0, min_w=2600.0)
        self.world.run(70.0)
        self.assertBroken(10)
        self.assertIn("has given up its place twice within 4", self.events[0])

    def test_10_whatIsWithheldForGood(self) -> None:
        def held(self: Approach, from_w: float, target_w: float, *_: float) -> bool:
            return 0.0 < target_w - from_w < 100.0 and from_w > 0.0

        self.plug(5000.0, 3000.0)
        self.world.run(5.0)
        self.patch(Approach, "isHeld", held)
        self.world.devices["sink 0"].wish_w = 3050.0
        self.world.run(20.0)
        self.assertBroken(10)
        self.assertEqual(self.events, ["sun gives 3000 W and not 3050 W"])

    def test_10_setPointsThatMoveByThemselves(self) -> None:
        def restless(*args: Any) -> Plan:
            made = plan(*args)
            step = made.steps["sink 0"]
            restless_w = step.export_w * (0.9 if int(args[-1]) % 2 else 0.8)
            made.steps["sink 0"] = step._replace(export_w=restless_w)
            return made

        self.plug(5000.0, 3000.0)
        self.patch(router, "plan", restless)
        self.world.run(20.0)
        self.assertBroken(10)

    def test_10_inputsThatMoveAreAReason(self) -> None:
        self.plug(5000.0, 9000.0)
        for second in range(40):
            self.world.devices["sun"].offer_w = 5000.0 + 20 * (second % 7)
            self.world.run(1.0)
        self.assertBroken()

    def test_7_whoGetsLessOfMore(self) -> None:
        upTo = allocation.MeritOrder.upTo
        self.patch(allocation.MeritOrder, "upTo", lambda self, price: upTo(self, price) % 8192.0)
        self.plug(9000.0, 9000.0)
        self.world.run(6.0)
        self.assertBroken(7)

    def test_itIsLoggedOnceAMinute(self) -> None:
        self.patch(restraints.Turns, "yields", lambda self, now: False)
        self.plug(5000.0, 3000.0, 3000.0, min_w=2600.0)
        self.world.run(290.0)
        self.assertGreater(self.world.router.invariants.broken[9], 30)
        self.assertEqual(len(self.events), 1)


class LongHistoryTests(SynchronousTestCase):
    """The router watches itself, and the world checks that it has found nothing."""

    @LONG
    @given(houses(World), st.lists(happenings, min_size=4, max_size=10))
    def test_7_9_10_fiveQuietMinutesAfterAnyHistory(
        self, world: World, events: list[Happening]
    ) -> None:
        for event in events:
            if event.what != "lie":
                picky = attrs.evolve(event.port, min_w=1380.0, group=None)
                happen(world, attrs.evolve(event, port=picky))
            world.run(0.5)
        for wire in world.wires.values():
            wire.lag = 1.0
        for name in NAMES[4:]:
            if name not in world.devices:
                world.plug(Device(name, wish_w=3000.0), attrs.evolve(DC, min_w=2000.0))
        world.run(300.0)
        self.assertGreater(world.router.invariants.checked[10], 250)
