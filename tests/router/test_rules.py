"""What the router does by bounds, prices and policies: its devices played in virtual time."""

from __future__ import annotations

from math import inf, nan, sqrt

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epnet.errors import UsageError
from epnet.interfaces import PortReading
from epnet.lifecycle import Cause, Ending
from epnet.router.decisions import Decision, Direction, TransferState
from epnet.router.losses import Loss
from epnet.router.policy import DevicePolicy, NetworkPolicy, Policies, RemotePolicy
from epnet.router.portmaker import PortMaker
from epnet.router.ports import Port
from epnet.router.prices import firmPower
from epnet.router.reasons import Reason
from epnet.router.router import Router
from epnet.router.settings import PortSettings
from epnet.router.terms import Group
from epnet.wire import (
    Bounds,
    DemandParameters,
    SessionParameters,
    StorageParameters,
    SupplyParameters,
)
from tests.fakes import FakeLink
from tests.router.histories import WINDOW, Device, World
from tests.router.test_allocation import THREE_PHASE_400V_10A

DC = PortSettings(side="D", kind="DC", voltage=WINDOW)


class RulesTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.router = self.world.router

    def plug(self, device: Device, **settings: object) -> Device:
        changed = {"side": "D", "kind": "DC", "voltage": WINDOW, **settings}
        self.world.plug(device, PortSettings(**changed))  # type: ignore[arg-type]
        return device

    def port(self, identity: str) -> Port:
        return self.router.ports[identity]

    def got(self, identity: str) -> float:
        return self.port(identity).export_w

    def gave(self, identity: str) -> float:
        return self.port(identity).import_w

    def export(self, identity: str) -> Decision:
        return self.port(identity).history.decisions[Direction.EXPORT]


class SpecificationExamples(RulesTestCase):
    """EnergyNet §2.1, by a router with its messages and ramps, to the watt."""

    def test_oneSourceServesTwoPorts(self) -> None:
        self.loss = Loss(0.0109)
        self.plug(
            Device("port 1", offer_w=420 * 40), loss=self.loss, max_current=63, cable_current=63
        )
        self.plug(Device("port 2", wish_w=540 * 10), loss=self.loss)
        self.plug(Device("port 3", wish_w=THREE_PHASE_400V_10A), loss=self.loss)
        self.world.run(5.0)
        self.assertEqual(round(self.got("port 2")), 5400)
        self.assertEqual(round(self.got("port 3")), 6928)
        self.assertEqual(round(self.gave("port 1")), 12600)

    def test_twoSourcesShareTheLoad(self) -> None:
        self.loss = Loss(0.0087)
        self.plug(Device("port 1", offer_w=420 * 20), loss=self.loss)
        self.plug(Device("port 2", offer_w=570 * 10), loss=self.loss)
        wish = 2 * THREE_PHASE_400V_10A
        self.plug(Device("port 3", wish_w=wish), loss=self.loss, max_current=63, cable_current=63)
        self.world.run(5.0)
        self.assertEqual(round(self.got("port 3")), 13856)
        self.assertEqual((round(self.gave("port 1")), round(self.gave("port 2"))), (8400, 5700))


class BoundTests(RulesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.plug(Device("sun", offer_w=20_000), max_current=63, cable_current=63)

    def ruled(self, **settings: object) -> str:
        """What rules the grant of a car that wants 12 kW."""
        self.plug(Device("car", wish_w=12_000), **settings)
        self.world.run(4.0)
        return self.export("car").ruling.text

    def test_theCableIsNamed(self) -> None:
        self.assertEqual(self.ruled(cable_current=16), "limited by cable 16 A")
        self.assertAlmostEqual(self.got("car"), 6400)

    def test_thePortIsNamed(self) -> None:
        self.assertEqual(self.ruled(max_current=20), "limited by port 20 A")
        self.assertEqual(self.export("car").ruling.more, "a port that carries more than 8000 W")

    def test_threePhasesCarryThreeTimesAsMuch(self) -> None:
        settings = {"kind": "AC", "phases": 3, "voltage": Bounds(207, 400), "cable_current": 8}
        self.assertEqual(self.ruled(**settings), "limited by cable 8 A")
        self.assertAlmostEqual(self.got("car"), 3 * 8 * 400)
        self.assertAlmostEqual(3 * 10 * 400 / sqrt(3), THREE_PHASE_400V_10A)

    def test_theDirection(self) -> None:
        self.assertEqual(self.ruled(direction="import"), "the port passes power only for import")

    def test_policiesOfTheDevice(self) -> None:
        self.router.setPolicies(Policies(devices={"car": DevicePolicy(derating=0.2)}))
        self.assertEqual(self.ruled(), "derated to 20 % of its port, 4400 W")
        self.router.setPolicies(Policies(devices={"car": DevicePolicy(max_w=3000)}))
        self.assertAlmostEqual(self.got("car"), 3000)
        self.assertEqual(self.export("car").ruling.text, "limited by the device's policy, 3000 W")

    def test_anOperatorsLimitHoldsUntilItExpires(self) -> None:
        self.ruled()
        self.router.limit("car", 1000.0, self.world.clock.seconds() + 5.0)
        self.assertAlmostEqual(self.got("car"), 1000)
        self.assertEqual(self.export("car").ruling.text, "limited by the operator to 1000 W")
        self.world.run(4.8)
        self.assertAlmostEqual(self.got("car"), 1000)
        self.world.run(3.0)
        self.assertAlmostEqual(self.got("car"), 12_000)

    def test_anOperatorsLimitIsThereBeforeTheDevice(self) -> None:
        self.router.limit("car", 1000.0, None)
        self.assertIn("operator", self.ruled())
        self.router.limit("car", None, None)
        self.world.run(3.0)
        self.assertAlmostEqual(self.got("car"), 12_000)

    def test_noNumberIsNoLimit(self) -> None:
        for wrong in (nan, inf, -1.0):
            self.assertRaises(UsageError, self.router.limit, "car", wrong, None)
        self.assertRaises(UsageError, self.router.limit, "car", 1.0, nan)

    def test_impossibleMinimums(self) -> None:
        self.assertIn("its minimum does not fit", self.ruled(min_w=50_000))
        self.assertEqual(self.got("car"), 0)


class ChargeTests(RulesTestCase):
    def test_boundsOfTheChargeHaveHysteresis(self) -> None:
        self.router.setPolicies(Policies(devices={"store": DevicePolicy(max_soc=80)}))
        self.plug(Device("sun", offer_w=5000))
        store = self.plug(Device("store", wish_w=2000, soc=79))
        for soc, power in ((79, 2000), (80, 0), (79, 0), (78, 2000), (79, 2000)):
            store.soc = soc
            self.world.run(3.0)
            self.assertAlmostEqual(self.got("store"), power, msg=f"at {soc} %")

    def test_aChargeThatNobodyKnowsIsNoConsent(self) -> None:
        self.router.setPolicies(Policies(devices={"store": DevicePolicy(max_soc=80)}))
        self.plug(Device("sun", offer_w=5000))
        self.plug(Device("store", wish_w=2000))
        self.world.run(3.0)
        self.assertIs(self.export("store").ruling.reason, Reason.CHARGE_UNKNOWN)

    def test_allStorageTogetherIsKeptForWhatMustBeServed(self) -> None:
        self.router.setPolicies(Policies(NetworkPolicy(min_soc=50)))
        store = self.plug(Device("store", offer_w=5000, wish_w=0, soc=60))
        self.plug(Device("grid", offer_w=5000), side="B")
        self.plug(Device("home", wish_w=2000))
        self.plug(Device("heater", wish_w=1000), bid=1.5)
        self.world.run(3.0)
        self.assertAlmostEqual(self.gave("store"), 3000)
        store.soc = 49
        self.world.run(3.0)
        self.assertEqual((self.gave("store"), round(self.gave("grid"))), (0, 2000))
        self.world.unplug("grid")
        self.world.run(3.0)
        self.assertAlmostEqual(self.gave("store"), 2000)
        self.assertEqual(self.got("heater"), 0)

    def test_aChargeTargetIsFirmInPart(self) -> None:
        # 7.52 kWh are missing: some 7.9 kWh have to be put in within four hours.
        plan = StorageParameters(
            soc=42.4, soc_target=80, soc_target_time=4 * 3_600_000, capacity=20_000
        )
        self.assertAlmostEqual(firmPower(plan, 11_000), 7520 / 0.95 / 4)

    def test_itIsDueWithUnder15MinOfSlack(self) -> None:
        plan = StorageParameters(soc=50, soc_target=80, soc_target_time=3_600_000, capacity=20_000)
        self.assertEqual(firmPower(plan, 8000), 8000)
        self.assertLess(firmPower(plan, 11_000), 7000)

    def test_withoutATimeNothingIsFirm(self) -> None:
        self.assertEqual(firmPower(StorageParameters(soc=50, soc_target=80, capacity=9), 1), 0)
        self.assertEqual(firmPower(None, 1000), 0)


class PriceTests(RulesTestCase):
    def test_forecastsDecideWhoGives(self) -> None:
        self.plug(Device("a", offer_w=3000, price=0.3), side="B")
        self.plug(Device("b", offer_w=3000, price=0.2), side="B")
        self.plug(Device("home", wish_w=2000))
        self.world.run(3.0)
        self.assertEqual((round(self.gave("a")), round(self.gave("b"))), (0, 2000))

    def test_theInstallersPriceRules(self) -> None:
        self.plug(Device("a", offer_w=3000, price=0.3), side="B", price=0.1)
        self.plug(Device("b", offer_w=3000, price=0.2), side="B")
        self.plug(Device("home", wish_w=2000))
        self.world.run(3.0)
        self.assertEqual((round(self.gave("a")), round(self.gave("b"))), (2000, 0))

    def test_otherCurrenciesAreNotCompared(self) -> None:
        self.router.setPolicies(Policies(NetworkPolicy(currency="EUR")))
        self.plug(Device("a", offer_w=3000, price=0.01, currency="SEK"), side="B")
        self.plug(Device("b", offer_w=3000, price=0.2), side="B")
        self.plug(Device("home", wish_w=2000))
        self.plug(Device("heater", wish_w=9000), bid=0.25)
        self.world.run(3.0)
        self.assertEqual(round(self.gave("a")), 0)
        self.assertEqual(round(self.gave("b")), 3000)

    def test_currenciesThatDisagreeAreAllUnknown(self) -> None:
        self.plug(Device("a", offer_w=3000, price=0.01, currency="SEK"), side="B")
        self.plug(Device("sun", offer_w=3000, price=0.2))
        self.plug(Device("home", wish_w=2000))
        self.world.run(3.0)
        self.assertEqual((round(self.gave("a")), round(self.gave("sun"))), (0, 2000))

    def told(self, identity: str) -> tuple[float, str] | None:
        """The price in the router's Supply to a device."""
        link = self.world.devices[identity].link
        supply = link.ask()[SupplyParameters] if link is not None else None
        assert isinstance(supply, SupplyParameters)
        prices = supply.energy_prices
        return (prices[0].amount, prices[0].currency) if prices else None

    def test_theFeeOfTheNetworkIsAddedToWhatEveryoneReceives(self) -> None:
        self.router.setPolicies(Policies(NetworkPolicy(currency="EUR", fee=0.05)))
        self.plug(Device("grid", offer_w=3000, price=0.2), side="B")
        self.plug(Device("home", wish_w=2000))
        self.world.run(4.0)
        self.assertEqual(self.told("home"), (0.25, "EUR"))

    def test_anotherNetworkIsToldThePriceThatIsAskedOfIt(self) -> None:
        remotes = {"*": RemotePolicy("*", price=0.3)}
        self.router.setPolicies(Policies(NetworkPolicy(currency="EUR"), remotes=remotes))
        grid = self.plug(Device("grid", offer_w=9000, price=0.2), side="B")
        self.plug(Device("home", wish_w=2000))
        self.plug(Device("next", wish_w=1000), side="C")
        self.world.run(4.0)
        self.assertEqual((self.told("home"), self.told("next")), ((0.2, "EUR"), (0.3, "EUR")))
        self.assertAlmostEqual(self.got("next"), 1000)
        grid.price = 0.4
        self.world.run(4.0)
        self.assertEqual((self.told("home"), self.told("next")), ((0.4, "EUR"), (0.3, "EUR")))
        self.assertEqual((self.got("home"), self.got("next")), (2000, 0))

    def test_storageNeitherBuysNorSellsAtOnePrice(self) -> None:
        store = Device("store", offer_w=3000, wish_w=3000, soc=50)
        self.plug(store, price=0.25)
        self.plug(Device("grid", offer_w=9000, price=0.25), side="B")
        self.plug(Device("home", wish_w=1000))
        self.world.run(4.0)
        self.assertEqual((self.gave("store"), self.got("store")), (0, 0))
        self.world.devices["grid"].price = 0.2
        self.world.run(6.0)
        self.assertAlmostEqual(self.got("store"), 3000)
        self.world.devices["grid"].price = 0.3
        self.world.run(6.0)
        self.assertAlmostEqual(self.gave("store"), 1000)

    def test_aReverseDemandComesFirst(self) -> None:
        self.plug(Device("sun", offer_w=3000))
        self.plug(Device("home", wish_w=2000))
        turbine = self.plug(Device("turbine", spare_a=3.0))
        self.world.run(3.0)
        self.assertAlmostEqual(self.gave("turbine"), 1200)
        self.assertAlmostEqual(self.gave("sun"), 800)
        asked = turbine.link.ask()[DemandParameters] if turbine.link else None
        assert isinstance(asked, DemandParameters)
        self.assertAlmostEqual(asked.power_limit or 0, 1200)


class NetworkTests(RulesTestCase):
    def test_theNetworksImportIsLimited(self) -> None:
        self.router.setPolicies(Policies(NetworkPolicy(max_import_w=1500)))
        self.plug(Device("grid", offer_w=9000), side="B")
        self.plug(Device("next", offer_w=9000), side="C")
        self.plug(Device("sun", offer_w=500))
        self.plug(Device("home", wish_w=9000))
        self.world.run(3.0)
        self.assertAlmostEqual(self.gave("grid") + self.gave("next"), 1500)
        self.assertAlmostEqual(self.got("home"), 2000)

    def test_aGroupIsJoinedBySettings(self) -> None:
        self.router.setPolicies(Policies(groups=(Group("feeder", 3000, ()),)))
        self.plug(Device("sun", offer_w=9000))
        self.plug(Device("a", wish_w=9000), group="feeder")
        self.plug(Device("b", wish_w=9000), group="feeder", weight=2)
        self.world.run(3.0)
        self.assertAlmostEqual(self.got("a"), 1000)
        self.assertAlmostEqual(self.got("b"), 2000)

    def test_aDeviceWithTheNameOfAGroupDoesNoHarm(self) -> None:
        self.router.setPolicies(Policies(groups=(Group("feeder", 3000, ["car"]),)))
        self.plug(Device("sun", offer_w=9000))
        self.plug(Device("car", wish_w=4000))
        self.plug(Device("feeder", wish_w=4000))
        self.world.run(3.0)
        self.assertAlmostEqual(self.got("car"), 3000)
        self.assertAlmostEqual(self.got("feeder"), 4000)

    def test_groupsInACircleAreRefusedAndTheOldOnesStay(self) -> None:
        good = Policies(groups=(Group("a", 1000, ["car"]),))
        self.router.setPolicies(good)
        bad = Policies(groups=(Group("a", 1, ["b"]), Group("b", 1, ["a"])))
        self.assertRaises(UsageError, self.router.setPolicies, bad)
        self.assertIs(self.router.policies, good)

    def test_aReserveHoldsBackIncreasesOnly(self) -> None:
        self.plug(Device("a", offer_w=4000))
        self.plug(Device("b", offer_w=2000))
        home = self.plug(Device("home", wish_w=5000))
        self.world.run(3.0)
        self.router.setPolicies(Policies(NetworkPolicy(reserve=1.0)))
        self.world.run(3.0)
        self.assertAlmostEqual(self.got("home"), 5000)
        home.wish_w = 6000
        self.world.run(3.0)
        self.assertAlmostEqual(self.got("home"), 5000)
        self.assertEqual(
            self.export("home").ruling.text, "reserve for the largest source, a: 4000 W stay free"
        )
        home.wish_w = 1000
        self.world.run(1.0)
        home.wish_w = 6000
        self.world.run(3.0)
        self.assertAlmostEqual(self.got("home"), 2000)

    def test_otherNetworksByTenant(self) -> None:
        remotes = {"*": RemotePolicy("*", access="import")}
        self.router.setPolicies(Policies(remotes=remotes))
        self.plug(Device("sun", offer_w=9000))
        self.plug(Device("next", wish_w=4000), side="C")
        self.world.run(3.0)
        self.assertEqual(
            self.export("next").ruling.text, "no access in this direction for other networks"
        )
        self.router.setPolicies(Policies(remotes={"*": RemotePolicy("*", max_w=700)}))
        self.world.run(3.0)
        self.assertAlmostEqual(self.got("next"), 700)


class TimeTests(RulesTestCase):
    def test_aDirectionReversesAfterTwoSeconds(self) -> None:
        sun = self.plug(Device("sun", offer_w=0))
        self.plug(Device("store", offer_w=2000, wish_w=2000, soc=50))
        self.plug(Device("home", wish_w=1000))
        self.world.run(3.0)
        self.assertAlmostEqual(self.gave("store"), 1000)
        sun.offer_w = 5000
        self.world.run(1.0)
        since = self.world.clock.seconds()
        while not self.got("store"):
            self.world.step()
        self.assertApproximates(self.world.clock.seconds() - since, 1.5, 0.5)
        self.assertEqual(self.gave("store"), 0)

    def test_aMinimumThatIsAllThatIsWanted(self) -> None:
        """What a source with losses is asked for may come to a hair less at the bus."""
        self.plug(Device("store", offer_w=5000, wish_w=0), loss=Loss(0.1, 1e-6))
        self.plug(Device("car", wish_w=1380), min_w=1380)
        self.world.run(3.0)
        self.assertEqual(self.got("car"), 1380)

    def test_twoWhoseMinimumsDoNotFitTogetherTakeTurns(self) -> None:
        self.plug(Device("sun", offer_w=2000))
        for name, weight in (("a", 2.0), ("b", 1.0)):
            self.plug(Device(name, wish_w=2000), min_w=1500, weight=weight)
        served = []
        for _ in range(250 * 20):
            self.world.step()
            [running] = [name for name in "ab" if self.got(name)] or [""]
            if running and served[-1:] != [running]:
                served.append(running)
        self.assertEqual("".join(served), "ababa")

    def test_whoIsBlockedByItsMinimumTakesTurns(self) -> None:
        self.plug(Device("sun", offer_w=2000))
        names = ["a", "b", "c"]
        for name in names:
            self.plug(Device(name, wish_w=2000), min_w=1500)
        served = dict.fromkeys(names, 0.0)
        swaps, running = 0, ""
        for _ in range(300 * 20):
            self.world.step()
            for name in names:
                if self.got(name):
                    served[name] += 0.05
                    swaps += name != running
                    running = name
        for name in names:
            self.assertGreater(served[name], 55)
        self.assertLessEqual(swaps, 6)


class ExplainTests(RulesTestCase):
    """What happened, as an operator would tell it."""

    def told(self, identity: str) -> list[tuple[str, float, float, Reason]]:
        return [
            (c.after.direction.value, c.before_w, round(c.after.power_w), c.after.cause.reason)
            for c in self.port(identity).changes
        ]

    def test_comingAndRisingAreAChangeEach(self) -> None:
        self.plug(Device("sun", offer_w=5000))
        car = self.plug(Device("car", wish_w=0))
        self.world.run(1.5)
        car.wish_w = 3000
        self.world.run(3.0)
        self.assertEqual(self.told("car")[-1], ("export", 0, 3000, Reason.REQUEST))
        self.assertEqual(self.told("sun")[-1], ("import", 0, 3000, Reason.SHARE))
        self.assertLessEqual(len(self.told("car")), 3)
        self.assertLessEqual(len(self.told("sun")), 3)

    def test_whatIsBehindADriftingSunIsOneChange(self) -> None:
        sun = self.plug(Device("sun", offer_w=2000))
        self.plug(Device("home", wish_w=9000))
        self.world.run(10.0)
        for _ in range(200):
            sun.offer_w = (sun.offer_w or 0.0) + 8.0
            self.world.step()
        self.world.run(2.0)
        self.assertEqual(self.told("sun")[-1], ("import", 2000, 3600, Reason.OFFER))

    def test_whoStandsInForOthersSaysSo(self) -> None:
        self.plug(Device("store", offer_w=3000))
        self.plug(Device("home", wish_w=2000))
        self.world.run(5.0)
        self.plug(Device("sun", offer_w=3000), price=-1.0)
        self.world.run(0.2)
        decision = self.port("store").decisions[Direction.IMPORT]
        self.assertEqual((round(decision.power_w), decision.target_w), (2000, 0))
        self.assertIs(decision.ruling.reason, Reason.STANDS_IN)
        self.world.run(2.0)
        self.assertEqual(self.told("store")[-1], ("import", 2000, 0, Reason.SPARE))

    def test_whoStandsInForAFewWattsHasItsShare(self) -> None:
        sun = self.plug(Device("sun", offer_w=2000))
        self.plug(Device("grid", offer_w=3000), side="B")
        self.plug(Device("home", wish_w=4000))
        self.world.run(5.0)
        for _ in range(40):
            sun.offer_w = (sun.offer_w or 0.0) + 1.0
            self.world.step()
            decision = self.port("grid").decisions[Direction.IMPORT]
            self.assertIs(decision.ruling.reason, Reason.SHARE)

    def test_aSourceWithoutAPriceIsNamedByItsRank(self) -> None:
        self.plug(Device("grid", offer_w=3000), side="B")
        self.plug(Device("sun", offer_w=3000))
        self.plug(Device("home", wish_w=2000))
        self.world.run(3.0)
        told = {
            name: self.port(name).decisions[Direction.IMPORT].ruling.text
            for name in ("sun", "grid")
        }
        self.assertEqual(told["sun"], "its share of what is needed of local production")
        self.assertEqual(told["grid"], "not needed: what comes before the grid is enough")
        self.plug(Device("sun 2", offer_w=3000), price=0.25)
        self.world.run(1.0)
        self.assertEqual(
            self.port("sun 2").decisions[Direction.IMPORT].ruling.text,
            "not needed: what comes before sources at 0.25 a kWh is enough",
        )


class LossTests(RulesTestCase):
    def test_theOthersReplaceALostSourceAtOnce(self) -> None:
        self.plug(Device("sun", offer_w=3000))
        self.plug(Device("grid", offer_w=4000), side="B")
        self.plug(Device("home", wish_w=3000))
        self.world.run(3.0)
        self.world.unplug("sun")
        self.assertAlmostEqual(self.got("home"), 3000)
        self.assertAlmostEqual(self.gave("grid"), 3000)

    def test_whatTheOthersCannotReplaceIsShedFromTheLowestClass(self) -> None:
        self.plug(Device("sun", offer_w=5000))
        self.plug(Device("grid", offer_w=2500), side="B")
        self.plug(Device("home", wish_w=2000), priority=2)
        self.plug(Device("car", wish_w=3000))
        self.world.run(3.0)
        self.assertEqual(dict(self.router._shedList.grants), {"car": 500.0})
        self.world.unplug("sun")
        self.assertAlmostEqual(self.got("home"), 2000)
        self.assertAlmostEqual(self.got("car"), 500)

    def test_aSourceWithARampOfItsOwnKeepsIt(self) -> None:
        self.plug(Device("sun", offer_w=3000))
        self.plug(Device("engine", offer_w=4000), side="B", ramp_w_s=1000)
        self.plug(Device("home", wish_w=3000))
        self.world.run(3.0)
        self.world.unplug("sun")
        self.assertEqual(self.got("home"), 0)
        self.world.run(2.0)
        self.assertGreater(self.got("home"), 1000)
        self.assertLess(self.got("home"), 2100)

    def test_aPortRestsAfterALoss(self) -> None:
        self.plug(Device("sun", offer_w=3000))
        home = self.plug(Device("home", wish_w=3000))
        self.world.run(3.0)
        self.world.unplug("home")
        self.assertFalse(self.world.wires["home"].isClosed)
        self.world.plug(home)
        self.world.run(0.3)
        self.assertIs(self.export("home").ruling.reason, Reason.COOLDOWN)
        self.assertIs(self.port("home").states[Direction.EXPORT], TransferState.COOLDOWN)
        self.world.run(3.0)
        self.assertAlmostEqual(self.got("home"), 3000)


class DescribeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.router = Router(
            SessionParameters(identity="router"), PortMaker(self.clock, {}), self.clock
        )

    def connect(self, identity: str) -> FakeLink:
        link = FakeLink(self.router, self.clock, identity, "vehicle")
        self.router.sessionOpened(link)
        return link

    def test_existingPortsTakeTheirNewSettings(self) -> None:
        link = self.connect("car")
        port = self.router.ports["car"]
        self.router.describe({"car": PortSettings(priority=7)}, None)
        self.assertIs(self.router.ports["car"], port)
        self.assertEqual((port.settings.priority, port.link), (7, link))
        self.assertEqual(link.disconnected, [])

    def test_aTransferThatRampsDownGoesOn(self) -> None:
        """Else its session would be told that nothing flows any more, while something does."""
        self.connect("car")
        port = self.router.ports["car"]
        self.assertTrue(port.transfer.update(1000.0, 1000.0, self.clock.seconds()))
        self.assertTrue(port.transfer.update(0.0, 900.0, self.clock.seconds()))
        self.router.describe({"car": PortSettings(priority=7)}, None)
        self.assertTrue(port.transfer.ongoing)

    def test_aSimulatedConverterGetsItsNewRating(self) -> None:
        self.router.describe({"car": PortSettings(max_power=2000)}, None)
        self.connect("car")
        self.router.describe({"car": PortSettings(max_power=9000)}, None)
        converter = self.router.ports["car"].converter
        converter.close()
        converter.setLimits(0.0, 5000.0, 100.0)
        self.clock.advance(2.0)
        self.assertEqual(converter.reading(), PortReading(230.0, 0.0, 5000.0))

    def test_aFallThatNewSettingsBringIsNoOverdraw(self) -> None:
        self.connect("car")
        port = self.router.ports["car"]
        self.assertIsNone(port.watch.carries(9000.0, 9000.0, 10.0))
        port.describe(PortSettings(max_power=2000))
        self.assertIsNone(port.watch.carries(2000.0, 9000.0, 10.0))
        self.assertIsNone(port.watch.carries(2000.0, 3000.0, 10.14))
        self.assertEqual(port.watch.rating_w, 2000)

    def test_whoIsNotListedIsDisconnectedWithAReason(self) -> None:
        link = self.connect("car")
        self.router.describe({"other": PortSettings()}, None)
        self.assertEqual(link.disconnected, [("no port is configured for 'car'", None)])
        self.router.sessionClosed(link, Ending(Cause.LEFT, "bye", wasOpen=True))
        self.assertNotIn("car", self.router.ports)
        again = self.connect("car")
        self.assertEqual(len(again.disconnected), 1)
        self.assertNotIn("car", self.router.ports)

    def test_aDefaultIsForTheOthers(self) -> None:
        self.router.describe({"other": PortSettings()}, PortSettings(priority=3))
        self.connect("car")
        self.assertEqual(self.router.ports["car"].settings.priority, 3)

    def test_withoutAnyDescriptionDevicesGetTheirTypesPort(self) -> None:
        self.router.describe({}, None)
        self.connect("car")
        self.assertEqual(self.router.ports["car"].settings.side, "D")
