"""Certificates that are believed no more: certificate revocation lists (RFC 5280 §5).

A list counts if it is signed by an authority that is trusted.  Whether a peer is on it is looked up
here and not by OpenSSL, which refuses every peer once a list is outdated: a list that nobody
renewed must not switch a house off.  It stays in force, and the log says loudly that it is old.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from epnet.errors import UsageError
from epnet.identity import UNPARSABLE, readCertificate
from epnet.pem import checkWhole, readCertificates
from epnet.pki import issuedCertificates, loadAuthority
from epnet.state import replaceFile

REVOCATION_DAYS: Final = 365
"""How long a list that we sign is good."""

_PEM: Final = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----\r?\n?", re.DOTALL)
_BACKDATE: Final = timedelta(hours=1)  # the clocks of small devices lag


@attrs.frozen
class Revocations:
    """What the lists say.

    serials: the serial numbers of the revoked certificates, by the issuer's name, whatever kind of
        text that is written in.
    nextUpdate: when the first of the lists is outdated; None where that is not said.
    """

    serials: Mapping[x509.Name, Set[int]]
    nextUpdate: datetime | None

    def __len__(self) -> int:
        """How many certificates are revoked."""
        return sum(map(len, self.serials.values()))

    def __contains__(self, certificate: x509.Certificate) -> bool:
        """Whether it is revoked.  What cannot be read counts as revoked."""
        if not self.serials:
            return False
        try:
            revoked = self.serials.get(certificate.issuer, ())
        except UNPARSABLE:
            return True
        return certificate.serial_number in revoked


NOTHING_REVOKED: Final = Revocations({}, None)


def readRevocations(path: Path, authorities: Sequence[x509.Certificate]) -> Revocations:
    """Read the lists in a PEM file, one or more.

    authorities: those whose lists count.
    Raises `UsageError` if the file is missing, unreadable, not whole or no list, and for a list
    that is not by one of the authorities or that says more than which certificates are revoked.
    """
    lists = _readLists(path)
    for each in lists:
        if not any(_isBy(each, authority) for authority in authorities):
            raise UsageError(
                f"the revocation list {path} is not signed by an authority we trust; get the "
                "authority's own, or name that authority with --authority"
            )
        if any(extension.critical for extension in each.extensions):
            raise UsageError(f"the revocation list {path} is a partial one; give a complete one")
    updates = [each.next_update_utc for each in lists if each.next_update_utc is not None]
    serials: dict[x509.Name, set[int]] = {}
    for each in lists:
        serials.setdefault(each.issuer, set()).update(entry.serial_number for entry in each)
    return Revocations(serials, min(updates, default=None))


def revocationPaths(stateDir: Path) -> tuple[Path, Path]:
    """Where a state directory has its list: the authority's, and the copy that programs read."""
    return stateDir / "authority" / "crl.pem", stateDir / "certificates" / "crl.pem"


def revoke(
    stateDir: Path,
    names: Iterable[str],
    *,
    days: int = REVOCATION_DAYS,
    now: datetime | None = None,
) -> list[x509.Certificate]:
    """Put certificates on the authority's list, and sign it anew.

    names: identities, for every certificate that the authority issued to them, or certificate
        files.
    days: how long the list is good, at least 1.
    now: when it is signed, aware; None for the present.

    Returns the certificates.  Raises `UsageError` if there is no authority, if it has issued no
    such certificate, or if a file cannot be read or written.
    """
    authority = loadAuthority(stateDir)
    start = now or datetime.now(UTC)
    if not 1 <= days <= 36500:
        raise UsageError(f"a list that is good for {days} days is not possible; give 1 to 36500")
    certificates = [each for name in names for each in _named(stateDir, name)]
    for certificate in certificates:
        _checkIssuer(certificate, authority.certificate)
    path, copy = revocationPaths(stateDir)
    before = _readLists(path)[0] if path.exists() else None
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(start - _BACKDATE)
        .next_update(start + timedelta(days=days))
        .add_extension(x509.CRLNumber(_number(before) + 1), critical=False)
    )
    for entry in _entries(before, certificates, start):
        builder = builder.add_revoked_certificate(entry)
    content = builder.sign(authority.key, SHA256()).public_bytes(Encoding.PEM)
    replaceFile(path, content, 0o644)
    if copy.parent.exists():
        replaceFile(copy, content, 0o644)
    return certificates


def _named(stateDir: Path, name: str) -> list[x509.Certificate]:
    """The certificates that are meant: of a file, or all that were issued to an identity."""
    path = Path(name)
    if path.suffix == ".pem":
        return readCertificates(path)[:1]
    found = [
        certificate
        for certificate in issuedCertificates(stateDir)
        if name in readCertificate(certificate).identities
    ]
    if not found:
        raise UsageError(
            f"no certificate for {name!r} was issued here; name its certificate file instead"
        )
    return found


def _checkIssuer(certificate: x509.Certificate, authority: x509.Certificate) -> None:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise UsageError(
            f"the certificate of {certificate.subject.rfc4514_string()} is not from this authority;"
            " revoke it where it was issued"
        ) from error


def _entries(
    before: x509.CertificateRevocationList | None,
    certificates: Iterable[x509.Certificate],
    now: datetime,
) -> Iterable[x509.RevokedCertificate]:
    """What was on the list, and what comes to it."""
    entries = {entry.serial_number: entry for entry in before or ()}
    for certificate in certificates:
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(certificate.serial_number)
            .revocation_date(now)
            .build()
        )
        entries.setdefault(certificate.serial_number, entry)
    return entries.values()


def _number(crl: x509.CertificateRevocationList | None) -> int:
    if crl is None:
        return 0
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def _readLists(path: Path) -> list[x509.CertificateRevocationList]:
    try:
        content = path.read_bytes()
        checkWhole(path, content)
        lists = [x509.load_pem_x509_crl(pem) for pem in _PEM.findall(content)]
        for each in lists:
            _ = each.extensions  # parsed on demand: here, where an error is understood
    except FileNotFoundError as error:
        raise UsageError(
            f"the revocation list {path} does not exist; make one with 'epnet pki revoke', or "
            "copy the authority's"
        ) from error
    except OSError as error:
        raise UsageError(f"cannot read the revocation list {path}: {error.strerror}") from error
    except UNPARSABLE as error:
        raise UsageError(f"the revocation list {path} is broken: {error}") from error
    if not lists:
        raise UsageError(
            f"{path} holds no revocation list; it must contain '-----BEGIN X509 CRL-----'"
        )
    return lists


def _isBy(crl: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    if crl.issuer != authority.subject:
        return False
    try:
        return crl.is_signature_valid(authority.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False
