"""One EP conversation, sans I/O: bytes, times and requests in; effects and the state out.

A `Session` is one end of one connection.  It does no I/O and knows no clock: every input carries
the time (seconds of one monotonic clock), and what has to be done about it comes back as a list of
*effects* for whoever holds the socket (`epnet.protocol`).

The conversation
================

1. When TLS is up, each side sends its Session Parameters without waiting (wire-profile S1,
   Messages §4.2).  Until the peer's are here and hold against its certificate (S3), it may send
   nothing but Session Parameters, Ping and Soft Disconnect.  Bytes that start no frame end the
   connection at once; any other message gets a Soft Disconnect with a reason, and so does a peer
   that has not said who it is within 5 s (S4).
2. Then the session is *open*.  Each Supply and Demand replaces the one before and is consent for
   200 ms after it arrived, unless one of its voltage, current, power or isolation fields was
   invalid (S5).  Session Parameters may come again if they say the same (S2).
3. Any frame whose payload parses shows that the link lives.  Without one for 3 s (S6), or for
   200 ms in a transfer (S5), the peer is lost: the connection is aborted, not closed in order.
   For a peer that is slow that may be up to 400 ms; its consent is good for 200 ms all the same.
4. Something leaves on every session at least every 100 ms, a Ping if nothing else (S7).  The
   node's messages are due 10 times a second, 20 times in a transfer.
5. Broken framing means a broken peer, since TLS loses no bytes: in a transfer the first structural
   error ends the session, otherwise the tenth within 10 s (F7).  A bad payload in a good frame is
   reported and voids consent, no more.
6. Leaving on purpose (S10): first the transfer drains, at most 3 s, then a Soft Disconnect with a
   reason goes out, then the connection is closed in order, by force after 2 s.  A peer that sends
   a Soft Disconnect is gone at once.
7. More than 100 messages a second of one type, for 5 s on end, are refused (S8), and so are 500
   more than that within a second.  In a transfer, data of ours that the peer's system has not
   acknowledged for 200 ms means lost, like silence.
8. However it ends, the session says so exactly once, with one `Ending`; from then on it consents
   to nothing and sends nothing.

The states and what leads from one to the next are in `epnet.lifecycle`; what each kind of message
does is one table in this file.  Deadlines are looked at by `advance`, which the owner calls every
few milliseconds: no message ever starts or resets a timer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from math import inf
from typing import ClassVar, Final, TypeVar

import attrs

from epnet.consent import CONSENT_LIFETIME
from epnet.errors import PeerError
from epnet.identity import Peer
from epnet.lifecycle import Conversation, Deviation, Effect, Phase, Received, Write, lifecycle
from epnet.limits import MessageRate, SessionSettings
from epnet.wire import (
    Decoded,
    DemandParameters,
    Diagnostic,
    Frame,
    Gap,
    Message,
    MessageReader,
    Ping,
    SessionParameters,
    SoftDisconnect,
    SupplyParameters,
    encode,
    messageClass,
)

LEAVING_SECONDS: Final = 2.0
"""How long the orderly close of the connection may take before it is aborted."""
DRAINING_SECONDS: Final = 3.0
"""How long a transfer may take to drain before the session is left all the same."""
GAPS_ALLOWED: Final = 10
"""The structural error within `GAPS_SECONDS`, outside a transfer, that ends a session (F7)."""
GAPS_SECONDS: Final = 10.0
MAX_DEVIATIONS: Final = 20
"""Deviations that are told of, of one frame or gap."""
SLACK: Final = 0.005
"""How much before its time a frame may go out, so that sweeps and periods stay in step."""

M = TypeVar("M", bound=Message)
Authenticate = Callable[[SessionParameters], Peer]
_Said = tuple[Message | None, Message | None, float]
"""The newest message of a kind; itself, or None where it was void; since when it is consent, in s.

Each message makes one, and a plain tuple takes a tenth of the time of a named one."""


class Session:
    """One end of one EP conversation.

    parameters: what we say of ourselves.
    authenticate: holds the peer's Session Parameters against its certificate; gives the validated
        peer or raises `PeerError` with the reason.
    now: when the connection was made, in s.
    settings: times and limits.
    wakeAt: before that time `advance` would find nothing to do, and nothing is due.

    Every method that takes an input returns the effects to carry out, in order.
    """

    __slots__ = (
        "_authenticate",
        "_consentAt",
        "_endsAt",
        "_gaps",
        "_heardAt",
        "_it",
        "_lifecycle",
        "_phaseSeen",
        "_phaseSince",
        "_publishAt",
        "_rate",
        "_reader",
        "_said",
        "_sentAt",
        "peer",
        "settings",
        "wakeAt",
    )

    def __init__(
        self,
        parameters: SessionParameters,
        authenticate: Authenticate,
        now: float,
        settings: SessionSettings | None = None,
    ) -> None:
        self.settings = settings or SessionSettings()
        self.peer: Peer | None = None
        self._it = Conversation(parameters)
        self._lifecycle = lifecycle(self._it)
        self._authenticate = authenticate
        self._reader = MessageReader(maxPayload=self.settings.maxPayload)
        self._said: dict[type[Message], _Said] = {}
        self._gaps: tuple[float, ...] = ()  # an empty deque takes more than all else here
        self._rate = MessageRate(now)
        self._phaseSeen = self._it.phase
        self._phaseSince = now
        self._heardAt = now
        self._sentAt = now
        self._publishAt = now
        self._consentAt = now
        self.wakeAt = self._endsAt = -inf

    # What one may ask

    @property
    def phase(self) -> Phase:
        """Where in its life the session is."""
        return self._it.phase

    @property
    def transferring(self) -> bool:
        """Whether a transfer is ongoing."""
        return self._it.transferring

    @property
    def heardAt(self) -> float:
        """When the newest frame arrived that shows that the link lives, in s."""
        return self._heardAt

    @property
    def patience(self) -> float:
        """The longest silence after which the link still lives, in s."""
        return self.settings.loss if self._it.transferring else self.settings.idleLoss

    @property
    def publishing(self) -> bool:
        """Whether the node's messages may be sent: open, or draining."""
        return self._it.phase in _PUBLISHING

    def consent(self, kind: type[M], now: float) -> M | None:
        """The peer's newest message of that kind while it is consent, else None (S5)."""
        _, message, arrived = self._said.get(kind, _NOTHING)
        if now - arrived >= CONSENT_LIFETIME or not self.publishing:
            return None
        return message  # type: ignore[return-value]  # stored under its own type

    def consentExpires(self, kind: type[Message]) -> float:
        """When the peer's newest message of that kind stops being consent, in s; 0 without one."""
        said = self._said.get(kind)
        return said[2] + CONSENT_LIFETIME if said is not None else 0.0

    def latest(self, kind: type[M]) -> M | None:
        """The peer's newest message of that kind, however old."""
        return self._said.get(kind, _NOTHING)[0]  # type: ignore[return-value]  # its own type

    def publishDue(self, now: float) -> bool:
        """Whether it is time for the node's messages."""
        return now + SLACK >= self._publishAt and self._it.phase in _PUBLISHING

    # Inputs

    def secured(self, now: float) -> list[Effect]:
        """TLS is up."""
        self._lifecycle.secured()
        return self._effects(now)

    def dataReceived(
        self, data: bytes, now: float, unreadSince: float | None = None
    ) -> list[Effect]:
        """Bytes arrived, in any pieces.

        unreadSince: since when they may have waited to be read, in s, where that is not `now`:
            consent in them is as old as that (S8).
        """
        self._consentAt = now if unreadSince is None else unreadSince
        if self._it.phase not in _ALIVE:
            return []
        for item in self._reader.feed(data):
            if isinstance(item, Gap):
                self._gapFound(item, now)
            else:
                self._frameReceived(item, now)
            if self._it.phase not in _ALIVE:
                break
        if self._reader.skipping or self._reader.lost:
            self._framingBroken()
        return self._effects(now)

    def messageAlone(self, data: bytes, now: float, unreadSince: float) -> Message | None:
        """The short way of `dataReceived`, for the usual case: one good message for the node.

        Gives the message where `dataReceived` would give nothing but `Received` of it, and has
        taken the bytes as that would have; else None, and they are still to be taken.
        """
        if self._it.phase is not _OPEN:
            return None
        message = self._reader.alone(data)
        if message is None:
            return None
        kind = type(message)
        # One that is too many is counted twice: it is no less too many the second time.
        if kind in self._HANDLERS or self._rate.count(kind.typeId, now):
            return None
        self._heardAt = now
        self._consentAt = unreadSince
        self._said[kind] = message, message, unreadSince
        return message

    def publish(self, messages: Iterable[Message], now: float) -> list[Effect]:
        """Send the node's messages in one piece, a Ping for none; the next are due a period on."""
        if self.publishing:
            self._it.effects.append(Write(_together(messages)))
        self._putOff(now)
        return self._resting(now)

    def publishAlone(self, messages: Iterable[Message], now: float) -> bytes | None:
        """The short way of `publish`, for the usual case.

        Gives the bytes where `publish` would give nothing but to write them; else None, and the
        messages are still to be published.
        """
        if self._it.phase is not _OPEN:
            return None
        data = _together(messages)
        self._sentAt = now
        self._putOff(now)
        if not self._it.transferring:
            self._rest()
        return data

    def _putOff(self, now: float) -> None:
        settings = self.settings
        period = settings.publishInTransfer if self.transferring else settings.publish
        # At the last time of our own grid that is no more than a period from now, however often
        # somebody publishes in between.  So after a stall, which makes all sessions due at once,
        # they do not go on all at once: each is back on its grid.
        at, latest = self._publishAt + period, now + period + SLACK
        if not now + period / 2 <= at <= latest:
            at = self._publishAt + (latest - self._publishAt) // period * period
        self._publishAt = at

    def setTransferring(self, ongoing: bool, now: float) -> list[Effect]:
        """Whether a transfer is ongoing: sets the pace and the patience."""
        if ongoing and not self._it.transferring:
            self._publishAt = min(self._publishAt, now + self.settings.publishInTransfer)
        self._it.transferring = ongoing
        self.wakeAt = -inf
        if not ongoing and self._it.phase is Phase.DRAINING:
            self._lifecycle.drained()
        return self._effects(now)

    def setSettings(self, settings: SessionSettings) -> None:
        """Go by other times from now on; how large a payload may be stays as it is."""
        self.settings = settings
        self.wakeAt = -inf

    def leave(self, reason: str, reconnect: bool | None, now: float) -> list[Effect]:
        """End the session on purpose."""
        self._lifecycle.leave(reason, reconnect)
        if not self._it.transferring:
            self._lifecycle.drained()
        return self._effects(now)

    def refuse(self, reason: str, now: float) -> list[Effect]:
        """End the session because of something the peer is or did."""
        self._lifecycle.refused(reason)
        return self._effects(now)

    def fail(self, now: float) -> list[Effect]:
        """End the session by force: our own side cannot go on."""
        self._lifecycle.lost("error in our own code")
        return self._effects(now)

    def disconnected(self, reason: str, now: float) -> list[Effect]:
        """The connection is gone."""
        self._authenticate = _nobody  # it holds whoever holds this
        self._lifecycle.disconnected(reason)
        return self._effects(now)

    def unacknowledged(self, since: float, now: float) -> list[Effect]:
        """The peer's system has not acknowledged data of ours that went out then (S8)."""
        if self._it.transferring and now - since >= self.settings.loss:
            waited = (now - since) * 1000
            self._lifecycle.lost(f"our data unacknowledged for {waited:.0f} ms")
        return self._effects(now)

    def advance(self, now: float) -> list[Effect]:
        """Look at the deadlines."""
        if self.wakeAt > -inf and self._publishAt <= now + SLACK and now < self._endsAt:
            return []  # it has woken for the node's messages, as most often
        self._DEADLINES[self._it.phase](self, now)
        silent = now + SLACK - self._sentAt >= self.settings.keepAlive
        if silent and self._it.phase in _ALIVE and not self.publishDue(now):
            self._it.write(Ping())
        return self._resting(now)

    # Frames and messages

    def _frameReceived(self, decoded: Decoded, now: float) -> None:
        assert decoded.frame is not None
        typeId = decoded.frame.typeId
        if self._rate.count(typeId, now):
            self._lifecycle.refused(f"too many messages at once of type 0x{typeId:08x}")
            return
        if decoded.diagnostics:
            self._deviates(decoded.diagnostics)
        message = decoded.message
        if message is None:
            self._voidConsent(decoded.frame)
            return
        self._heardAt = now
        kind = type(message)
        if self._it.phase is Phase.GREETING and kind not in _GREETINGS:
            self._lifecycle.refused(f"{kind.__name__} before Session Parameters")
            return
        handler = self._HANDLERS.get(kind)
        if handler is not None:
            handler(self, message)
        else:
            consent = None if decoded.voidsConsent else message
            self._said[kind] = message, consent, self._consentAt
            self._it.effects.append(Received(message))

    def _voidConsent(self, frame: Frame) -> None:
        """A Supply or Demand that cannot be read at all still ends the consent before it."""
        kind = messageClass(frame.typeId)
        if kind in _CONSENTS:
            self._said[kind] = self.latest(kind), None, self._consentAt

    def _deviates(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Tell of deviations; a peer can put thousands into one frame, and a few say enough."""
        self._it.effects.extend(map(Deviation, islice(diagnostics, MAX_DEVIATIONS)))

    def _sessionParametersReceived(self, message: Message) -> None:
        assert isinstance(message, SessionParameters)
        if self.peer is not None and _saidOf(message) == _saidOf(self.peer.parameters):
            # Whom to believe has not changed (`epnet.trust.keeper`), and to judge is dear.
            self.peer = attrs.evolve(self.peer, parameters=message)
            return
        try:
            peer = self._authenticate(message)
        except PeerError as error:
            self._lifecycle.refused(str(error))
            return
        if self.peer is None:
            self.peer = peer
            self._lifecycle.accepted(peer)
        else:
            self._lifecycle.refused("Session Parameters name somebody else than before")

    def _softDisconnectReceived(self, message: Message) -> None:
        assert isinstance(message, SoftDisconnect)
        self._lifecycle.peerLeft(message)

    def _ignore(self, message: Message) -> None:
        pass

    _HANDLERS: ClassVar[dict[type[Message], Callable[[Session, Message], None]]] = {
        Ping: _ignore,
        SessionParameters: _sessionParametersReceived,
        SoftDisconnect: _softDisconnectReceived,
    }

    def _gapFound(self, gap: Gap, now: float) -> None:
        self._deviates(gap.diagnostics)
        self._framingBroken()
        self._gaps = (*self._gaps, now)[-GAPS_ALLOWED:]
        if len(self._gaps) == GAPS_ALLOWED and now - self._gaps[0] <= GAPS_SECONDS:
            self._lifecycle.lost(f"broken framing {GAPS_ALLOWED} times in {GAPS_SECONDS:g} s")

    def _framingBroken(self) -> None:
        """There are bytes that are no frame; the stream may or may not recover."""
        if self._it.phase is Phase.GREETING:
            self._lifecycle.lost("its first bytes start no EP frame")
        elif self._it.transferring:
            self._lifecycle.lost("broken framing")
        elif self._reader.lost:
            self._lifecycle.lost("no EP frame in all that it sends")

    # Deadlines

    def _checkHandshake(self, now: float) -> None:
        if now - self._phaseSince >= self.settings.handshake:
            self._lifecycle.lost(f"no TLS handshake within {self.settings.handshake:g} s")

    def _checkGreeting(self, now: float) -> None:
        if now - self._phaseSince >= self.settings.greeting:
            self._lifecycle.refused(f"no Session Parameters within {self.settings.greeting:g} s")

    def _checkLink(self, now: float) -> None:
        if now - self._heardAt >= self.patience:
            self._lifecycle.lost(f"silent for {(now - self._heardAt) * 1000:.0f} ms")
        typeId = self._rate.tooFast(now)
        if typeId is not None:
            self._lifecycle.refused(f"too many messages a second of type 0x{typeId:08x}")

    def _checkDraining(self, now: float) -> None:
        self._checkLink(now)
        if now - self._phaseSince >= DRAINING_SECONDS:
            self._lifecycle.drained()

    def _checkLeaving(self, now: float) -> None:
        if now - self._phaseSince >= LEAVING_SECONDS:
            self._lifecycle.lost("the connection did not close in order")

    def _checkNothing(self, now: float) -> None:
        pass

    _DEADLINES: ClassVar[dict[Phase, Callable[[Session, float], None]]] = {
        Phase.CONNECTING: _checkHandshake,
        Phase.GREETING: _checkGreeting,
        Phase.OPEN: _checkLink,
        Phase.DRAINING: _checkDraining,
        Phase.LEAVING: _checkLeaving,
        Phase.CLOSED: _checkNothing,
    }

    def _effects(self, now: float) -> list[Effect]:
        """Hand over what has been recorded since the last time, and note what it means."""
        effects = self._it.effects
        if effects:
            self._it.effects = []
            for effect in effects:
                if type(effect) is Write:
                    self._sentAt = now
        if self._it.phase is not self._phaseSeen:
            self._phaseSeen = self._it.phase
            self._phaseSince = now
            self.wakeAt = -inf
        return effects

    def _resting(self, now: float) -> list[Effect]:
        """As `_effects`; and note until when there is nothing to do but to listen.

        That is so only of an open session without a transfer, and what arrives or is sent until
        then only puts its deadlines off.
        """
        effects = self._effects(now)
        if self._it.phase is _OPEN and not self._it.transferring:
            self._rest()
        return effects

    def _rest(self) -> None:
        settings = self.settings
        # Before this the link cannot have failed.
        endsAt, countedUntil = self._heardAt + settings.idleLoss, self._rate.countedUntil
        endsAt = _ROUNDING + (endsAt if endsAt < countedUntil else countedUntil)
        speaksAt, silentAt = self._publishAt, self._sentAt + settings.keepAlive
        speaksAt = _ROUNDING - SLACK + (speaksAt if speaksAt < silentAt else silentAt)
        self._endsAt = endsAt
        self.wakeAt = endsAt if endsAt < speaksAt else speaksAt


_OPEN = Phase.OPEN
"""Here since to get it from its class takes longer than to get all else that is looked at."""
_GREETINGS = frozenset({SessionParameters, Ping, SoftDisconnect})
_CONSENTS = frozenset({SupplyParameters, DemandParameters})
_PUBLISHING = (_OPEN, Phase.DRAINING)
_ALIVE = (*_PUBLISHING, Phase.GREETING)
_NOTHING: _Said = None, None, -inf
_ROUNDING = -1e-6
"""So much earlier do we look: the sum of two times is not exact."""


def _together(messages: Iterable[Message]) -> bytes:
    return b"".join(map(encode, messages)) or encode(Ping())


def _nobody(_: SessionParameters) -> Peer:
    raise PeerError("the connection is gone")


def _saidOf(parameters: SessionParameters) -> tuple[str, str | None, str | None]:
    """Who it says it is."""
    return parameters.identity, parameters.tenant, parameters.provider
