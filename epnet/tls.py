"""Which peers are believed, and the TLS 1.3 connections to them (Framing §2, wire-profile
*Trust policies*).

Both ends present a certificate, and both ends verify the other's while the handshake runs.  Every
connection makes a full handshake (RFC 9325): no resumption, no early data, no renegotiation.  A
session is open only after the Session Parameters have been held against the certificate
(`AuthorityTrust.authenticate`): a TLS 1.3 client sees its handshake complete before the server
has seen the client's certificate.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
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
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
    ISSLTransport,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from epnet.errors import UsageError
from epnet.handshake import CertificateRefused, certificateProblem, describeFailure
from epnet.identity import (
    UNPARSABLE,
    CertificateIdentity,
    IdentityRefused,
    Peer,
    checkIdentity,
    readCertificate,
)
from epnet.interfaces import ITrust
from epnet.pem import readCertificates, readPrivateKey

if TYPE_CHECKING:
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
class AuthorityTrust:
    """The trust policy ``authority``: certificates of configured authorities are believed.

    ownIdentity: what our own certificate says.
    """

    def __init__(self, credentials: Credentials, authorities: Sequence[x509.Certificate]) -> None:
        """Take what to present and whom to believe.

        authorities: root or intermediate certificates; each is an anchor of its own.
        Raises `UsageError` if our own certificate is not valid now by these authorities.
        """
        self._credentials = credentials
        self._authorities = authorities
        self.ownIdentity: CertificateIdentity = _readOwnCertificate(credentials.chain[0])
        self._checkOwnCertificate()

    @classmethod
    def load(cls, certificatePath: Path, keyPath: Path, authorityPaths: Sequence[Path]) -> Self:
        """Make the policy from PEM files.

        authorityPaths: files with one authority certificate or more each; at least one file.
        Raises `UsageError` for files that are missing, unreadable, not PEM or do not fit together,
        and for an own certificate that is not valid now.
        """
        credentials = Credentials.load(certificatePath, keyPath)
        authorities = [
            certificate
            for path in authorityPaths
            for certificate in readCertificates(path, "authority")
        ]
        try:
            return cls(credentials, authorities)
        except UsageError as error:
            raise UsageError(f"{certificatePath}: {error}") from error

    def serverFactory(
        self, wrapped: IProtocolFactory, *, clock: IReactorTime | None = None
    ) -> TLSMemoryBIOFactory:
        """Put the listening end of mutual TLS 1.3 around the protocols of a factory.

        clock: None for the reactor; it decides when collected writes leave.
        """
        return TLSMemoryBIOFactory(_ConnectionMaker(self._makeContext()), False, wrapped, clock)

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
        return TLSMemoryBIOFactory(self._dialler(hostname), True, wrapped, clock)

    def clientEndpoint(
        self,
        endpoint: IStreamClientEndpoint,
        hostname: str | None,
        *,
        clock: IReactorTime | None = None,
    ) -> IStreamClientEndpoint:
        """Put the dialling end of mutual TLS 1.3 on top of an endpoint.

        hostname: the DNS name or IP address that is dialled, to be checked if the peer's
            certificate carries any such names.  None checks none: for where the peer's identity is
            expected instead (``IDENTITY@HOST``).
        clock: see `serverFactory`.

        Raises `UsageError` if it is neither a DNS name nor an IP address.
        """
        return wrapClientTLS(self._dialler(hostname), endpoint, clock)

    def authenticate(
        self, parameters: SessionParameters, transport: ITransport, *, expected: str | None
    ) -> Peer:
        """Hold Session Parameters against the certificate of the connection (wire-profile S3).

        expected: the only identity that is accepted, or None for any.
        transport: the TLS transport of the connection, its handshake completed.
        Raises `IdentityRefused`, also if the peer presented no certificate.
        """
        certificate = ISSLTransport(transport).getPeerCertificate()
        if not isinstance(certificate, crypto.X509):
            raise IdentityRefused("no certificate was presented")
        try:
            parsed = certificate.to_cryptography()
        except UNPARSABLE as error:
            raise IdentityRefused("the certificate cannot be read") from error
        return checkIdentity(parameters, readCertificate(parsed), expected=expected)

    describeFailure = staticmethod(describeFailure)

    def _dialler(self, hostname: str | None) -> _ConnectionMaker:
        if hostname is None:
            return _ConnectionMaker(self._makeContext())
        host = _Host.parse(hostname)
        return _ConnectionMaker(self._makeContext(host), host.serverName)

    def _makeContext(self, host: _Host | None = None) -> SSL.Context:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
        context.set_options(_OPTIONS)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # an idle session holds no 16 KiB buffers
        context.use_certificate(self._credentials.chain[0])
        for intermediate in self._credentials.chain[1:]:
            context.add_extra_chain_cert(intermediate)
        context.use_privatekey(self._credentials.key)
        store = context.get_cert_store()
        assert store is not None
        self._fillStore(store)

        def verify(
            connection: SSL.Connection, certificate: crypto.X509, code: int, depth: int, ok: int
        ) -> bool:
            if not ok:
                raise CertificateRefused(certificateProblem("its certificate", code, depth))
            if host is not None and depth == 0:
                host.check(certificate)
            return True

        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verify)
        return context

    def _fillStore(self, store: crypto.X509Store) -> None:
        for authority in self._authorities:
            store.add_cert(crypto.X509.from_cryptography(authority))
        # A configured intermediate authority is believed without its root.
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)

    def _checkOwnCertificate(self) -> None:
        store = crypto.X509Store()
        self._fillStore(store)
        leaf, *intermediates = map(crypto.X509.from_cryptography, self._credentials.chain)
        try:
            crypto.X509StoreContext(store, leaf, intermediates).verify_certificate()
        except crypto.X509StoreContextError as error:
            code, depth, _ = error.errors
            raise UsageError(
                f"{certificateProblem('our certificate', code, depth)}; issue a new one with "
                "'epnet pki issue', or name the authority it is from with --authority"
            ) from error


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
@attrs.frozen
class _ConnectionMaker:
    """Makes the OpenSSL connections of one factory.

    serverName: what to send as Server Name Indication, if anything.
    """

    _context: SSL.Context
    _serverName: bytes | None = None

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return SSL.Connection(self._context, None)

    def clientConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        if self._serverName is not None:
            connection.set_tlsext_host_name(self._serverName)
        return connection


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
