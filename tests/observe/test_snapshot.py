"""The snapshot: what it says of ports, sessions and the network, and how often it is taken."""

from __future__ import annotations

import json

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from epnet.interfaces import PortReading
from epnet.lifecycle import Phase
from epnet.observe.looking import Snapshots
from epnet.observe.snapshot import DeviceState
from epnet.observe.why import lasting
from epnet.router.decisions import Decision, Direction, TransferState
from epnet.router.reasons import Reason, Ruling
from epnet.router.settings import PortSettings
from epnet.wire import (
    DemandParameters,
    Isolation,
    IsolationState,
    SessionParameters,
    StorageParameters,
    SupplyParameters,
)
from tests.observe.house import NOON, Converter, House, hear

DC = (200, 1000)
SUN = SupplyParameters(voltage_limit=DC, power_limit=5000, voltage=400)
WISH = DemandParameters(voltage=400, power_limit=3000)


class SnapshotTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House()

    def device(self, identity: str) -> DeviceState:
        [found] = [each for each in self.house.look()["devices"] if each["identity"] == identity]
        return found


class RouterTests(SnapshotTestCase):
    def test_anEmptyRouterSaysWhoItIs(self) -> None:
        state = self.house.look(uptime_s=61.5)
        self.assertEqual(
            state["router"],
            {
                "identity": "house-router",
                "name": "The house",
                "type": "router",
                "version": "1.0",
                "uptime_s": 61.5,
                "time": "2026-06-21T12:00:00.000+00:00",
            },
        )
        self.assertEqual(state["devices"], [])
        self.assertEqual(set(state["totals"].values()), {0})

    def test_connectionsAreCountedByState(self) -> None:
        self.house.connect()
        self.house.plugIn("solar", "solar")
        self.house.plugIn("car", "vehicle")
        sessions = self.house.look()["sessions"]
        self.assertEqual(sessions["greeting"], 1)
        self.assertEqual(sessions["open"], 2)
        self.assertEqual(sessions["draining"], 0)
        self.assertNotIn("closed", sessions)

    def test_aSessionThatIsOverCountsNoMore(self) -> None:
        protocol = self.house.plugIn("solar", "solar")
        self.house.plugIn("car", "vehicle")
        self.house.connections.startService()
        self.house.clock.pump([0.5] * 60)
        self.assertIs(protocol.session.phase, Phase.CLOSED)
        self.assertIn(protocol, list(self.house.connections))
        self.assertEqual(sum(self.house.look()["sessions"].values()), 0)

    def test_deviationsAreCountedByCode(self) -> None:
        self.house.connections.deviations.update(["late", "early", "late"])
        self.assertEqual(self.house.look()["diagnostics"], {"early": 1, "late": 2})


class DeviceTests(SnapshotTestCase):
    def test_devicesAreSortedByIdentity(self) -> None:
        for identity in ("c", "a", "b"):
            self.house.plugIn(identity, "home")
        self.assertEqual([each["identity"] for each in self.house.look()["devices"]], list("abc"))

    def test_aDeviceIsShownWithItsPortAndSession(self) -> None:
        self.house.plugIn("solar", "solar", "Roof")
        self.house.clock.advance(2.5)
        device = self.device("solar")
        self.assertEqual((device["name"], device["type"]), ("Roof", "solar"))
        self.assertEqual((device["side"], device["kind"]), ("D", "DC"))
        self.assertEqual(
            device["session"],
            {
                "connected": True,
                "state": "open",
                "address": "192.0.2.7:50000",
                "seconds": 2.5,
                "transferring": False,
                "authenticated": True,
                "fingerprint": "ab" * 32,
                "tenant": "acme",
                "provider": None,
            },
        )

    def test_theSessionIdIsNotShown(self) -> None:
        hear(self.house.connect(), SessionParameters(identity="solar", session="a-secret-id"))
        self.assertNotIn("secret", json.dumps(self.house.look()))

    def test_messagesNeverReceivedAreNull(self) -> None:
        self.house.plugIn("solar", "solar")
        device = self.device("solar")
        self.assertEqual([device["supply"], device["demand"], device["storage"]], [None] * 3)

    def test_messagesHaveTheFormOfDecode(self) -> None:
        battery = self.house.plugIn("battery", "battery")
        hear(battery, SUN, WISH, StorageParameters(soc=62.5, capacity=10000))
        device = self.device("battery")
        self.assertEqual(
            device["supply"],
            {"voltage_limit": {"min": 200, "max": 1000}, "power_limit": 5000, "voltage": 400},
        )
        self.assertEqual(device["demand"], {"voltage": 400, "power_limit": 3000})
        self.assertEqual(device["storage"], {"soc": 62.5, "capacity": 10000})

    def test_aDeviceThatIsGoneKeepsItsPort(self) -> None:
        protocol = self.house.plugIn("solar", "solar", "Roof")
        protocol.connectionLost(Failure(ConnectionDone()))
        device = self.device("solar")
        self.assertEqual((device["name"], device["type"]), ("Roof", "solar"))
        self.assertFalse(device["session"]["connected"])
        self.assertIsNone(device["session"]["address"])
        self.assertEqual(device["why"], "not connected")


class PowerTests(SnapshotTestCase):
    def test_powerFlowsFromTheSunToTheCar(self) -> None:
        hear(self.house.plugIn("solar", "solar"), SUN)
        hear(self.house.plugIn("car", "vehicle"), WISH)
        self.house.settle()
        solar, car = self.device("solar"), self.device("car")
        self.assertEqual((solar["granted_w"], solar["granted_import_w"]), (3000, 3000))
        self.assertEqual((solar["import_w"], solar["export_w"]), (3000, 0))
        self.assertEqual((car["granted_w"], car["granted_export_w"]), (3000, 3000))
        self.assertEqual((car["import_w"], car["export_w"]), (0, 3000))
        self.assertEqual(car["why"], self.house.router.allocation.sinks["car"].text)
        self.assertEqual(solar["why"], self.house.router.allocation.sources["solar"].text)
        totals = self.house.look()["totals"]
        self.assertEqual((totals["import_w"], totals["export_w"]), (3000, 3000))
        self.assertEqual(totals["bus_w"], 3000)

    def test_withoutAMeterPowerIsAnEstimate(self) -> None:
        self.house.converters["car"] = Converter()
        self.house.converters["car"].metered = None
        hear(self.house.plugIn("solar", "solar"), SUN)
        hear(self.house.plugIn("car", "vehicle"), WISH)
        self.house.settle()
        self.assertTrue(self.device("car")["estimated"])
        self.assertFalse(self.device("solar")["estimated"])
        self.assertEqual(self.device("car")["export_w"], 3000)

    def test_aBrokenMeterGivesNull(self) -> None:
        hear(self.house.plugIn("solar", "solar"), SUN)
        self.house.converters["solar"].metered = PortReading(400.0, float("nan"), float("inf"))
        device = self.device("solar")
        self.assertEqual((device["import_w"], device["export_w"]), (None, None))
        self.assertEqual(self.house.look()["totals"]["import_w"], 0)
        json.dumps(self.house.look(), allow_nan=False)


class WhyTests(SnapshotTestCase):
    def why(self, identity: str) -> str:
        return self.device(identity)["why"]

    def test_aNewDeviceIsNotDecidedYet(self) -> None:
        self.house.plugIn("solar", "solar")
        self.assertEqual(self.why("solar"), "just connected: not decided yet")
        self.assertEqual(
            (self.device("solar")["reason"], self.device("solar")["more"]), (None, None)
        )

    def test_aDeviceThatSaysNothingHasNoPart(self) -> None:
        self.house.plugIn("solar", "solar")
        self.house.router.allocate()
        self.assertEqual(self.why("solar"), "it neither offers nor wants power")

    def test_anIdleSourceIsToldAsASource(self) -> None:
        hear(self.house.plugIn("solar", "solar"), SUN)
        self.house.router.allocate()
        self.assertEqual(self.why("solar"), self.house.router.allocation.sources["solar"].text)

    def test_anIdleSinkIsToldAsASink(self) -> None:
        hear(self.house.plugIn("car", "vehicle"), WISH)
        self.house.router.allocate()
        self.assertEqual(self.why("car"), self.house.router.allocation.sinks["car"].text)
        self.assertEqual(self.device("car")["reason"], "supply")
        self.assertEqual(self.device("car")["more"], "more supply, or a higher class or weight")

    def test_anIdleBatteryIsToldBothWays(self) -> None:
        hear(self.house.plugIn("battery", "battery"), SUN, WISH)
        self.house.router.allocate()
        decision = self.house.router.allocation
        sink = decision.sinks["battery"]
        battery = self.device("battery")
        self.assertEqual(battery["reason"], sink.reason.name.lower())
        self.assertEqual(battery["more"], sink.more)
        self.assertEqual(
            self.why("battery"),
            f"gives nothing: {decision.sources['battery'].text}; "
            f"gets nothing: {decision.sinks['battery'].text}",
        )

    def test_aLeavingDeviceSaysSo(self) -> None:
        self.house.plugIn("solar", "solar")
        self.house.router.ports["solar"].leaving = True
        self.assertIn("leaving", self.why("solar"))

    def test_anIsolationFaultSaysSo(self) -> None:
        fault = Isolation(IsolationState.FAULT)
        hear(self.house.plugIn("solar", "solar"), SUN.replace(isolation=fault))
        self.assertIn("isolation fault", self.why("solar"))


class LastingTests(SynchronousTestCase):
    """What rules is not what a set-point waits for on its last bit of way."""

    short = Ruling(Reason.SUPPLY, 7600.0, "1")
    moving = Ruling(Reason.DEAD_BAND, 3400.0)

    def decision(self, power_w: float) -> Decision:
        return Decision(
            0.0,
            Direction.EXPORT,
            TransferState.ACTIVE,
            power_w=power_w,
            target_w=3400.0,
            bound_w=11000.0,
            ruling=self.moving,
            cause=self.short,
        )

    def test_nearItsTargetWhatRulesThat(self) -> None:
        self.assertIs(lasting(self.decision(3300.0)), self.short)

    def test_farFromItThatItMoves(self) -> None:
        self.assertIs(lasting(self.decision(1000.0)), self.moving)


class ScheduleTests(SynchronousTestCase):
    def test_aMomentServesEverybody(self) -> None:
        house = House()
        snapshots = Snapshots(house.router, house.connections, house.clock, lambda: NOON)
        first = snapshots.state()
        house.clock.advance(0.2)
        self.assertIs(snapshots.state(), first)
        house.clock.advance(0.06)
        self.assertIsNot(snapshots.state(), first)
        self.assertAlmostEqual(snapshots.state()["router"]["uptime_s"], 0.26)

    def test_portsOfTheGridAreOnItsSide(self) -> None:
        house = House()
        house.settings["grid"] = PortSettings(side="B", kind="AC")
        house.plugIn("grid", "grid")
        self.assertEqual(house.look()["devices"][0]["side"], "B")
