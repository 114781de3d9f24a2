"""A device in the middle: what passes through it, and what ends with its upstream."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epnet.devices.makers import parseDevice
from epnet.identity import Peer
from epnet.interfaces import IDevice, ILink, INode, Limits, PortReading
from epnet.lifecycle import Cause, Ending
from epnet.middle import MiddleNode, _Part, shares
from epnet.node import parametersOf
from epnet.router.plainport import PlainPort, PlainPortMaker
from epnet.router.settings import DEFAULT_PORTS, PortSettings
from epnet.wire import (
    DemandParameters,
    Isolation,
    IsolationState,
    Message,
    Price,
    Source,
    StorageParameters,
    SupplyParameters,
)
from tests.fakes import FakeDevice, FakeLink, peerNamed
from tests.router.test_router import FakeConverter

LOST = Ending(Cause.LOST, "silent", wasOpen=True, inTransfer=True)


def dialled(link: ILink) -> bool:
    return link.dialled


def wish(power_w: float) -> DemandParameters:
    return DemandParameters(voltage=230, voltage_limit=250, power_limit=power_w)


def offer(power_w: float) -> SupplyParameters:
    return SupplyParameters(voltage_limit=(207, 253), power_limit=power_w, voltage=230)


def price(hour: int, amount: float, currency: str = "EUR") -> Price:
    return Price(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour), amount, currency)


def limitOf(message: Message | None) -> float:
    assert isinstance(message, SupplyParameters | DemandParameters)
    assert message.power_limit is not None
    return message.power_limit


class MiddleTestCase(SynchronousTestCase):
    """A device that wants 2 kW, on a connection for 5 kW, with others behind it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(100)
        self.converters: dict[str, FakeConverter] = {}
        self.own = FakeDevice(demand=wish(2000))
        self.node = MiddleNode(
            self.own,
            parametersOf(self.own, "middle"),
            self.clock,
            rating_w=5000,
            makePort=self.makePort,
            upstream=dialled,
        )
        self.router = self.connect("router", dialled=True)
        self.load = self.connect("load")

    def makePort(self, peer: Peer) -> PlainPort:
        converter = self.converters[peer.identity] = FakeConverter()
        settings = DEFAULT_PORTS.get(peer.parameters.type or "", PortSettings())
        return PlainPort(peer.identity, settings, converter)

    def connect(self, identity: str, type: str | None = None, *, dialled: bool = False) -> FakeLink:
        link = FakeLink(self.node, self.clock, identity, type, dialled=dialled)
        self.node.sessionOpened(link)
        link.ask()
        return link

    def askedUpstream(self) -> float:
        return limitOf(self.router.ask()[DemandParameters])

    def granted(self, link: FakeLink) -> float:
        """What the middle's Supply to a device behind it allows."""
        return limitOf(link.ask()[SupplyParameters])

    def exchange(self, granted_w: float, *, times: int = 3) -> None:
        """All speak, several times: a share rises only when the others' meters have shown theirs.

        granted_w: what the router grants.
        """
        for _ in range(times):
            self.clock.advance(0.05)
            self.load.hear(wish(3000))
            self.router.ask()
            self.router.hear(offer(granted_w))
            self.node.advance(self.clock.seconds())


class NamesTests(MiddleTestCase):
    """Names without end behind it, where nobody vouches for them."""

    def setUp(self) -> None:
        super().setUp()
        self.node.mostUnvouched = 3
        self.leave(self.load)

    def arrive(self, identity: str) -> FakeLink:
        link = FakeLink(self.node, self.clock, identity)
        link.peer = evolve(link.peer, authenticated=False)
        self.node.sessionOpened(link)
        return link

    def leave(self, link: FakeLink) -> None:
        self.node.sessionClosed(link, LOST)

    def test_theyAreNotAllRemembered(self) -> None:
        for number in range(10):
            self.leave(self.arrive(f"name-{number}"))
        self.assertEqual(list(self.node.device.ports), ["name-7", "name-8", "name-9"])

    def test_whoIsHereIsRememberedAndANewOneRefused(self) -> None:
        for number in range(3):
            self.arrive(f"name-{number}")
        late = self.arrive("late")
        [(reason, _)] = late.disconnected
        self.assertIn("we know 3 devices", reason)
        late.hear(wish(1000))
        self.node.draining(late)
        self.leave(late)
        self.assertEqual(list(self.node.device.ports), ["name-0", "name-1", "name-2"])

    def test_soIsAFaultAndWhatStillFlows(self) -> None:
        faulty, flowing = self.arrive("faulty"), self.arrive("flowing")
        faulty.hear(offer(1000).replace(isolation=Isolation(IsolationState.FAULT)))
        self.leave(faulty)
        self.leave(flowing)
        self.converters["flowing"].import_w = 5.0
        for number in range(5):
            self.leave(self.arrive(f"name-{number}"))
        self.assertEqual(list(self.node.device.ports), ["faulty", "flowing", "name-4"])
        self.assertTrue(self.node.device.ports["faulty"].isolation.blocked)


class UpstreamTests(MiddleTestCase):
    def test_interfaces(self) -> None:
        verifyObject(INode, self.node)
        verifyObject(IDevice, self.node.device)

    def test_asksForItsOwnNeedAndThatOfThoseBehind(self) -> None:
        self.assertEqual(self.askedUpstream(), 2000)
        self.load.hear(wish(1500))
        self.assertEqual(self.askedUpstream(), 3500)

    def test_neverForMoreThanItsConnectionCarries(self) -> None:
        self.load.hear(wish(9000))
        self.assertEqual(self.askedUpstream(), 5000)

    def test_neverForWhoIsSilent(self) -> None:
        self.load.hear(wish(1500))
        self.clock.advance(0.2)
        self.assertEqual(self.askedUpstream(), 2000)

    def test_offersItsOwnPowerAndThatOfThoseBehind(self) -> None:
        self.assertNotIn(SupplyParameters, self.router.ask())
        self.own.offers = offer(1000)
        self.connect("sun", "solar").hear(offer(2500))
        supply = self.router.ask()[SupplyParameters]
        self.assertEqual(limitOf(supply), 3500)

    def test_whatOneBehindReportsIsAtMostWhatItsPortCarries(self) -> None:
        self.own.offers = offer(1000)
        for identity in ("sun", "wind"):
            link = self.connect(identity, "solar")
            self.patch(self.converters[identity], "reading", lambda: None)
            link.hear(offer(2500).replace(current=1e308))
        self.router.ask()
        self.router.hear(DemandParameters(voltage=230, power_limit=3000))
        supply = self.router.ask()[SupplyParameters]
        assert isinstance(supply, SupplyParameters)
        self.assertEqual(limitOf(supply), 5000)
        most_w = DEFAULT_PORTS["solar"].max_power
        self.assertLessEqual(supply.current or 0.0, 2 * most_w / 207)

    def test_whatItOffersIsMixedOfWhatAllOffer(self) -> None:
        self.own.offers = offer(1000).replace(power_mix={Source.WIND: 100})
        self.assertEqual(self.offered().power_mix, {Source.WIND: 100})
        sun = self.connect("sun", "solar")
        sun.hear(offer(3000))
        self.assertEqual(self.offered().power_mix, {Source.WIND: 25, Source.UNKNOWN: 75})
        sun.hear(offer(3000).replace(power_mix={Source.LOCAL_SOLAR: 100}))
        self.assertEqual(self.offered().power_mix, {Source.WIND: 25, Source.LOCAL_SOLAR: 75})

    def test_whatFlowsCountsBeforeWhatIsOffered(self) -> None:
        self.own.offers = offer(1000).replace(power_mix={Source.WIND: 100})
        sun = self.connect("sun", "solar")
        sun.hear(offer(3000).replace(power_mix={Source.LOCAL_SOLAR: 100}))
        self.converters["sun"].import_w = 500
        self.assertEqual(self.offered().power_mix, {Source.LOCAL_SOLAR: 100})

    def test_itCostsWhatAllOfItCosts(self) -> None:
        self.own.offers = offer(1000).replace(energy_prices=[price(0, 0.40)])
        sun = self.connect("sun", "solar")
        sun.hear(offer(3000))
        self.assertIsNone(self.offered().energy_prices)
        sun.hear(offer(3000).replace(energy_prices=[price(1, 0.04), price(3, 0.08)]))
        self.assertEqual(self.offered().energy_prices, (price(1, 0.13), price(3, 0.16)))
        sun.hear(offer(3000).replace(energy_prices=[price(1, 0.04, "SEK")]))
        self.assertIsNone(self.offered().energy_prices)
        sun.hear(offer(3000).replace(energy_prices=[price(1, 1e308)]))
        self.assertIsNone(self.offered().energy_prices)

    def test_aForecastThatNoMessageHoldsIsNotTold(self) -> None:
        long = [price(hour, 0.1) for hour in range(501)]
        self.own.offers = offer(1000).replace(energy_prices=long[:2])
        sun = self.connect("sun", "solar")
        sun.hear(offer(3000).replace(energy_prices=long[:500]))
        prices = self.offered().energy_prices
        assert prices is not None
        self.assertEqual(len(prices), 500)
        sun.hear(offer(3000).replace(energy_prices=long))
        self.assertIsNone(self.offered().energy_prices)

    def test_thoseBehindGetToKnowWhatTheUpstreamSays(self) -> None:
        self.load.hear(wish(3000))
        prices = (price(0, 0.25),)
        said = offer(1000).replace(power_mix={Source.WIND: 100}, energy_prices=prices)
        self.router.hear(said)
        grant = self.load.ask()[SupplyParameters]
        assert isinstance(grant, SupplyParameters)
        self.assertEqual((grant.power_mix, grant.energy_prices), ({Source.WIND: 100}, prices))
        self.clock.advance(0.2)
        grant = self.load.ask()[SupplyParameters]
        assert isinstance(grant, SupplyParameters)
        self.assertEqual((grant.power_mix, grant.energy_prices), (None, None))

    def offered(self) -> SupplyParameters:
        message = self.router.ask()[SupplyParameters]
        assert isinstance(message, SupplyParameters)
        return message

    def test_itReadsWhatPassesThroughIt(self) -> None:
        self.exchange(5000)
        self.assertEqual(self.node.device.reading().draw_w, 5000)


class GrantTests(MiddleTestCase):
    def test_nothingWithoutAnUpstream(self) -> None:
        self.node.sessionClosed(self.router, LOST)
        self.load.hear(wish(3000))
        self.clock.advance(0.02)
        self.node.advance(self.clock.seconds())
        self.assertEqual(self.granted(self.load), 0)
        self.assertEqual(self.own.limits.draw_w, 0)

    def test_nothingBeforeTheUpstreamGrantsIt(self) -> None:
        self.exchange(0)
        self.assertEqual(self.granted(self.load), 0)

    def test_theGrantIsSharedFairly(self) -> None:
        self.exchange(5000)
        self.assertEqual((self.own.limits.draw_w, self.granted(self.load)), (2000, 3000))
        self.exchange(3000)
        self.assertEqual((self.own.limits.draw_w, self.granted(self.load)), (1500, 1500))

    def test_neverMoreThanItsConnectionCarries(self) -> None:
        self.own.wants = wish(9000)
        self.exchange(20_000)
        self.assertEqual(self.own.limits.draw_w + self.granted(self.load), 5000)

    def test_aShareRisesOnlyIntoWhatTheOthersHaveLeft(self) -> None:
        self.exchange(3000)
        meter = PortReading(230, 0, 1500)  # as if the load took its time to follow
        self.patch(self.converters["load"], "reading", lambda: meter)
        self.own.wants = wish(3000)
        for _ in range(5):
            self.clock.advance(0.05)
            self.load.hear(wish(100))
            self.router.ask()
            self.router.hear(offer(3000))
            self.assertEqual(self.granted(self.load), 100)
            self.assertEqual(self.own.limits.draw_w, 1500)
        meter = PortReading(230, 0, 100)
        self.node.advance(self.clock.seconds())
        self.assertEqual(self.own.limits.draw_w, 2900)

    def test_thoseBehindGetNothingFromOneAnother(self) -> None:
        self.own.wants = None
        sun = self.connect("sun", "solar")
        for _ in range(5):
            self.clock.advance(0.05)
            sun.hear(offer(2500))
            self.load.hear(wish(1500))
            self.node.advance(self.clock.seconds())
        self.assertEqual(self.granted(self.load), 0)
        self.assertEqual(limitOf(sun.ask()[DemandParameters]), 0)

    def test_aRequestIsMetByThoseThatProduceFirst(self) -> None:
        self.own.wants, self.own.offers = None, offer(2000)
        self.own.stores = StorageParameters(soc=50)
        sun = self.connect("sun", "solar")
        for requested_w, fromSun_w, own_w in ((1500, 1500, 0), (4000, 2500, 1500)):
            for _ in range(4):
                self.clock.advance(0.05)
                sun.hear(offer(2500))
                self.router.ask()
                self.router.hear(wish(requested_w))
            self.assertEqual(limitOf(sun.ask()[DemandParameters]), fromSun_w)
            self.assertEqual(self.own.limits.supply_w, own_w)

    def test_bothDirectionsAtOnceAreNone(self) -> None:
        self.own.offers = offer(2000)
        for _ in range(3):
            self.clock.advance(0.05)
            self.load.hear(wish(1500))
            self.router.ask()
            self.router.hear(offer(5000), wish(2000))
        self.assertEqual(self.granted(self.load), 0)
        self.assertEqual((self.own.limits.draw_w, self.own.limits.supply_w), (0, 0))


class LossTests(MiddleTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.exchange(5000)
        self.load.sent.clear()
        self.assertTrue(self.load.transferring)

    def assertAllOver(self) -> None:
        """Both transfers have been ended, and the device behind has been told."""
        self.assertEqual(self.own.limits.draw_w, 0)
        [[grant]] = self.load.sent
        self.assertEqual(limitOf(grant), 0)
        self.assertEqual(self.converters["load"].export_w, 0)

    def test_theUpstreamIsLost(self) -> None:
        self.node.sessionClosed(self.router, LOST)
        self.assertAllOver()
        self.assertEqual(self.own.shutDowns, ["silent"])
        self.assertFalse(self.converters["load"].closed)

    def test_theSessionBehindGoesOnAndGetsPowerFromTheNextUpstream(self) -> None:
        self.node.sessionClosed(self.router, LOST)
        self.router = self.connect("router", dialled=True)
        self.exchange(5000)
        self.assertEqual(self.granted(self.load), 3000)
        self.assertTrue(self.converters["load"].closed)

    def test_S5_theUpstreamsConsentExpires(self) -> None:
        self.clock.advance(0.19)
        self.load.hear(wish(3000))
        self.node.advance(self.clock.seconds())
        self.assertEqual(self.load.sent, [])
        self.clock.advance(0.02)
        self.node.advance(self.clock.seconds())
        self.assertAllOver()

    def test_S5_expiryDoesNotWaitForTheSweep(self) -> None:
        self.clock.advance(0.21)
        self.load.hear(wish(100))
        self.assertAllOver()

    def test_permissionAboveTheRatingIsOneForTheRating(self) -> None:
        self.own.wants = wish(9000)
        self.node.device.setLimits(Limits(20_000, 0, 1e9))
        self.node.device.setLimits(Limits(20_000, 0, 1e9))
        self.assertEqual(self.own.limits.draw_w + self.converters["load"].export_w, 5000)

    def test_S10_leavingTheUpstream(self) -> None:
        self.node.draining(self.router)
        self.assertAllOver()

    def test_anIsolationFaultUpstream(self) -> None:
        self.router.hear(offer(5000).replace(isolation=Isolation(IsolationState.FAULT)))
        self.assertAllOver()

    def test_aLowerGrantActsInTheSameTurn(self) -> None:
        self.router.hear(offer(2000))
        [[grant]] = self.load.sent
        self.assertEqual(limitOf(grant), 1000)
        self.assertEqual(self.own.limits.draw_w, 1000)

    def test_S12_setPointsBehindExpireWithTheUpstreamsConsent(self) -> None:
        heard = self.clock.seconds()
        self.clock.advance(0.1)
        self.load.hear(wish(3000))
        self.assertAlmostEqual(self.converters["load"].expires, heard + 0.2)
        self.assertAlmostEqual(self.own.limits.expires, heard + 0.2)

    def test_whoIsBehindIsLost(self) -> None:
        self.node.sessionClosed(self.load, LOST)
        self.assertFalse(self.converters["load"].closed)
        self.assertEqual(self.own.shutDowns, [])
        self.assertEqual(self.own.limits.draw_w, 2000)
        self.assertEqual(self.askedUpstream(), 2000)

    def test_S10_leavingWhoIsBehind(self) -> None:
        self.node.draining(self.load)
        [[grant]] = self.load.sent
        self.assertEqual(limitOf(grant), 0)
        self.assertEqual(self.own.limits.draw_w, 2000)

    def test_anIsolationFaultBehindBlocksThatPortAlone(self) -> None:
        fault = offer(0).replace(isolation=Isolation(IsolationState.FAULT))
        self.load.hear(fault)
        self.assertFalse(self.converters["load"].closed)
        self.exchange(5000)
        self.assertEqual(self.granted(self.load), 0)
        self.assertEqual(self.own.limits.draw_w, 2000)

    def test_theTransferBehindEndsWhenItsMeterIsQuiet(self) -> None:
        self.node.sessionClosed(self.router, LOST)
        for _ in range(60):
            self.clock.advance(0.02)
            self.node.advance(self.clock.seconds())
        self.assertFalse(self.load.transferring)


class ShareTests(SynchronousTestCase):
    parts = st.lists(
        st.builds(
            _Part, st.floats(0, 1e5), st.floats(0, 1e5), st.floats(0, 1e5), st.integers(0, 2)
        ),
        min_size=1,
        max_size=6,
    )

    @given(parts, st.floats(0, 1e5))
    def test_neverMoreThanThereIsRoomFor(self, parts: list[_Part], room_w: float) -> None:
        given_w = shares(parts, room_w)
        for part, share_w in zip(parts, given_w, strict=True):
            self.assertTrue(0 <= share_w <= part.bound_w)
        self.assertLessEqual(sum(given_w), room_w * (1 + 1e-9))

    @given(parts, st.floats(0, 1e5))
    def test_withWhatStillFlowsNeitherUnlessItDidBefore(
        self, parts: list[_Part], room_w: float
    ) -> None:
        given_w = shares(parts, room_w)
        before_w = sum(part.flows_w for part in parts)
        after_w = sum(
            max(part.flows_w, share_w) for part, share_w in zip(parts, given_w, strict=True)
        )
        # Who has not used all of a share may do so; nobody who gets more makes it worse.
        unused_w = sum(
            max(0.0, min(part.had_w, share_w) - part.flows_w)
            for part, share_w in zip(parts, given_w, strict=True)
        )
        self.assertLessEqual(after_w, max(before_w + unused_w, room_w) * (1 + 1e-9))

    @given(parts, st.floats(0, 1e5))
    def test_settledSharesAreMaxMinFairWithinATier(self, parts: list[_Part], room_w: float) -> None:
        # The meters have caught up: had and flows are what was given.
        for _ in range(3):
            for part, share_w in zip(parts, shares(parts, room_w), strict=True):
                part.had_w = part.flows_w = share_w
        for one, other in combinations(parts, 2):
            if one.tier == other.tier and one.flows_w > other.flows_w * (1 + 1e-6) + 1e-6:
                self.assertAlmostEqual(other.flows_w, other.bound_w, places=3)
            if one.tier < other.tier and other.flows_w > 1e-6:
                self.assertAlmostEqual(one.flows_w, one.bound_w, places=3)


class PhysicsTests(SynchronousTestCase):
    """With simulated power electronics: the connection never carries more than it was granted."""

    def test_besideRealDevicesTheyHaveNoMeter(self) -> None:
        self.assertTrue(PlainPortMaker(Clock())(peerNamed("load")).estimated)

    def test_whileWishesComeAndGo(self) -> None:
        clock = Clock()
        own = parseDevice("battery:soc=20,charge_w=4000", clock)
        node = MiddleNode(
            own,
            parametersOf(own, "middle"),
            clock,
            rating_w=8000,
            makePort=PlainPortMaker(clock, meters=True),
            upstream=dialled,
        )
        router = FakeLink(node, clock, "router", dialled=True)
        node.sessionOpened(router)
        loads = [FakeLink(node, clock, f"load-{n}") for n in range(2)]
        for load in loads:
            node.sessionOpened(load)
        most = 0.0
        for step in range(600):
            clock.advance(0.02)
            if step % 3 == 0:
                router.ask()
                router.hear(
                    SupplyParameters(voltage_limit=(300, 500), power_limit=5000, voltage=400)
                )
                for number, load in enumerate(loads):
                    load.hear(wish(5000 if (step // 90 + number) % 2 else 200))
            node.advance(clock.seconds())
            flows_w = node.device.reading().draw_w
            self.assertLessEqual(flows_w, 5000 * 1.0001, f"at step {step}")
            most = max(most, flows_w)
        self.assertGreater(most, 4900)
