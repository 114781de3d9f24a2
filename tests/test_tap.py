"""What the twistd plugins share."""

from __future__ import annotations

import os
import time
from pathlib import Path
from unittest.mock import patch

from attrs import evolve
from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase

from epnet.clock import steadyReactor
from epnet.errors import UsageError
from epnet.pki import initAuthority, issueCertificate
from epnet.tap import client, router
from epnet.tap.common import clearErrors, hostIdentity, loadTrust
from epnet.trust.sources import TrustSources


class OptionTests(SynchronousTestCase):
    def options(self, *arguments: str, **environment: str) -> client.Options:
        with patch.dict(os.environ, environment):
            options = client.Options()
            options.parseOptions(arguments)
            self.upstreams = options.many("upstream")
        return options

    def test_optionsWinOverTheEnvironment(self) -> None:
        options = self.options("--identity=a", EPNET_IDENTITY="b", EPNET_STATE_DIR="/s")
        self.assertEqual(options.identity("c"), "a")
        self.assertEqual(options.stateDir, Path("/s"))

    def test_theEnvironmentWinsOverTheDefault(self) -> None:
        self.assertEqual(self.options(EPNET_IDENTITY="b").identity("c"), "b")
        self.assertEqual(self.options().identity("c"), "c")

    def test_theCertificateSaysWhoWeAre(self) -> None:
        folder = Path(self.mktemp()).absolute()
        files = issueCertificate(initAuthority(folder), "me", out=folder)
        self.assertEqual(self.options(f"--certificate={files.certificate}").identity("c"), "me")

    def test_optionsThatMayComeSeveralTimes(self) -> None:
        self.options("--upstream=a", "--upstream=b:1", EPNET_UPSTREAM="c d")
        self.assertEqual(self.upstreams, ["a", "b:1"])
        self.options(EPNET_UPSTREAM="c d")
        self.assertEqual(self.upstreams, ["c", "d"])

    def test_filesAsGivenElseFromTheStateDirectory(self) -> None:
        files = self.options("--state-dir=/s", "--key=/k").files("me")
        self.assertEqual(files.key, Path("/k"))
        self.assertEqual(files.certificate, Path("/s/certificates/me.cert.pem"))

    def test_theHttpEndpointHasADefaultOnLoopback(self) -> None:
        self.assertIn("127.0.0.1", router.Options()["http"])


class TrustTests(SynchronousTestCase):
    def test_whereThereIsNoCertificateItSaysHowToGetOne(self) -> None:
        with patch.dict(os.environ, {"EPNET_STATE_DIR": "/nowhere"}):
            sources = client.Options().trustSources("me")
        error = self.assertRaises(UsageError, loadTrust, sources)
        self.assertIn("epnet pki issue me", str(error))

    def test_theCertificateIsForTheIdentity(self) -> None:
        folder = Path(self.mktemp()).absolute()
        files = issueCertificate(initAuthority(folder), "me", out=folder / "certificates")
        sources = TrustSources.ofAuthority("me", files)
        self.assertIn("me", loadTrust(sources).ownIdentity.identities)
        error = self.assertRaises(UsageError, loadTrust, evolve(sources, identity="you"))
        self.assertIn("--identity", str(error))

    def test_anIdentityForThisHost(self) -> None:
        self.assertTrue(hostIdentity("router").endswith("-router"))


class StartTests(SynchronousTestCase):
    def test_mistakesEndWithOneLine(self) -> None:
        def makeService(options: client.Options) -> None:
            raise UsageError("say it better")

        wrapped = clearErrors(makeService)  # type: ignore[arg-type]
        error = self.assertRaises(SystemExit, wrapped, client.Options())
        self.assertEqual(error.code, "say it better")

    def test_theReactorGoesByMonotonicTime(self) -> None:
        self.patch(reactor, "seconds", reactor.seconds)
        self.assertIs(steadyReactor().seconds, time.monotonic)
        self.assertLess(abs(reactor.seconds() - time.monotonic()), 5)
