"""A configuration file as a user has it: started with, edited, broken, restarted with."""

from __future__ import annotations

import json
import re
import signal
from urllib.request import urlopen

from epnet.pki import certificatePaths, initAuthority
from epnet.wire import SupplyParameters
from tests.real.processes import RawPeer, Twistd, until
from tests.real.test_router import DEMAND, SESSION, RouterTestCase, granted

FILE = """
[router]
identity = "router"
listen = ["tcp:0:interface=127.0.0.1"]
[http]
listen = "tcp:0:interface=127.0.0.1"
[ports.sun]
side = "B"
[ports.rawsink1]
max_power = 2000
"""


class ConfigurationTests(RouterTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.file = self.folder / "house.toml"
        self.file.write_text(FILE)

    def startConfigured(self) -> tuple[Twistd, int, int]:
        router = self.start("ep-router", f"--config={self.file}")
        found: list[str] = []

        def listening() -> bool:
            found[:] = re.findall(r"(?:listening on |http://)127\.0\.0\.1:(\d+)", router.text)
            return len(found) == 2

        until(lambda: listening() or router.ended, "listening")
        self.assertEqual(len(found), 2, router.text)
        return router, int(found[0]), int(found[1])

    def plugIn(self, port: int) -> RawPeer:
        """A source, and a sink that asks for 3 kW."""
        for identity in ("sun", "rawsink1"):
            if not certificatePaths(self.state, identity).certificate.exists():
                self.issue(identity)
        self.start(
            "ep-client",
            "--identity=sun",
            "--device=grid:fuse_a=16",
            f"--upstream=router@127.0.0.1:{port}",
            "--no-listen",
        )
        sink = RawPeer(port, certificatePaths(self.state, "rawsink1"))
        self.addCleanup(sink.end)
        sink.send(SESSION)
        sink.repeat(DEMAND)
        return sink

    def stop(self, process: Twistd) -> None:
        process.kill(signal.SIGTERM)
        self.assertEqual(process.wait(), 0, process.text)
        self.assertNotIn("Traceback", process.text)

    def test_editedBrokenMendedAndRestarted(self) -> None:
        router, port, http = self.startConfigured()
        sink = self.plugIn(port)
        until(lambda: granted(sink.newest(SupplyParameters)) == 2000, "what the port allows")

        self.file.write_text(FILE.replace("2000", "1500"))
        router.kill(signal.SIGHUP)
        until(lambda: granted(sink.newest(SupplyParameters)) == 1500, "what the port allows now")

        self.file.write_text(FILE.replace("2000", "'lots'").replace("side", "syde"))
        router.says("CANNOT BE USED, so the configuration BEFORE IT stays in force")  # by itself
        router.says(f"{self.file}:8: ports.sun.syde is not known here; did you mean side?")
        router.says(f'{self.file}:10: ports.rawsink1.max_power is "lots"; it must be a number')
        with urlopen(f"http://127.0.0.1:{http}/api/v1/state", timeout=30) as answer:
            self.assertEqual(len(json.load(answer)["configuration"]), 2)
        with urlopen(f"http://127.0.0.1:{http}/metrics", timeout=30) as answer:
            self.assertIn("epnet_configuration_problems 2.0", answer.read().decode())
        self.assertEqual(granted(sink.newest(SupplyParameters)), 1500)
        self.assertEqual(router.text.count("session with rawsink1"), 1)
        self.stop(router)

        router, port, _ = self.startConfigured()
        router.says("so the LAST GOOD CONFIGURATION, kept in")
        sink = self.plugIn(port)
        until(lambda: granted(sink.newest(SupplyParameters)) == 1500, "the last good one")
        self.stop(router)

    def test_whoHasNoPortIsRefused(self) -> None:
        self.file.write_text(FILE.replace("rawsink1", "somebody"))
        router, port, _ = self.startConfigured()
        sink = self.connectRaw(port)
        sink.send(SESSION)
        router.says("no port is configured for")
        self.stop(router)

    def test_withoutALastGoodOneEveryMistakeIsALine(self) -> None:
        self.file.write_text("[router]\nidentty = 'x'\nlisten = 3\n")
        for plugin in ("ep-router", "ep-client", "ep-server", "ep-peer"):
            process = self.start(plugin, f"--config={self.file}")
            self.assertEqual(process.wait(), 1, process.text)
            lines = process.text.splitlines()
            self.assertEqual(len(lines), 2, process.text)
            self.assertIn("house.toml:2: router.identty is not known here", lines[0])

    def test_theOtherPluginsTakeTheirs(self) -> None:
        initAuthority(self.state)
        for identity in ("grid-1", "car-1", "home-1"):
            self.issue(identity)
        self.file.write_text(
            "[router]\nidentity = 'grid-1'\nlisten = ['tcp:0:interface=127.0.0.1']\n"
        )
        server = self.start("ep-server", "--device=grid", f"--config={self.file}")
        until(lambda: "listening on" in server.text or server.ended, "listening")
        [port] = re.findall(r"listening on 127\.0\.0\.1:(\d+)", server.text)
        for plugin, identity in (("ep-client", "car-1"), ("ep-peer", "home-1")):
            file = self.folder / f"{identity}.toml"
            file.write_text(
                f"[router]\nidentity = '{identity}'\nlisten = ['tcp:0:interface=127.0.0.1']\n"
                f"[upstream]\nhosts = ['grid-1@127.0.0.1:{port}']\n"
            )
            device = self.start(plugin, "--device=ev", f"--config={file}")
            server.says(f"session with {identity}")
            self.stop(device)
        self.stop(server)
