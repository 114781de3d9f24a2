"""Trust withdrawn while the programs run: revoked on disk, told by SIGHUP."""

from __future__ import annotations

import signal

from epnet.pki import certificatePaths, initAuthority
from epnet.trust.revocation import revoke
from epnet.wire import Ping, SessionParameters, SoftDisconnect, encode
from tests.clicase import run
from tests.real.processes import RawPeer, until
from tests.real.test_router import SESSION, RouterTestCase


class HangupTests(RouterTestCase):
    def test_theRevokedDeviceIsLeftAndTheOtherStays(self) -> None:
        router, port, _ = self.startRouter()
        sun = self.startDevice("sun", "grid:fuse_a=16", port)
        thief = self.connectRaw(port)
        thief.send(SESSION)
        thief.repeat(encode(Ping()))
        router.says("session with sun")
        until(lambda: len(thief.heard) > 10, "an open session")
        revoke(self.state, ["rawsink1"])
        router.kill(signal.SIGHUP)
        router.says("trust was read anew")
        until(lambda: thief.newest(SoftDisconnect), "a farewell")
        farewell = thief.newest(SoftDisconnect)
        assert isinstance(farewell, SoftDisconnect)
        self.assertEqual(farewell.reason, "no longer trusted: the certificate has been revoked")
        again = RawPeer(port, certificatePaths(self.state, "rawsink1"))
        self.addCleanup(again.end)
        router.says("its certificate has been revoked")
        self.assertEqual(again.heard, [])
        self.assertNotIn(" over after", sun.text)
        self.assertNotIn("Traceback", router.text + sun.text)
        router.kill(signal.SIGTERM)
        self.assertEqual(router.wait(), 0)


class ListTests(RouterTestCase):
    def pki(self, *arguments: str) -> None:
        done = run("pki", *arguments, "--state-dir", str(self.state))
        self.assertEqual(done.status, 0, done.err)

    def test_theDeviceTakenOffIsLeftAndTheOtherStays(self) -> None:
        initAuthority(self.state)
        for identity in ("sun", "rawsink1"):
            self.pki("trust", str(self.issue(identity).certificate))
        router, port, _ = self.startRouter("--trust=devices")
        thief = RawPeer(port, certificatePaths(self.state, "rawsink1"))
        self.addCleanup(thief.end)
        thief.send(SESSION)
        thief.repeat(encode(Ping()))
        sun = RawPeer(port, certificatePaths(self.state, "sun"))
        self.addCleanup(sun.end)
        sun.send(encode(SessionParameters(identity="sun")))
        sun.repeat(encode(Ping()))
        router.says("session with sun")
        router.says("session with rawsink1")
        self.pki("untrust", "rawsink1")  # nobody is told: the file has changed
        until(lambda: thief.newest(SoftDisconnect), "a farewell")
        farewell = thief.newest(SoftDisconnect)
        assert isinstance(farewell, SoftDisconnect)
        self.assertEqual(
            farewell.reason,
            "no longer trusted: the certificate is not on the list of trusted devices",
        )
        router.says("session with rawsink1 at")
        self.assertNotRegex(router.text, "session with sun .* over after")
        self.assertIsNone(sun.newest(SoftDisconnect))
