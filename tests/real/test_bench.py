"""Every benchmark with processes runs, at sizes that say nothing of speed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from epnet.bench import (
    flood,
    handshake,
    memory,
    observers,
    pressure,
    program,
    router,
    session,
    start,
    strangers,
    watch,
)
from epnet.bench.frame import Row
from epnet.bench.processes import Worker, WorkerFailed, household

SHORT = 0.3
ECHO = """
import socketserver, ssl, sys

port, certificate, key, authority = sys.argv[1:]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
context.verify_mode = ssl.CERT_REQUIRED
context.load_cert_chain(certificate, key)


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        with context.wrap_socket(self.request, server_side=True) as tls:
            while data := tls.recv(16384):
                tls.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    request_queue_size = 128

    def handle_error(self, *who):
        pass


Server(("127.0.0.1", int(port)), Echo).serve_forever()
"""


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
        """Also against a program that sends back what it gets, as ``docs/examples/echo.c`` does."""
        path = Path(self.mktemp()).absolute()
        path.write_text(f"#!{sys.executable}\n{ECHO}")
        path.chmod(0o700)
        self.patch(os, "environ", {**os.environ, program.VARIABLE: str(path)})
        rows = list(session.run(1, 20))
        self.assertMeasured(rows, 4)
        self.assertIn("the program given", rows[1].what)
        for row in rows:
            self.assertGreater(row.value, 0, row.what)

    def test_start(self) -> None:
        self.assertMeasured(list(start.run(1)), 1)
        error = self.assertRaises(WorkerFailed, start._took, "print('no such plugin')")
        self.assertIn("no such plugin", str(error))

    def test_memory(self) -> None:
        self.assertMeasured(list(memory.run(1, 20)), 1)

    def test_handshake(self) -> None:
        self.assertMeasured(list(handshake.run(1, 20)), 3)

    def test_flood(self) -> None:
        self.assertMeasured(list(flood.run(1, 20)), 3)

    def test_strangers(self) -> None:
        self.assertMeasured(list(strangers.run(1, 2)), 1)

    def test_router(self) -> None:
        self.assertMeasured(list(router.run(1, 20)), 7)

    def test_observers(self) -> None:
        self.patch(observers, "VIEWERS", 3)
        self.patch(observers.Scene, "check", lambda scene, dead: None)  # nobody stalls so soon
        self.assertMeasured(list(observers.run(1, 20)), 21)

    def test_pressure(self) -> None:
        self.assertMeasured(list(pressure.run(1, 20)), 4)


class WorkerTests(SynchronousTestCase):
    def test_whatGoesWrongInAProcessIsToldHere(self) -> None:
        with household(0) as folder, Worker("Listening", folder) as worker:
            error = self.assertRaises(WorkerFailed, worker.ask, "listen", {"nonsense": 1})
            self.assertIn("nonsense", str(error))

    def test_aProgramThatDoesNotListen(self) -> None:
        with household(0) as folder:
            with program.Program("/bin/false", folder) as server:
                error = self.assertRaises(WorkerFailed, server.ask, "listen")
                self.assertIn("does not listen", str(error))
            self.assertRaises(WorkerFailed, program.Program, "/nowhere", folder)
