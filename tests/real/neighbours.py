"""Routers in processes of their own, with gadgets in one more (`tests.real.gadgets`)."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.real.processes import ROOT, until


class Gadgets:
    """The process with the devices, and what it tells.

    told: each thing that it told, in order.
    """

    def __init__(self, stateDir: Path) -> None:
        self.told: list[dict[str, Any]] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.real.gadgets", str(stateDir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.told.append(json.loads(line))

    def end(self) -> None:
        """Unplug all of them."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._thread.join()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def _command(self, *words: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()

    def plug(self, identity: str, router: str, port: int, **options: object) -> None:
        """Connect a gadget to a router."""
        self._command("plug", identity, router, port, options)

    def set(self, identity: str, **options: object) -> int:
        """Let a gadget offer or want something else; gives where in `told` that is."""
        known = len(self.told)
        self._command("set", identity, options)
        found: list[int] = []

        def isSet() -> bool:
            found[:] = [
                index
                for index, each in enumerate(self.told[known:], known)
                if each.get("set") == identity
            ]
            return bool(found)

        until(isSet, f"{identity} has been set")
        return found[0]

    def may(self, identity: str) -> tuple[float, float]:
        """What a gadget may draw and supply now, W."""
        for each in reversed(self.told):
            if each.get("may") == identity:
                return each["draw_w"], each["supply_w"]
        return 0.0, 0.0

    def settle(self, quiet: float = 1.5, longest: float = 30.0) -> None:
        """Wait until nothing has changed for so long, s."""
        began = time.monotonic()
        while time.monotonic() - max([began, *(e["at"] for e in self.told[-1:])]) < quiet:
            assert time.monotonic() - began < longest, f"not at rest: {self.told[-20:]}"
            threading.Event().wait(0.05)

    def response(self, mark: int) -> tuple[float, int]:
        """After a `set` at that place in `told`: when the last change came, s after it, and how
        often any one gadget changed its way."""
        began = self.told[mark]["at"]
        changes = [each for each in self.told[mark:] if "may" in each]
        last = max((each["at"] - began for each in changes), default=0.0)
        return last, max((turnsOf(changes, each["may"]) for each in changes), default=0)


class Relaying:
    """A relay before a port, in a process of its own (`tests.real.relaying`).

    port: where it listens.
    """

    def __init__(self, port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.real.relaying", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def order(self, what: str) -> None:
        """Call a method of the relay."""
        assert self._process.stdin is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """Be no more."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()


def turnsOf(changes: list[dict[str, Any]], identity: str) -> int:
    """How often what a gadget may do has gone up after it had gone down, or the other way."""
    powers = [each["draw_w"] - each["supply_w"] for each in changes if each["may"] == identity]
    ways = [after > before for before, after in pairwise(powers)]
    return sum(one is not other for one, other in pairwise(ways))
