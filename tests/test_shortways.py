"""The short ways through a session do what the plain ways do, whatever happens on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from epnet.connections import Connections
from epnet.factory import EPServerFactory
from epnet.identity import Peer
from epnet.interfaces import ILink, INode
from epnet.lifecycle import Ending
from epnet.limits import SessionSettings
from epnet.protocol import EPProtocol
from epnet.session import Session
from epnet.wire import (
    DemandParameters,
    Message,
    Ping,
    SessionParameters,
    SoftDisconnect,
    StorageParameters,
    SupplyParameters,
    encode,
    encodeFrame,
)
from tests.fakes import peerNamed
from tests.wire.test_properties import deviant
from tests.wire.test_reader import alike, goodFrames

GREETING = encode(SessionParameters(identity="them"))
SUPPLIES = [
    encode(SupplyParameters(voltage_limit=(200, 250), power_limit=5000.5, voltage=230.5 + volts))
    for volts in range(4)
]
DEMANDS = [encode(DemandParameters(voltage=230, power_limit=300.5 + watts)) for watts in range(4)]
BATTERY = encode(StorageParameters(soc=51.5))
VOID = encodeFrame(SupplyParameters.typeId, bytes.fromhex("a1 02 66 312e352057"))
PLAIN = [
    *SUPPLIES,
    *DEMANDS,
    BATTERY,
    VOID,
    encode(Ping()),
    GREETING,
    encode(SessionParameters(identity="others")),
    encode(SoftDisconnect(reason="bye")),
    b"garbage!",
]

Act = Callable[["Life"], object]

ACTS: dict[str, Act] = {
    "nothing": lambda life: None,
    "publish": lambda life: life.protocol.publishNow(),
    "transfer": lambda life: life.protocol.setTransferring(True),
    "no transfer": lambda life: life.protocol.setTransferring(False),
    "leave": lambda life: life.protocol.disconnect("enough"),
    "refuse": lambda life: life.protocol.refuse("no"),
    "hear": lambda life: life.protocol.dataReceived(SUPPLIES[0]),
    "pause": lambda life: life.protocol.pauseProducing(),
    "resume": lambda life: life.protocol.resumeProducing(),
    "raise": lambda life: 1 / 0,
    "slower": lambda life: life.connections.setSessions(
        SessionSettings(publish=1, publishInTransfer=0.02, keepAlive=0.05), {"them": 350}
    ),
    "faster": lambda life: life.connections.setSessions(SessionSettings(publish=0.01), {}),
}
usual = st.sampled_from(["nothing"] * 12 + list(ACTS))
steps = st.one_of(
    st.sampled_from(SUPPLIES + DEMANDS),
    st.sampled_from(PLAIN) | goodFrames | deviant | st.binary(max_size=9),
    st.tuples(st.sampled_from(PLAIN), st.integers(2, 400)).map(lambda part: part[0] * part[1]),
    usual,
    st.integers(1, 30),
)
stories = st.lists(st.lists(steps, max_size=20) | alike(), max_size=4).map(
    lambda parts: [step for part in parts for step in part]
)


class PlainSession(Session):
    """A session without short ways."""

    __slots__ = ()

    def messageAlone(self, data: bytes, now: float, unreadSince: float) -> Message | None:
        return None

    def publishAlone(self, messages: Iterable[Message], now: float) -> bytes | None:
        return None


class CountingSession(Session):
    """One that counts how often a short way is taken."""

    __slots__ = ()
    taken: ClassVar[list[object]] = []

    def messageAlone(self, data: bytes, now: float, unreadSince: float) -> Message | None:
        message = super().messageAlone(data, now, unreadSince)
        self.taken.append(message)
        return message

    def publishAlone(self, messages: Iterable[Message], now: float) -> bytes | None:
        data = super().publishAlone(messages, now)
        self.taken.append(data)
        return data


class Factory(EPServerFactory):
    def authenticate(self, parameters: SessionParameters, protocol: EPProtocol) -> Peer:
        return self.connections.admit(peerNamed(parameters.identity), protocol)


class Silent:
    """A trust policy that only describes failures."""

    def describeFailure(self, reason: Failure) -> str:
        return "gone"


@implementer(INode)
class Life:
    """One session, its node and its transport, and all that is seen of it.

    reactions: what the node and the transport do when they are called, in turn.
    """

    parameters = SessionParameters(identity="us")

    def __init__(self, kind: type[Session], story: list[Any], reactions: list[str]) -> None:
        self.clock = Clock()
        self.seen: list[object] = []
        self._reactions = list(reactions)
        self._begun = False
        self._lost = False
        self.connections = Connections(self, self.clock)
        self.connections.startService()
        self.protocol = Factory(self.connections, Silent()).buildProtocol(self.getPeer())
        globalLogPublisher.addObserver(self._logged)
        try:
            self._live(kind, story)
        finally:
            globalLogPublisher.removeObserver(self._logged)

    def _live(self, kind: type[Session], story: list[Any]) -> None:
        protocol = self.protocol
        protocol.makeConnection(self)
        protocol.session.__class__ = kind
        protocol.handshakeCompleted()
        protocol.dataReceived(GREETING)
        self._begun = True
        for step in story:
            self._do(step)
            self.seen.append((step, self._state()))

    def _do(self, step: bytes | int | str) -> None:
        if isinstance(step, int):
            self.clock.pump([0.01] * step)
            return
        try:
            if isinstance(step, bytes):
                self.protocol.dataReceived(step)
            else:
                ACTS[step](self)
        except Exception as error:
            self._note("raised", repr(error))

    def _state(self) -> object:
        session, connections = self.protocol.session, self.connections
        rate = session._rate
        return (
            session.phase,
            session.transferring,
            session.heardAt,
            session.wakeAt,
            [getattr(session, name) for name in ("_sentAt", "_publishAt", "_consentAt", "_endsAt")],
            repr(session._said),
            dict(rate._counts) if rate._counts and max(rate._counts.values()) < 500 else None,
            dict(connections.sent),
            dict(connections.received),
            dict(connections.deviations),
            list(connections._wakes.values()),
            self.protocol._effects,
        )

    def _note(self, *what: object) -> None:
        self.seen.append((self.clock.seconds(), *what))

    def _logged(self, event: LogEvent) -> None:
        self._note("logged", event.get("log_format"), repr(event.get("reason")))

    def _react(self) -> None:
        if self._begun and self._reactions:
            ACTS[self._reactions.pop(0)](self)

    # INode

    def sessionOpened(self, link: ILink) -> None:
        self._note("opened")

    def messageReceived(self, link: ILink, message: Message) -> None:
        self._note("message", repr(message), repr(link.supply()), repr(link.demand()))
        self._react()
        self._note("done")

    def publications(self, link: ILink) -> Iterable[Message]:
        self._react()
        seconds = int(self.clock.seconds() * 10)
        return [SupplyParameters(power_limit=seconds), DemandParameters()][: seconds % 3]

    def advance(self, now: float) -> None:
        """Nothing expires."""

    def draining(self, link: ILink) -> None:
        self._note("draining")

    def sessionClosed(self, link: ILink, ending: Ending) -> None:
        self._note("closed", ending)

    # The transport

    def write(self, data: bytes) -> None:
        if self._begun:
            self._note("write", data)
            self._react()

    def loseConnection(self) -> None:
        self._note("lose")

    abortConnection = loseConnection

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.1", 56540)

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """It says itself when it is slow."""

    def unregisterProducer(self) -> None:
        """As `registerProducer`."""


class ShortWayTests(SynchronousTestCase):
    def tearDown(self) -> None:
        self.flushLoggedErrors()

    @given(stories, st.lists(usual, max_size=30))
    @example([*SUPPLIES, *DEMANDS, *SUPPLIES], ["nothing", "nothing", "publish", "raise"])
    @example([*SUPPLIES, *DEMANDS, *SUPPLIES], ["nothing"] * 3 + ["transfer"] * 3 + ["leave"])
    @example([*SUPPLIES, *DEMANDS, *SUPPLIES], ["nothing"] * 3 + ["hear"])
    @example([*SUPPLIES, *DEMANDS, *SUPPLIES], ["nothing"] * 3 + ["publish"])
    @example([*SUPPLIES, *DEMANDS, *SUPPLIES], ["nothing"] * 3 + ["raise"])
    @example([SUPPLIES[0], SUPPLIES[1], SUPPLIES[2][:9], b"", SUPPLIES[2][9:]], [])
    @example([*SUPPLIES, *[SUPPLIES[1]] * 600, 5], [])
    @example([SUPPLIES[0], *[SUPPLIES[1]] * 510, 3, *[SUPPLIES[2]] * 30, "publish", 5], [])
    @example([SUPPLIES[0], "transfer", 30, SUPPLIES[1], 30, "leave", SUPPLIES[2], 9], [])
    @example([SUPPLIES[0], SUPPLIES[1], 40, SUPPLIES[2], "publish", "publish", 99], ["pause"])
    @example([*SUPPLIES, "slower", 9, *SUPPLIES, 99, "faster", *DEMANDS, 9], ["slower", "publish"])
    @example([SUPPLIES[0], BATTERY, *[encode(Ping())] * 3, BATTERY, VOID, SUPPLIES[2]], [])
    def test_theSameIsSeen(self, story: list[Any], reactions: list[str]) -> None:
        plain = Life(PlainSession, story, reactions)
        short = Life(Session, story, reactions)
        self.assertEqual(short.seen, plain.seen)

    def test_theyAreTaken(self) -> None:
        CountingSession.taken.clear()
        Life(CountingSession, [SUPPLIES[0], DEMANDS[0], *SUPPLIES[1:], *DEMANDS[1:]], [])
        self.assertEqual(CountingSession.taken[:3], [None] * 3)  # the greeting, and what is learned
        self.assertNotIn(None, CountingSession.taken[3:])
        CountingSession.taken.clear()
        Life(CountingSession, [100], [])
        self.assertEqual(len(CountingSession.taken), 1 + 11)
        self.assertNotIn(None, CountingSession.taken[1:])
