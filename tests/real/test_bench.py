"""Every benchmark with processes runs, at sizes that say nothing of speed."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epnet.bench import (
    flood,
    handshake,
    memory,
    observers,
    pressure,
    router,
    session,
    strangers,
    watch,
)
from epnet.bench.frame import Row
from epnet.bench.processes import Worker, WorkerFailed, household

SHORT = 0.3


class BenchmarkTests(SynchronousTestCase):
    def setUp(self) -> None:
        for module, *names in (
            (session, "WARM_SECONDS", "SECONDS"),
            (observers, "WARM_SECONDS", "SECONDS"),
            (router, "WARM_SECONDS", "SECONDS"),
            (memory, "SETTLING_SECONDS"),
            (handshake, "QUIET_SECONDS"),
            (flood, "QUIET_SECONDS"),
            (pressure, "QUIET_SECONDS", "FLOOD_SECONDS", "DEAF_SECONDS"),
            (watch, "WARM_SECONDS"),
        ):
            for name in names:
                self.patch(module, name, SHORT)
        self.patch(handshake, "STORM", 4)
        self.patch(flood, "ATTEMPTS", 20)
        self.patch(strangers, "STRANGERS", 4)

    def assertMeasured(self, rows: list[Row], count: int) -> None:
        self.assertEqual(len(rows), count)
        for row in rows:
            self.assertEqual(len(row.values), 1, row.what)

    def test_session(self) -> None:
        rows = list(session.run(1, 20))
        self.assertMeasured(rows, 3)
        for row in rows:
            self.assertGreater(row.value, 0, row.what)

    def test_memory(self) -> None:
        self.assertMeasured(list(memory.run(1, 20)), 1)

    def test_handshake(self) -> None:
        self.assertMeasured(list(handshake.run(1, 20)), 3)

    def test_flood(self) -> None:
        self.assertMeasured(list(flood.run(1, 20)), 3)

    def test_strangers(self) -> None:
        self.assertMeasured(list(strangers.run(1, 2)), 1)

    def test_router(self) -> None:
        self.assertMeasured(list(router.run(1, 20)), 6)

    def test_observers(self) -> None:
        self.patch(observers, "VIEWERS", 3)
        self.patch(observers.Scene, "check", lambda scene, dead: None)  # nobody stalls so soon
        self.assertMeasured(list(observers.run(1, 20)), 16)

    def test_pressure(self) -> None:
        self.assertMeasured(list(pressure.run(1, 20)), 4)


class WorkerTests(SynchronousTestCase):
    def test_whatGoesWrongInAProcessIsToldHere(self) -> None:
        with household(0) as folder, Worker("Listening", folder) as worker:
            error = self.assertRaises(WorkerFailed, worker.ask, "listen", {"nonsense": 1})
            self.assertIn("nonsense", str(error))
