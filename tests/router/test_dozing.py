"""To leave idle ports alone is the same as to look at all of them each time."""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.identity import Peer
from epnet.router.dozing import LOOK_SECONDS, Dozing, isNothing
from epnet.router.planning import idleStep, plan
from epnet.router.ports import Port
from epnet.router.settings import PortSettings
from epnet.wire import DemandParameters, Message, Ping, SupplyParameters
from tests.router.histories import WINDOW, Device, Wire, World
from tests.router.test_histories import HISTORIES, NAMES, Happening, happen, happenings

ROLES = dict(zip(NAMES, ("source", "sink", "sink", "both"), strict=False))


class WideAwake(Port):
    """Is looked at each time."""

    def dozes(self, now: float) -> bool:
        return False


class Restless(World):
    """A router that looks at every port each time."""

    def _makePort(self, peer: Peer) -> Port:
        wire = self.wires[peer.identity] = Wire(self.clock)
        settings = self.settings.get(peer.identity, PortSettings())
        return WideAwake(peer.identity, settings, wire)


def idling(event: Happening) -> Happening:
    """The same of devices that offer and ask nothing most of the time."""
    busy = event.number < 0.3
    offer, wish = (event.offer, event.wish) if busy else (0.0, 0.0)
    return attrs.evolve(event, offer=offer, wish=wish)


class HistoryTests(SynchronousTestCase):
    def assertSame(self, one: World, other: World) -> None:
        for name, port in one.router.ports.items():
            twin = other.router.ports[name]
            self.assertEqual(
                (port.import_w, port.export_w, port.asked_w, port.states, port.reversing),
                (twin.import_w, twin.export_w, twin.asked_w, twin.states, twin.reversing),
                name,
            )

    @HISTORIES
    @given(st.lists(happenings.map(idling), min_size=4, max_size=25))
    def test_whateverHappens(self, events: list[Happening]) -> None:
        worlds = World(), Restless()
        for world in worlds:
            for name, role in ROLES.items():
                happen(world, attrs.evolve(events[0], what="plug", whom=name, role=role))
        for event in events:
            for world in worlds:
                happen(world, event)
            for _ in range(event.steps):
                for world in worlds:
                    world.step()
                self.assertSame(*worlds)
        for world in worlds:
            world.run(1.0 + LOOK_SECONDS + 0.2)  # until who is silent speaks again, and one look
        self.assertSame(*worlds)
        lazy, restless = worlds
        for name, port in lazy.router.ports.items():
            rulings = {d: each.ruling for d, each in port.decisions.items()}
            twin = restless.router.ports[name]
            self.assertEqual(rulings, {d: each.ruling for d, each in twin.decisions.items()})


class DozingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        settings = PortSettings(side="D", kind="DC", voltage=WINDOW)
        for name, offer in (("idle", 0.0), ("sun", 4000.0)):
            self.world.plug(Device(name, offer_w=offer), settings)
        self.world.plug(Device("car", wish_w=3000.0), settings)
        self.world.run(3.0)

    def dozes(self, name: str) -> bool:
        return self.world.router.ports[name].dozes(self.world.clock.seconds())

    def test_whoOffersNothingDozes(self) -> None:
        self.assertEqual(
            [self.dozes(name) for name in ("idle", "sun", "car")], [True, False, False]
        )
        self.assertIn("idle", self.world.router.allocation.sources)

    def test_anOfferWakes(self) -> None:
        self.world.devices["idle"].offer_w = 100.0
        self.world.run(0.2)
        self.assertFalse(self.dozes("idle"))
        self.assertEqual(self.world.router.ports["idle"].imports.watts, 100.0)

    def test_aLimitAndANewPolicyWake(self) -> None:
        self.world.router.ports["idle"].limit(100.0, None)
        self.assertFalse(self.dozes("idle"))
        self.world.run(3.0)
        self.world.router.ports["idle"].describe(PortSettings())
        self.assertFalse(self.dozes("idle"))

    def test_whatFlowsWithoutBeingAllowedWakes(self) -> None:
        self.world.wires["idle"].import_w = 1000.0
        self.assertFalse(self.dozes("idle"))

    def test_silenceIsSeenInTime(self) -> None:
        self.world.devices["idle"].silent = self.world.clock.seconds() + 9.0
        self.world.run(LOOK_SECONDS + 0.3)
        setpoint = self.world.router.allocation.sources["idle"]
        self.assertIn("no fresh Supply", setpoint.text)

    def test_aPlanNeedsNoIdlePlaces(self) -> None:
        router, now = self.world.router, self.world.clock.seconds()
        places = [port.look(now, 0.0) for port in router.ports.values()]
        whole = plan(places, router._groups, 0.0, 0.0, now).steps
        busy = plan([p for p in places if not p.idle], router._groups, 0.0, 0.0, now).steps
        self.assertLess(len(busy), len(whole))
        for place in places:
            name = place.source.identity
            self.assertEqual(whole[name], busy.get(name) or idleStep(place, now))


class RestTests(SynchronousTestCase):
    def test_aClockThatJumpsBackEndsIt(self) -> None:
        dozing = Dozing("a")
        dozing.begin(1000.0)
        self.assertTrue(dozing.lasts(1000.5))
        self.assertFalse(dozing.lasts(1000.0 + LOOK_SECONDS))
        self.assertFalse(dozing.lasts(900.0))

    def test_whatIsNothing(self) -> None:
        nothing: list[Message] = [
            SupplyParameters(power_limit=0),
            SupplyParameters(power_limit=5, current_limit=(0, 0)),
            DemandParameters(power_limit=0, current=0),
            Ping(),
        ]
        something: list[Message] = [
            SupplyParameters(),
            SupplyParameters(power_limit=5),
            DemandParameters(power_limit=5),
            DemandParameters(power_limit=0, current=-2),
        ]
        self.assertEqual([isNothing(each) for each in nothing], [True] * len(nothing))
        self.assertEqual([isNothing(each) for each in something], [False] * len(something))
