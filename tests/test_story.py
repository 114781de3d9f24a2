"""What an operator reads of the life of a connection."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from epnet.connections import Connections
from epnet.factory import EPClientFactory, EPServerFactory
from epnet.node import DeviceNode, parametersOf
from epnet.testing import MemoryPair, VirtualClock, issueTrusts
from epnet.wire import DemandParameters, SupplyParameters
from tests.fakes import FakeDevice


class StoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = VirtualClock()
        self.trusts = issueTrusts(Path(self.mktemp()).absolute(), "car", "router")
        demand = FakeDevice(demand=DemandParameters(voltage=230, power_limit=3000))
        supply = FakeDevice(supply=SupplyParameters(voltage_limit=(200, 250), power_limit=5000))
        self.car = EPClientFactory(self.connections("car", demand), self.trusts["car"])
        self.router = EPServerFactory(self.connections("router", supply), self.trusts["router"])
        logs = capturedLogs()
        self.events = logs.__enter__()
        self.addCleanup(logs.__exit__, None, None, None)

    def connections(self, identity: str, device: FakeDevice) -> Connections:
        node = DeviceNode(device, parametersOf(device, identity), self.clock)
        connections = Connections(node, self.clock)
        connections.startService()
        return connections

    def pair(self) -> MemoryPair:
        pair = MemoryPair(self.car, self.router, self.clock)
        pair.advance(2.0)
        return pair

    def told(self, by: str) -> list[tuple[str, LogEvent]]:
        return [(str(formatEvent(e)), e) for e in self.events if e.get("us") == by]

    def test_theLifeOfASessionIsTwoLines(self) -> None:
        pair = self.pair()
        address = pair.server.address
        pair.client.disconnect("time to go")
        pair.advance(4.0)
        [(begin, opened), (end, over)] = self.told("router")
        certificate = self.trusts["car"].ownIdentity
        self.assertEqual(
            begin, f"router: session with car (fake) at {address} open; {certificate.brief}"
        )
        self.assertRegex(
            end, f"router: session with car at {address} over after 0:00:0[23], peer left: time to"
        )
        for event in (opened, over):
            self.assertEqual(event["identity"], "car")
            self.assertEqual(event["fingerprint"], certificate.fingerprint)
        self.assertEqual((over["cause"], over["reason"]), ("peer left", "time to go"))
        self.assertEqual([e.get("security", False) for e in (opened, over)], [False, False])
        self.assertEqual(over["log_level"], LogLevel.info)

    def test_whatAPeerSaysNeverMovesTheCursor(self) -> None:
        self.car.connections.node.parameters = self.car.node.parameters.replace(type="\x1b[2J")
        pair = self.pair()
        pair.client.disconnect("bye\r2026-01-01 all is well\x1b[8m")
        pair.advance(4.0)
        [(begin, _), (end, _)] = self.told("router")
        self.assertIn("session with car (\\x1b[2J) at", begin)
        self.assertIn("peer left: bye\\r2026-01-01 all is well\\x1b[8m", end)

    def test_aLossIsAWarningAndSaysThatPowerWasFlowing(self) -> None:
        pair = self.pair()
        pair.cut()
        pair.advance(1.0)
        _, (end, over) = self.told("router")
        self.assertRegex(end, "over after 0:00:02 in a transfer, lost: silent for 2.. ms")
        self.assertEqual((over["log_level"], over["security"]), (LogLevel.warn, False))

    def test_whoIsRefusedReadsItToo(self) -> None:
        stranger = issueTrusts(Path(self.mktemp()).absolute(), "router")["router"]
        self.router.trust = stranger
        self.pair()
        [(here, event)] = self.told("car")
        self.assertIn("car: connection to", here)
        self.assertIn("refused: its certificate is not from a trusted authority", here)
        self.assertIn("; its authority's certificate sha256:", here)
        self.assertEqual(event["event"], "refused")
        [(there, event)] = self.told("router")
        self.assertIn("refused: it trusts neither our certificate nor its authority", there)
        self.assertTrue(event["security"])
        self.assertEqual(event["log_namespace"], "epnet.security")

    def test_whoLooksInAndGoesIsNoSecurityEvent(self) -> None:
        outer = self.router.trust.serverFactory(self.router, clock=self.clock).buildProtocol(None)
        outer.makeConnection(StringTransport())
        outer.connectionLost(Failure(ConnectionDone()))
        [(text, event)] = self.told("router")
        self.assertIn("over: it broke off", text)
        self.assertEqual((event["log_level"], event["security"]), (LogLevel.info, False))
