"""Peers and connections in memory, for the tests of TLS."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
from OpenSSL import SSL
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IProtocol,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.test.iosim import connect, makeFakeClient, makeFakeServer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from epnet.handshake import describeFailure
from epnet.identity import readCertificate
from epnet.pem import readCertificates, readPrivateKey
from epnet.pki import (
    Authority,
    CertificatePaths,
    initAuthority,
    issueCertificate,
)
from epnet.prompt import PromptTLS
from epnet.tls import Trust
from epnet.trust.sources import TrustSources
from epnet.turns import Turns

LONG_AGO = datetime.now(UTC) - timedelta(days=100)


@implementer(IHandshakeListener)
class Recorder(Protocol):
    """Says hello and remembers what happens to its connection."""

    handshaken = False
    received = b""
    lost: Failure | None = None

    def connectionMade(self) -> None:
        self.transport.write(b"hello")

    def handshakeCompleted(self) -> None:
        self.handshaken = True

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure) -> None:
        self.lost = reason

    def words(self) -> str:
        """Why the connection was lost, as an operator reads it."""
        assert self.lost is not None, "it is still connected"
        return describeFailure(self.lost)


class Talker(Recorder):
    """A peer without TLS: it sends these bytes as they are."""

    def __init__(self, greeting: bytes) -> None:
        self.greeting = greeting

    def connectionMade(self) -> None:
        self.transport.write(self.greeting)


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class ForeignTLS:
    """A peer's TLS of other making than ours: anything OpenSSL does, and it verifies nothing."""

    def __init__(self, configure: Callable[[SSL.Context], object]) -> None:
        self.context = SSL.Context(SSL.TLS_METHOD)
        configure(self.context)

    def clientConnectionForTLS(self, protocol: object) -> SSL.Connection:
        return SSL.Connection(self.context, None)

    serverConnectionForTLS = clientConnectionForTLS


class StandardLibraryClient(Protocol):
    """A client on Python's own `ssl`, which can resume a session and tell whether it did."""

    def __init__(
        self, paths: CertificatePaths, resuming: StandardLibraryClient | None = None
    ) -> None:
        if resuming is None:
            self.context = ssl.create_default_context(cafile=str(paths.authority))
            self.context.check_hostname = False
            self.context.load_cert_chain(paths.certificate, paths.key)
        else:
            self.context = resuming.context
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = resuming and resuming.tls.session
        self.tls = self.context.wrap_bio(self.incoming, self.outgoing, session=session)
        self.received = b""

    def connectionMade(self) -> None:
        self.proceed()

    def dataReceived(self, data: bytes) -> None:
        self.incoming.write(data)
        self.proceed()

    def proceed(self) -> None:
        try:
            self.tls.do_handshake()
            self.received += self.tls.read(1000)
        except ssl.SSLWantReadError:
            pass
        self.transport.write(self.outgoing.read())


@attrs.frozen
class Presenting:
    """Configures a `ForeignTLS` with a certificate."""

    paths: CertificatePaths
    newestVersion: int = 0  # OpenSSL's for "any"

    def __call__(self, context: SSL.Context) -> None:
        context.use_certificate(readCertificates(self.paths.certificate)[0])
        context.use_privatekey(readPrivateKey(self.paths.key))
        context.set_max_proto_version(self.newestVersion)


class TLSTestCase(SynchronousTestCase):
    """Makes certificates and connections in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.factory = Factory.forProtocol(Recorder)
        self.authority = initAuthority(Path(self.mktemp()), now=LONG_AGO)

    def issue(
        self, identity: str, authority: Authority | None = None, **options: object
    ) -> CertificatePaths:
        out = Path(self.mktemp())
        return issueCertificate(authority or self.authority, identity, out=out, **options)

    def trust(self, identity: str, **options: object) -> Trust:
        return load(self.issue(identity, **options))

    def server(self, trust: Trust) -> IProtocol:
        return trust.serverFactory(self.factory, clock=self.clock).buildProtocol(None)

    def client(self, trust: Trust, hostname: str | None = None) -> IProtocol:
        return trust.clientFactory(self.factory, hostname, clock=self.clock).buildProtocol(None)

    def foreign(
        self, configure: Callable[[SSL.Context], object], *, isClient: bool = True
    ) -> IProtocol:
        factory = TLSMemoryBIOFactory(ForeignTLS(configure), isClient, self.factory, self.clock)
        return factory.buildProtocol(None)

    def connect(self, server: IProtocol, client: IProtocol) -> tuple[Recorder, Recorder]:
        """Connect two protocols and let them talk until nothing moves any more."""
        # The wrappers forget their protocols when the connection is lost.
        ends = [getattr(end, "wrappedProtocol", end) for end in (server, client)]
        connect(
            server, makeFakeServer(server), client, makeFakeClient(client), clock=self.clock
        ).flush()
        return ends[0], ends[1]

    def assertConnected(self, *ends: Recorder) -> None:
        for end in ends:
            self.assertIsNone(end.lost, end.lost and end.words())
            self.assertEqual(end.received, b"hello")

    def assertRefused(self, server: IProtocol, client: IProtocol, *words: str) -> None:
        """Connect; nothing may arrive, and each side must have the words for why."""
        ends = self.connect(server, client)
        self.assertEqual([end.words() for end in ends], list(words))
        self.assertEqual([end.received for end in ends], [b"", b""])


def load(paths: CertificatePaths) -> Trust:
    """The trust of who has these files, whoever that is."""
    certificate = readCertificate(readCertificates(paths.certificate)[0])
    identity = min(certificate.identities, default="")
    return TrustSources.ofAuthority(identity, paths).load()


class Pace:
    """Where pieces wait for their turn, on a clock.

    stalledSince: the reactor has not read anything since then; None where it has.
    """

    def __init__(self, clock: Clock) -> None:
        self.readers = Turns(clock, most=100)
        self.seconds = clock.seconds
        self.stalledSince: float | None = None

    def unreadSince(self, now: float) -> float:
        return now if self.stalledSince is None else self.stalledSince


class End:
    """One end of a TLS connection in memory; what it sends waits in its transport."""

    def __init__(self, factory: TLSMemoryBIOFactory, clock: Clock) -> None:
        self.clock = clock
        self.tls: TLSMemoryBIOProtocol = factory.buildProtocol(None)
        if isinstance(self.tls, PromptTLS):
            self.tls.inflow.pace = Pace(clock)
        self.recorder: Recorder = self.tls.wrappedProtocol
        self.transport = StringTransport()
        self.tls.makeConnection(self.transport)

    def take(self) -> bytes:
        """What it sends now."""
        self.clock.advance(0)
        data = self.transport.value()
        self.transport.clear()
        return data

    def endIfItWants(self) -> None:
        """Lose the connection where it asked for that."""
        if self.tls.connected and (self.transport.disconnecting or self.transport.disconnected):
            aborted = self.transport.disconnected
            self.tls.connectionLost(Failure(ConnectionAborted() if aborted else ConnectionDone()))


def carry(source: End, target: End, sizes: list[int], spoil: bool = False) -> None:
    """Bring what one end sends to the other in pieces; one bit of the first record may be wrong."""
    data = bytearray(source.take())
    if spoil and data:
        data[5] ^= 1
    at = number = 0
    while at < len(data) and target.tls.connected and not target.transport.disconnecting:
        size = sizes[number % len(sizes)]
        target.tls.dataReceived(bytes(data[at : at + size]))
        at, number = at + size, number + 1
