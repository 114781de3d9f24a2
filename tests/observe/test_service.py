"""All observers as one service: where it listens, what it refuses, what it leaves behind."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.address import IPv4Address
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from epnet.errors import UsageError
from epnet.observe.service import HistorySettings, Observers, PageSettings
from epnet.pki import initAuthority, issueCertificate
from tests.observe.house import House

NOWHERE = "tcp:56541:interface=0.0.0.0"


class Port:
    """A port that listens on what it was told to."""

    def __init__(self, host: str) -> None:
        self.host = host

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", self.host, 56541)

    def stopListening(self) -> None:
        pass


class Reactor(MemoryReactorClock):
    """One that says where it listens, and that the worker's thread can call."""

    def listenTCP(self, port: int, factory: object, backlog: int = 50, interface: str = "") -> Port:
        super().listenTCP(port, factory, backlog, interface)
        return Port(interface or "0.0.0.0")

    def callFromThread(self, call: object, *arguments: object) -> None:
        pass


class ServiceTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.house = House()
        self.reactor = Reactor()
        files = issueCertificate(initAuthority(self.folder), "router", out=self.folder)
        self.certificate, self.key = files.certificate, files.key
        self.tokens = self.folder / "tokens"
        self.tokens.write_text("alice " + "a" * 32)
        self.tokens.chmod(0o600)

    def observers(self, page: PageSettings, history: str = "") -> Observers:
        return Observers(
            self.house.router,
            self.house.connections,
            self.reactor,
            page,
            HistorySettings(history),
            self.folder,
        )


class ListeningTests(ServiceTestCase):
    def test_loopbackNeedsNothing(self) -> None:
        for interface in ("127.0.0.1", r"\:\:1"):
            page = PageSettings(f"tcp:56541:interface={interface}")
            self.observers(page).privilegedStartService()
        self.assertEqual(len(self.reactor.tcpServers), 2)

    def test_othersNeedTlsAndATokenAndItSaysSo(self) -> None:
        for page in (
            PageSettings(NOWHERE),
            PageSettings("tcp:56541"),
            PageSettings(r"tcp:56541:interface=\:\:"),
            PageSettings(NOWHERE, tokens=self.tokens),
            PageSettings(NOWHERE, self.certificate, self.key),
        ):
            error = self.assertRaises(SystemExit, self.observers(page).privilegedStartService)
            self.assertRegex(str(error), "^--http .* can be reached from other machines: give ")
            self.assertNotIn("\n", str(error))

    def test_withBothItListensForTls(self) -> None:
        page = PageSettings(NOWHERE, self.certificate, self.key, self.tokens)
        self.observers(page).privilegedStartService()
        [(_, counted, *_)] = self.reactor.tcpServers
        self.assertIsInstance(counted.wrappedFactory, TLSMemoryBIOFactory)

    def test_mistakesAreTold(self) -> None:
        for page, word in (
            (PageSettings(certificate=self.certificate), "together"),
            (PageSettings(certificate=self.certificate, key=self.certificate), "key"),
            (PageSettings(tokens=self.folder / "none"), "cannot read the tokens"),
        ):
            self.assertIn(word, str(self.assertRaises(UsageError, self.observers, page)))

    def test_soManyConnectionsAndNoMore(self) -> None:
        self.observers(PageSettings()).privilegedStartService()
        [(_, factory, *_)] = self.reactor.tcpServers
        factory.protocols = dict.fromkeys(range(256))
        self.assertIsNone(factory.buildProtocol(None))
        factory.protocols = {}
        self.assertIsNotNone(factory.buildProtocol(None))


class HistoryTests(ServiceTestCase):
    def test_whatIsNoStoreIsRefused(self) -> None:
        for url in ("mysql://x", "sqlite:///", "history.db"):
            self.assertRaises(UsageError, self.observers, PageSettings(), url)
        self.assertRaises(UsageError, HistorySettings, keepDays=0)

    def test_itsFolderIsMadeAndItEnds(self) -> None:
        observers = self.observers(PageSettings(), "sqlite:///deep/er.db")
        observers.privilegedStartService()
        observers.startService()
        self.assertTrue((self.folder / "deep").is_dir())
        self.reactor.advance(3)
        # Nobody is plugged in, so there is nothing to write.
        observers.stopService()
        self.reactor.advance(3)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class JournalTests(ServiceTestCase):
    def test_itListensToTheLogWhileItRuns(self) -> None:
        observers = self.observers(PageSettings())
        log = Logger("epnet.test")
        log.info("before")
        observers.startService()
        log.info("while it runs")
        observers.stopService()
        log.info("after")
        texts = [entry["text"] for entry in observers.journal.since(0)]
        self.assertEqual(texts, ["while it runs"])
