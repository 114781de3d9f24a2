"""The HTTP interface over real sockets: hostile requests by its description, TLS with tokens."""

from __future__ import annotations

import json
import os
import re
import ssl
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from epnet.interfaces import Sample
from epnet.observe.export import HistoryReader
from epnet.observe.history import valuesOf
from epnet.observe.sqlite import SqliteStore
from epnet.observe.worker import Worker
from epnet.pki import initAuthority, issueCertificate
from tests.observe.house import NOON, House, hear
from tests.observe.test_calls import SUN, WISH
from tests.real.test_router import RouterTestCase

EXAMPLES = os.environ.get("EPNET_HTTP_EXAMPLES", "25")
"""How many requests are tried of each kind."""


class HostileRequestTests(TestCase):
    """Schemathesis makes requests, good and bad, from the description that the router serves."""

    timeout = 300

    def setUp(self) -> None:
        self.house = House()
        hear(self.house.plugIn("car", "vehicle", "Car"), WISH)
        hear(self.house.plugIn("solar", "solar"), SUN)
        path = Path(self.mktemp()).absolute()
        store = SqliteStore(path)
        start = int(NOON.timestamp())
        store.write(
            [
                Sample(start + number, device["identity"], valuesOf(device))
                for number in range(100)
                for device in self.house.look()["devices"]
            ]
        )
        store.close()
        worker = Worker("history-reader", reactor)
        self.addCleanup(worker.stop)
        reader = HistoryReader(SqliteStore(path), worker, self.house.clock, NOON.timestamp)
        site = self.house.makeSite(None, reader)
        self.port = reactor.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(self.port.stopListening)

    @inlineCallbacks
    def test_nothingIsAnswered5xxAndEverythingAsDescribed(self) -> Generator[Any, Any, None]:
        yield self.attack("")
        # Identities are made up above; here the calls meet a device that there is.
        yield self.attack('parameters = { "path.device" = "car" }')

    @inlineCallbacks
    def attack(self, configuration: str) -> Generator[Any, Any, None]:
        url = f"http://127.0.0.1:{self.port.getHost().port}/api/v1/openapi.json"
        command = ["-m", "schemathesis.cli", "run", url, "--max-examples", EXAMPLES]
        # The stream of events never ends, and takes nothing that could be wrong.
        command += ["--exclude-operation-id", "events", "--seed", "1", "--no-color"]
        command += ["--request-timeout", "20", "--checks", "all", "--workers", "1"]
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / "schemathesis.toml").write_text(configuration)
        out, err, status = yield getProcessOutputAndValue(
            sys.executable, command, {**os.environ, "HOME": str(folder)}, str(folder)
        )
        self.assertEqual(status, 0, (out + err).decode())
        # All but the events, and but the description, which it never asks for again.
        found = re.search(r"Operations: +(\d+) selected / (\d+) total", out.decode())
        self.assertIsNotNone(found, out.decode())
        selected, total = map(int, found.groups())
        self.assertEqual(selected, total - 1)
        self.assertGreater(total, 5)


class TlsTests(RouterTestCase):
    def test_beyondLoopbackWithACertificateAndAToken(self) -> None:
        files = issueCertificate(
            initAuthority(self.state), "page", out=self.folder, dns=["me.test"]
        )
        tokens = self.folder / "tokens"
        tokens.write_text("alice " + "a" * 32)
        tokens.chmod(0o600)
        process, _, port = self.startRouter(
            "--http=tcp:0:interface=0.0.0.0",
            f"--http-certificate={files.certificate}",
            f"--http-key={files.key}",
            f"--http-tokens={tokens}",
        )
        context = ssl.create_default_context(cafile=str(files.authority))
        context.check_hostname = False
        request = Request(f"https://127.0.0.1:{port}/api/v1/state", headers={"Host": "me.test"})
        error = self.assertRaises(HTTPError, urlopen, request, context=context)
        self.assertEqual(error.code, 401)
        request.add_header("Authorization", f"Bearer {'a' * 32}")
        with urlopen(request, context=context) as response:
            self.assertEqual(json.load(response)["devices"], [])
        self.assertNotIn("a" * 32, process.text)

    def test_withoutItDoesNotStart(self) -> None:
        router = self.start(
            "ep-router", "--listen=tcp:0:interface=127.0.0.1", "--http=tcp:0:interface=0.0.0.0"
        )
        self.assertEqual(router.wait(), 1)
        self.assertIn("can be reached from other machines", router.text)
        self.assertNotIn("Traceback", router.text)
