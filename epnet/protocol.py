"""An EP session on a Twisted transport: the protocol that integrations subclass.

`EPProtocol` feeds a sans-I/O `epnet.session.Session` with bytes and times, carries out the effects
it gives back, and stands as the `ILink` before the node.  Nothing here decides anything.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from math import inf
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

import attrs
from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from epnet.consent import CONSENT_LIFETIME
from epnet.endpoints import addressText, originOf
from epnet.errors import PeerError
from epnet.inflow import Inflow
from epnet.interfaces import ILink
from epnet.lifecycle import (
    Cause,
    Deviation,
    Draining,
    Effect,
    Ended,
    Ending,
    Hangup,
    Opened,
    Phase,
    Received,
    Write,
)
from epnet.prompt import PromptTLS
from epnet.session import Session
from epnet.sockets import PIECE_BYTES, Acknowledgements, beneath, outgoingOf, sendPromptly
from epnet.story import tellEnded, tellOpened
from epnet.wire import DemandParameters, Message, SessionParameters, SupplyParameters

if TYPE_CHECKING:
    from epnet.factory import EPFactory
    from epnet.identity import Peer

T = TypeVar("T")

UNHEARD_PART: Final = 0.5
"""In which part of the longest silence a piece has its turn in any case."""


def _nothing() -> None:
    """Nobody wants to know."""


@implementer(ILink, IHandshakeListener, IPushProducer)
class EPProtocol(Protocol):
    """One EP connection.

    Subclass it to see messages as they come: override `sessionOpened`, `messageReceived`,
    `publications` or `sessionClosed`, and call up.  As they stand, they pass on to the node of
    the factory.

    session: the conversation, once connected.
    address: the peer's address, for people.
    origin: what counts as its address where connections are limited.
    whenKnown: called when the peer is validated.
    hasLines: whether the log tells of its session.
    """

    log = Logger()
    factory: EPFactory
    transport: TLSMemoryBIOProtocol
    session: Session

    def __init__(self) -> None:
        self.address = "an unknown address"
        self.origin = ""
        self.whenKnown: Callable[[], None] = _nothing
        self.hasLines = False
        self._paused = False
        self._publishSoon = False
        self._acknowledgements = Acknowledgements()
        self._openedAt: float | None = None
        self._announced = False
        self._socket: object | None = None
        self._reading: Inflow | None = None
        self._failure: Failure | None = None
        self._effects: list[Effect] = []
        self._carrying = False
        self._now: Callable[[], float] = lambda: 0.0

    # What integrations override

    def sessionOpened(self) -> None:
        """Both sides are validated."""
        self.factory.node.sessionOpened(self)

    def messageReceived(self, message: Message) -> None:
        """A Supply, Demand, Storage or unknown message arrived."""
        self.factory.node.messageReceived(self, message)

    def publications(self) -> Iterable[Message]:
        """The messages to send now; asked for 10 times a second, 20 in a transfer."""
        return self.factory.node.publications(self)

    def sessionClosed(self, ending: Ending) -> None:
        """The session, once opened, is over."""
        self.factory.node.sessionClosed(self, ending)

    # ILink

    @property
    def peer(self) -> Peer:
        """The validated peer; only asked for while the session is or was open."""
        assert self.session.peer is not None
        return self.session.peer

    @property
    def dialled(self) -> bool:
        """Whether our end dialled it."""
        return self.factory.dials

    def supply(self) -> SupplyParameters | None:
        """The peer's Supply while it is consent."""
        return self.session.consent(SupplyParameters, self._now())

    def demand(self) -> DemandParameters | None:
        """The peer's Demand while it is consent."""
        return self.session.consent(DemandParameters, self._now())

    def consentExpires(self, kind: type[Message]) -> float:
        """When the peer's newest message of that kind stops being consent, in s."""
        return self.session.consentExpires(kind)

    def latest(self, kind: type[Message]) -> Message | None:
        """The peer's newest message of that kind, however old."""
        return self.session.latest(kind)

    def publishNow(self) -> None:
        """Send the node's messages at once, unless the peer is slow to read: then soon."""
        if self.session.publishing:
            self._publish()

    def _publish(self) -> None:
        if self._paused:
            self._publishSoon = True
            return
        try:
            messages = list(self.publications()) if self._announced else []
        except Exception:
            self.fail()
            return
        sent = self.factory.connections.sent
        for message in messages:
            sent[type(message)] += 1
        now = self._now()
        data = None if self._carrying else self.session.publishAlone(messages, now)
        if data is None:
            self._carryOut(self.session.publish(messages, now))
        else:
            self._carryOutAlone(self._send, data)

    def setTransferring(self, ongoing: bool) -> None:
        """Say whether a transfer is ongoing."""
        if ongoing is not self.session.transferring:
            self._carryOut(self.session.setTransferring(ongoing, self._now()))
            self.factory.connections.wake(self)

    def disconnect(self, reason: str, reconnect: bool | None = None) -> None:
        """End the session on purpose."""
        self._carryOut(self.session.leave(reason, reconnect, self._now()))

    def announce(self) -> None:
        """Let the node know of the session: there is no other one with this peer."""
        self._announced = True
        try:
            self.sessionOpened()
        except Exception:  # here: who announces it may be the end of another session
            self.fail()

    def refuse(self, reason: str) -> None:
        """End the session because of something the peer is or did."""
        self._carryOut(self.session.refuse(reason, self._now()))

    def fail(self) -> None:
        """End the session because of the exception being handled, an error in our own code.

        A node that does not get to know what arrives must not let power flow.
        """
        self.log.failure("closing {address}: error in our own code", address=self.address)
        self._effects = [e for e in self._effects if not isinstance(e, Received)]
        self._carryOut(self.session.fail(self._now()))

    def giveUpUnlessOpen(self, reason: str) -> None:
        """End the connection by force where no session has come about yet."""
        if self.session.phase in (Phase.CONNECTING, Phase.GREETING):
            self.transport.failVerification(Failure(PeerError(reason)))

    @property
    def wasOpen(self) -> bool:
        """Whether the session is or was open."""
        return self._openedAt is not None

    def openFor(self) -> float:
        """How long the session has been open, in s; 0 where it never was."""
        return 0.0 if self._openedAt is None else self._now() - self._openedAt

    def takeSettings(self) -> None:
        """Go by what is set now, also for this peer; tell where that deviates (wire-profile S5).

        It holds only for who somebody vouches for that it may be silent for longer than others.
        """
        settings, peer = self.factory.sessionSettings, self.peer
        if peer.authenticated:
            loss = self.factory.connections.patience.get(peer.identity, settings.loss)
            if loss != settings.loss:
                settings = attrs.evolve(settings, loss=loss)
        self.session.setSettings(settings)
        self.factory.connections.wake(self)
        if settings.loss > CONSENT_LIFETIME:
            self.log.warn(
                "{peer.identity} MAY BE SILENT FOR {milliseconds:.0f} ms in a transfer before it "
                "is lost: a deviation from Framing 5.1, which says 200 ms",
                peer=peer,
                milliseconds=settings.loss * 1000,
            )

    # What the sweep calls

    def advance(self, now: float) -> None:
        """Look at the deadlines."""
        reading = self._reading
        if reading is not None and (reading.held or reading.left):
            unheard = now - self.session.heardAt
            if unheard >= UNHEARD_PART * self.session.patience:
                reading.proceed()  # what has arrived is read before anybody is judged
        self._carryOut(self.session.advance(now))
        if self.session.transferring:
            outgoing = outgoingOf(self._socket)
            since = self._acknowledgements.waitingSince(outgoing, now)
            if since is not None:
                self._carryOut(self.session.unacknowledged(since, now))

    def publishIfDue(self, now: float) -> None:
        """Publish if it is time; never while the peer does not read: the newest will do (S8)."""
        if self.session.publishDue(now):
            self._publish()

    # Twisted's calls

    def connectionMade(self) -> None:
        """A connection; TLS is still to come."""
        self._now = self.factory.connections.clock.seconds
        self._socket = beneath(self.transport)
        sendPromptly(self._socket)
        peer = self.transport.getPeer()
        self.address, self.origin = addressText(peer), originOf(peer)
        self.transport.registerProducer(self, True)
        if isinstance(self.transport, PromptTLS):
            self._reading = self.transport.inflow
            self._reading.pace = self.factory.connections
        parameters = self.factory.node.parameters.replace(session=str(uuid.uuid4()))
        self.session = Session(
            parameters, self._authenticate, self._now(), self.factory.sessionSettings
        )
        self.factory.connections.add(self)

    def handshakeCompleted(self) -> None:
        """TLS is up."""
        self._carryOut(self.session.secured(self._now()))

    def dataReceived(self, data: bytes) -> None:
        """Bytes from the peer."""
        reading = self._reading
        if reading is not None and (len(data) > PIECE_BYTES or reading.left):
            reading.takeLong(data)  # which comes back with less
            return
        now = self._now()
        unreadSince = self.factory.connections.unreadSince(now)
        if reading is not None and reading.behindSince is not None:
            unreadSince = min(unreadSince, reading.behindSince)
        message = None if self._carrying else self.session.messageAlone(data, now, unreadSince)
        if message is None:
            self._carryOut(self.session.dataReceived(data, now, unreadSince))
        else:
            self._carryOutAlone(self._take, message)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self._failure = reason
        text = self._asked(self.factory.trust.describeFailure, reason) or "the connection is gone"
        self._carryOut(self.session.disconnected(text, self._now()))
        self.factory.connections.discard(self)
        self._asked(self.factory.disconnected, self)
        self._asked(self.factory.whenDisconnected)
        # Whoever still holds this shall hold nothing else; and in a flood of strangers, looking for
        # garbage takes longer than anything else.
        self._failure = None
        self.whenKnown = _nothing
        if self._reading is not None:
            self._reading.letGo()
        self._socket = self._reading = None
        del self.transport

    def pauseProducing(self) -> None:
        """Something is not sent yet: hold publications back until it is."""
        self._paused = True

    def resumeProducing(self) -> None:
        """All is sent: if anything was held back, the newest goes out in its stead (S8)."""
        self._paused = False
        if self._publishSoon:
            self._publishSoon = False
            self.publishNow()

    def stopProducing(self) -> None:
        """The transport is going away; its connectionLost says so."""

    def _asked(self, call: Callable[..., T], *arguments: object) -> T | None:
        """What it gives; None for an error in it: others hear of the end all the same."""
        try:
            return call(*arguments)
        except Exception:
            self.log.failure("{address}: error in our own code", address=self.address)
            return None

    # Effects

    def _authenticate(self, parameters: SessionParameters) -> Peer:
        return self.factory.authenticate(parameters, self)

    def _carryOut(self, effects: list[Effect]) -> None:
        """Carry effects out in the order they arose, also those that arise on the way."""
        if effects:
            self._effects.extend(effects)
            if not self._carrying:
                self._carryOn()

    def _carryOutAlone(self, act: Callable[[T], None], what: T) -> None:
        """The short way of `_carryOut`, for one effect that is not even made."""
        self._carrying = True
        try:
            act(what)
        except Exception:
            self.fail()
        finally:
            self._carrying = False
        if self._effects:
            self._carryOn()

    def _carryOn(self) -> None:
        self._carrying = True
        try:
            while self._effects:
                effect = self._effects.pop(0)
                try:
                    self._EFFECTS[type(effect)](self, effect)
                except Exception:
                    self.fail()
        finally:
            self._carrying = False
        if self.session.wakeAt == -inf:
            self.factory.connections.wake(self)

    def _write(self, effect: Write) -> None:
        self._send(effect.data)

    def _send(self, data: bytes) -> None:
        self.factory.connections.send(self, data)

    def _hangup(self, effect: Hangup) -> None:
        self.factory.connections.flush()
        self.transport.unregisterProducer()
        if effect.orderly:
            self.transport.loseConnection()
        else:
            self.transport.abortConnection()

    def _opened(self, effect: Opened) -> None:
        self._openedAt = self._now()
        self.whenKnown()
        tellOpened(self, effect.peer)
        self.takeSettings()
        socketPoll = self.factory.connections.socketPoll
        if socketPoll is not None and isinstance(self.transport, PromptTLS):
            self.transport.listen(socketPoll)
        self.factory.connections.opened(self)

    def _received(self, effect: Received) -> None:
        self._take(effect.message)

    def _take(self, message: Message) -> None:
        self.factory.connections.received[type(message)] += 1
        if self._announced:
            self.messageReceived(message)

    def _deviation(self, effect: Deviation) -> None:
        self.factory.connections.deviation(self, effect.diagnostic)

    def _draining(self, effect: Draining) -> None:
        if self._announced:
            self.factory.node.draining(self)

    def _end(self, effect: Ended) -> None:
        ending = effect.ending
        self._asked(tellEnded, self, ending, self._failure)
        if ending.inTransfer and ending.cause is not Cause.LEFT:
            self.factory.connections.losses[ending.cause.value] += 1
        self._asked(self.factory.sessionEnded, self, ending)
        try:
            if self._announced:
                self.sessionClosed(ending)
        finally:
            self.factory.connections.register.ended(self)

    _EFFECTS: ClassVar[dict[type[Effect], Callable[..., None]]] = {
        Write: _write,
        Hangup: _hangup,
        Opened: _opened,
        Received: _received,
        Deviation: _deviation,
        Draining: _draining,
        Ended: _end,
    }
