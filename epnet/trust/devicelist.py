"""The list of trusted devices: a text file, one device a line (wire-profile *Trust policies*).

A line is a fingerprint and the identity bound to it::

    sha256:fc43eb72a165f23ff784cadcd60395a674d0de8cd1113ae923555be2665f0fbd  ev-1  # by the door

The fingerprint is the SHA-256 of the device's certificate in DER form, or of the public key in it
(its SubjectPublicKeyInfo, DER): 64 hex digits, colons and ``sha256:`` optional.  What follows ``#``
is a comment.  A device may have several lines, as while its certificate is renewed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from epnet.errors import UsageError
from epnet.state import makePrivateDirectory, replaceFile

_FINGERPRINT: Final = re.compile(r"(?:sha256:)?((?:[0-9a-f]{2}:?){31}[0-9a-f]{2})", re.IGNORECASE)
_HEADER: Final = """\
# Trusted devices, for --trust devices: one a line, FINGERPRINT IDENTITY.
# The fingerprint is the SHA-256 of the device's certificate or of its public key.
# A change takes effect within seconds; a device whose lines are gone is disconnected.
"""


def devicesPath(stateDir: Path) -> Path:
    """Where the list is in a state directory, or would be."""
    return stateDir / "trusted-devices.txt"


def keyFingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate's SubjectPublicKeyInfo in DER form, 64 lower-case hex digits.

    Raises ValueError or `cryptography.exceptions.UnsupportedAlgorithm` for a key that is broken or
    of a kind that `cryptography` does not know.
    """
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = Hash(SHA256())
    digest.update(key)
    return digest.finalize().hex()


def looksLikeFingerprint(text: str) -> bool:
    """Whether it is a fingerprint as people write it."""
    return _FINGERPRINT.fullmatch(text) is not None


def parseFingerprint(text: str) -> str:
    """Read a fingerprint as people write it; 64 lower-case hex digits.  Raises `UsageError`."""
    match = _FINGERPRINT.fullmatch(text)
    if not match:
        raise UsageError(
            f"{text!r} is no SHA-256 fingerprint: write 64 hex digits, as 'epnet pki show' does"
        )
    return match[1].replace(":", "").lower()


def readDevices(path: Path) -> dict[str, str]:
    """Read the list: identities by fingerprint.

    Raises `UsageError`, with the number of the line, for a list that is missing, unreadable or
    empty, a line that is neither a device nor a comment, and a fingerprint with two identities.
    """
    devices: dict[str, str] = {}
    for number, line in enumerate(_lines(path), 1):
        try:
            entry = _parseLine(line)
            if entry is not None and devices.setdefault(*entry) != entry[1]:
                raise UsageError(f"that device is {devices[entry[0]]!r} in a line above")
        except UsageError as error:
            raise UsageError(f"{path}, line {number}: {error}") from error
    return devices


def addDevice(path: Path, fingerprint: str, identity: str, comment: str = "") -> None:
    """Add a line to the list, which is made where there is none.

    fingerprint: as `parseFingerprint` gives it.
    identity: without white space or ``#``.
    Raises `UsageError` if the device is on the list with another identity, or as `readDevices`.
    """
    if not identity or re.search(r"[\s#]", identity) or not identity.isprintable():
        raise UsageError(f"the identity {identity!r} must be without white space and '#'")
    if not path.exists():
        makePrivateDirectory(path.parent)
        replaceFile(path, _HEADER.encode(), 0o644)
    known = readDevices(path).get(fingerprint, identity)
    if known != identity:
        raise UsageError(f"that device is trusted as {known!r}; 'epnet pki untrust {known}' first")
    line = f"sha256:{fingerprint}  {identity}" + (f"  # {comment}" if comment else "")
    _write(path, [*_lines(path), line])


def removeDevices(path: Path, name: str) -> int:
    """Take the lines of an identity or of a fingerprint off the list; how many there were.

    Raises `UsageError` as `readDevices` does.
    """
    readDevices(path)
    fingerprint = parseFingerprint(name) if looksLikeFingerprint(name) else None
    kept = [
        line
        for line in _lines(path)
        if (entry := _parseLine(line)) is None or (entry[0] != fingerprint and entry[1] != name)
    ]
    removed = sum(1 for _ in _lines(path)) - len(kept)
    if removed:
        _write(path, kept)
    return removed


def _lines(path: Path) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageError(
            f"the list of trusted devices {path} does not exist; begin one with 'epnet pki trust "
            "CERTIFICATE --identity ID'"
        ) from error
    except (OSError, UnicodeError) as error:
        raise UsageError(f"cannot read the list of trusted devices {path}: {error}") from error
    if not text:  # as while it is written, or on a full disk
        raise UsageError(
            f"the list of trusted devices {path} is empty; to trust nobody, write a line with '#'"
        )
    yield from text.splitlines()


def _parseLine(line: str) -> tuple[str, str] | None:
    """Fingerprint and identity; None for a line without a device."""
    words = line.partition("#")[0].split()
    if not words:
        return None
    if len(words) != 2:
        raise UsageError("write a fingerprint and an identity, two words, or begin with '#'")
    return parseFingerprint(words[0]), words[1]


def _write(path: Path, lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines) or _HEADER
    replaceFile(path, text.encode(), 0o644)
