"""Who is answered: tokens, names in a certificate, and what is said to whom has none."""

from __future__ import annotations

import base64
from pathlib import Path

from twisted.internet.address import IPv4Address
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from epnet.errors import UsageError
from epnet.observe.access import Access, isLoopback, readTokens
from tests.observe.house import hear
from tests.observe.sitecase import SiteTestCase
from tests.observe.test_calls import WISH

ALICE = "a" * 32
BOB = "b" * 32


def basic(user: str, password: str) -> str:
    words = base64.b64encode(f"{user}:{password}".encode()).decode()
    return f"Authorization: Basic {words}\r\n"


class TokenTests(SiteTestCase):
    access = Access({ALICE: "alice", BOB: "bob"}, frozenset({"router.example"}))
    listening = IPv4Address("TCP", "192.0.2.9", 56541)

    def test_whoShowsNoneIsAskedForOne(self) -> None:
        for path in ("/", "/static/app.js", "/metrics", "/api/v1/state", "/api/v1/events", "/no"):
            response = self.ask(path)
            self.assertEqual(response.code, 401, path)
            self.assertIn('Basic realm="epnet router"', response.headers["www-authenticate"])
        self.assertEqual(self.post("/api/v1/devices/car/limit", {"max_w": 0}).code, 401)

    def test_probesNeedNone(self) -> None:
        self.assertEqual(self.ask("/healthz").code, 200)
        self.assertEqual(self.ask("/readyz").code, 503)

    def test_aTokenOpens(self) -> None:
        for header in (f"Authorization: Bearer {BOB}\r\n", basic("whoever", ALICE)):
            self.assertEqual(self.ask("/api/v1/state", more=header).code, 200, header)

    def test_whatIsNoTokenDoesNot(self) -> None:
        for header in (
            f"Authorization: Bearer {ALICE}x\r\n",
            f"Authorization: Bearer {ALICE[:-1]}\r\n",
            "Authorization: Bearer \r\n",
            "Authorization: Basic !!\r\n",
            "Authorization: Basic \xff\r\n",
            basic("alice", ""),
            basic(ALICE, "x"),
            f"Authorization: Digest {ALICE}\r\n",
            f"Authorization: Bearer {ALICE}\r\nAuthorization: Bearer {ALICE}\r\n",
        ):
            self.assertEqual(self.ask("/api/v1/state", more=header).code, 401, header)

    def test_namesOfTheCertificateAreOurs(self) -> None:
        header = f"Authorization: Bearer {ALICE}\r\n"
        for host in ("router.example", "Router.Example:8443", "192.0.2.9", "localhost"):
            self.assertEqual(self.ask("/metrics", host=host, more=header).code, 200, host)
        self.assertEqual(self.ask("/metrics", host="router.example.evil", more=header).code, 403)

    def test_whoChangesSomethingIsInTheLog(self) -> None:
        hear(self.house.plugIn("car", "vehicle"), WISH)
        with capturedLogs() as events:
            header = f"Authorization: Bearer {BOB}\r\n"
            self.post("/api/v1/devices/car/limit", {"max_w": 1000}, more=header)
            self.post("/api/v1/devices/car/limit", {"max_w": 1000})
        [event] = events
        self.assertEqual(
            formatEvent(event), "bob at 192.0.2.77:40000 limits car to 1000 W for 3600 s"
        )
        self.assertTrue(event["security"])


class TokenFileTests(SynchronousTestCase):
    def read(self, text: str, mode: int = 0o600) -> dict[str, str]:
        path = Path(self.mktemp())
        path.write_text(text)
        path.chmod(mode)
        return readTokens(path)

    def test_aLineEach(self) -> None:
        found = self.read(f"# who may\nalice {ALICE}\n\n  bob\t{BOB}\n")
        self.assertEqual(found, {ALICE: "alice", BOB: "bob"})

    def test_mistakesAreTold(self) -> None:
        for text, word in (
            ("", "no token"),
            (ALICE, "line 1"),
            (f"alice {ALICE}\nbob short", "line 2"),
            (f"bob {'ü' * 30}", "NAME TOKEN"),
        ):
            self.assertIn(word, str(self.assertRaises(UsageError, self.read, text)))
        self.assertRaises(UsageError, readTokens, Path("nowhere"))

    def test_aFileThatOthersReadIsRefused(self) -> None:
        error = self.assertRaises(UsageError, self.read, f"alice {ALICE}", 0o644)
        self.assertIn("chmod 600", str(error))

    def test_tokensAreNotInTheRepresentation(self) -> None:
        self.assertNotIn(ALICE, repr(Access({ALICE: "alice"})))


class LoopbackTests(SynchronousTestCase):
    def test_whatIsHeardByThisMachineAlone(self) -> None:
        for host in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"):
            self.assertTrue(isLoopback(host), host)
        for host in ("0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", ""):
            self.assertFalse(isLoopback(host), host)
