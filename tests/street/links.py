"""A link between two nodes without a session: messages go over as they are, at once."""

from __future__ import annotations

from zope.interface import implementer

from epnet.consent import CONSENT_LIFETIME
from epnet.identity import Peer
from epnet.interfaces import ILink, INode
from epnet.lifecycle import Cause, Ending
from epnet.testing import VirtualClock
from epnet.wire import DemandParameters, Message, SupplyParameters


@implementer(ILink)
class DirectLink:
    """One end; `join` makes both."""

    other: DirectLink

    def __init__(self, clock: VirtualClock, node: INode, peer: Peer, dialled: bool) -> None:
        self.peer = peer
        self.dialled = dialled
        self.transferring = False
        self._clock = clock
        self._node = node
        self._heard: dict[type[Message], tuple[Message, float]] = {}

    def publishNow(self) -> None:
        for message in self._node.publications(self):
            self.other.hear(message)

    def hear(self, message: Message) -> None:
        """A message has arrived."""
        self._heard[type(message)] = message, self._clock.seconds()
        self._node.messageReceived(self, message)

    def supply(self) -> SupplyParameters | None:
        message = self._fresh(SupplyParameters)
        return message if isinstance(message, SupplyParameters) else None

    def demand(self) -> DemandParameters | None:
        message = self._fresh(DemandParameters)
        return message if isinstance(message, DemandParameters) else None

    def _fresh(self, kind: type[Message]) -> Message | None:
        fresh = self._clock.seconds() < self.consentExpires(kind)
        return self._heard[kind][0] if fresh else None

    def consentExpires(self, kind: type[Message]) -> float:
        return self._heard[kind][1] + CONSENT_LIFETIME if kind in self._heard else 0.0

    def latest(self, kind: type[Message]) -> Message | None:
        return self._heard[kind][0] if kind in self._heard else None

    def setTransferring(self, ongoing: bool) -> None:
        self.transferring = ongoing

    def disconnect(self, reason: str, reconnect: bool | None = None) -> None:
        raise AssertionError(f"{self.peer.identity} is refused: {reason}")

    def lose(self) -> None:
        """The session is over at both ends."""
        for end in (self, self.other):
            end._node.sessionClosed(end, Ending(Cause.LOST, "silent", wasOpen=True))


def join(clock: VirtualClock, router: INode, device: INode, tenant: str | None) -> DirectLink:
    """Open a session between a router and a device; gives the router's end."""
    ends = []
    for node, other, dialled in ((router, device, False), (device, router, True)):
        parameters = other.parameters
        peer = Peer(parameters.identity, tenant, None, True, parameters, None)
        ends.append(DirectLink(clock, node, peer, dialled))
    ends[0].other, ends[1].other = ends[1], ends[0]
    router.sessionOpened(ends[0])
    device.sessionOpened(ends[1])
    return ends[0]
