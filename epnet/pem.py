"""Certificates and keys in PEM files, read with errors that say what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from epnet.errors import UsageError

_END: Final = re.compile(rb"^-----END [^-\n]+-----\s*$", re.MULTILINE)


def readCertificates(path: Path, what: str = "certificate") -> list[x509.Certificate]:
    """Read all certificates of a PEM file, one or more, in their order.

    what: what the file is for, for the errors ("certificate", "authority").
    Raises `UsageError` if the file is missing, unreadable, not whole or holds no certificate.
    """
    content = _read(path, what)
    checkWhole(path, content)
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise UsageError(
            f"the {what} file {path} holds no valid PEM certificate; "
            "it must contain '-----BEGIN CERTIFICATE-----'"
        ) from error


def checkWhole(path: Path, content: bytes) -> None:
    """Raise `UsageError` for a PEM file of which something has a beginning and no end.

    It may still be being written, or the disk is full.  What is missing would be forgotten without
    a word: an authority whose devices are believed no more, somebody revoked who is again.
    """
    if content.count(b"-----BEGIN ") != len(_END.findall(content)):
        raise UsageError(
            f"{path} is not whole: something in it begins and does not end; write it anew"
        )


def readPrivateKey(path: Path) -> PrivateKeyTypes:
    """Read the unencrypted private key of a PEM file.

    Raises `UsageError` if the file is missing, unreadable, encrypted or holds no private key.
    """
    content = _read(path, "key")
    try:
        return load_pem_private_key(content, password=None)
    except TypeError as error:
        raise UsageError(
            f"the key file {path} is encrypted with a password; "
            "give an unencrypted one that only its owner can read"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(
            f"the key file {path} holds no valid PEM private key; "
            "it must contain '-----BEGIN PRIVATE KEY-----'"
        ) from error


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(
            f"the {what} file {path} does not exist; make one with 'epnet pki issue' "
            f"or name another with --{what}"
        ) from error
    except OSError as error:
        raise UsageError(f"cannot read the {what} file {path}: {error.strerror}") from error
