"""The ``epnet`` command: its manners, and ``epnet pki``."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from epnet.cli import COMMANDS, main
from epnet.identity import readCertificate
from epnet.pem import readCertificates
from epnet.pki import AUTHORITY_DAYS, initAuthority, issueCertificate, loadAuthority
from epnet.state import defaultStateDir
from epnet.trust.devicelist import devicesPath, keyFingerprint, readDevices
from epnet.trust.revocation import revocationPaths


class CommandTestCase(SynchronousTestCase):
    """Runs the command in this process."""

    def setUp(self) -> None:
        self.stateDir = Path(self.mktemp())

    def epnet(self, *arguments: str) -> tuple[int, str, str]:
        """Run the command; give its exit status, standard output and standard error."""
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            try:
                status = main(arguments)
            except SystemExit as exit:  # argparse's way out
                assert isinstance(exit.code, int)
                status = exit.code
        return status, out.getvalue(), err.getvalue()

    def pki(self, action: str, *arguments: str, status: int = 0) -> str:
        """Run ``epnet pki`` on the state directory; give what it prints."""
        result = self.epnet("pki", action, *arguments, "--state-dir", str(self.stateDir))
        self.assertEqual(result[0], status, result[2])
        if status:
            self.assertEqual((result[1], result[2].count("\n")), ("", 1))
        return result[2] if status else result[1]


class CommandTests(CommandTestCase):
    def test_helpListsEveryCommand(self) -> None:
        status, out, _ = self.epnet("--help")
        self.assertEqual(status, 0)
        for name, summary in COMMANDS.items():
            self.assertIn(name, out)
            self.assertIn(summary[:20], out)

    def test_everyCommandHasHelp(self) -> None:
        for name in COMMANDS:
            self.assertEqual(self.epnet(name, "--help")[0], 0)

    def test_wrongUsageEndsWithTwo(self) -> None:
        for arguments in ((), ("nonsense",), ("pki",), ("pki", "issue"), ("pki", "init", "--x")):
            status, out, err = self.epnet(*arguments)
            self.assertEqual((status, out), (2, ""))
            self.assertIn("usage: epnet", err)

    def test_failureOfTheSystemEndsWithOneAndOneLine(self) -> None:
        failing = patch("epnet.cli.pki.initAuthority", side_effect=OSError(5, "Input/output error"))
        with failing:
            self.assertIn("Input/output error", self.pki("init", status=1))

    def test_commandsAreImportedOnlyWhenUsed(self) -> None:
        program = (
            "import sys; from epnet.cli import main\n"
            "try: main(['--help'])\n"
            "finally: assert not [m for m in sys.modules if m.startswith('epnet.cli.')]"
        )
        subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            env={"PYTHONPATH": str(Path(__file__).parents[1])},
        )


class PKITests(CommandTestCase):
    def test_initMakesAnAuthorityAndSaysWhere(self) -> None:
        out = self.pki("init", "--name", "Kvarteret")
        path = self.stateDir / "authority" / "authority.pem"
        self.assertIn(str(path), out)
        self.assertIn("keep it secret", out)
        read = readCertificate(readCertificates(path)[0])
        self.assertEqual(read.commonName, "Kvarteret")
        remaining = read.notAfter - datetime.now(UTC)
        self.assertEqual(round(remaining / timedelta(days=1)), AUTHORITY_DAYS)

    def test_initLeavesAnExistingAuthorityAlone(self) -> None:
        self.pki("init")
        before = loadAuthority(self.stateDir).certificate
        self.assertIn("left as it is", self.pki("init", status=2))
        self.assertEqual(loadAuthority(self.stateDir).certificate, before)

    def test_issueWritesTheThreeFilesAndSaysWhere(self) -> None:
        self.pki("init")
        names = ("--dns", "a.example", "b.example", "--ip", "192.0.2.1", "--dns", "c.example")
        out = self.pki("issue", "ev-1", "--tenant", "T", "--provider", "P", *names)
        for name in ("ev-1.cert.pem", "ev-1.key.pem", "authority.pem"):
            self.assertIn(str(self.stateDir / "certificates" / name), out)
        path = self.stateDir / "certificates" / "ev-1.cert.pem"
        read = readCertificate(readCertificates(path)[0])
        self.assertEqual(read.identities, {"ev-1", "a.example", "b.example", "c.example"})
        self.assertEqual((read.tenant, read.provider), ("T", "P"))

    def test_issueWritesWhereItIsTold(self) -> None:
        self.pki("init")
        out = Path(self.mktemp())
        self.pki("issue", "ev-1", "--out", str(out))
        self.assertTrue((out / "ev-1.key.pem").exists())
        self.assertFalse((self.stateDir / "certificates").exists())

    def test_issueWithoutAuthoritySaysWhatToDo(self) -> None:
        self.assertIn("epnet pki init", self.pki("issue", "ev-1", status=2))

    def test_issueRefusesAnIdentityThatIsAPath(self) -> None:
        self.pki("init")
        self.assertIn("cannot be an identity", self.pki("issue", "../ev", status=2))

    def test_showPrintsWhatStandsInTheCertificates(self) -> None:
        self.pki("init", "--name", "Kvarteret")
        self.pki("issue", "ev-1", "--tenant", "T", "--provider", "P")
        out = self.pki("show")
        path = self.stateDir / "certificates" / "ev-1.cert.pem"
        fingerprint = readCertificate(readCertificates(path)[0]).fingerprint
        for words in (str(path), "identities   ev-1\n", "tenant       T\n", "provider     P\n"):
            self.assertIn(words, out)
        self.assertIn("issued by    CN=Kvarteret", out)
        self.assertIn(f"fingerprint  sha256:{fingerprint}", out)
        key = keyFingerprint(readCertificates(path)[0])
        self.assertIn(f"public key   sha256:{key}", out)
        self.assertNotIn("expired", out)

    def test_showMarksWhatHasExpired(self) -> None:
        longAgo = datetime.now(UTC) - timedelta(days=10)
        authority = initAuthority(self.stateDir, now=longAgo)
        out = self.stateDir / "certificates"
        issueCertificate(authority, "ev-1", days=5, out=out, now=longAgo)
        self.assertEqual(self.pki("show").count("(expired)"), 1)

    def test_showMarksWhatExpiresWithin30Days(self) -> None:
        self.pki("init")
        self.pki("issue", "ev-1", "--days", "29")
        self.pki("issue", "ev-2", "--days", "31")
        self.assertEqual(self.pki("show").count("(expires in 28 days)"), 1)
        self.assertEqual(self.pki("show").count("(expires"), 1)

    def test_showOnADevicesHostWhereThereAreOnlyCopies(self) -> None:
        self.pki("init")
        self.pki("issue", "ev-1")
        self.pki("revoke", "ev-1")
        shutil.rmtree(self.stateDir / "authority")
        out = self.pki("show")
        self.assertIn(f"{self.stateDir / 'certificates' / 'authority.pem'}\n", out)
        self.assertIn("(revoked)", out)

    def test_showListsWhoIsTrustedByItself(self) -> None:
        self.pki("init")
        self.pki("trust", "ab" * 32, "--identity", "ev-7")
        out = self.pki("show")
        self.assertIn(f"{devicesPath(self.stateDir)}\n  sha256:{'ab' * 32}  ev-7\n", out)

    def test_showTakesFiles(self) -> None:
        self.pki("init")
        out = self.pki("show", str(self.stateDir / "authority" / "authority.pem"))
        self.assertIn("epnet authority", out)
        self.assertIn("does not exist", self.pki("show", "nowhere.pem", status=2))

    def test_showOfAnEmptyStateDirectorySaysSo(self) -> None:
        self.assertIn("no certificates", self.pki("show"))


class TrustTests(CommandTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.list = devicesPath(self.stateDir)

    def certificate(self, **options: object) -> tuple[str, x509.Certificate]:
        """A certificate of somebody else's: its file, and what stands in it."""
        stranger = initAuthority(Path(self.mktemp()))
        paths = issueCertificate(stranger, "ev-1", out=Path(self.mktemp()), **options)
        return str(paths.certificate), readCertificates(paths.certificate)[0]

    def test_trustListsACertificateUnderItsIdentity(self) -> None:
        file, certificate = self.certificate()
        out = self.pki("trust", file)
        fingerprint = readCertificate(certificate).fingerprint
        self.assertIn(f"ev-1  sha256:{fingerprint}", out)
        self.assertIn(str(self.list), out)
        self.assertEqual(readDevices(self.list), {fingerprint: "ev-1"})
        self.assertIn("# certificate; expires 20", self.list.read_text())

    def test_trustListsAPublicKey(self) -> None:
        file, certificate = self.certificate()
        self.pki("trust", file, "--public-key", "--identity", "charger")
        self.assertEqual(readDevices(self.list), {keyFingerprint(certificate): "charger"})

    def test_trustListsAFingerprint(self) -> None:
        self.pki("trust", "sha256:" + "AB" * 32, "--identity", "ev-2")
        self.assertEqual(readDevices(self.list), {"ab" * 32: "ev-2"})

    def test_trustAsksForWhatItCannotKnow(self) -> None:
        file, _ = self.certificate(dns=["ev.example"])
        self.assertIn("ev-1, ev.example: say which", self.pki("trust", file, status=2))
        self.assertIn("--identity", self.pki("trust", "ab" * 32, status=2))
        self.assertIn("does not exist", self.pki("trust", "nonsense", status=2))
        self.assertFalse(self.list.exists())

    def test_untrustTakesADeviceOffTheList(self) -> None:
        for name in ("ev-2", "ab" * 32):
            self.pki("trust", "ab" * 32, "--identity", "ev-2")
            self.assertIn("1 line\n", self.pki("untrust", name))
            self.assertEqual(readDevices(self.list), {})

    def test_untrustSaysWhenThereIsNothingToTakeOff(self) -> None:
        self.assertIn("does not exist", self.pki("untrust", "ev-2", status=2))
        self.pki("trust", "ab" * 32, "--identity", "ev-2")
        self.assertIn("not on the list", self.pki("untrust", "ev-3", status=2))


class RevokeTests(CommandTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.pki("init")
        self.pki("issue", "ev-1")
        self.pki("issue", "ev-2")

    def test_revokeSaysWhatAndWhereTheListIs(self) -> None:
        out = self.pki("revoke", "ev-1")
        self.assertIn("revoked  ev-1  sha256:", out)
        for path in revocationPaths(self.stateDir):
            self.assertIn(f"list     {path}\n", out)
        self.assertIn("Copy it to every device", out)

    def test_showMarksWhatIsRevoked(self) -> None:
        self.assertNotIn("revoked", self.pki("show"))
        self.pki("revoke", str(self.stateDir / "certificates" / "ev-2.cert.pem"))
        out = self.pki("show")
        [line] = [line for line in out.splitlines() if "(revoked)" in line]
        self.assertIn("valid", line)
        path, _ = revocationPaths(self.stateDir)
        self.assertIn(f"{path}\n  revoked      1 certificates\n  valid        to ", out)

    def test_revokeWithoutNamesRenewsTheList(self) -> None:
        self.pki("revoke", "ev-1")
        path, _ = revocationPaths(self.stateDir)
        before = path.read_bytes()
        self.assertNotIn("revoked", self.pki("revoke", "--days", "30"))
        self.assertNotEqual(path.read_bytes(), before)
        self.assertIn("(revoked)", self.pki("show"))

    def test_revokeSaysWhoIsUnknown(self) -> None:
        self.assertIn("no certificate for 'ev-9'", self.pki("revoke", "ev-9", status=2))


class DefaultStateDirTests(SynchronousTestCase):
    def test_ourOwnVariableWins(self) -> None:
        with patch.dict("os.environ", {"STATE_DIRECTORY": "/other", "EPNET_STATE_DIR": "/mine"}):
            self.assertEqual(defaultStateDir(), Path("/mine"))

    def test_systemdsDirectoryIsNext(self) -> None:
        for value in ("/var/lib/epnet", "/var/lib/epnet:/var/lib/other"):
            with patch.dict("os.environ", {"STATE_DIRECTORY": value}):
                self.assertEqual(defaultStateDir(), Path("/var/lib/epnet"))

    def test_otherwiseItIsThePlatformsForThisUser(self) -> None:
        with patch.dict("os.environ", {"STATE_DIRECTORY": ""}):
            self.assertEqual(defaultStateDir().name, "epnet")
            self.assertTrue(defaultStateDir().is_absolute())
