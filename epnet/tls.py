"""Mutual TLS 1.3 connections (Framing §2); whom they trust is said by a policy
(`epnet.trust.policies`).

Both ends present a certificate, and both ends judge the other's while the handshake runs.  Every
connection makes a full handshake (RFC 9325): no resumption, no early data, no renegotiation.  A
session is open only after the Session Parameters have been held against the certificate
(`Trust.authenticate`): a TLS 1.3 client sees its handshake complete before the server has seen
the client's certificate.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Self

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.hazmat import (
    DNS_ID,
    CertificatePattern,
    DNSPattern,
    IPAddress_ID,
    IPAddressPattern,
    verify_service_identity,
)
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from epnet.errors import PeerError, UsageError
from epnet.handshake import CertificateRefused, describeFailure
from epnet.identity import (
    UNPARSABLE,
    CertificateIdentity,
    IdentityRefused,
    Peer,
    readCertificate,
)
from epnet.interfaces import ITrust
from epnet.pem import readCertificates, readPrivateKey
from epnet.prompt import PromptTLSFactory

if TYPE_CHECKING:
    from epnet.trust.keylog import KeyLog
    from epnet.trust.policies import Policy
    from epnet.wire import SessionParameters

TLSKey = (
    ec.EllipticCurvePrivateKey
    | rsa.RSAPrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)
"""The private keys that can sign a TLS 1.3 handshake."""

# OpenSSL still sends tickets with OP_NO_TICKET, but without a session cache they open nothing.
_OPTIONS = SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION | getattr(SSL, "OP_NO_RENEGOTIATION", 0)

_log = Logger()


@attrs.frozen
class Credentials:
    """What we present: our certificate, the intermediate ones behind it, and our key."""

    chain: Sequence[x509.Certificate]
    key: TLSKey = attrs.field(repr=False)

    @classmethod
    def load(cls, certificatePath: Path, keyPath: Path) -> Self:
        """Read them from PEM files.

        Warns in the log if others may read the key file.  Raises `UsageError` if a file is
        missing, unreadable or not PEM, or if the key does not belong to the certificate.
        """
        chain = readCertificates(certificatePath)
        key = readPrivateKey(keyPath)
        if not isinstance(key, TLSKey):
            raise UsageError(f"the key in {keyPath} cannot be used for TLS 1.3; use an ECDSA key")
        if key.public_key() != chain[0].public_key():
            raise UsageError(
                f"the key in {keyPath} does not belong to the certificate in {certificatePath}; "
                "name the two files that were issued together"
            )
        if keyPath.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            _log.warn(
                "other users can read or change the key file {path}: run 'chmod 600 {path}'",
                path=str(keyPath),
            )
        return cls(chain, key)


@implementer(ITrust)
class Trust:
    """Who we are and whom we believe, as TLS connections and their sessions need it.

    Both may be replaced at any time: new connections go by the new ones at once, sessions that are
    open are looked at again by whoever replaces them (`epnet.trust.keeper`).

    ownIdentity: what our own certificate says.
    policy: whom we believe.
    tlsFactory: makes the TLS of connections: prompt, or Twisted's own (`TLSMemoryBIOFactory`).
    """

    tlsFactory: type[TLSMemoryBIOFactory] = PromptTLSFactory

    def __init__(
        self, credentials: Credentials, policy: Policy, keyLog: KeyLog | None = None
    ) -> None:
        """Take what to present and whom to believe.

        keyLog: takes the secrets of the connections, for debugging.
        Raises `UsageError` if our certificate or key cannot be used.
        """
        self._keyLog = keyLog
        self._adopt(credentials, policy)

    def present(self, credentials: Credentials) -> None:
        """Be somebody else, or the same with a renewed certificate, from now on.

        Raises `UsageError` if our certificate or key cannot be used; then nothing has changed.
        """
        self._adopt(credentials, self.policy)

    def believe(self, policy: Policy) -> None:
        """Believe by another policy, or by newer lists, from now on."""
        self._adopt(self._credentials, policy)

    def _adopt(self, credentials: Credentials, policy: Policy) -> None:
        ownIdentity = _readOwnCertificate(credentials.chain[0])
        try:
            context = self._makeContext(credentials, policy, None)
        except SSL.Error as error:
            raise UsageError(f"our certificate or key cannot be used: {error}") from error
        self.ownIdentity = ownIdentity
        self.policy = policy
        self._credentials = credentials
        self._context = context

    def expiries(self) -> dict[str, datetime]:
        """What we go by that expires, and when: ``own``, ``authority``, ``crl``."""
        own = min(each.not_valid_after_utc for each in self._credentials.chain)
        return {"own": own, **dict(self.policy.expiries())}

    def serverFactory(
        self, wrapped: IProtocolFactory, *, clock: IReactorTime | None = None
    ) -> TLSMemoryBIOFactory:
        """Put the listening end of mutual TLS 1.3 around the protocols of a factory.

        clock: None for the reactor; it decides when collected writes leave.
        """
        return self.tlsFactory(_ConnectionMaker(self._contextFor), False, wrapped, clock)

    def clientFactory(
        self,
        wrapped: IProtocolFactory,
        hostname: str | None = None,
        *,
        clock: IReactorTime | None = None,
    ) -> TLSMemoryBIOFactory:
        """Put the dialling end of mutual TLS 1.3 around the protocols of a factory.

        hostname, clock: see `clientEndpoint` and `serverFactory`.
        """
        return self.tlsFactory(self._dialler(hostname), True, wrapped, clock)

    def clientEndpoint(
        self,
        endpoint: IStreamClientEndpoint,
        hostname: str | None,
        *,
        clock: IReactorTime | None = None,
    ) -> IStreamClientEndpoint:
        """Put the dialling end of mutual TLS 1.3 on top of an endpoint.

        hostname: the DNS name or IP address that is dialled, to be checked by policies that check
            names if the peer's certificate carries any.  None checks none: for where the peer's
            identity is expected instead (``IDENTITY@HOST``).
        clock: see `serverFactory`.

        Raises `UsageError` if it is neither a DNS name nor an IP address.
        """
        maker = self._dialler(hostname)
        return _TLSEndpoint(endpoint, lambda each: self.tlsFactory(maker, True, each, clock))

    def authenticate(
        self, parameters: SessionParameters, transport: ITransport, *, expected: str | None
    ) -> Peer:
        """Judge the peer of a connection by what is trusted now (wire-profile S3).

        expected: the only identity that is accepted, or None for any.
        transport: the TLS transport of the connection, its handshake completed.
        Raises `epnet.errors.PeerError` with the reason.
        """
        assert isinstance(transport, TLSMemoryBIOProtocol)
        connection = transport.getHandle()
        certificate = _presentedTo(transport)
        # A server's view of what was sent lacks the peer's own certificate, a client's has it.
        others = connection.get_peer_cert_chain() or []
        presented = [certificate, *others] if certificate is not None else []
        return self.policy.identify(parameters, presented, expected=expected)

    describeFailure = staticmethod(describeFailure)

    def _dialler(self, hostname: str | None) -> _ConnectionMaker:
        host = _Host.parse(hostname) if hostname is not None else None
        return _ConnectionMaker(self._contextFor, host)

    def _contextFor(self, host: _Host | None) -> SSL.Context:
        """What a connection that begins now goes by; one to a host has a context of its own."""
        if host is None:
            return self._context
        return self._makeContext(self._credentials, self.policy, host)

    def _makeContext(
        self, credentials: Credentials, policy: Policy, host: _Host | None
    ) -> SSL.Context:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
        context.set_options(_OPTIONS)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # an idle session holds no 16 KiB buffers
        context.use_certificate(credentials.chain[0])
        for intermediate in credentials.chain[1:]:
            context.add_extra_chain_cert(intermediate)
        context.use_privatekey(credentials.key)
        store = context.get_cert_store()
        assert store is not None
        policy.fill(store)
        mode = SSL.VERIFY_PEER
        if policy.requiresCertificate:
            mode |= SSL.VERIFY_FAIL_IF_NO_PEER_CERT
        context.set_verify(mode, partial(_verify, policy, host if policy.checksHosts else None))
        if self._keyLog is not None:
            context.set_keylog_callback(self._keyLog)
        return context


def _verify(
    policy: Policy,
    host: _Host | None,
    connection: SSL.Connection,
    certificate: crypto.X509,
    code: int,
    depth: int,
    ok: int,
) -> bool:
    """OpenSSL's question about each certificate of a peer's chain; the refusal is an exception."""
    try:
        policy.check(certificate, 0 if ok else code, depth)
        if host is not None and depth == 0:
            host.check(certificate)
    except PeerError as error:
        raise CertificateRefused(str(error), _readIfPossible(certificate), depth) from error
    return True


def presentedCertificate(transport: object) -> CertificateIdentity | None:
    """What the certificate says that the peer of a connection has shown, believed or not."""
    certificate = _presentedTo(transport) if isinstance(transport, TLSMemoryBIOProtocol) else None
    return _readIfPossible(certificate) if certificate is not None else None


def _presentedTo(transport: TLSMemoryBIOProtocol) -> crypto.X509 | None:
    certificate: crypto.X509 | None = transport.getHandle().get_peer_certificate()
    return certificate


def _readIfPossible(certificate: crypto.X509) -> CertificateIdentity | None:
    """What a certificate says that is refused, for the log."""
    try:
        return readCertificate(certificate.to_cryptography())
    except (IdentityRefused, *UNPARSABLE):
        return None


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
@attrs.frozen
class _ConnectionMaker:
    """Makes the OpenSSL connections of one factory, each by what is trusted at that moment.

    host: what is dialled, to be checked and indicated, if anything.
    """

    _contextFor: Callable[[_Host | None], SSL.Context]
    _host: _Host | None = None

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return SSL.Connection(self._contextFor(None), None)

    def clientConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection = SSL.Connection(self._contextFor(self._host), None)
        if self._host is not None and self._host.serverName is not None:
            connection.set_tlsext_host_name(self._host.serverName)
        return connection


@implementer(IStreamClientEndpoint)
@attrs.frozen
class _TLSEndpoint:
    """Dials an endpoint and puts TLS on top."""

    _endpoint: IStreamClientEndpoint
    _wrap: Callable[[IProtocolFactory], TLSMemoryBIOFactory]

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        def unwrapped(tls: IProtocol) -> IProtocol:
            assert isinstance(tls, TLSMemoryBIOProtocol)
            inner: IProtocol = tls.wrappedProtocol
            return inner

        return self._endpoint.connect(self._wrap(protocolFactory)).addCallback(unwrapped)


@attrs.frozen
class _Host:
    """A host that is dialled, by DNS name or by IP address."""

    name: str
    address: IPv4Address | IPv6Address | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a host as it is dialled; an IPv6 zone (``%eth0``) does not count.

        Raises `UsageError` if it is neither a DNS name nor an IP address.
        """
        bare = text.partition("%")[0]
        try:
            return cls(bare, ip_address(bare))
        except ValueError:
            pass
        try:
            name = text.encode("idna").decode("ascii")
        except UnicodeError:
            name = ""
        if not name:
            raise UsageError(f"{text!r} is neither a DNS name nor an IP address")
        return cls(name, None)

    @property
    def serverName(self) -> bytes | None:
        """For Server Name Indication; RFC 6066 §3 wants none for addresses."""
        return self.name.encode("ascii") if self.address is None else None

    def check(self, certificate: crypto.X509) -> None:
        """Raise `CertificateRefused` if the certificate carries host names and this is none."""
        try:
            patterns = _hostPatterns(certificate.to_cryptography())
            if patterns:
                verify_service_identity(patterns, [self._serviceID()], [])
        except VerificationError as error:
            raise CertificateRefused(
                f"its certificate is not for the dialled {self.name!r}; dial IDENTITY@HOST to "
                "expect its identity instead"
            ) from error
        except CertificateError as error:
            raise CertificateRefused("its certificate carries an invalid DNS name") from error
        except UNPARSABLE as error:
            raise CertificateRefused("its certificate cannot be read") from error

    def _serviceID(self) -> DNS_ID | IPAddress_ID:
        return DNS_ID(self.name) if self.address is None else IPAddress_ID(str(self.address))


def _hostPatterns(certificate: x509.Certificate) -> list[CertificatePattern]:
    """The DNS names and IP addresses of a certificate, as service-identity takes them.

    Its own extraction refuses the whole certificate for a URI such as ``urn:ep:device:…``.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [
        *(DNSPattern.from_bytes(name.encode()) for name in names.get_values_for_type(x509.DNSName)),
        *(
            IPAddressPattern(address)
            for address in names.get_values_for_type(x509.IPAddress)
            if isinstance(address, IPv4Address | IPv6Address)
        ),
    ]


def _readOwnCertificate(certificate: x509.Certificate) -> CertificateIdentity:
    try:
        return readCertificate(certificate)
    except IdentityRefused as error:
        raise UsageError(f"our certificate: {error}") from error
