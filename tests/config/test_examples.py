"""The configurations in the documentation are good, and what they promise holds."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epnet.config.model import Configuration
from epnet.config.reader import parseConfiguration, readBytes
from epnet.connections import Connections
from epnet.devices.makers import parseDevice
from epnet.factory import EPClientFactory, EPServerFactory
from epnet.node import DeviceNode, parametersOf
from epnet.router.portmaker import PortMaker
from epnet.router.router import Router
from epnet.testing import MemoryPair, issueTrusts
from epnet.wire import SessionParameters
from tests.clicase import run

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


class Running:
    """A router with a configuration, and simulated devices, over TLS in memory."""

    def __init__(self, folder: Path, configuration: Configuration, devices: dict[str, str]) -> None:
        self.clock = Clock()
        trusts = issueTrusts(folder, "router", *devices)
        parameters = SessionParameters(identity="router")
        self.router = Router(parameters, PortMaker(self.clock, {}), self.clock)
        self.router.describe(configuration.ports, configuration.defaultPort)
        self.router.setPolicies(configuration.policies)
        self.connections = Connections(self.router, self.clock)
        self.connections.startService()
        server = EPServerFactory(self.connections, trusts["router"])
        self.pairs = []
        for identity, description in devices.items():
            device = parseDevice(description, self.clock)
            node = DeviceNode(device, parametersOf(device, identity), self.clock)
            connections = Connections(node, self.clock)
            connections.startService()
            factory = EPClientFactory(connections, trusts[identity])
            self.pairs.append(MemoryPair(factory, server, self.clock))

    def advance(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            self.clock.advance(0.02)
            for pair in self.pairs:
                pair.settle()

    def given(self, *identities: str) -> float:
        return sum(self.router.ports[identity].export_w for identity in identities)

    def taken(self, *identities: str) -> float:
        return sum(self.router.ports[identity].import_w for identity in identities)


class ExampleTests(SynchronousTestCase):
    def test_allOfThemAreGood(self) -> None:
        found = sorted(EXAMPLES.glob("*.toml"))
        self.assertGreater(len(found), 1)
        for file in found:
            result = run("config", "check", str(file))
            self.assertEqual(result.status, 0, result.text)
            self.assertIn("good for ep-router", result.text)

    def read(self, name: str) -> Configuration:
        file = EXAMPLES / name
        return parseConfiguration(readBytes(file), file).configuration

    def start(self, name: str, devices: dict[str, str]) -> Running:
        return Running(Path(self.mktemp()).absolute(), self.read(name), devices)

    def test_theHouseKeepsItsFusesAndCables(self) -> None:
        devices = {
            "grid-1": "grid:fuse_a=20,phases=3",
            "solar-1": "solar:peak_w=10000,start=09:00,speed=1000",
            "battery-1": "battery:charge_w=5000,discharge_w=5000,soc=50",
            "car-1": "ev:charge_w=11000",
            "heatpump-1": "load:base_w=2000,peak_w=4000",
        }
        house = self.start("house.toml", devices)
        house.advance(3)
        served = 0.0
        for _ in range(40):
            house.advance(0.5)
            self.assertLessEqual(house.taken("grid-1"), 11_000)
            self.assertLessEqual(house.given("car-1"), 11_000)
            self.assertTrue(house.given("heatpump-1") == 0 or house.given("heatpump-1") >= 1500)
            self.assertEqual(house.taken("car-1"), 0)
            served = max(served, house.given("car-1"))
        self.assertGreater(served, 1000)
        self.assertGreaterEqual(house.given("heatpump-1"), 1500)

    def test_whoHasNoPortInTheHouseIsRefused(self) -> None:
        house = self.start("house.toml", {"grid-1": "grid:fuse_a=20", "stranger": "ev"})
        house.advance(4)
        self.assertEqual([protocol.peer.identity for protocol in house.connections], ["grid-1"])

    def test_theStationSharesItsFeederAsThePageSays(self) -> None:
        chargers = [f"charger-{number}" for number in range(1, 7)]
        cars = dict.fromkeys(chargers, "ev:charge_w=11000,soc=20")
        station = self.start("charging-station.toml", {"grid-1": "grid:fuse_a=150", **cars})
        for _ in range(20):
            station.advance(0.5)
            self.assertLessEqual(station.given(*chargers), 30_000.001)
            self.assertLessEqual(station.given(*chargers[:3]), 16_000.001)
            self.assertLessEqual(station.given(*chargers[3:]), 20_000.001)
        expected = [8000, 4000, 4000, *[14_000 / 3] * 3]
        for charger, watts in zip(chargers, expected, strict=True):
            self.assertAlmostEqual(station.given(charger), watts, places=3)

    def test_aLowerCapHoldsAtOnceAndDropsNobody(self) -> None:
        chargers = ["charger-1", "charger-2"]
        cars = dict.fromkeys(chargers, "ev:charge_w=11000,soc=20")
        station = self.start("charging-station.toml", {"grid-1": "grid:fuse_a=150", **cars})
        station.advance(5)
        self.assertGreater(station.given(*chargers), 15_000)
        before = list(station.connections)
        file = EXAMPLES / "charging-station.toml"
        text = readBytes(file).replace(b"max_w = 30_000", b"max_w = 6_000")
        configuration = parseConfiguration(text, file).configuration
        station.router.setPolicies(configuration.policies)
        self.assertLessEqual(station.given(*chargers), 6000.001)
        station.advance(5)
        self.assertAlmostEqual(station.given(*chargers), 6000, places=3)
        self.assertEqual(list(station.connections), before)
