"""A router with devices on it: real sessions, fed with real bytes; only TLS is left out."""

from __future__ import annotations

from datetime import UTC, datetime

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from epnet.connections import Connections
from epnet.factory import EPServerFactory
from epnet.identity import CertificateIdentity, Peer
from epnet.interfaces import IPort, PortReading
from epnet.observe.access import Access
from epnet.observe.export import HistoryReader
from epnet.observe.journal import Journal
from epnet.observe.looking import Snapshots
from epnet.observe.resources import GuardedSite
from epnet.observe.snapshot import State, snapshot
from epnet.observe.web import makeSite
from epnet.protocol import EPProtocol
from epnet.router.ports import Port
from epnet.router.router import Router
from epnet.router.settings import DEFAULT_PORTS, PortSettings
from epnet.wire import (
    DemandParameters,
    Message,
    SessionParameters,
    StorageParameters,
    SupplyParameters,
    encode,
)

SAID = (SupplyParameters, DemandParameters, StorageParameters)
NOON = datetime(2026, 6, 21, 12, tzinfo=UTC)


class BelievingTrust:
    """Believes whatever a peer says of itself."""

    def authenticate(
        self, parameters: SessionParameters, transport: object, *, expected: str | None
    ) -> Peer:
        identities = frozenset({parameters.identity})
        certificate = CertificateIdentity(identities, None, "acme", None, "ab" * 32, NOON)
        return Peer(parameters.identity, "acme", None, True, parameters, certificate)

    def describeFailure(self, failure: object) -> str:
        return "the connection was closed"


@implementer(IPort)
class Converter:
    """Power electronics that follow at once.  Set `metered` to None for a port without a meter."""

    metered: PortReading | None = PortReading(0.0, 0.0, 0.0)

    def setLimits(self, import_w: float, export_w: float, expires: float) -> None:
        if self.metered is not None:
            self.metered = PortReading(0.0, import_w, export_w)

    def close(self) -> None:
        pass

    def open(self) -> None:
        self.setLimits(0.0, 0.0, 0.0)

    def reading(self) -> PortReading | None:
        return self.metered


class House:
    """A router, its connections, and a port for whoever comes."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.settings: dict[str, PortSettings] = {}
        self.converters: dict[str, Converter] = {}
        parameters = SessionParameters(
            identity="house-router", type="router", version="1.0", name="The house"
        )
        self.router = Router(parameters, self.makePort, self.clock)
        self.connections = Connections(self.router, self.clock)
        self.factory = EPServerFactory(self.connections, BelievingTrust())

    def makeSite(
        self, access: Access | None = None, history: HistoryReader | None = None
    ) -> GuardedSite:
        """What the router shows over HTTP; its journal is fed by whoever wants to."""
        self.snapshots = Snapshots(self.router, self.connections, self.clock, lambda: NOON)
        self.journal = Journal()
        return makeSite(
            self.router,
            self.connections,
            self.clock,
            self.snapshots,
            access=access,
            journal=self.journal,
            history=history,
        )

    def makePort(self, peer: Peer) -> Port:
        default = DEFAULT_PORTS.get(peer.parameters.type or "", PortSettings())
        converter = self.converters.setdefault(peer.identity, Converter())
        return Port(peer.identity, self.settings.get(peer.identity, default), converter)

    def connect(self) -> EPProtocol:
        """A connection with TLS up, whose peer has said nothing yet."""
        protocol = self.factory.buildProtocol(None)
        assert isinstance(protocol, EPProtocol)
        address = IPv4Address("TCP", "192.0.2.7", 50000)
        protocol.makeConnection(StringTransport(peerAddress=address))
        protocol.handshakeCompleted()
        return protocol

    def plugIn(self, identity: str, type: str, name: str | None = None) -> EPProtocol:
        """A device with an open session."""
        protocol = self.connect()
        hear(protocol, SessionParameters(identity=identity, type=type, name=name))
        return protocol

    def settle(self, seconds: float = 3.0) -> None:
        """Let time pass in which every device says again what it said last."""
        if not self.connections.running:
            self.connections.startService()
        for _ in range(round(seconds / 0.02)):
            for port in self.router.ports.values():
                if isinstance(port.link, EPProtocol):
                    hear(port.link, *filter(None, map(port.link.latest, SAID)))
            self.clock.advance(0.02)

    def look(self, uptime_s: float = 60.0) -> State:
        return snapshot(self.router, self.connections, uptime_s, NOON)


def hear(protocol: EPProtocol, *messages: Message) -> None:
    """The peer sends messages."""
    protocol.dataReceived(b"".join(map(encode, messages)))
