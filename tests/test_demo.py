"""The demonstration keeps its promise: two minutes of it, in no time, over real TLS in memory."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epnet.connections import Connections
from epnet.demo import DEMO_DEVICES, DEMO_PORTS, demoFactory
from epnet.factory import EPServerFactory
from epnet.router.portmaker import PortMaker
from epnet.router.router import Router
from epnet.testing import MemoryPair, issueTrusts
from epnet.wire import DemandParameters, SessionParameters, StorageParameters, SupplyParameters


class DemoTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        trusts = issueTrusts(Path(self.mktemp()).absolute(), "router", *DEMO_DEVICES)
        self.router = Router(
            SessionParameters(identity="router"), PortMaker(self.clock, DEMO_PORTS), self.clock
        )
        connections = Connections(self.router, self.clock)
        connections.startService()
        server = EPServerFactory(connections, trusts["router"])
        self.pairs = []
        for identity in DEMO_DEVICES:
            client = demoFactory(self.clock, identity, trusts[identity], "router")
            client.connections.startService()
            self.pairs.append(MemoryPair(client, server, self.clock))

    def advance(self, seconds: float) -> None:
        until = self.clock.seconds() + seconds - 0.01
        while self.clock.seconds() < until:
            self.clock.advance(0.02)
            for pair in self.pairs:
                pair.settle()

    def message(self, identity: str, kind: type) -> object:
        link = self.router.ports[f"demo-{identity}"].link
        assert link is not None, f"{identity} is not connected"
        return link.latest(kind)

    def wanted(self, identity: str) -> float:
        demand = self.message(identity, DemandParameters)
        return (demand.power_limit or 0.0) if isinstance(demand, DemandParameters) else 0.0

    def offered(self, identity: str) -> float:
        supply = self.message(identity, SupplyParameters)
        return (supply.power_limit or 0.0) if isinstance(supply, SupplyParameters) else 0.0

    def charge(self) -> float:
        storage = self.message("battery", StorageParameters)
        assert isinstance(storage, StorageParameters) and storage.soc is not None
        return storage.soc

    def test_withinTwoMinutes(self) -> None:
        story: list[str] = []

        def happens(what: str, when: bool) -> None:
            if when and what not in story:
                story.append(what)

        self.advance(2.0)
        chargeAtFirst = self.charge()
        for _ in range(118):
            self.advance(1.0)
            ports = self.router.ports
            car, battery, grid = ports["demo-car"], ports["demo-battery"], ports["demo-grid"]
            wanted = self.wanted("car")
            happens("the sun rises", self.offered("solar") > 500)
            happens("the battery charges", battery.export_w > 500 and grid.import_w == 0)
            happens("the battery has charged", self.charge() > chargeAtFirst + 5)
            happens("the car gets a part", wanted > 10_000 and 0 < car.export_w < wanted - 500)
            happens("the car gets it all", wanted > 10_000 and car.export_w > wanted - 1)
            self.assertLessEqual(grid.import_w, 16 * 230 + 1e-6)
        self.assertEqual(
            story,
            [
                "the sun rises",
                "the battery charges",
                "the battery has charged",
                "the car gets a part",
                "the car gets it all",
            ],
        )
