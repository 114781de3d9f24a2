"""Everything that watches a router, as one service: the HTTP interface, the journal, the history.

It looks at the router; the router does not know it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
from cryptography.x509 import Certificate, DNSName, ExtensionNotFound, SubjectAlternativeName
from OpenSSL import crypto
from twisted.application.service import MultiService
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.logger import globalLogPublisher
from twisted.protocols.tls import TLSMemoryBIOFactory

from epnet.endpoints import Listener
from epnet.errors import UsageError
from epnet.limits import between
from epnet.observe.access import Access, isLoopback, readTokens
from epnet.observe.export import HistoryReader
from epnet.observe.history import Recorder
from epnet.observe.journal import Journal
from epnet.observe.looking import Snapshots
from epnet.observe.resources import CountedFactory
from epnet.observe.rulings import Rulings
from epnet.observe.sqlite import SqliteStore
from epnet.observe.web import makeSite
from epnet.observe.worker import Worker
from epnet.state import makePrivateDirectory
from epnet.tls import Credentials

if TYPE_CHECKING:
    from epnet.connections import Connections
    from epnet.router.router import Router

DEFAULT_HTTP: Final = "tcp:56541:interface=127.0.0.1"
SQLITE: Final = "sqlite:///"
DEFAULT_HISTORY: Final = f"{SQLITE}history.db"


@attrs.frozen
class PageSettings:
    """Where the HTTP interface is and who may use it.

    listen: the endpoint.
    certificate, key: PEM files for TLS; both or neither.
    tokens: a file of tokens, as `epnet.observe.access.readTokens` reads it.

    Anything but loopback takes both TLS and tokens.
    """

    listen: str = DEFAULT_HTTP
    certificate: Path | None = None
    key: Path | None = None
    tokens: Path | None = None


@attrs.frozen
class HistorySettings:
    """Where the history is kept and for how long.

    url: ``sqlite:///FILE``, a relative one below the state directory; empty to keep none.
    keepDays: how long anything is kept at all, days, 0.01 to 36525.
    """

    url: str = DEFAULT_HISTORY
    keepDays: float = attrs.field(default=3650.0, validator=between(0.01, 36525))


class Observers(MultiService):
    """All observers of one router.

    journal: what has happened lately.

    Raises `UsageError` for settings that cannot be.
    """

    def __init__(
        self,
        router: Router,
        connections: Connections,
        reactor: Any,
        page: PageSettings,
        history: HistorySettings,
        stateDir: Path,
    ) -> None:
        super().__init__()
        self.journal = Journal(router.parameters.identity)
        Rulings(router, self.journal, reactor).setServiceParent(self)
        self._reader: HistoryReader | None = None
        snapshots = Snapshots(router, connections, reactor)
        if history.url:
            self._keepHistory(snapshots, reactor, _storePath(history.url, stateDir), history)
        context, hosts = _tlsOf(page)
        access = Access(readTokens(page.tokens) if page.tokens else {}, hosts)
        site: IProtocolFactory = makeSite(
            router,
            connections,
            reactor,
            snapshots,
            access=access,
            journal=self.journal,
            history=self._reader,
        )
        if context is not None:
            site = TLSMemoryBIOFactory(context, False, site)
        guarded = context is not None and bool(access.tokens)
        what = f"the live page is at {'https' if context else 'http'}://{{address}}/"
        listener = PageListener(reactor, page.listen, CountedFactory(site), what, guarded)
        listener.setServiceParent(self)

    def _keepHistory(
        self, snapshots: Snapshots, reactor: Any, path: Path, settings: HistorySettings
    ) -> None:
        makePrivateDirectory(path.parent)
        store = SqliteStore(path, settings.keepDays)
        recorder = Recorder(snapshots, store, Worker("history-writer", reactor), reactor)
        recorder.setServiceParent(self)
        snapshots.history = recorder.state
        self._reader = HistoryReader(
            SqliteStore(path), Worker("history-reader", reactor), reactor, time.time
        )

    def startService(self) -> None:
        """Begin to watch."""
        globalLogPublisher.addObserver(self.journal)
        super().startService()

    def stopService(self) -> Any:
        """Watch no more."""
        globalLogPublisher.removeObserver(self.journal)
        if self._reader is not None:
            self._reader.stop()
        return super().stopService()


class PageListener(Listener):
    """Listens for HTTP; ends the program at start where it would be open to others unguarded.

    guarded: whether there are TLS and tokens.
    """

    def __init__(
        self, reactor: Any, text: str, factory: IProtocolFactory, what: str, guarded: bool
    ) -> None:
        super().__init__(reactor, text, factory, what)
        self._guarded = guarded

    def privilegedStartService(self) -> None:
        """Take the port, if that is safe.  Raises SystemExit with a line for the user."""
        super().privilegedStartService()
        assert self.listening is not None
        host: str | None = getattr(
            self.listening.getHost(), "host", None
        )  # a local socket has none
        if host is not None and not isLoopback(host) and not self._guarded:
            raise SystemExit(
                f"--http {self.text} can be reached from other machines: give --http-certificate, "
                "--http-key and --http-tokens, or listen on loopback alone (interface=127.0.0.1)"
            )


def _storePath(url: str, stateDir: Path) -> Path:
    if not url.startswith(SQLITE) or url == SQLITE:
        raise UsageError(f"{url!r} is no place for history: write '{SQLITE}FILE'")
    return stateDir / url.removeprefix(SQLITE)


def _tlsOf(page: PageSettings) -> tuple[CertificateOptions | None, frozenset[str]]:
    """The TLS 1.3 of the page, and the names in its certificate; nothing where it has none."""
    if page.certificate is None and page.key is None:
        return None, frozenset()
    if page.certificate is None or page.key is None:
        raise UsageError("give --http-certificate and --http-key together")
    credentials = Credentials.load(page.certificate, page.key)
    certificate, *chain = map(crypto.X509.from_cryptography, credentials.chain)
    context = CertificateOptions(
        privateKey=crypto.PKey.from_cryptography_key(credentials.key),
        certificate=certificate,
        extraCertChain=chain,
        raiseMinimumTo=TLSVersion.TLSv1_3,
    )
    return context, frozenset(_dnsNames(credentials.chain[0]))


def _dnsNames(certificate: Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        return []
    return [name.lower() for name in names.get_values_for_type(DNSName)]
