"""Devices, floods and strangers over real sockets: who suffers, and who does not."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epnet.bench.processes import Worker, household

DEVICES = 4


class PressureCase(SynchronousTestCase):
    def setUp(self) -> None:
        stack = ExitStack()
        self.addCleanup(stack.close)
        self.start = stack.enter_context
        self.folder: Path = self.start(household(DEVICES * 2))

    def server(self, role: str = "Listening") -> tuple[Worker, int]:
        """A server, and where it listens."""
        server = self.start(Worker(role, self.folder))
        port: int = server.ask("listen", {})
        return server, port

    def worker(self, role: str) -> Worker:
        return self.start(Worker(role, self.folder))


class StrangerTests(PressureCase):
    def test_300SilentOnesKeepNoDeviceFromConnectingWithinASecond(self) -> None:
        _, port = self.server()
        self.worker("Attackers").ask("stay", port, 150, 150)
        took = self.worker("Crowd").ask("connect", port, 0, DEVICES, 1, True)
        self.assertEqual(len(took), DEVICES)
        self.assertLess(max(took), 1.0)


class FloodTests(PressureCase):
    def test_devicesThatFloodCostThemselvesOnly(self) -> None:
        server, port = self.server()
        quiet, loud = self.worker("Crowd"), self.worker("Crowd")
        quiet.ask("connect", port, 0, DEVICES, 4, True)
        loud.tell("flood", port, DEVICES, DEVICES, 2.0)
        done = quiet.ask("run", 2.0, 10.0)
        flood = loud.answer()
        self.assertEqual(done["lost"], 0)
        # Each was refused, and came back, and again.
        self.assertGreater(flood["connected"], DEVICES)
        # At most 500 or so of what each connection sent has been read.
        self.assertLess(server.ask("noise"), flood["connected"] * 700)


class SlowReaderTests(PressureCase):
    """Devices that go on sending and do not read, while a router sends 100 times a second."""

    def test_S8_theyHearTheNewestAndNoQueueOfWhatWas(self) -> None:
        _, port = self.server("Eager")
        deaf = self.worker("Deaf")
        deaf.ask("connect", port, 0, DEVICES, 4, True)
        heard: dict[str, Any] = deaf.ask("ignore", 3.0, 10.0)
        self.assertLess(max(heard["ages"]), 1.0)  # and no three seconds
        self.assertLess(max(heard["waited"]), 150)  # of 300 that fell due meanwhile
        self.assertGreater(min(heard["waited"]), 0)
