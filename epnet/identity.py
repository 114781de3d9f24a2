"""Who a peer is: its certificate held against its Session Parameters (wire-profile S3).

A certificate vouches for identities (subject CN, SAN URI ``urn:ep:device:IDENTITY``, SAN DNS
names), one tenant (subject O) and one provider (subject OU).  Session Parameters must not say
anything else; what they leave out is taken from the certificate.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID, ObjectIdentifier

from epnet.errors import PeerError

if TYPE_CHECKING:
    from epnet.wire import SessionParameters

DEVICE_URN = "urn:ep:device:"
"""What comes before the identity in a SAN URI."""

UNPARSABLE = (
    ValueError,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises for a certificate whose insides are broken."""

_DIGITS = 16
"""As many of a fingerprint the log shows."""
_SHOWN = 40
"""Characters a peer's text may take in a reason: all of a reason has to fit wire-profile V10."""


class IdentityRefused(PeerError):
    """A peer is not who it says it is.  The text is fit for the log and a Soft Disconnect."""


@attrs.frozen
class CertificateIdentity:
    """What a certificate says about its holder.

    identities: every identity that its holder may present.
    commonName: the subject's CN, or None.
    tenant, provider: the subject's O and OU, or None where the certificate has none.
    fingerprint: SHA-256 of the certificate's DER form, 64 lower-case hex digits.
    notAfter: when it expires, aware, UTC.
    """

    identities: frozenset[str]
    commonName: str | None
    tenant: str | None
    provider: str | None
    fingerprint: str
    notAfter: datetime

    def __str__(self) -> str:
        """In a few words, for the log."""
        return f"{self.brief} for {_listed(self.identities)}"

    @property
    def brief(self) -> str:
        """The same without the names; the fingerprint is the start of what ``show`` prints."""
        return f"certificate sha256:{self.fingerprint[:_DIGITS]}… until {self.notAfter:%Y-%m-%d}"


@attrs.frozen
class Peer:
    """A peer that passed the checks of the trust policy.

    tenant, provider: what the certificate vouches for; None where it vouches for nothing.
    authenticated: whether a certificate vouches for the identity; otherwise it is a mere label.
    parameters: its Session Parameters as it sent them.
    certificate: what its certificate says, or None if it presented none.
    """

    identity: str
    tenant: str | None
    provider: str | None
    authenticated: bool
    parameters: SessionParameters
    certificate: CertificateIdentity | None


def readCertificate(certificate: x509.Certificate) -> CertificateIdentity:
    """Read identities, tenant and provider from a certificate (wire-profile, *Identity in
    certificates*).

    Raises `IdentityRefused` if its subject or its alternative names cannot be parsed.
    """
    try:
        commonName = _subjectText(certificate, NameOID.COMMON_NAME)
        identities = [commonName, *_alternativeIdentities(certificate)]
        tenant = _subjectText(certificate, NameOID.ORGANIZATION_NAME)
        provider = _subjectText(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME)
    except UNPARSABLE as error:
        raise IdentityRefused(f"the certificate cannot be read: {_quoted(str(error))}") from error
    return CertificateIdentity(
        identities=frozenset(identity for identity in identities if identity),
        commonName=commonName,
        tenant=tenant,
        provider=provider,
        fingerprint=certificate.fingerprint(SHA256()).hex(),
        notAfter=certificate.not_valid_after_utc,
    )


def checkIdentity(
    parameters: SessionParameters,
    certificate: CertificateIdentity,
    *,
    expected: str | None = None,
) -> Peer:
    """Hold Session Parameters against the peer's certificate (Messages §4.2, wire-profile S3).

    expected: the only identity that is accepted, or None for any.

    Raises `IdentityRefused` saying what differs.
    """
    identity = parameters.identity
    _checkExpected(identity, expected)
    if identity not in certificate.identities:
        raise IdentityRefused(
            f"identity {_quoted(identity)} is not in the certificate, "
            f"which is for {_listed(certificate.identities)}"
        )
    _checkVouched("tenant", parameters.tenant, certificate.tenant)
    _checkVouched("provider", parameters.provider, certificate.provider)
    return Peer(identity, certificate.tenant, certificate.provider, True, parameters, certificate)


def labelPeer(
    parameters: SessionParameters,
    certificate: CertificateIdentity | None,
    *,
    expected: str | None = None,
) -> Peer:
    """Take a peer by what it says of itself: nobody vouches for it (trust policy ``open``).

    Its identity is a mere label; tenant and provider count as absent.
    certificate: what it presented, if anything, which only tells it from others of that label.

    Raises `IdentityRefused` if that label is not the expected one, and for one that is empty or
    would spoil the logs and pages that it stands in.
    """
    _checkExpected(parameters.identity, expected)
    if not parameters.identity or not parameters.identity.isprintable():
        raise IdentityRefused(f"identity {_quoted(parameters.identity)} cannot be shown")
    return Peer(parameters.identity, None, None, False, parameters, certificate)


def _checkExpected(identity: str, expected: str | None) -> None:
    if expected is not None and identity != expected:
        raise IdentityRefused(
            f"identity {_quoted(identity)} is not the expected {_quoted(expected)}"
        )


def _checkVouched(what: str, said: str | None, vouched: str | None) -> None:
    """What is said must not differ from what is vouched for; unvouched words just do not count."""
    if said is not None and vouched is not None and said != vouched:
        raise IdentityRefused(
            f"{what} {_quoted(said)} differs from the certificate's {_quoted(vouched)}"
        )


def _subjectText(certificate: x509.Certificate, oid: ObjectIdentifier) -> str | None:
    attributes = certificate.subject.get_attributes_for_oid(oid)
    return str(attributes[0].value) if attributes else None


def _alternativeIdentities(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    uris = extension.value.get_values_for_type(x509.UniformResourceIdentifier)
    return [
        *(uri.removeprefix(DEVICE_URN) for uri in uris if uri.startswith(DEVICE_URN)),
        *extension.value.get_values_for_type(x509.DNSName),
    ]


def _quoted(text: str) -> str:
    quoted = repr(text)
    return quoted if len(quoted) <= _SHOWN else quoted[: _SHOWN - 2] + "…" + quoted[-1]


def _listed(names: Iterable[str]) -> str:
    shown = sorted(names)[:3]
    return " or ".join(map(_quoted, shown)) or "no identity at all"
