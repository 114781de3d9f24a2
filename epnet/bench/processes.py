"""The processes of a benchmark, as the one that measures sees them."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Self

from epnet.errors import EPError
from epnet.pki import (
    CertificatePaths,
    certificatePaths,
    ensureCertificate,
    issueCertificate,
    loadAuthority,
)
from epnet.tap.files import OTHERS, allowFiles

LOOPBACK: Final = "127.0.0.1"
ROUTER: Final = "router.bench"
BATCH: Final = 25
"""How many devices share a certificate where they do."""
ELSEWHERE: Final = 10
"""How much processes yield (`nice`) that would have a machine of their own."""
PATIENCE: Final = 60.0
"""How long an answer may take, in s."""
_CORES: Final = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
ALONE: Final = frozenset(_CORES[:1])
"""The core of the server that is measured: waking somebody costs more, or less, if he shares it."""
ELSE: Final = frozenset(_CORES[1:] or _CORES)
"""The cores of all others."""
ANY: Final = frozenset(_CORES)
"""For processes that start others."""


def place(pid: int, cores: Set[int]) -> None:
    """Let a process that has just started run on these cores, as far as that can be said here."""
    if cores:
        os.sched_setaffinity(pid, cores)


class WorkerFailed(EPError):
    """A process of a benchmark did not answer, or failed; the text says how."""


def deviceName(number: int) -> str:
    """The identity of a device."""
    return f"device-{number}.bench"


def deviceFiles(folder: Path, number: int) -> CertificatePaths:
    """The certificate of a device: its own, or one that it shares with others of its batch."""
    own = certificatePaths(folder, deviceName(number))
    return own if own.certificate.exists() else certificatePaths(folder, _batchName(number))


def _makeRoom(devices: int) -> None:
    needed = devices + OTHERS
    allowed = allowFiles(needed)
    if allowed < needed:
        raise WorkerFailed(
            f"a process may have {allowed} files open here, and {devices} devices need {needed}: "
            "raise that (ulimit -Hn), or ask for fewer --devices"
        )


def _batchName(number: int) -> str:
    return f"batch-{number // BATCH}.bench"


@contextmanager
def household(devices: int, shared: bool = True) -> Iterator[Path]:
    """A folder with certificates for a router and so many devices, as long as it is needed.

    shared: whether `BATCH` devices share a certificate, to have many of them soon.

    Raises `WorkerFailed` where the system does not let a process have as many connections.
    """
    _makeRoom(devices)
    with TemporaryDirectory(prefix="epnet-bench-") as name:
        folder = Path(name)
        ensureCertificate(folder, ROUTER)
        authority = loadAuthority(folder)
        names = [deviceName(number) for number in range(devices)]
        step = BATCH if shared else 1
        for first in range(0, devices, step):
            identity = _batchName(first) if shared else names[first]
            dns = names[first : first + step]
            issueCertificate(authority, identity, dns=dns, out=folder / "certificates")
        yield folder


class Worker:
    """A process that plays one of the roles in `epnet.bench.roles`; use it in a ``with``.

    role: the name of the class.
    folder: a `household`.
    niceness: how much it yields to others, 0 to 19.
    cores: where it runs, as far as the system lets anybody say so.
    """

    def __init__(self, role: str, folder: Path, niceness: int = 0, cores: Set[int] = ELSE) -> None:
        self.role = role
        command = [sys.executable, "-m", "epnet.bench.worker", role, str(folder), str(niceness)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        place(self._process.pid, cores)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def ask(self, command: str, *arguments: object) -> Any:
        """Let it do something and wait for the answer.  Raises `WorkerFailed`."""
        self.tell(command, *arguments)
        return self.answer()

    def tell(self, command: str, *arguments: object) -> None:
        """Let it do something; the `answer` comes later."""
        assert self._process.stdin is not None
        line = json.dumps([command, *arguments]) + "\n"
        try:
            os.write(self._process.stdin.fileno(), line.encode())
        except BrokenPipeError as error:
            raise WorkerFailed(f"the {self.role} has ended") from error

    def answered(self, seconds: float = 0.0) -> bool:
        """Whether there is an `answer`, or is one within so many s."""
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], seconds)[0])

    def runFor(self, seconds: float) -> None:
        """Let it go on for so many s.  Raises `WorkerFailed` if it stops before."""
        if self.answered(seconds):
            raise WorkerFailed(f"the {self.role} stopped too soon: {self.answer()}")

    def answer(self) -> Any:
        """What became of the oldest command not answered yet.  Raises `WorkerFailed`."""
        assert self._process.stdout is not None
        if not self.answered(PATIENCE):
            raise WorkerFailed(f"the {self.role} did not answer within {PATIENCE:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise WorkerFailed(f"the {self.role} has ended")
        reply = json.loads(line)
        if "error" in reply:
            raise WorkerFailed(f"the {self.role} failed: {reply['error']}")
        return reply["answer"]
