"""Stand-ins that several test modules share."""

from collections.abc import Callable

from twisted.internet.task import Clock
from zope.interface import implementer

from epnet.consent import CONSENT_LIFETIME
from epnet.identity import Peer
from epnet.interfaces import IDevice, ILink, INode, Limits, Reading
from epnet.wire import (
    DemandParameters,
    Message,
    SessionParameters,
    StorageParameters,
    SupplyParameters,
)


def peerNamed(identity: str, type: str | None = None) -> Peer:
    """A validated peer."""
    parameters = SessionParameters(identity=identity, type=type)
    return Peer(identity, None, None, True, parameters, None)


@implementer(ILink)
class FakeLink:
    """An open session whose peer the test plays.

    sent: what the node published, each publication a list.
    """

    def __init__(
        self,
        node: INode,
        clock: Clock,
        identity: str,
        type: str | None = None,
        *,
        dialled: bool = False,
    ) -> None:
        self.peer = peerNamed(identity, type)
        self.dialled = dialled
        self.node = node
        self.clock = clock
        self.transferring = False
        self.disconnected: list[tuple[str, bool | None]] = []
        self.sent: list[list[Message]] = []
        self._latest: dict[type[Message], tuple[Message, float]] = {}

    def hear(self, *messages: Message) -> None:
        """The peer sends messages."""
        for message in messages:
            self._latest[type(message)] = (message, self.clock.seconds())
            self.node.messageReceived(self, message)

    def repeat(self) -> None:
        """The peer sends its newest messages again."""
        self.hear(*[message for message, _ in self._latest.values()])

    def ask(self) -> dict[type[Message], Message]:
        """What the node would publish now."""
        return {type(message): message for message in self.node.publications(self)}

    def _fresh(self, kind: type[Message]) -> Message | None:
        if self.clock.seconds() >= self.consentExpires(kind):
            return None
        return self._latest[kind][0]

    def supply(self) -> SupplyParameters | None:
        message = self._fresh(SupplyParameters)
        assert message is None or isinstance(message, SupplyParameters)
        return message

    def demand(self) -> DemandParameters | None:
        message = self._fresh(DemandParameters)
        assert message is None or isinstance(message, DemandParameters)
        return message

    def consentExpires(self, kind: type[Message]) -> float:
        return self._latest[kind][1] + CONSENT_LIFETIME if kind in self._latest else 0.0

    def latest(self, kind: type[Message]) -> Message | None:
        return self._latest[kind][0] if kind in self._latest else None

    def publishNow(self) -> None:
        self.sent.append(list(self.node.publications(self)))

    def setTransferring(self, ongoing: bool) -> None:
        self.transferring = ongoing

    def disconnect(self, reason: str, reconnect: bool | None = None) -> None:
        self.disconnected.append((reason, reconnect))


@implementer(IDevice)
class FakeDevice:
    """A device without physics: it does at once whatever it may."""

    type, version, name, rating_w = "fake", "1.0", "A fake device", 10_000.0

    def __init__(
        self,
        supply: SupplyParameters | None = None,
        demand: DemandParameters | None = None,
        storage: StorageParameters | None = None,
    ) -> None:
        self.offers, self.wants, self.stores = supply, demand, storage
        self.limits = Limits(0, 0, 0)
        self.shutDowns: list[str] = []

    def supply(self) -> SupplyParameters | None:
        return self.offers

    def demand(self) -> DemandParameters | None:
        return self.wants

    def storage(self) -> StorageParameters | None:
        return self.stores

    def reading(self) -> Reading:
        return Reading(230.0, self.limits.draw_w, self.limits.supply_w)

    def setLimits(self, limits: Limits) -> None:
        self.limits = limits

    def shutDown(self, reason: str) -> None:
        self.shutDowns.append(reason)
        self.limits = Limits(0, 0, 0)


class Reactor:
    """A clock whose calls wait for the next turn, as the reactor's do.

    now: what time it is, in s.
    calls: what the next turn does.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[Callable[[], object]] = []

    def seconds(self) -> float:
        """What time it is, in s."""
        return self.now

    def callLater(self, delay: float, call: Callable[[], object]) -> object:
        """Call in the next turn."""
        self.calls.append(call)
        return call

    def turn(self) -> None:
        """Let one turn pass."""
        calls, self.calls = self.calls, []
        for call in calls:
            call()
