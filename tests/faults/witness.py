"""What a program under test writes down about itself, while a fault happens to it.

Each line of the journal (the file named by ``EPNET_JOURNAL``) is a JSON object: `what`, `at` in s
of the machine's monotonic clock, which all processes share, and more.

============ =======================================================================================
power        a device may draw so many watts, `draw_w`: from nothing to something, or back
session over the node is about to be told: `peer`, `cause`, whether `inTransfer`, and `heardAt`,
             when the last frame arrived that shows that the link lives
shut down    the controlled shutdown begins: `shutDown` of a device, or `open` of a router's port
gap          in a transfer, so many `seconds` passed between two such frames from `peer`; only
             from 80 ms
late         the process got its turn so many `seconds` late; only from 20 ms
state        upon SIGUSR2: how many `calls` are scheduled, how many `connections` there are
============ =======================================================================================
"""

from __future__ import annotations

import json
import os
import signal
import time
from types import FrameType
from typing import ClassVar

from twisted.internet import reactor
from twisted.python.failure import Failure

from epnet.interfaces import Limits
from epnet.lifecycle import Ending
from epnet.protocol import EPProtocol
from epnet.router.converter import SimulatedConverter
from tests.drawing import Drawing
from tests.faults.lateness import watchLateness

JOURNAL = "EPNET_JOURNAL"
GAP_SECONDS = 0.08
_file = os.open(os.environ[JOURNAL], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def note(what: str, **more: object) -> None:
    """Write a line at once: a process that is killed has written all that it noted."""
    line = json.dumps({"what": what, "at": time.monotonic(), **more}) + "\n"
    os.write(_file, line.encode())


class Witness(Drawing):
    """Draws 1 kW whenever it may, and notes when that begins, ends and is shut down."""

    type, name = "witness", "A witness"

    def setLimits(self, limits: Limits) -> None:
        if (limits.draw_w > 0.0) is not (self._limits.draw_w > 0.0):
            note("power", draw_w=limits.draw_w)
        super().setLimits(limits)

    def shutDown(self, reason: str) -> None:
        note("shut down")
        self.setLimits(Limits(0.0, 0.0, 0.0))


class WitnessConverter(SimulatedConverter):
    """The simulated power electronics of a router's port; notes when it is told to open."""

    def open(self) -> None:
        note("shut down")
        super().open()


class WitnessProtocol(EPProtocol):
    """Notes how sessions end, and how long they are silent."""

    live: ClassVar[set[WitnessProtocol]] = set()

    def connectionMade(self) -> None:
        self.live.add(self)
        super().connectionMade()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        super().connectionLost(reason)
        self.live.discard(self)

    def dataReceived(self, data: bytes) -> None:
        before = self.session.heardAt
        super().dataReceived(data)
        gap = self.session.heardAt - before
        if gap >= GAP_SECONDS and self.session.transferring:
            note("gap", peer=self.peer.identity, seconds=gap)

    def sessionClosed(self, ending: Ending) -> None:
        note(
            "session over",
            peer=self.peer.identity,
            cause=ending.cause.value,
            inTransfer=ending.inTransfer,
            heardAt=self.session.heardAt,
        )
        super().sessionClosed(ending)


def noteState(number: int, frame: FrameType | None) -> None:
    """A signal handler."""
    note(
        "state",
        calls=len(reactor.getDelayedCalls()),  # type: ignore[attr-defined]
        connections=len(WitnessProtocol.live),
    )


def noteLateness() -> None:
    """Note from now on when the machine is too busy for this process."""
    watchLateness(lambda seconds: note("late", seconds=seconds))


signal.signal(signal.SIGUSR2, noteState)
reactor.callWhenRunning(noteLateness)  # type: ignore[attr-defined]
