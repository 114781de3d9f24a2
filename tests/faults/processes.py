"""A program under test as a process: its journal, its signals, what it holds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import attrs

from tests.faults.waiting import PATIENCE, until

ROOT = Path(__file__).parents[2]

Event = dict[str, Any]


@attrs.frozen
class State:
    """What a program holds when nothing is under way."""

    descriptors: int
    calls: int
    connections: int


class Program:
    """``tests.faults.program`` in a process of its own.

    arguments: twistd's plugin and its options.
    folder: for its journal and its output.
    prefix: a command that runs it, such as ``nsenter``.
    output: where it prints; a file in the folder by default.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        prefix: Sequence[str] = (),
        output: Path | None = None,
    ) -> None:
        self.arguments = arguments
        self._folder = folder
        self._prefix = prefix
        self._output = output
        self._starts = 0
        self.start()

    def start(self) -> None:
        """Start it, also once more after it has ended."""
        self._starts += 1
        name = f"{self.identity}-{self._starts}"
        self._journal = self._folder / f"{name}.journal"
        self._read = 0
        self._pending = b""
        self.events: list[Event] = []
        self.output = self._output or self._folder / f"{name}.log"
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "EPNET_JOURNAL": str(self._journal),
        }
        command = [*self._prefix, sys.executable, "-m", "tests.faults.program", *self.arguments]
        with self.output.open("ab") as out:
            self.process = self._spawn(command, out, environment)

    def _spawn(
        self, command: Sequence[str], out: IO[bytes], environment: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            env=environment,
        )

    @property
    def identity(self) -> str:
        """Whom it runs as."""
        [identity] = [a.split("=")[1] for a in self.arguments if a.startswith("--identity=")]
        return identity

    # What it says

    def look(self) -> list[Event]:
        """All that it has noted since it started."""
        if self._journal.exists():
            with self._journal.open("rb") as file:
                file.seek(self._read)
                data = file.read()
            self._read += len(data)
            *lines, self._pending = (self._pending + data).split(b"\n")
            self.events.extend(map(json.loads, lines))
        return self.events

    async def event(self, since: int, what: str, **having: object) -> Event:
        """Wait for an event after so many; raises AssertionError if the program has ended."""

        def found() -> Event | None:
            return next((e for e in self.look()[since:] if _matches(e, what, having)), None)

        await until(lambda: found() or self.process.poll() is not None, f"{what} {having}")
        event = found()
        assert event is not None, f"{self.identity} has ended; see {self.output}"
        return event

    # What it holds

    async def state(self) -> State:
        """What it holds now."""
        since = len(self.look())
        self.kill(signal.SIGUSR2)
        event = await self.event(since, "state")
        descriptors = len(os.listdir(f"/proc/{self.process.pid}/fd"))
        return State(descriptors, event["calls"], event["connections"])

    # Its life

    def kill(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self) -> None:
        """End it on the spot, stopped or not, and let go of it."""
        self.process.kill()
        self.process.wait(PATIENCE)
        assert self.process.stdin is not None
        self.process.stdin.close()


def _matches(event: Event, what: str, having: dict[str, object]) -> bool:
    return event["what"] == what and all(event.get(k) == v for k, v in having.items())
