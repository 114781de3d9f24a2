"""A private authority and the certificates it issues (Framing §2: "a shared authority").

In the state directory stand::

    authority/      authority.pem, authority.key.pem: only where certificates are issued
                    issued/IDENTITY.SERIAL.pem: a copy of each certificate; crl.pem: the revoked
    certificates/   authority.pem, IDENTITY.cert.pem, IDENTITY.key.pem: what a device runs with
                    crl.pem: a copy of the authority's, where there is one

All keys are ECDSA on P-256, unencrypted, readable by their owner alone.
"""

from __future__ import annotations

import re
import shutil
import socket
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from epnet.errors import UsageError
from epnet.identity import DEVICE_URN
from epnet.pem import readCertificates, readPrivateKey
from epnet.state import makePrivateDirectory, writeNewFile

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 825
WARN_AHEAD = timedelta(days=30)
"""How long before something expires that is told."""

_BACKDATE = timedelta(hours=1)  # the clocks of small devices lag
_SUBJECT_LIMIT = 64  # characters in CN, O and OU (RFC 5280 appendix A.1)

# No separator and no leading dot: an identity becomes part of a file name.
_IDENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,199}")
_DNS_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*")


@attrs.frozen
class CertificatePaths:
    """Where a device's own certificate, its key and the authority's certificate are."""

    certificate: Path
    key: Path
    authority: Path


@attrs.frozen
class Authority:
    """An authority that can issue certificates.

    directory: where it is kept, with a copy of each certificate that it issued.
    """

    directory: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = attrs.field(repr=False)


def certificatePaths(stateDir: Path, identity: str) -> CertificatePaths:
    """Say where the certificate of that identity is in a state directory, or would be.

    Raises `UsageError` for an identity that `checkIssuable` refuses.
    """
    return _pathsIn(stateDir / "certificates", checkIssuable(identity))


def checkIssuable(identity: str) -> str:
    """Return the identity if a certificate and a file can be named after it.

    Raises `UsageError` unless it is 1 to 200 of ``A-Z a-z 0-9 . _ : @ + -`` and starts with a
    letter or digit.
    """
    if not _IDENTITY.fullmatch(identity):
        raise UsageError(
            f"{identity!r} cannot be an identity: use 1 to 200 letters, digits or any of "
            "'. _ : @ + -', beginning with a letter or digit"
        )
    return identity


def initAuthority(
    stateDir: Path,
    name: str = "epnet authority",
    days: int = AUTHORITY_DAYS,
    *,
    now: datetime | None = None,
) -> Authority:
    """Make a new authority in the state directory.

    name: its subject CN, 1 to 64 characters.
    days: how long it is valid, at least 1.
    now: the beginning of its validity, aware; None for the present.

    Raises `UsageError` if there is one already (it is never overwritten), if an argument is out of
    range, or if the files cannot be written.
    """
    subject = x509.Name([_nameAttribute(NameOID.COMMON_NAME, "authority name", name)])
    key = ec.generate_private_key(ec.SECP256R1())
    start = now or datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - _BACKDATE)
        .not_valid_after(_expiry(start, days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_keyUsage(signsCertificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    authority = Authority(stateDir / "authority", builder.sign(key, SHA256()), key)
    _storeAuthority(stateDir, authority)
    return authority


def loadAuthority(stateDir: Path) -> Authority:
    """Load the authority of the state directory.

    Raises `UsageError` if there is none, or if its files are unreadable or do not belong together.
    """
    directory = stateDir / "authority"
    if not directory.exists():
        raise UsageError(f"there is no authority in {stateDir}; make one with 'epnet pki init'")
    certificate = readCertificates(directory / "authority.pem", "authority")[0]
    key = readPrivateKey(directory / "authority.key.pem")
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != (
        certificate.public_key()
    ):
        raise UsageError(f"the key and the certificate in {directory} do not belong together")
    return Authority(directory, certificate, key)


def issueCertificate(
    authority: Authority,
    identity: str,
    *,
    tenant: str | None = None,
    provider: str | None = None,
    days: int = CERTIFICATE_DAYS,
    dns: Sequence[str] = (),
    ip: Sequence[str] = (),
    out: Path,
    now: datetime | None = None,
) -> CertificatePaths:
    """Issue a certificate with a new key and write both to a directory, with the authority's.

    identity: see `checkIssuable`; tenant, provider: 1 to 64 characters.
    days: how long it is valid, at least 1; it never outlives the authority.
    dns, ip: names under which the device is dialled.
    now: the beginning of its validity, aware; None for the present.

    Raises `UsageError` if an argument is out of range, if the authority has expired, or if a file
    cannot be written or would be overwritten.
    """
    start = now or datetime.now(UTC)
    subject = _subject(checkIssuable(identity), tenant, provider)
    names = _alternativeNames(identity, dns, ip)
    key = ec.generate_private_key(ec.SECP256R1())
    if authority.certificate.not_valid_after_utc <= start:
        raise UsageError(
            f"the authority expired on {authority.certificate.not_valid_after_utc:%Y-%m-%d}; "
            "make a new one with 'epnet pki init' in another state directory"
        )
    builder = (
        x509.CertificateBuilder(
            issuer_name=authority.certificate.subject,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=start - _BACKDATE,
            not_valid_after=min(_expiry(start, days), authority.certificate.not_valid_after_utc),
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_keyUsage(signsCertificates=False), critical=True)
        .add_extension(_BOTH_ENDS, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_authorityKeyIdentifier(authority), critical=False)
        # RFC 5280 §4.1.2.6: without a subject the alternative name must be critical.
        .add_extension(names, critical=not subject.rdns)
    )
    return _storeCertificate(out, identity, builder.sign(authority.key, SHA256()), key, authority)


def issuedCertificates(stateDir: Path) -> list[x509.Certificate]:
    """Every certificate that the authority of the state directory has issued.

    Raises `UsageError` for a file that is unreadable or not PEM.
    """
    issued = sorted((stateDir / "authority" / "issued").glob("*.pem"))
    return [readCertificates(path)[0] for path in issued]


def ensureCertificate(
    stateDir: Path,
    identity: str,
    *,
    tenant: str | None = None,
    provider: str | None = None,
) -> CertificatePaths:
    """Give this host's certificate for that identity; make it, and the authority, where missing.

    A new certificate carries the host's name, ``localhost`` and the loopback addresses.  What is
    there is reused as it is.

    Raises `UsageError` as `loadAuthority` and `issueCertificate` do.
    """
    paths = certificatePaths(stateDir, identity)
    if paths.certificate.exists() and paths.key.exists():
        return paths
    if (stateDir / "authority").exists():
        authority = loadAuthority(stateDir)
    else:
        authority = initAuthority(stateDir)
    return issueCertificate(
        authority,
        identity,
        tenant=tenant,
        provider=provider,
        dns=_hostNames(),
        ip=["127.0.0.1", "::1"],
        out=paths.certificate.parent,
    )


_BOTH_ENDS = x509.ExtendedKeyUsage(
    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
)
"""Every role listens and dials (Ethernet/TCP §2)."""


def _hostNames() -> list[str]:
    """Names of this host that fit a certificate; ``localhost`` always does."""
    return [
        name
        for name in sorted({socket.gethostname().lower(), "localhost"})
        if _DNS_NAME.fullmatch(name)
    ]


def _subject(identity: str, tenant: str | None, provider: str | None) -> x509.Name:
    attributes = []
    if len(identity) <= _SUBJECT_LIMIT:  # a longer one stands in the alternative name alone
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, identity))
    if tenant is not None:
        attributes.append(_nameAttribute(NameOID.ORGANIZATION_NAME, "tenant", tenant))
    if provider is not None:
        attributes.append(_nameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "provider", provider))
    return x509.Name(attributes)


def _nameAttribute(oid: x509.ObjectIdentifier, what: str, text: str) -> x509.NameAttribute[str]:
    if not 1 <= len(text) <= _SUBJECT_LIMIT or not text.isprintable():
        raise UsageError(f"the {what} {text!r} must be 1 to {_SUBJECT_LIMIT} printable characters")
    return x509.NameAttribute(oid, text)


def _alternativeNames(
    identity: str, dns: Sequence[str], ip: Sequence[str]
) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(
        [
            x509.UniformResourceIdentifier(DEVICE_URN + identity),
            *(x509.DNSName(_dnsName(name)) for name in dns),
            *(x509.IPAddress(_ipAddress(text)) for text in ip),
        ]
    )


def _dnsName(name: str) -> str:
    try:
        ascii = name.encode("idna").decode("ascii").lower()
    except UnicodeError:
        ascii = ""
    if not _DNS_NAME.fullmatch(ascii):
        raise UsageError(f"{name!r} is not a DNS name; write it like 'charger.example'")
    return ascii


def _ipAddress(text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not an IPv4 or IPv6 address") from error


def _expiry(start: datetime, days: int) -> datetime:
    try:
        if days < 1:
            raise OverflowError
        return start + timedelta(days=days)
    except OverflowError as error:
        raise UsageError(f"a validity of {days} days is not possible; give 1 or more") from error


def _keyUsage(*, signsCertificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signsCertificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signsCertificates,
        crl_sign=signsCertificates,
        encipher_only=False,
        decipher_only=False,
    )


def _authorityKeyIdentifier(authority: Authority) -> x509.AuthorityKeyIdentifier:
    identifier = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value)


def _storeAuthority(stateDir: Path, authority: Authority) -> None:
    makePrivateDirectory(stateDir)
    directory = stateDir / "authority"
    try:
        # Both files or none, and never over an authority that is there: a directory can only be
        # renamed onto an empty one.
        temporary = Path(tempfile.mkdtemp(dir=stateDir, prefix=".authority-"))
        try:
            writeNewFile(temporary / "authority.key.pem", _keyPEM(authority.key), 0o600)
            writeNewFile(temporary / "authority.pem", _certificatePEM(authority.certificate), 0o644)
            temporary.rename(directory)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        if directory.exists():
            raise UsageError(
                f"there is an authority in {directory} already and it is left as it is; "
                "use it, or choose another --state-dir"
            ) from error
        raise UsageError(f"cannot make {directory}: {error.strerror}") from error


def _storeCertificate(
    out: Path,
    identity: str,
    certificate: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    authority: Authority,
) -> CertificatePaths:
    makePrivateDirectory(out)
    paths = _pathsIn(out, identity)
    _storeAuthorityCopy(paths.authority, authority.certificate)
    writeNewFile(paths.key, _keyPEM(key), 0o600)
    try:
        _record(authority, identity, certificate)
        writeNewFile(paths.certificate, _certificatePEM(certificate), 0o644)
    except UsageError:
        paths.key.unlink()
        raise
    return paths


def _record(authority: Authority, identity: str, certificate: x509.Certificate) -> None:
    """Keep a copy, so that it can be revoked wherever the certificate itself is by then."""
    makePrivateDirectory(authority.directory / "issued")
    name = f"{identity}.{certificate.serial_number:x}.pem"
    writeNewFile(authority.directory / "issued" / name, _certificatePEM(certificate), 0o644)


def _storeAuthorityCopy(path: Path, certificate: x509.Certificate) -> None:
    if not path.exists():
        writeNewFile(path, _certificatePEM(certificate), 0o644)
    elif certificate not in readCertificates(path, "authority"):
        raise UsageError(
            f"{path} belongs to another authority and is left as it is; choose another directory"
        )


def _pathsIn(directory: Path, identity: str) -> CertificatePaths:
    return CertificatePaths(
        certificate=directory / f"{identity}.cert.pem",
        key=directory / f"{identity}.key.pem",
        authority=directory / "authority.pem",
    )


def _certificatePEM(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _keyPEM(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
