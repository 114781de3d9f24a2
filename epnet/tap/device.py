"""What ep-client, ep-server and ep-peer have in common: one device and its connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import IService
from twisted.internet.interfaces import IReactorTime

from epnet.config.model import Configuration
from epnet.connections import Connections
from epnet.devices.makers import parseDevice
from epnet.endpoints import Listener, defaultListen
from epnet.errors import UsageError
from epnet.factory import EPClientFactory, EPPeerFactory, EPServerFactory
from epnet.interfaces import IDevice, INode
from epnet.middle import MiddleNode
from epnet.node import DeviceNode, parametersOf
from epnet.tap.common import (
    CommonOptions,
    QuietStop,
    hostIdentity,
    keepConfiguration,
    keepTrust,
    keepUpstream,
    loadTrust,
)
from epnet.wire import SessionParameters

MakeNode = Callable[[IDevice, SessionParameters, IReactorTime], INode]


class DeviceOptions(CommonOptions):
    """The options of a device in any role."""

    optParameters = [
        ["device", None, None, "The device, KIND[:key=value,...]; KIND may be a dotted class name"],
    ]

    def opt_listen(self, endpoint: str) -> None:
        """Endpoint to listen on, with TLS on top; may be given several times."""
        self.collect("listen", endpoint)


def makeDeviceService(
    options: DeviceOptions,
    reactor: Any,
    *,
    upstreams: list[str],
    listen: list[str],
    makeNode: MakeNode = DeviceNode,
    peer: bool = False,
) -> IService:
    """One device with its connections: dialled upstream devices, and listening endpoints.

    makeNode: makes what stands behind the connections of the device, its parameters and the clock.
    peer: whether it does both with the same devices.

    Raises `UsageError` for options that cannot be.
    """
    if not options["device"]:
        raise UsageError("which device? Say --device KIND, for example --device solar")
    device = parseDevice(options["device"], reactor)
    identity = options.identity(hostIdentity(device.type))
    sources = options.trustSources(identity)
    trust = loadTrust(sources)
    ours = options.configuration.router
    parameters = parametersOf(device, identity, ours.tenant, ours.provider)
    if ours.name is not None:
        parameters = parameters.replace(name=ours.name)
    node = makeNode(device, parameters, reactor)
    connections = Connections(node, reactor)
    top = QuietStop(reactor)
    connections.setServiceParent(top)
    trustKeeper = keepTrust(top, trust, sources, connections)

    def apply(configuration: Configuration) -> None:
        if isinstance(node, MiddleNode):
            node.mostUnvouched = configuration.limits.connections.unvouched

    keepConfiguration(top, options, trustKeeper, connections, apply)
    for text in upstreams:
        dialling = EPPeerFactory if peer else EPClientFactory
        keepUpstream(top, connections, trust, text, dialling)
    for text in listen:
        accepting = EPPeerFactory.listening if peer else EPServerFactory
        acceptor = accepting(connections, trust).door()
        Listener(reactor, text, acceptor).setServiceParent(top)
    return top


def listeners(options: DeviceOptions) -> list[str]:
    """Where to listen: as given, else `EP_PORT` on all interfaces (Ethernet/TCP §2)."""
    return options.many("listen", options.configuration.router.listen) or [defaultListen()]
