"""The three trust policies: whose certificates are believed (Framing §2, wire-profile *Trust
policies*).

==============  ======================  ==========================  =============================
Policy          Believes                Identity                    Tenant and provider
==============  ======================  ==========================  =============================
``authority``   who has a certificate   of the certificate          of the certificate
                of an authority, not
                expired, not revoked
``devices``     who is on the list, by  bound to it by the list     of the certificate, where the
                certificate or key                                  list holds that certificate
``open``        everyone                a label nobody vouches for  none
==============  ======================  ==========================  =============================

A policy is asked twice: in the handshake, so that strangers are gone early, and when the peer's
Session Parameters are here, so that a session never opens on a judgement of yesterday's lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from OpenSSL import crypto

from epnet.errors import UsageError
from epnet.handshake import CertificateRefused, NotYetValid, certificateProblem
from epnet.identity import (
    UNPARSABLE,
    CertificateIdentity,
    IdentityRefused,
    Peer,
    checkIdentity,
    labelPeer,
    readCertificate,
)
from epnet.securitylog import securityLog
from epnet.trust.devicelist import keyFingerprint
from epnet.trust.revocation import NOTHING_REVOKED, Revocations

if TYPE_CHECKING:
    from epnet.wire import SessionParameters

# Numbers of X509_verify_cert(3).
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_REVOKED: Final = 23


class Policy(Protocol):
    """Whom to believe.

    requiresCertificate: whether a handshake without the peer's certificate fails.
    checksHosts: whether a dialled name is checked where the peer's certificate has such names.
    """

    requiresCertificate: bool
    checksHosts: bool

    def fill(self, store: crypto.X509Store) -> None:
        """Add the certificates that chains may end at."""

    def check(self, certificate: crypto.X509, code: int, depth: int) -> None:
        """Judge a certificate of the peer's chain in the handshake.

        code: OpenSSL's verification error, a number of X509_verify_cert(3), 0 for none.
        depth: 0 for the peer's own certificate, 1 for its issuer's, and so on.
        Raises `CertificateRefused`.
        """

    def identify(
        self,
        parameters: SessionParameters,
        presented: Sequence[crypto.X509],
        *,
        expected: str | None,
    ) -> Peer:
        """Judge a connected peer, by what is trusted and what time it is now (wire-profile S3).

        presented: its certificate and those it sent with it; empty if it sent none.
        expected: the only identity that is accepted, or None for any.
        Raises `epnet.errors.PeerError` with the reason.
        """

    def checkOwn(self, chain: Sequence[x509.Certificate]) -> None:
        """Raise `UsageError` if peers with the same policy would refuse our own certificate."""

    def expiries(self) -> Iterator[tuple[str, datetime]]:
        """What the policy goes by that expires, and when: ``authority``, ``crl``."""


class Authorities:
    """The policy ``authority``: certificates of these authorities, unless revoked.

    certificates: root or intermediate certificates; each is an anchor of its own.
    revocations: the certificates that are believed no more.
    """

    requiresCertificate = True
    checksHosts = True

    def __init__(
        self,
        certificates: Sequence[x509.Certificate],
        revocations: Revocations = NOTHING_REVOKED,
    ) -> None:
        self._certificates = certificates
        self._revocations = revocations
        self._store = crypto.X509Store()
        self.fill(self._store)

    def fill(self, store: crypto.X509Store) -> None:
        """Add the authorities."""
        for authority in self._certificates:
            store.add_cert(crypto.X509.from_cryptography(authority))
        # A configured intermediate authority is believed without its root.
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)

    def check(self, certificate: crypto.X509, code: int, depth: int) -> None:
        """Refuse what OpenSSL finds wrong, and what is revoked."""
        code = code or self._codeOfRevocation(certificate)
        if code:
            raise _refusal("its certificate", code, depth)

    def identify(
        self,
        parameters: SessionParameters,
        presented: Sequence[crypto.X509],
        *,
        expected: str | None,
    ) -> Peer:
        """Verify the chain, and hold the Session Parameters against the certificate."""
        certificate = _readPresented(presented)
        problem = self._problem(presented)
        if problem is not None:
            raise _refusal("the certificate", *problem)
        return checkIdentity(parameters, readCertificate(certificate), expected=expected)

    def checkOwn(self, chain: Sequence[x509.Certificate]) -> None:
        """Raise `UsageError` if it is not valid now by these authorities."""
        problem = self._problem([*map(crypto.X509.from_cryptography, chain)])
        if problem is not None:
            raise UsageError(
                f"{certificateProblem('our certificate', *problem)}; issue a new one with "
                "'epnet pki issue', or name the authority it is from with --authority"
            )

    def expiries(self) -> Iterator[tuple[str, datetime]]:
        """When the first of the authorities expires, and when the lists of the revoked do."""
        yield "authority", min(each.not_valid_after_utc for each in self._certificates)
        if self._revocations.nextUpdate is not None:
            yield "crl", self._revocations.nextUpdate

    def _problem(self, chain: Sequence[crypto.X509]) -> tuple[int, int] | None:
        """What is wrong with the first of these certificates, the others being at hand.

        Gives OpenSSL's verification error, and where in the chain it is.
        """
        leaf, *others = chain
        if self._codeOfRevocation(leaf):  # whatever else is, as by a clock that was set back
            return _REVOKED, 0
        context = crypto.X509StoreContext(self._store, leaf, others)
        try:
            verified = context.get_verified_chain()
        except crypto.X509StoreContextError as error:
            code, depth, _ = error.errors
            return code, depth
        for depth, certificate in enumerate(verified):
            code = self._codeOfRevocation(certificate)
            if code:
                return code, depth
        return None

    def _codeOfRevocation(self, certificate: crypto.X509) -> int:
        return _REVOKED if _parse(certificate) in self._revocations else 0


class ListedDevices:
    """The policy ``devices``: the devices on a local list, each with its identity there.

    identities: by SHA-256, in hex, of a certificate or of a public key.
    """

    requiresCertificate = True
    checksHosts = False  # the list already says who has that certificate

    def __init__(self, identities: Mapping[str, str]) -> None:
        self._identities = identities

    def fill(self, store: crypto.X509Store) -> None:
        """No chain ends anywhere: a certificate is on the list by itself."""

    def check(self, certificate: crypto.X509, code: int, depth: int) -> None:
        """Refuse a device that is not on the list, or whose certificate is not valid now."""
        if depth > 0:
            return
        if code in (_NOT_YET_VALID, _EXPIRED):
            raise _refusal("its certificate", code, depth)
        if self._vouched(_parse(certificate)) is None:
            raise CertificateRefused("its certificate is not on the list of trusted devices")

    def identify(
        self,
        parameters: SessionParameters,
        presented: Sequence[crypto.X509],
        *,
        expected: str | None,
    ) -> Peer:
        """Look the certificate up, and hold the Session Parameters against its entry."""
        certificate = _readPresented(presented)
        code = _codeOfDates(certificate)
        if code:
            raise _refusal("the certificate", code, 0)
        vouched = self._vouched(certificate)
        if vouched is None:
            raise CertificateRefused("the certificate is not on the list of trusted devices")
        return checkIdentity(parameters, vouched, expected=expected)

    def checkOwn(self, chain: Sequence[x509.Certificate]) -> None:
        """Raise `UsageError` if it is not valid now."""
        code = _codeOfDates(chain[0])
        if code:
            raise UsageError(
                f"{certificateProblem('our certificate', code, 0)}; issue a new one with "
                "'epnet pki issue', and let the peers trust it"
            )

    def expiries(self) -> Iterator[tuple[str, datetime]]:
        """A list does not expire."""
        return iter(())

    def _vouched(self, certificate: x509.Certificate) -> CertificateIdentity | None:
        """What is vouched for, by the list or by a certificate that stands in it."""
        read = readCertificate(certificate)
        identity = self._identities.get(read.fingerprint)
        if identity is not None:
            return attrs.evolve(read, identities=frozenset({identity}))
        identity = self._identityOfKey(certificate)
        if identity is None:
            return None
        # Whoever has the key can write any tenant and provider into a certificate for it.
        return attrs.evolve(read, identities=frozenset({identity}), tenant=None, provider=None)

    def _identityOfKey(self, certificate: x509.Certificate) -> str | None:
        try:
            return self._identities.get(keyFingerprint(certificate))
        except (ValueError, UnsupportedAlgorithm):
            return None


class Everyone:
    """The policy ``open``: nobody is checked (Framing §2 allows it).

    Connections are encrypted all the same, but to whom nobody knows.
    """

    requiresCertificate = False
    checksHosts = False

    def __init__(self) -> None:
        securityLog.critical(
            "TRUST POLICY OPEN: whoever reaches this host is believed to be whom it says it is;"
            " use --trust authority or --trust devices where real power flows",
            security=True,
        )

    def fill(self, store: crypto.X509Store) -> None:
        """Nobody is trusted more than others."""

    def check(self, certificate: crypto.X509, code: int, depth: int) -> None:
        """Refuse nothing."""

    def identify(
        self,
        parameters: SessionParameters,
        presented: Sequence[crypto.X509],
        *,
        expected: str | None,
    ) -> Peer:
        """Take the peer by its word."""
        try:
            certificate = readCertificate(_readPresented(presented))
        except IdentityRefused:
            certificate = None
        return labelPeer(parameters, certificate, expected=expected)

    def checkOwn(self, chain: Sequence[x509.Certificate]) -> None:
        """Any certificate does."""

    def expiries(self) -> Iterator[tuple[str, datetime]]:
        """It goes by nothing."""
        return iter(())


def _readPresented(presented: Sequence[crypto.X509]) -> x509.Certificate:
    if not presented:
        raise IdentityRefused("no certificate was presented")
    return _parse(presented[0])


def _parse(certificate: crypto.X509) -> x509.Certificate:
    try:
        return certificate.to_cryptography()
    except UNPARSABLE as error:
        raise IdentityRefused("the certificate cannot be read") from error


def _refusal(whose: str, code: int, depth: int) -> CertificateRefused:
    kind = NotYetValid if code == _NOT_YET_VALID else CertificateRefused
    return kind(certificateProblem(whose, code, depth))


def _codeOfDates(certificate: x509.Certificate) -> int:
    now = datetime.now(UTC)
    if now < certificate.not_valid_before_utc:
        return _NOT_YET_VALID
    return _EXPIRED if now >= certificate.not_valid_after_utc else 0
