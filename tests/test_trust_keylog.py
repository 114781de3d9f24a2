"""``SSLKEYLOGFILE``: what is written, to whom it can be read, and that it is loud."""

from __future__ import annotations

import os
import re
from pathlib import Path
from unittest.mock import patch

from twisted.logger import LogLevel, capturedLogs, formatEvent

from epnet.errors import UsageError
from epnet.trust.keylog import KeyLog
from epnet.trust.sources import TrustSources
from tests.tlscase import TLSTestCase


class KeyLogTests(TLSTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = Path(self.mktemp())

    def test_theSecretsOfEachConnectionAreAppended(self) -> None:
        self.path.write_text("# before\n")
        sources = TrustSources.ofAuthority("ev", self.issue("ev"))
        client = self.client(sources.load(KeyLog(self.path)), "router.example")
        router = self.trust("router", dns=["router.example"])
        self.assertConnected(*self.connect(self.server(router), client))
        first, *lines = self.path.read_text().splitlines()
        self.assertEqual(first, "# before")
        labels = {line.split()[0] for line in lines}
        self.assertIn("CLIENT_TRAFFIC_SECRET_0", labels)
        self.assertIn("SERVER_TRAFFIC_SECRET_0", labels)
        for line in lines:
            self.assertRegex(line, re.compile(r"[A-Z0-9_]+ [0-9a-f]{64} [0-9a-f]{64,96}\Z"))

    def test_nobodyElseCanReadThem(self) -> None:
        KeyLog(self.path)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_itIsLoud(self) -> None:
        with capturedLogs() as events:
            KeyLog(self.path)
        [event] = events
        self.assertEqual((event["log_level"], event["security"]), (LogLevel.critical, True))
        self.assertIn(str(self.path), formatEvent(event))

    def test_aFileThatCannotBeWrittenIsAUsageError(self) -> None:
        error = self.assertRaises(UsageError, KeyLog, Path("/nowhere/keys"))
        self.assertIn("SSLKEYLOGFILE", str(error))

    def test_aFullDiskIsToldOnce(self) -> None:
        """And not by OpenSSL's callback, with five tracebacks for each connection."""
        keyLog = KeyLog(Path("/dev/full"))
        with capturedLogs() as events:
            for _ in range(3):
                keyLog(None, b"CLIENT_TRAFFIC_SECRET_0 00 00")  # type: ignore[arg-type]
        [event] = events
        self.assertIn("/dev/full cannot be written: No space", formatEvent(event))

    def test_theEnvironmentAsksForIt(self) -> None:
        with patch.dict(os.environ, {"SSLKEYLOGFILE": str(self.path)}):
            self.assertIsInstance(KeyLog.fromEnvironment(), KeyLog)
        with patch.dict(os.environ, {"SSLKEYLOGFILE": ""}):
            self.assertIsNone(KeyLog.fromEnvironment())
