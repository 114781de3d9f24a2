"""Two nodes and their connections in memory, for the tests of protocols."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epnet.connections import Connections
from epnet.factory import EPClientFactory, EPServerFactory
from epnet.node import DeviceNode, parametersOf
from epnet.testing import MemoryPair, issueTrusts
from epnet.tls import Trust
from epnet.wire import DemandParameters, SupplyParameters
from tests.fakes import FakeDevice

SUPPLY = SupplyParameters(voltage_limit=(200, 250), power_limit=5000)
DEMAND = DemandParameters(voltage=230, power_limit=3000)

TRUSTS: dict[str, Trust] = {}
"""Made once for the module: making keys takes longer than the tests."""


class ProtocolTestCase(SynchronousTestCase):
    """A device that offers power and one that wants some; `makeClock` is called for their clock."""

    makeClock: ClassVar[Callable[[], Clock]] = Clock

    def setUp(self) -> None:
        if not TRUSTS:
            TRUSTS.update(issueTrusts(Path(self.mktemp()).absolute(), "charger", "battery"))
        self.clock = type(self).makeClock()
        self.battery = FakeDevice(supply=SUPPLY)
        self.charger = FakeDevice(demand=DEMAND)
        self.server = EPServerFactory(self.connections("battery", self.battery), TRUSTS["battery"])
        self.client = EPClientFactory(self.connections("charger", self.charger), TRUSTS["charger"])

    def connections(self, identity: str, device: FakeDevice) -> Connections:
        node = DeviceNode(device, parametersOf(device, identity), self.clock)
        connections = Connections(node, self.clock)
        connections.startService()
        return connections

    def pair(self) -> MemoryPair:
        return MemoryPair(self.client, self.server, self.clock)
