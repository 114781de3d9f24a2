"""Trust while it is in use: renewed, withdrawn, broken, expiring."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from attrs import evolve
from OpenSSL import crypto
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from epnet.connections import Connections
from epnet.errors import UsageError
from epnet.factory import EPClientFactory, EPServerFactory
from epnet.identity import readCertificate
from epnet.interfaces import Reading
from epnet.lifecycle import Phase
from epnet.node import DeviceNode, parametersOf
from epnet.pem import readCertificates
from epnet.pki import CertificatePaths, initAuthority, issueCertificate
from epnet.testing import MemoryPair
from epnet.tls import Trust
from epnet.trust.devicelist import addDevice, devicesPath, keyFingerprint, removeDevices
from epnet.trust.keeper import TrustKeeper
from epnet.trust.revocation import revocationPaths, revoke
from epnet.trust.sources import DEVICES, TrustSources
from epnet.wire import DemandParameters, SupplyParameters
from tests.fakes import FakeDevice

SUPPLY = SupplyParameters(voltage_limit=(200, 250), power_limit=5000)
DEMAND = DemandParameters(voltage=230, power_limit=3000)


class KeeperTestCase(SynchronousTestCase):
    """A grid connection that keeps its trust, and devices that dial it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.now = datetime.now(UTC)
        self.folder = Path(self.mktemp()).absolute()
        self.authority = initAuthority(self.folder)
        self.files = self.issue("grid")
        self.pairs: list[MemoryPair] = []
        self.grid = FakeDevice(supply=SUPPLY)
        self.keep(TrustSources.ofAuthority("grid", self.files))

    def issue(self, identity: str, **options: object) -> CertificatePaths:
        out = self.folder / "certificates"
        return issueCertificate(self.authority, identity, out=out, **options)

    def connections(self, identity: str, device: FakeDevice) -> Connections:
        node = DeviceNode(device, parametersOf(device, identity), self.clock)
        connections = Connections(node, self.clock)
        connections.startService()
        return connections

    def keep(self, sources: TrustSources) -> None:
        crl = revocationPaths(self.folder)[1]
        self.sources = evolve(sources, optionalCrl=crl)
        self.server = EPServerFactory(self.connections("grid", self.grid), self.sources.load())
        self.keeper = TrustKeeper(
            self.trust, self.sources, self.server.connections, self.clock, lambda: self.now
        )
        self.keeper.startService()
        self.addCleanup(lambda: self.keeper.running and self.keeper.stopService())

    @property
    def trust(self) -> Trust:
        trust = self.server.trust
        assert isinstance(trust, Trust)
        return trust

    def connect(self, identity: str, files: CertificatePaths | None = None) -> MemoryPair:
        """A device of that identity, with power flowing."""
        trust = TrustSources.ofAuthority(identity, files or self.issue(identity)).load()
        client = EPClientFactory(self.connections(identity, FakeDevice(demand=DEMAND)), trust)
        pair = MemoryPair(client, self.server, self.clock)
        self.pairs.append(pair)
        self.advance(0.5)
        return pair

    def advance(self, seconds: float) -> None:
        until = self.clock.seconds() + seconds - 0.01
        while self.clock.seconds() < until:
            self.clock.advance(0.02)
            for pair in self.pairs:
                pair.settle()

    def logged(self, call: Callable[[], object], *levels: LogLevel) -> list[str]:
        """What a call logs at these levels."""
        with capturedLogs() as events:
            call()
        return [formatEvent(event) for event in events if event["log_level"] in levels]

    def assertOpen(self, *pairs: MemoryPair) -> None:
        for pair in pairs:
            self.assertIs(pair.server.session.phase, Phase.OPEN)
            self.assertIs(pair.client.session.phase, Phase.OPEN)


class FollowTests(KeeperTestCase):
    """The configuration names other files."""

    def test_otherFilesAreGoneByAndWhoIsNotInThemLeaves(self) -> None:
        pair = self.connect("car")
        elsewhere = self.folder / "elsewhere"
        authority = initAuthority(elsewhere)
        files = issueCertificate(authority, "grid", out=elsewhere / "certificates")
        self.keeper.follow(TrustSources.ofAuthority("grid", files))
        self.advance(8)
        self.assertIs(pair.server.session.phase, Phase.CLOSED)

    def test_filesThatCannotBeGoneByChangeNothing(self) -> None:
        pair = self.connect("car")
        missing = evolve(self.sources, authorities=[self.folder / "missing.pem"])
        self.assertRaises(UsageError, self.keeper.follow, missing)
        self.keeper.reload()
        self.advance(2)
        self.assertOpen(pair)

    def test_theSameFilesAreNotReadAgain(self) -> None:
        self.assertEqual(
            self.logged(lambda: self.keeper.follow(self.sources), *LogLevel.iterconstants()), []
        )


class ReloadTests(KeeperTestCase):
    def test_aRevokedPeerDrainsAndIsLeftAndOthersStay(self) -> None:
        thief, honest = self.connect("thief"), self.connect("ev")
        self.assertGreater(thief.client.factory.node.device.limits.draw_w, 0)
        revoke(self.folder, ["thief"])
        self.advance(6)
        self.assertOpen(honest)
        self.assertIs(thief.server.session.phase, Phase.CLOSED)
        self.assertEqual(
            thief.client.factory.node.device.shutDowns,
            ["no longer trusted: the certificate has been revoked"],
        )

    def test_theTransferIsDrainedFirst(self) -> None:
        thief = self.connect("thief")
        device = thief.client.factory.node.device
        self.grid.reading = lambda: Reading(230, 0, 500)  # it takes its time
        revoke(self.folder, ["thief"])
        self.keeper.reload()
        self.advance(0.2)
        self.assertIs(thief.server.session.phase, Phase.DRAINING)
        self.assertEqual((device.limits.draw_w, device.shutDowns), (0, []))
        self.advance(3)
        self.assertIs(thief.server.session.phase, Phase.CLOSED)

    def test_nothingHappensWhileNothingChanges(self) -> None:
        self.connect("ev")
        with patch.object(self.keeper, "reload") as reload:
            self.advance(10)
        self.assertEqual(reload.call_count, 0)

    def test_aChangeIsTakenOverOnceItHasSettled(self) -> None:
        with patch.object(TrustSources, "loadPolicy", wraps=self.sources.loadPolicy) as load:
            for _ in range(5):  # somebody is still writing
                self.files.authority.touch()
                self.advance(2)
            self.assertEqual(load.call_count, 0)
            self.advance(2)
            self.assertEqual(load.call_count, 1)
            self.advance(10)
            self.assertEqual(load.call_count, 1)

    def test_aHangupReadsAtOnce(self) -> None:
        thief = self.connect("thief")
        revoke(self.folder, ["thief"])
        self.keeper.reload()
        self.advance(1.5)
        self.assertIs(thief.server.session.phase, Phase.CLOSED)

    def test_newConnectionsGoByTheNewTrustAtOnce(self) -> None:
        files = self.issue("thief")
        revoke(self.folder, ["thief"])
        self.keeper.reload()
        pair = self.connect("thief", files)
        self.assertIsNot(pair.server.session.phase, Phase.OPEN)

    def test_ourRenewedCertificateIsForNewConnectionsAndOldOnesStay(self) -> None:
        before = self.connect("a")
        old = readCertificate(readCertificates(self.files.certificate)[0]).fingerprint
        self.files.certificate.unlink()
        self.files.key.unlink()
        self.issue("grid")
        self.advance(6)
        after = self.connect("b")
        self.assertOpen(before, after)
        shown = [pair.client.peer.certificate for pair in (before, after)]
        self.assertEqual([each and each.fingerprint == old for each in shown], [True, False])

    def test_aMovedHouse(self) -> None:
        """Authority and certificate are replaced together; who stays with the old one is left."""
        stays = self.connect("a")
        other = initAuthority(self.folder / "other")
        for path in (self.files.certificate, self.files.key, self.files.authority):
            path.unlink()
        issueCertificate(other, "grid", out=self.folder / "certificates")
        self.advance(6)
        self.assertIs(stays.server.session.phase, Phase.CLOSED)
        files = issueCertificate(other, "b", out=self.folder / "moved")
        self.assertOpen(self.connect("b", files))


class BrokenEditTests(KeeperTestCase):
    def broken(self, path: Path, content: bytes | None) -> list[str]:
        """What is logged loudly when a file becomes that, or goes away."""
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        return self.logged(lambda: self.advance(6), LogLevel.critical)

    def test_theLastGoodTrustStaysInForce(self) -> None:
        pair = self.connect("a")
        for path, words in (
            (self.files.authority, "CANNOT RENEW whom we trust"),
            (self.files.key, "CANNOT RENEW our certificate"),
            (self.files.certificate, "CANNOT RENEW our certificate"),
        ):
            good = path.read_bytes()
            for content in (b"nonsense", None):
                [line] = self.broken(path, content)
                self.assertIn(words, line)
                self.assertIn(str(path), line)
            path.write_bytes(good)
            self.advance(6)
        self.assertOpen(pair)
        files = issueCertificate(self.authority, "b", out=self.folder / "b")
        self.assertOpen(self.connect("b", files))

    def test_itIsSaidOnce(self) -> None:
        self.broken(self.files.key, b"nonsense")
        self.assertEqual(self.logged(lambda: self.advance(60), LogLevel.critical), [])

    def test_aRevocationListThatVanishesRevokesStill(self) -> None:
        thief = self.issue("thief")
        revoke(self.folder, ["thief"])
        self.advance(6)
        [line] = self.broken(revocationPaths(self.folder)[1], None)
        self.assertIn("crl.pem does not exist", line)
        self.assertIsNot(self.connect("thief", thief).server.session.phase, Phase.OPEN)

    def test_oneBrokenFileDoesNotKeepTheOthersFromBeingRead(self) -> None:
        thief = self.connect("thief")
        self.files.key.write_bytes(b"nonsense")
        revoke(self.folder, ["thief"])
        self.advance(6)
        self.assertIs(thief.server.session.phase, Phase.CLOSED)

    def test_aMendedFileIsReadAgain(self) -> None:
        content = self.files.authority.read_bytes()
        self.broken(self.files.authority, b"nonsense")
        said = self.logged(
            lambda: [self.files.authority.write_bytes(content), self.advance(6)],
            LogLevel.critical,
            LogLevel.info,
        )
        self.assertEqual(said, ["trust was read anew from its files"])

    def test_aBugInOneDoesNotKeepTheOtherFromBeingGoneBy(self) -> None:
        thief = self.connect("thief")
        revoke(self.folder, ["thief"])
        with patch.object(TrustSources, "loadCredentials", side_effect=ZeroDivisionError):
            self.advance(6)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIs(thief.server.session.phase, Phase.CLOSED)

    def test_whatCouldNotBeReadIsTriedAgainEveryHour(self) -> None:
        """As where a clock was wrong, and the renewed certificate not valid yet."""
        self.keeper.stopService()
        with patch("epnet.trust.keeper.RECHECK_SECONDS", 10):
            self.keep(self.sources)
        thief = self.connect("thief")
        revoke(self.folder, ["thief"])
        with patch.object(TrustSources, "loadPolicy", side_effect=UsageError("no more files")):
            self.advance(6)
        self.assertOpen(thief)
        said = self.logged(lambda: self.advance(30), LogLevel.info)
        self.assertEqual(said.count("trust was read anew from its files"), 1)
        self.assertIs(thief.server.session.phase, Phase.CLOSED)

    def test_aBugDoesNotEndTheWatch(self) -> None:
        with patch.object(TrustSources, "signature", side_effect=ZeroDivisionError):
            self.advance(4)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        thief = self.connect("thief")
        revoke(self.folder, ["thief"])
        self.advance(6)
        self.assertIs(thief.server.session.phase, Phase.CLOSED)


class DevicesTests(KeeperTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.list = devicesPath(self.folder)
        self.ev = self.issue("ev")
        self.trustDevice(self.ev, "ev")
        self.keeper.stopService()
        self.keep(evolve(self.sources, policy=DEVICES, devices=self.list))

    def trustDevice(self, files: CertificatePaths, identity: str) -> None:
        fingerprint = readCertificate(readCertificates(files.certificate)[0]).fingerprint
        addDevice(self.list, fingerprint, identity)

    def test_aDeviceTakenOffTheListIsLeft(self) -> None:
        other = self.issue("other")
        self.trustDevice(other, "other")
        self.keeper.reload()
        ev, stays = self.connect("ev", self.ev), self.connect("other", other)
        self.assertOpen(ev, stays)
        removeDevices(self.list, "ev")
        self.advance(6)
        self.assertOpen(stays)
        self.assertEqual(
            ev.client.factory.node.device.shutDowns,
            ["no longer trusted: the certificate is not on the list of trusted devices"],
        )

    def test_aDeviceThatIsNowSomebodyElseIsLeft(self) -> None:
        ev = self.connect("ev", self.ev)
        removeDevices(self.list, "ev")
        self.trustDevice(self.ev, "charger")
        self.advance(6)
        self.assertIs(ev.server.session.phase, Phase.CLOSED)

    def test_aDeviceForWhichLessIsVouchedIsLeftToComeBack(self) -> None:
        """By its key alone, its certificate's tenant counts for nothing: anybody could write it."""
        rich = self.issue("rich", tenant="ours")
        self.trustDevice(rich, "rich")
        self.advance(6)
        pair = self.connect("rich", rich)
        self.assertEqual(pair.server.peer.tenant, "ours")
        removeDevices(self.list, "rich")
        [certificate] = readCertificates(rich.certificate)
        addDevice(self.list, keyFingerprint(certificate), "rich")
        self.advance(6)
        self.assertIs(pair.server.session.phase, Phase.CLOSED)
        self.assertIsNone(self.connect("rich", rich).server.peer.tenant)

    def test_aListThatIsEmptyMayBeBeingWritten(self) -> None:
        ev = self.connect("ev", self.ev)
        self.list.write_bytes(b"")
        [line] = self.logged(lambda: self.advance(6), LogLevel.critical)
        self.assertIn("is empty", line)
        self.assertOpen(ev)
        self.list.write_text("# nobody\n")
        self.advance(6)
        self.assertIs(ev.server.session.phase, Phase.CLOSED)

    def test_aSlipOfThePenLeavesEverybodyConnected(self) -> None:
        ev = self.connect("ev", self.ev)
        self.list.write_text("oops\n")
        lines = self.logged(lambda: self.advance(6), LogLevel.critical)
        self.assertIn("line 1", lines[0])
        self.assertOpen(ev)


class RecheckTests(KeeperTestCase):
    def test_manyAreJudgedAFewAtATime(self) -> None:
        pairs = [self.connect(f"ev-{number}") for number in range(10)]
        judged: list[int] = []
        authenticate = EPServerFactory.authenticate

        def counting(*arguments: object) -> object:
            judged.append(1)
            return authenticate(*arguments)  # type: ignore[arg-type]

        with patch.object(EPServerFactory, "authenticate", counting):
            self.keeper.reload()
            self.assertEqual(len(judged), 0)
            self.clock.advance(0.01)
            self.assertEqual(len(judged), 8)
            self.clock.advance(0.01)
            self.assertEqual(len(judged), 10)
        self.assertOpen(*pairs)

    def test_aCertificateThatExpiresEndsItsSession(self) -> None:
        self.keeper.stopService()
        with patch("epnet.trust.keeper.RECHECK_SECONDS", 5):
            self.keep(self.sources)
        ev = self.connect("ev")
        expired = crypto.X509StoreContextError("expired", [10, 0, "expired"], None)
        with patch.object(crypto.X509StoreContext, "get_verified_chain", side_effect=expired):
            self.advance(6)
        self.assertEqual(
            ev.client.factory.node.device.shutDowns,
            ["no longer trusted: the certificate has expired"],
        )

    def test_aClockThatIsSetBackEndsNoSession(self) -> None:
        """A certificate that was valid when its session opened is not too young now."""
        thief, stays = self.connect("thief"), self.connect("stays")
        early = crypto.X509StoreContextError("too early", [9, 0, "too early"], None)
        revoke(self.folder, ["thief"])
        with patch.object(crypto.X509StoreContext, "get_verified_chain", side_effect=early):
            lines = self.logged(lambda: (self.keeper.reload(), self.advance(3)), LogLevel.warn)
        self.assertOpen(stays)
        self.assertIs(thief.server.session.phase, Phase.CLOSED)
        told = [line for line in lines if "session with stays" in line]
        self.assertEqual(len(told), 1)
        self.assertIn("goes on although the certificate is not valid yet (or a clock is", told[0])

    def test_itIsLookedAtEveryHour(self) -> None:
        with patch.object(self.keeper, "_judgements", return_value=iter(())) as judgements:
            self.clock.pump([60.0] * 119)
            self.assertEqual(judgements.call_count, 1)
            self.clock.pump([60.0])
            self.assertEqual(judgements.call_count, 2)


class ExpiryTests(KeeperTestCase):
    def warnings(self, days: float, *levels: LogLevel) -> list[str]:
        """What is warned of, so many days from now."""
        self.now = datetime.now(UTC) + timedelta(days=days)
        return self.logged(self.keeper.reload, *(levels or (LogLevel.warn, LogLevel.critical)))

    def test_aMonthAhead(self) -> None:
        self.assertEqual(self.warnings(825 - 31), [])
        [line] = self.warnings(825 - 29)
        self.assertIn("our certificate expires in 28 days", line)
        self.assertIn("epnet pki", line)

    def test_whatHasExpiredIsSaidLoudly(self) -> None:
        [line] = self.warnings(826, LogLevel.critical)
        self.assertIn("EXPIRED: our certificate", line)

    def test_theAuthorityAndTheRevocationListToo(self) -> None:
        revoke(self.folder, [], days=10)
        [line] = self.warnings(0)
        self.assertIn("the revocation list expires in 9 days", line)
        [line] = self.warnings(11)
        self.assertIn("EXPIRED: the revocation list", line)
        lines = self.warnings(3650 - 10)
        self.assertIn("the authority we trust expires in 9 days", "\n".join(lines))

    def test_certificatesOfPeersToo(self) -> None:
        self.connect("ev", self.issue("ev", days=20))
        [line] = self.warnings(0)
        self.assertIn("the certificate of ev expires in 19 days", line)

    def test_onceADay(self) -> None:
        self.now += timedelta(days=800)
        lines = self.logged(lambda: self.clock.pump([3600.0] * 49), LogLevel.warn)
        self.assertEqual(len(lines), 2)

    def test_atTheStart(self) -> None:
        self.keeper.stopService()
        self.now += timedelta(days=800)
        self.assertEqual(len(self.logged(self.keeper.startService, LogLevel.warn)), 1)

    def test_connectionsCarryIt(self) -> None:
        expiry = readCertificates(self.files.certificate)[0].not_valid_after_utc
        self.assertEqual(self.server.connections.expiries["own"], expiry)
        revoke(self.folder, [])
        self.keeper.reload()
        self.assertEqual(set(self.server.connections.expiries), {"own", "authority", "crl"})
