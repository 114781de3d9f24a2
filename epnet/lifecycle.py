"""The life cycle of a session: which state follows which, and what is done on the way.

Six states.  *connecting*: no TLS yet.  *greeting*: our Session Parameters are out, the peer's are
not here.  *open*: both are validated.  *draining*: we are leaving and a transfer still ramps down.
*leaving*: the connection is being closed in order.  *closed*: over.

The wiring stands at the end of this file, one line a transition; the outputs above it only record
*effects*, which whoever gave the input carries out after it returned.  Every state takes every
input: what has no meaning in a state is wired to do nothing there.
"""

from __future__ import annotations

import enum
from typing import Final, Protocol

import attrs
from automat import TypeMachineBuilder

from epnet.identity import Peer
from epnet.wire import Diagnostic, Message, SessionParameters, SoftDisconnect, encode
from epnet.wire.messages import SESSION_TEXT


class Cause(enum.Enum):
    """Why a session ended."""

    LEFT = "left"
    """We left on purpose."""
    PEER_LEFT = "peer left"
    """The peer sent a Soft Disconnect."""
    LOST = "lost"
    """Silence, or the connection broke."""
    REFUSED = "refused"
    """We refused the peer: it is not trusted, or it broke the protocol."""


@attrs.frozen
class Ending:
    """How a session ended.

    reason: for people and the log; where a Soft Disconnect was sent or received, its reason.
    reconnect: that Soft Disconnect's flag, None where it was unset or there was none (M3).
    wasOpen: whether both sides had been validated.
    inTransfer: whether a transfer was ongoing, which is to be shut down now.
    """

    cause: Cause
    reason: str
    reconnect: bool | None = None
    wasOpen: bool = False
    inTransfer: bool = False


@attrs.frozen
class Write:
    """Effect: send these bytes."""

    data: bytes


@attrs.frozen
class Hangup:
    """Effect: end the connection, in order or by force."""

    orderly: bool


@attrs.frozen
class Opened:
    """Effect: both sides are validated; messages may flow."""

    peer: Peer


@attrs.frozen
class Received:
    """Effect: a Supply, Demand, Storage or unknown message arrived."""

    message: Message


@attrs.frozen
class Deviation:
    """Effect: the peer deviates from the specs; count it, perhaps log it."""

    diagnostic: Diagnostic


@attrs.frozen
class Draining:
    """Effect: we are leaving; bring the transfer to zero."""


@attrs.frozen
class Ended:
    """Effect: the session is over; comes exactly once."""

    ending: Ending


Effect = Write | Hangup | Opened | Received | Deviation | Draining | Ended


class Phase(enum.Enum):
    """The state a life cycle is in, for those who look."""

    CONNECTING = "connecting"
    GREETING = "greeting"
    OPEN = "open"
    DRAINING = "draining"
    LEAVING = "leaving"
    CLOSED = "closed"


_FAREWELL: Final = SoftDisconnect()


@attrs.define
class Conversation:
    """What the life cycle works on: the effects so far and what they are made of.

    greeting: what is still to be said of ourselves; None afterwards, since thousands hold it.
    """

    greeting: SessionParameters | None
    phase: Phase = Phase.CONNECTING
    transferring: bool = False
    effects: list[Effect] = attrs.field(factory=list)
    farewell: SoftDisconnect = _FAREWELL
    wasOpen: bool = False

    def write(self, message: Message) -> None:
        """Record that a message is to be sent."""
        self.effects.append(Write(encode(message)))

    def end(self, cause: Cause, reason: str, reconnect: bool | None = None) -> None:
        """Record how the session ended."""
        ending = Ending(cause, reason, reconnect, self.wasOpen, self.transferring)
        self.effects.append(Ended(ending))


class Lifecycle(Protocol):
    """The inputs."""

    def secured(self) -> None:
        """TLS is up."""

    def accepted(self, peer: Peer) -> None:
        """The peer's Session Parameters hold against its certificate."""

    def refused(self, reason: str) -> None:
        """The peer is not trusted, or broke the protocol."""

    def peerLeft(self, message: SoftDisconnect) -> None:
        """A Soft Disconnect arrived."""

    def leave(self, reason: str, reconnect: bool | None) -> None:
        """Our side wants to go."""

    def drained(self) -> None:
        """No transfer is ongoing any more, or it has taken too long to end."""

    def lost(self, reason: str) -> None:
        """The peer was silent for too long, or sends what is no EP."""

    def disconnected(self, reason: str) -> None:
        """The connection is gone."""


_machine = TypeMachineBuilder(Lifecycle, Conversation)
_connecting = _machine.state(Phase.CONNECTING.value)
_greeting = _machine.state(Phase.GREETING.value)
_open = _machine.state(Phase.OPEN.value)
_draining = _machine.state(Phase.DRAINING.value)
_leaving = _machine.state(Phase.LEAVING.value)
_closed = _machine.state(Phase.CLOSED.value)

# The wiring: from a state, upon an input, to a state.


@_connecting.upon(Lifecycle.secured).to(_greeting)
def _greet(_: Lifecycle, it: Conversation) -> None:
    it.phase = Phase.GREETING
    assert it.greeting is not None
    it.write(it.greeting)
    it.greeting = None


@_greeting.upon(Lifecycle.accepted).to(_open)
def _open_(_: Lifecycle, it: Conversation, peer: Peer) -> None:
    it.phase = Phase.OPEN
    it.wasOpen = True
    it.effects.append(Opened(peer))


@_open.upon(Lifecycle.leave).to(_draining)
def _drain(_: Lifecycle, it: Conversation, reason: str, reconnect: bool | None) -> None:
    it.phase = Phase.DRAINING
    it.farewell = _farewell(reason, reconnect)
    it.effects.append(Draining())


@_draining.upon(Lifecycle.drained).to(_leaving)
def _bow(_: Lifecycle, it: Conversation) -> None:
    _goodbye(it, Cause.LEFT, it.farewell)


@_greeting.upon(Lifecycle.leave).to(_leaving)
def _turnAway(_: Lifecycle, it: Conversation, reason: str, reconnect: bool | None) -> None:
    _goodbye(it, Cause.LEFT, _farewell(reason, reconnect))


@_greeting.upon(Lifecycle.refused).to(_leaving)
@_open.upon(Lifecycle.refused).to(_leaving)
@_draining.upon(Lifecycle.refused).to(_leaving)
def _refuse(_: Lifecycle, it: Conversation, reason: str) -> None:
    _goodbye(it, Cause.REFUSED, _farewell(reason))


@_greeting.upon(Lifecycle.peerLeft).to(_leaving)
@_open.upon(Lifecycle.peerLeft).to(_leaving)
@_draining.upon(Lifecycle.peerLeft).to(_leaving)
def _letGo(_: Lifecycle, it: Conversation, message: SoftDisconnect) -> None:
    it.phase = Phase.LEAVING
    reason = _brief(message.reason or "no reason given")
    it.end(Cause.PEER_LEFT, reason, message.reconnect)
    it.effects.append(Hangup(orderly=True))


@_connecting.upon(Lifecycle.leave).to(_closed)
def _giveUp(_: Lifecycle, it: Conversation, reason: str, reconnect: bool | None) -> None:
    _cut(it, Cause.LEFT, reason)


@_connecting.upon(Lifecycle.refused).to(_closed)
def _shun(_: Lifecycle, it: Conversation, reason: str) -> None:
    _cut(it, Cause.REFUSED, reason)


@_connecting.upon(Lifecycle.lost).to(_closed)
@_greeting.upon(Lifecycle.lost).to(_closed)
@_open.upon(Lifecycle.lost).to(_closed)
@_draining.upon(Lifecycle.lost).to(_closed)
def _lose(_: Lifecycle, it: Conversation, reason: str) -> None:
    _cut(it, Cause.LOST, reason)


@_leaving.upon(Lifecycle.lost).to(_closed)
def _force(_: Lifecycle, it: Conversation, reason: str) -> None:
    it.phase = Phase.CLOSED
    it.effects.append(Hangup(orderly=False))


@_connecting.upon(Lifecycle.disconnected).to(_closed)
@_greeting.upon(Lifecycle.disconnected).to(_closed)
@_open.upon(Lifecycle.disconnected).to(_closed)
@_draining.upon(Lifecycle.disconnected).to(_closed)
def _break(_: Lifecycle, it: Conversation, reason: str) -> None:
    it.phase = Phase.CLOSED
    it.end(Cause.LOST, reason)


@_leaving.upon(Lifecycle.disconnected).to(_closed)
def _rest(_: Lifecycle, it: Conversation, reason: str) -> None:
    it.phase = Phase.CLOSED


_connecting.upon(Lifecycle.accepted).loop().returns(None)
_connecting.upon(Lifecycle.peerLeft).loop().returns(None)
_connecting.upon(Lifecycle.drained).loop().returns(None)
_greeting.upon(Lifecycle.secured).loop().returns(None)
_greeting.upon(Lifecycle.drained).loop().returns(None)
_open.upon(Lifecycle.secured).loop().returns(None)
_open.upon(Lifecycle.accepted).loop().returns(None)
_open.upon(Lifecycle.drained).loop().returns(None)
_draining.upon(Lifecycle.secured).loop().returns(None)
_draining.upon(Lifecycle.accepted).loop().returns(None)
_draining.upon(Lifecycle.leave).loop().returns(None)
_leaving.upon(Lifecycle.secured).loop().returns(None)
_leaving.upon(Lifecycle.accepted).loop().returns(None)
_leaving.upon(Lifecycle.refused).loop().returns(None)
_leaving.upon(Lifecycle.peerLeft).loop().returns(None)
_leaving.upon(Lifecycle.leave).loop().returns(None)
_leaving.upon(Lifecycle.drained).loop().returns(None)
_closed.upon(Lifecycle.secured).loop().returns(None)
_closed.upon(Lifecycle.accepted).loop().returns(None)
_closed.upon(Lifecycle.refused).loop().returns(None)
_closed.upon(Lifecycle.peerLeft).loop().returns(None)
_closed.upon(Lifecycle.leave).loop().returns(None)
_closed.upon(Lifecycle.drained).loop().returns(None)
_closed.upon(Lifecycle.lost).loop().returns(None)
_closed.upon(Lifecycle.disconnected).loop().returns(None)


def _farewell(reason: str, reconnect: bool | None = None) -> SoftDisconnect:
    said = _brief(reason).encode(errors="replace").decode()
    return SoftDisconnect(reconnect=reconnect, reason=said)


def _brief(reason: str) -> str:
    """As much of it as of any text of a session (wire-profile V10)."""
    return reason[: SESSION_TEXT.maxLength]


def _goodbye(it: Conversation, cause: Cause, message: SoftDisconnect) -> None:
    it.phase = Phase.LEAVING
    it.write(message)
    it.end(cause, message.reason or "", message.reconnect)
    it.effects.append(Hangup(orderly=True))


def _cut(it: Conversation, cause: Cause, reason: str) -> None:
    it.phase = Phase.CLOSED
    it.end(cause, reason)
    it.effects.append(Hangup(orderly=False))


lifecycle = _machine.build()
"""Makes a `Lifecycle` from a `Conversation`."""
