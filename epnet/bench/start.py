"""How soon a router listens once it was started, against Twisted's reactor alone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from tempfile import TemporaryDirectory
from threading import Timer
from typing import Final

from epnet.bench.frame import Row, inTurn
from epnet.bench.processes import LOOPBACK, PATIENCE, WorkerFailed

_TWISTD: Final = "from twisted.scripts.twistd import run; run()"
_ANYWHERE: Final = f"tcp:0:interface={LOOPBACK}"
_REACTOR: Final = """
from twisted.internet import reactor

reactor.callWhenRunning(print, "listening", flush=True)
reactor.run()
"""


def run(rounds: int) -> Iterator[Row]:
    """Measure it as after installation: it makes its authority and its certificate first."""
    router, reactor = inTurn(rounds, _router, lambda: _took(_REACTOR))
    what = "from the start of a router until it listens"
    yield Row(what, "ms", router, "reactor", reactor, most=1000)


def _router() -> float:
    with TemporaryDirectory(prefix="epnet-bench-") as folder:
        places = (f"--state-dir={folder}", f"--listen={_ANYWHERE}", f"--http={_ANYWHERE}")
        return _took(_TWISTD, "-n", "--pidfile=", "ep-router", *places)


def _took(code: str, *arguments: str) -> float:
    """How long a program of Python takes until it says that it is listening, in ms."""
    began = time.monotonic()
    program = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    limit = Timer(PATIENCE, program.kill)
    limit.start()
    with program:
        assert program.stdout is not None
        said = []
        for line in program.stdout:
            said.append(line)
            if "listening" in line:
                break
        took = time.monotonic() - began
        program.terminate()
    limit.cancel()
    if not said or "listening" not in said[-1]:
        raise WorkerFailed("it ended before it listened: " + "".join(said))
    return took * 1000
