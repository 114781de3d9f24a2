"""Ports whose meters and devices the test plays, and the accounts of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from twisted.internet.task import Clock
from zope.interface import implementer

from epnet.identity import Peer
from epnet.interfaces import IPort, PortReading
from epnet.router.accounts import Accounts
from epnet.router.ports import Port
from epnet.router.router import Router
from epnet.router.settings import DEFAULT_PORTS, PortSettings
from epnet.wire import Message, SessionParameters
from tests.fakes import FakeLink

NOON = datetime(2026, 6, 21, 12, tzinfo=UTC)


@implementer(IPort)
class Meter:
    """A converter that does nothing but show what the test set."""

    def __init__(self) -> None:
        self.import_w = self.export_w = 0.0
        self.broken = False

    def setLimits(self, import_w: float, export_w: float, expires: float) -> None:
        pass

    def close(self) -> None:
        pass

    def open(self) -> None:
        pass

    def reading(self) -> PortReading | None:
        return None if self.broken else PortReading(400.0, self.import_w, self.export_w)


class Plant:
    """Accounts and ports; time passes only in `run`."""

    def __init__(self, tenant: str | None = None) -> None:
        self.clock = Clock()
        self.accounts = Accounts(tenant, timeOfDay=self.timeOfDay)
        self.ports: dict[str, Port] = {}
        self.meters: dict[str, Meter] = {}
        # Takes no notice of sessions that were never opened with it.
        self._router = Router(SessionParameters(identity="router"), self._noPort, self.clock)

    def timeOfDay(self) -> datetime:
        return NOON + timedelta(seconds=self.clock.seconds())

    def add(
        self,
        identity: str,
        type: str,
        *messages: Message,
        settings: PortSettings | None = None,
        tenant: str | None = None,
    ) -> Port:
        meter = self.meters[identity] = Meter()
        settings = settings or DEFAULT_PORTS.get(type, PortSettings())
        self.ports[identity] = Port(identity, settings, meter)
        self.plugIn(identity, type, *messages, tenant=tenant)
        return self.ports[identity]

    def plugIn(
        self, identity: str, type: str, *messages: Message, tenant: str | None = None
    ) -> None:
        """Its device has connected, and says this."""
        link = FakeLink(self._router, self.clock, identity, type)
        parameters = SessionParameters(identity=identity, type=type)
        link.peer = Peer(identity, tenant, None, True, parameters, None)
        self.ports[identity].attach(link)
        link.hear(*messages)

    def hear(self, identity: str, *messages: Message) -> None:
        link = self.ports[identity].link
        assert isinstance(link, FakeLink)
        link.hear(*messages)

    def flow(self, identity: str, import_w: float = 0.0, export_w: float = 0.0) -> None:
        """So much flows from now on."""
        self.meters[identity].import_w, self.meters[identity].export_w = import_w, export_w

    def run(self, seconds: float = 1.0) -> None:
        """Let time pass, in ticks of 100 ms."""
        for _ in range(round(seconds * 10)):
            self.accounts.advance(self.clock.seconds(), self.ports.values())
            self.clock.advance(0.1)
        self.accounts.advance(self.clock.seconds(), self.ports.values())

    def _noPort(self, peer: Peer) -> Port:
        raise AssertionError("no session is opened here")
