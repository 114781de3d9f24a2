"""``epnet pki``: a private authority, its certificates, and whom to trust otherwise or no more."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from epnet.errors import UsageError
from epnet.identity import CertificateIdentity, readCertificate
from epnet.pem import readCertificates
from epnet.pki import (
    AUTHORITY_DAYS,
    CERTIFICATE_DAYS,
    WARN_AHEAD,
    initAuthority,
    issueCertificate,
    loadAuthority,
)
from epnet.state import defaultStateDir
from epnet.trust.devicelist import (
    addDevice,
    devicesPath,
    keyFingerprint,
    looksLikeFingerprint,
    parseFingerprint,
    readDevices,
    removeDevices,
)
from epnet.trust.revocation import (
    REVOCATION_DAYS,
    Revocations,
    readRevocations,
    revocationPaths,
    revoke,
)


def addArguments(parser: argparse.ArgumentParser) -> None:
    """Add ``init``, ``issue``, ``show``, ``trust``, ``untrust`` and ``revoke``."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--state-dir",
        type=Path,
        default=defaultStateDir(),
        metavar="DIR",
        help="where the authority and the certificates are (default: %(default)s)",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    _addInit(actions.add_parser("init", parents=[common], help="make a new private authority"))
    _addIssue(actions.add_parser("issue", parents=[common], help="issue a certificate"))
    _addShow(actions.add_parser("show", parents=[common], help="show certificates"))
    _addTrust(actions.add_parser("trust", parents=[common], help="trust a device by itself"))
    _addUntrust(actions.add_parser("untrust", parents=[common], help="trust it no more"))
    _addRevoke(actions.add_parser("revoke", parents=[common], help="revoke certificates"))


def run(options: argparse.Namespace) -> int:
    """Do the action that was chosen."""
    options.action(options)
    return 0


def _addInit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", default="epnet authority", help="its name (default: %(default)s)")
    _addDays(parser, AUTHORITY_DAYS)
    parser.set_defaults(action=_init)


def _addIssue(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("identity", metavar="IDENTITY", help="the device's identity")
    parser.add_argument("--tenant", help="the tenant that the certificate vouches for")
    parser.add_argument("--provider", help="the service provider that it vouches for")
    _addDays(parser, CERTIFICATE_DAYS)
    for option, metavar, names in (
        ("--dns", "NAME", "DNS names"),
        ("--ip", "ADDR", "IP addresses"),
    ):
        parser.add_argument(
            option,
            nargs="+",
            action="extend",
            default=[],
            metavar=metavar,
            help=f"{names} under which others dial the device",
        )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where to write (default: STATE-DIR/certificates)"
    )
    parser.set_defaults(action=_issue)


def _addShow(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="certificate files (default: all in STATE-DIR)",
    )
    parser.set_defaults(action=_show)


def _addTrust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "device",
        metavar="CERT|FINGERPRINT",
        help="its certificate file, or the SHA-256 of its certificate or public key in hex",
    )
    parser.add_argument(
        "--identity", metavar="ID", help="who it is (default: the certificate's one identity)"
    )
    parser.add_argument(
        "--public-key",
        action="store_true",
        help="trust the certificate's public key, so that it may be renewed with the same key",
    )
    parser.set_defaults(action=_trust)


def _addUntrust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("device", metavar="ID|FINGERPRINT", help="as they stand in the list")
    parser.set_defaults(action=_untrust)


def _addRevoke(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names",
        nargs="*",
        metavar="ID|CERT",
        help="identities, for all their certificates, or certificate files (*.pem); without any, "
        "the list is only signed anew",
    )
    _addDays(parser, REVOCATION_DAYS)
    parser.set_defaults(action=_revoke)


def _addDays(parser: argparse.ArgumentParser, default: int) -> None:
    parser.add_argument(
        "--days",
        type=int,
        default=default,
        metavar="N",
        help="how long it is valid (default: %(default)s)",
    )


def _init(options: argparse.Namespace) -> None:
    initAuthority(options.state_dir, options.name, options.days)
    directory = options.state_dir / "authority"
    print(f"authority  {directory / 'authority.pem'}")
    print(f"its key    {directory / 'authority.key.pem'}  (keep it secret, keep a copy safe)")


def _issue(options: argparse.Namespace) -> None:
    paths = issueCertificate(
        loadAuthority(options.state_dir),
        options.identity,
        tenant=options.tenant,
        provider=options.provider,
        days=options.days,
        dns=options.dns,
        ip=options.ip,
        out=options.out or options.state_dir / "certificates",
    )
    print(f"certificate  {paths.certificate}")
    print(f"its key      {paths.key}  (keep it secret)")
    print(f"authority    {paths.authority}")


def _show(options: argparse.Namespace) -> None:
    files = options.files or _certificateFiles(options.state_dir)
    if not files:
        print(f"there are no certificates in {options.state_dir}")
    listed = _revocations(options.state_dir)
    for path in files:
        certificates = readCertificates(path)
        print(path)
        for certificate in certificates:
            revoked = listed is not None and certificate in listed[1]
            _print(_describe(certificate, revoked=revoked))
    if not options.files:
        _showLists(listed, devicesPath(options.state_dir))


def _showLists(listed: tuple[Path, Revocations] | None, devices: Path) -> None:
    """What else there is in a state directory: who is revoked, and who is trusted by itself."""
    if listed is not None:
        path, revocations = listed
        print(path)
        _print([("revoked", f"{len(revocations)} certificates")])
        if revocations.nextUpdate is not None:
            _print([("valid", f"to {_date(revocations.nextUpdate)}")])
    if devices.exists():
        print(devices)
        for fingerprint, identity in readDevices(devices).items():
            print(f"  sha256:{fingerprint}  {identity}")


def _print(lines: Iterable[tuple[str, str]]) -> None:
    for key, value in lines:
        print(f"  {key:<12} {value}")


def _revocations(stateDir: Path) -> tuple[Path, Revocations] | None:
    """The revocation list of the state directory, the authority's or a copy, and where it is."""
    for path in revocationPaths(stateDir):
        if path.exists():
            authorities = readCertificates(path.parent / "authority.pem", "authority")
            return path, readRevocations(path, authorities)
    return None


def _trust(options: argparse.Namespace) -> None:
    path = devicesPath(options.state_dir)
    if looksLikeFingerprint(options.device):
        if not options.identity or options.public_key:
            raise UsageError("for a fingerprint say --identity ID, and nothing of --public-key")
        fingerprint, identity, comment = parseFingerprint(options.device), options.identity, ""
    else:
        certificate = readCertificates(Path(options.device))[0]
        read = readCertificate(certificate)
        identity = options.identity or _onlyIdentity(read)
        fingerprint = keyFingerprint(certificate) if options.public_key else read.fingerprint
        what = "public key" if options.public_key else "certificate"
        comment = f"{what}; expires {read.notAfter:%Y-%m-%d}"
    addDevice(path, fingerprint, identity, comment)
    print(f"trusted  {identity}  sha256:{fingerprint}")
    print(f"list     {path}")


def _onlyIdentity(read: CertificateIdentity) -> str:
    if len(read.identities) != 1:
        names = ", ".join(sorted(read.identities)) or "nobody"
        raise UsageError(f"the certificate is for {names}: say which with --identity ID")
    [identity] = read.identities
    return identity


def _untrust(options: argparse.Namespace) -> None:
    path = devicesPath(options.state_dir)
    count = removeDevices(path, options.device)
    if not count:
        raise UsageError(
            f"{options.device!r} is not on the list {path}; see it with 'epnet pki show'"
        )
    print(f"taken off {path}: {count} line{'s' if count > 1 else ''}")


def _revoke(options: argparse.Namespace) -> None:
    for certificate in revoke(options.state_dir, options.names, days=options.days):
        read = readCertificate(certificate)
        print(f"revoked  {', '.join(sorted(read.identities))}  sha256:{read.fingerprint}")
    for path in revocationPaths(options.state_dir):
        if path.exists():
            print(f"list     {path}")
    print("Copy it to every device, as certificates/crl.pem in its state directory.")


def _certificateFiles(stateDir: Path) -> list[Path]:
    authorities = [stateDir / name / "authority.pem" for name in ("authority", "certificates")]
    return [
        *[path for path in authorities if path.exists()][:1],  # the second one is a copy
        *sorted(stateDir.glob("certificates/*.cert.pem")),
    ]


def _describe(certificate: x509.Certificate, *, revoked: bool) -> Iterable[tuple[str, str]]:
    """The lines that `show` prints about a certificate."""
    read = readCertificate(certificate)
    yield "identities", ", ".join(sorted(read.identities)) or "none"
    if read.tenant is not None:
        yield "tenant", read.tenant
    if read.provider is not None:
        yield "provider", read.provider
    yield "issued by", certificate.issuer.rfc4514_string()
    yield (
        "valid",
        f"{certificate.not_valid_before_utc:%Y-%m-%d} to {_date(read.notAfter)}"
        + (" (revoked)" if revoked else ""),
    )
    yield "fingerprint", f"sha256:{read.fingerprint}"
    yield "public key", f"sha256:{keyFingerprint(certificate)}"


def _date(expiry: datetime) -> str:
    """When something expires, and a word about it where that is soon or past."""
    remaining = expiry - datetime.now(UTC)
    if remaining < timedelta():
        return f"{expiry:%Y-%m-%d} (expired)"
    if remaining < WARN_AHEAD:
        return f"{expiry:%Y-%m-%d} (expires in {remaining.days} days)"
    return f"{expiry:%Y-%m-%d}"
