"""``epnet pki``: a private authority, the certificates it issues, and what stands in them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from epnet.identity import readCertificate
from epnet.pem import readCertificates
from epnet.pki import (
    AUTHORITY_DAYS,
    CERTIFICATE_DAYS,
    initAuthority,
    issueCertificate,
    loadAuthority,
)
from epnet.state import defaultStateDir


def addArguments(parser: argparse.ArgumentParser) -> None:
    """Add ``init``, ``issue`` and ``show``."""
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
    for path in files:
        certificates = readCertificates(path)
        print(path)
        for certificate in certificates:
            for key, value in _describe(certificate):
                print(f"  {key:<12} {value}")


def _certificateFiles(stateDir: Path) -> list[Path]:
    return [
        *stateDir.glob("authority/authority.pem"),
        *sorted(stateDir.glob("certificates/*.cert.pem")),
    ]


def _describe(certificate: x509.Certificate) -> Iterable[tuple[str, str]]:
    """The lines that `show` prints about a certificate."""
    read = readCertificate(certificate)
    yield "identities", ", ".join(sorted(read.identities)) or "none"
    if read.tenant is not None:
        yield "tenant", read.tenant
    if read.provider is not None:
        yield "provider", read.provider
    yield "issued by", certificate.issuer.rfc4514_string()
    expired = " (expired)" if read.notAfter < datetime.now(UTC) else ""
    yield (
        "valid",
        f"{certificate.not_valid_before_utc:%Y-%m-%d} to {read.notAfter:%Y-%m-%d}{expired}",
    )
    yield "fingerprint", f"sha256:{read.fingerprint}"
