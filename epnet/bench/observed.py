"""The roles of a router that is watched, and of those who watch it over HTTP."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.tcp import Server
from twisted.python.failure import Failure
from zope.interface import implementer

from epnet.bench.crowd import sentAt
from epnet.bench.frame import quantile
from epnet.bench.processes import LOOPBACK
from epnet.bench.roles import PARAMETERS, Routing
from epnet.interfaces import IHistoryStore, ILink, Sample, Span
from epnet.observe.history import Recorder
from epnet.observe.looking import Snapshots
from epnet.observe.sqlite import SqliteStore
from epnet.observe.web import makeSite
from epnet.observe.worker import Worker
from epnet.router.portmaker import PortMaker
from epnet.router.router import Router
from epnet.wire import Message, SupplyParameters

REQUEST: Final = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
_SEND_BYTES = _RECEIVE_BYTES = 4096
"""What systems hold that has not been read: little, so that who does not read is felt soon."""


class _Timing(Router):
    """A router that notes how old messages are once it has handled them, and what decisions take.

    ages: in s.
    deciding: of the processor's time, in s, for each decision.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.ages: list[float] = []
        self.deciding: list[float] = []

    def allocate(self) -> None:
        """Decide, and note how long it took."""
        began = time.thread_time()
        super().allocate()
        self.deciding.append(time.thread_time() - began)

    def messageReceived(self, link: ILink, message: Message) -> None:
        """Handle it, and note how old it is: all processes of a machine share the clock."""
        super().messageReceived(link, message)
        if isinstance(message, SupplyParameters):
            self.ages.append(self._clock.seconds() - sentAt(message))


class Turns:
    """How long the turns of a reactor are, by the processor's clock.

    A message that comes waits for the rest of the turn: so long by the router's own doing, however
    busy the machine is with other things.
    """

    def __init__(self, reactor: Any) -> None:
        self._call = reactor.runUntilCurrent
        self._turns: list[float] = []
        self._began, self._last = time.monotonic(), time.thread_time()
        reactor.runUntilCurrent = self._turn

    def waits(self) -> list[float]:
        """The mean and the 99th percentile of what a message waited since last asked, in s."""
        turns, self._turns = self._turns, []
        passed, self._began = time.monotonic() - self._began, time.monotonic()
        low, high = 0.0, max(turns, default=0.0)
        for _ in range(30):
            wait = (low + high) / 2
            later = sum(turn - wait for turn in turns if turn > wait)
            low, high = (wait, high) if later > passed / 100 else (low, wait)
        return [sum(turn * turn for turn in turns) / 2 / passed, high]

    def _turn(self) -> None:
        now = time.thread_time()
        self._turns.append(now - self._last)
        self._last = now
        self._call()


@implementer(IHistoryStore)
class _Dead:
    """A disk that never answers; `given` sets whoever waits for it free."""

    def __init__(self) -> None:
        self.given = Event()

    def write(self, samples: Sequence[Sample]) -> None:
        """Wait."""
        self.given.wait()

    def devices(self) -> list[str]:
        """Wait."""
        self.given.wait()
        return []

    def read(
        self, device: str, fields: Sequence[str], start: int, end: int, step: int, most: int
    ) -> list[Span]:
        """Wait."""
        self.given.wait()
        return []

    def close(self) -> None:
        """Nothing is open."""


class Observed(Routing):
    """A whole router that can be watched: a history, and a page with its stream of events."""

    def __init__(self, reactor: Any, folder: Path) -> None:
        super().__init__(reactor, folder)
        self.node: _Timing = _Timing(PARAMETERS, PortMaker(reactor, {}), reactor)
        self._path = folder / "history.db"
        self._turns = Turns(reactor)

    def waits(self) -> list[float]:
        """The mean and the 99th percentile of `Turns` since last asked, in ms."""
        return [wait * 1000 for wait in self._turns.waits()]

    def ages(self) -> list[float]:
        """The median and the 99th percentile of the ages of messages since last asked, in ms."""
        ages, self.node.ages = self.node.ages, []
        return [quantile(ages, part) * 1000 for part in (0.5, 0.99)]

    def deciding(self) -> float:
        """What decisions took since last asked, in the mean, in ms."""
        taken, self.node.deciding = self.node.deciding, []
        return sum(taken) / max(1, len(taken)) * 1000

    def watch(self, dead: bool) -> int:
        """Let there be observers; answers the port of the page.

        dead: whether the disk of the history never answers.
        """
        snapshots = Snapshots(self.node, self._connections, self._reactor)
        self._disk = _Dead()
        store: IHistoryStore = self._disk if dead else SqliteStore(self._path)
        worker = Worker("history-writer", self._reactor)
        self._recorder = Recorder(snapshots, store, worker, self._reactor)
        snapshots.history = self._recorder.state
        self._recorder.startService()
        site = makeSite(self.node, self._connections, self._reactor, snapshots)
        self._page = self._reactor.listenTCP(0, site, interface=LOOPBACK)
        self._page.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)
        port: int = self._page.getHost().port
        return port

    def waiting(self) -> list[int]:
        """How many connections to the page do not read; how many samples wait for the disk."""
        readers = self._reactor.getReaders()
        viewers = [each for each in readers if getattr(each, "server", None) is self._page]
        return [sum(each.producerPaused for each in viewers), self._recorder.state()["waiting"]]

    def unwatch(self) -> Deferred[Any]:
        """Let there be no observers any more."""
        self._disk.given.set()
        return gatherResults([self._recorder.stopService(), self._page.stopListening()])


class _Viewer(Protocol):
    """Asks for the stream of events, and reads it or does not.

    began: fires when the stream begins, or at once where nobody reads it.
    """

    transport: Server

    def __init__(self, reads: bool) -> None:
        self.began: Deferred[None] = Deferred()
        self.gone: Deferred[None] = Deferred()
        self._reads = reads

    def connectionMade(self) -> None:
        self.transport.write(REQUEST)
        if not self._reads:
            self.transport.pauseProducing()
            self.began.callback(None)

    def dataReceived(self, data: bytes) -> None:
        if not self.began.called:
            self.began.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gone.callback(None)


class Viewers:
    """People with the page open."""

    def __init__(self, reactor: Any, folder: Path) -> None:
        self._reactor = reactor
        self._viewers: list[_Viewer] = []

    def look(self, port: int, count: int, read: bool) -> Deferred[Any]:
        """Let so many more look at the page.

        read: whether they read what they are sent.
        """
        fresh = [self._connect(port, _Viewer(read)) for _ in range(count)]
        self._viewers += fresh
        return gatherResults([viewer.began for viewer in fresh]).addCallback(lambda _: None)

    def leave(self) -> Deferred[int]:
        """Let all of them close the page; answers how many still had it open."""
        left, self._viewers = self._viewers, []
        there = [viewer for viewer in left if not viewer.gone.called]
        for viewer in there:
            viewer.transport.abortConnection()
        return gatherResults([viewer.gone for viewer in left]).addCallback(lambda _: len(there))

    def _connect(self, port: int, viewer: _Viewer) -> _Viewer:
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        plain.connect((LOOPBACK, port))
        plain.setblocking(False)
        factory = Factory.forProtocol(lambda: viewer)
        self._reactor.adoptStreamConnection(plain.fileno(), plain.family, factory)
        plain.close()  # the reactor has one of its own
        return viewer
