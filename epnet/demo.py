"""The household of ``twistd ep-router --demo``: five simulated devices, each a real EP client.

Each device has a certificate of its own and dials the router over TLS 1.3 on loopback.  Their day
is compressed, four hours a minute from five in the morning: the sun rises, the battery charges
from the surplus, the car is plugged in and gets, behind a 16 A fuse, first a part of what it asks
for and then, as the sun climbs, all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from twisted.application.service import MultiService
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

from epnet.connections import Connections
from epnet.devices.makers import parseDevice
from epnet.dialler import Dialler
from epnet.factory import EPClientFactory
from epnet.interfaces import ITrust
from epnet.node import DeviceNode, parametersOf
from epnet.pki import ensureCertificate
from epnet.router.settings import DEFAULT_PORTS, PortSettings
from epnet.trust.sources import TrustSources
from epnet.wire import Bounds

_DAY: Final = "start=05:00,speed=240,day=110"

DEMO_DEVICES: Final = {
    "demo-solar": f"solar:name=Solar roof,peak_w=12000,{_DAY}",
    "demo-battery": (
        f"battery:name=Battery,capacity_wh=10000,soc=30,charge_w=2500,discharge_w=2500,{_DAY}"
    ),
    "demo-car": f"ev:name=Car,capacity_wh=77000,soc=20,charge_w=11000,plug=06:45,{_DAY}",
    "demo-home": f"load:name=Home,base_w=350,peak_w=1800,{_DAY}",
    "demo-grid": "grid:name=Grid,fuse_a=16,price=0.30 EUR,mix=Wind 30/Hydro 20/Nuclear 20/Gas 30",
}
"""Identity and device of each member of the household."""

DEMO_PORTS: Final = {
    "demo-solar": DEFAULT_PORTS["solar"],
    "demo-battery": DEFAULT_PORTS["battery"],
    "demo-car": DEFAULT_PORTS["vehicle"],
    "demo-home": PortSettings(),
    "demo-grid": PortSettings(
        side="B", voltage=Bounds(207, 253), max_current=16, cable_current=20, priority=0, bid=0
    ),
}
"""The port of each member of the household; only the grid's is not what its type gets."""


class Household(MultiService):
    """The devices of the demonstration.

    stateDir: where their certificates are kept; made where missing.
    routerIdentity: whom they expect to find.
    endpoint: gives the endpoint to dial, once the router listens.
    """

    def __init__(
        self,
        reactor: Any,
        stateDir: Path,
        routerIdentity: str,
        endpoint: Callable[[], IStreamClientEndpoint],
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._routerIdentity = routerIdentity
        self._endpoint = endpoint
        self._trusts = {}
        for identity in DEMO_DEVICES:
            files = ensureCertificate(stateDir, identity)
            self._trusts[identity] = TrustSources.ofAuthority(identity, files).load()

    def startService(self) -> None:
        """Plug every device in."""
        for identity, trust in self._trusts.items():
            factory = demoFactory(self._reactor, identity, trust, self._routerIdentity)
            factory.connections.setServiceParent(self)
            endpoint = trust.clientEndpoint(self._endpoint(), None)
            Dialler(endpoint, factory, self._reactor).setServiceParent(self)
        super().startService()


def demoFactory(
    clock: IReactorTime, identity: str, trust: ITrust, routerIdentity: str
) -> EPClientFactory:
    """One device of the household, ready to dial its router."""
    device = parseDevice(DEMO_DEVICES[identity], clock)
    node = DeviceNode(device, parametersOf(device, identity), clock)
    return EPClientFactory(Connections(node, clock), trust, identity=routerIdentity)
