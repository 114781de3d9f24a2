"""What ep-client, ep-server and ep-peer have in common: one device and its connections."""

from __future__ import annotations

from typing import Any

from twisted.application.service import IService

from epnet.connections import Connections, Dialler
from epnet.devices.makers import parseDevice
from epnet.endpoints import Listener, Upstream, defaultListen
from epnet.errors import UsageError
from epnet.factory import EPClientFactory, EPPeerFactory, EPServerFactory
from epnet.node import DeviceNode, parametersOf
from epnet.tap.common import CommonOptions, QuietStop, hostIdentity, keepTrust, loadTrust


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
    peer: bool = False,
) -> IService:
    """One device with its connections: dialled upstream devices, and listening endpoints.

    peer: whether it does both with the same devices.

    Raises `UsageError` for options that cannot be.
    """
    if not options["device"]:
        raise UsageError("which device? Say --device KIND, for example --device solar")
    device = parseDevice(options["device"], reactor)
    identity = options.identity(hostIdentity(device.type))
    sources = options.trustSources(identity)
    trust = loadTrust(sources)
    connections = Connections(DeviceNode(device, parametersOf(device, identity), reactor), reactor)
    top = QuietStop(reactor)
    connections.setServiceParent(top)
    keepTrust(top, trust, sources, connections)
    for text in upstreams:
        place = Upstream.parse(text)
        dialling = EPPeerFactory if peer else EPClientFactory
        factory = dialling(connections, trust, identity=place.identity)
        hostname = None if place.identity else place.host
        endpoint = trust.clientEndpoint(place.endpoint(reactor), hostname)
        Dialler(endpoint, factory, reactor).setServiceParent(top)
    for text in listen:
        accepting = EPPeerFactory.listening if peer else EPServerFactory
        acceptor = accepting(connections, trust).door()
        Listener(reactor, text, acceptor).setServiceParent(top)
    return top


def listeners(options: DeviceOptions) -> list[str]:
    """Where to listen: as given, else `EP_PORT` on all interfaces (Ethernet/TCP §2)."""
    return options.many("listen") or [defaultListen()]
