"""The secrets of TLS connections written to a file, for debugging with Wireshark.

Whoever has that file can read, though not change, all that the connections carried.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from OpenSSL import SSL

from epnet.errors import UsageError
from epnet.securitylog import securityLog

VARIABLE = "SSLKEYLOGFILE"
"""The environment variable that names the file, as in browsers and curl."""


class KeyLog:
    """Appends the secrets of each handshake to a file, in the format of NSS.

    Says so loudly: this is for the laboratory.  Raises `UsageError` if it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hasFailed = False
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise UsageError(
                f"cannot write the key log {path}: {error.strerror}; unset {VARIABLE}"
            ) from error
        securityLog.critical(
            "KEY LOG: the secrets of every connection go to {path}, and whoever reads that file"
            " can read them; unset {variable} where real power flows",
            path=str(path),
            variable=VARIABLE,
            security=True,
        )

    @classmethod
    def fromEnvironment(cls) -> Self | None:
        """The one that ``SSLKEYLOGFILE`` asks for, if it does."""
        path = os.environ.get(VARIABLE)
        return cls(Path(path)) if path else None

    def __call__(self, connection: SSL.Connection, line: bytes) -> None:
        """Add a line, as OpenSSL gives it; that it fails is told once."""
        try:
            os.write(self._file, line + b"\n")
        except OSError as error:
            if not self._hasFailed:
                self._hasFailed = True
                securityLog.warn(
                    "the key log {path} cannot be written: {error}",
                    path=str(self._path),
                    error=error.strerror,
                    security=True,
                )
