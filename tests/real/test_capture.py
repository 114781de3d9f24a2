"""The demonstration on the wire: captured, opened with the key log, and read by the dissector."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from unittest.mock import patch

from epnet.dissector import dissector
from tests.real.processes import until
from tests.real.test_router import RouterTestCase
from tests.tsharkcase import NO_TSHARK, TSHARK


def freePort() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class CaptureTests(RouterTestCase):
    skip = NO_TSHARK or (None if os.geteuid() == 0 else "only root may capture")

    def setUp(self) -> None:
        super().setUp()
        self.port = freePort()
        self.file, self.keys = self.folder / "demo.pcapng", self.folder / "keys.log"
        self.lua = self.folder / "ep.lua"
        self.lua.write_text(dissector(self.port), "utf-8")

    def capture(self) -> subprocess.Popen[bytes]:
        """Begin to capture."""
        errors = self.folder / "tshark.log"
        command = [TSHARK or "", "-i", "lo", "-f", f"tcp port {self.port}", "-w", str(self.file)]
        with errors.open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        self.addCleanup(process.wait, 30)
        self.addCleanup(process.kill)
        until(lambda: "Capturing on" in errors.read_text(), "capturing")
        until(self.file.exists, "the file")
        return process

    def read(self, *fields: str, where: str) -> list[list[str]]:
        """The fields of the frames for which a display filter holds."""
        command = [TSHARK or "", "-r", self.file, "-X", f"lua_script:{self.lua}", "-Y", where]
        command += ["-o", f"tls.keylog_file:{self.keys}", "-T", "fields"]
        for field in fields:
            command += ["-e", field]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        self.assertNotIn("Lua Error", run.stdout + run.stderr)
        return [line.split("\t") for line in run.stdout.splitlines()]

    def test_theDemonstrationCanBeRead(self) -> None:
        capturing = self.capture()
        with patch.dict(os.environ, {"SSLKEYLOGFILE": str(self.keys)}):
            router = self.start(
                "ep-router",
                "--demo",
                "--identity=router",
                f"--listen=tcp:{self.port}:interface=127.0.0.1",
                "--http=tcp:0:interface=127.0.0.1",
            )
        router.says("demo-grid: session with router")
        router.says("KEY LOG")
        power: list[list[str]] = []

        def flows() -> bool:
            power[:] = self.read("ep.supply.power_limit", where="ep.supply.power_limit > 0")
            return bool(power)

        until(flows, "power in the capture")
        router.kill(signal.SIGTERM)
        self.assertEqual(router.wait(), 0, router.text)
        capturing.send_signal(signal.SIGINT)
        capturing.wait(30)
        identities = {
            name
            for [names] in self.read("ep.session.identity", where="ep.session.identity")
            for name in names.split(",")
        }
        self.assertEqual(
            identities,
            {"router", "demo-solar", "demo-battery", "demo-car", "demo-home", "demo-grid"},
        )
        self.assertNotEqual(self.read("ep.type", where="ep.disconnect.reason"), [])
        self.assertEqual(self.read("frame.number", where="_ws.malformed"), [])
