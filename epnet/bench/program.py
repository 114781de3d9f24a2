"""A program of somebody else's that sends back what it gets, as a server of a benchmark.

It is named by the environment's ``EPNET_BENCH_ECHO`` and started as ``PROGRAM PORT CERTIFICATE KEY
AUTHORITY``: to listen on that port of the loopback interface, with TLS 1.3 and certificates from
either side.  ``docs/examples/echo.c`` is one.  Its processor time is read from ``/proc``.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from epnet.bench.processes import ALONE, LOOPBACK, PATIENCE, ROUTER, WorkerFailed, place
from epnet.pki import certificatePaths

VARIABLE: Final = "EPNET_BENCH_ECHO"


def given() -> str | None:
    """The program, if one is named."""
    return os.environ.get(VARIABLE) or None


class Program:
    """The process of such a program; answers what a `Worker` that listens does.

    path: the program.
    folder: a `household`.
    """

    def __init__(self, path: str, folder: Path) -> None:
        files = certificatePaths(folder, ROUTER)
        with socket.socket() as found:
            found.bind((LOOPBACK, 0))
            self._port: int = found.getsockname()[1]
        shown = (files.certificate, files.key, files.authority)
        try:
            self._process = subprocess.Popen([path, str(self._port), *map(str, shown)])
        except OSError as error:
            raise WorkerFailed(f"{VARIABLE}: {error}") from error
        place(self._process.pid, ALONE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def ask(self, command: str, *_: object) -> Any:
        """Answer ``listen`` and ``cpuSeconds``.  Raises `WorkerFailed`."""
        return {"listen": self._listen, "cpuSeconds": self._cpuSeconds}[command]()

    def _listen(self) -> int:
        """The port, once it answers there."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self._process.poll() is None:
            try:
                socket.create_connection((LOOPBACK, self._port)).close()
            except ConnectionRefusedError:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(0.02)
            else:
                return self._port
        raise WorkerFailed(f"{VARIABLE}: it does not listen on port {self._port}")

    def _cpuSeconds(self) -> float:
        """The time of the processor that it has taken, to a hundredth of a second."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
