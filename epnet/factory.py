"""The three roles as Twisted factories: who dials, who listens (Ethernet/TCP §2).

A factory makes an `EPProtocol` for each connection of one node.  `EPServerFactory` is for
listening, `EPClientFactory` for dialling, `EPPeerFactory` for a device that does both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from twisted.internet.protocol import Factory
from zope.interface import implementer

from epnet.dialler import Backoff
from epnet.door import Door
from epnet.interfaces import IClient, IPeer, IRole, IServer
from epnet.lifecycle import Ending
from epnet.limits import SessionSettings
from epnet.protocol import EPProtocol

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from epnet.connections import Connections
    from epnet.identity import Peer
    from epnet.interfaces import INode, ITrust
    from epnet.wire import SessionParameters


@implementer(IRole)
class EPFactory(Factory):
    """What the three roles have in common.

    connections: all connections of the node, shared by its factories.
    trust: whom to believe.
    sessionSettings: times and limits of each session; None for those of the connections.
    dials: whether our end dials the connections.
    whenDisconnected: called when the connection of a protocol is gone, whatever becomes of
        `disconnected`.
    """

    dials = False
    protocol = EPProtocol  # type: ignore[assignment]  # it knows what its factory is
    noisy = False

    def __init__(
        self,
        connections: Connections,
        trust: ITrust,
        sessionSettings: SessionSettings | None = None,
    ) -> None:
        self.connections = connections
        self.trust = trust
        self._sessionSettings = sessionSettings
        self.whenDisconnected: Callable[[], None] = lambda: None

    @property
    def sessionSettings(self) -> SessionSettings:
        """Times and limits of each session that begins: its own, or those of its connections."""
        return self._sessionSettings or self.connections.sessionSettings

    @property
    def node(self) -> INode:
        """What stands behind the connections."""
        return self.connections.node

    def door(self, clock: IReactorTime | None = None) -> Door:
        """What to listen with: TLS, and before it the doorkeeper of the node (S4).

        clock: decides when collected writes leave; None for the reactor.
        """
        return Door(self, clock)

    def authenticate(self, parameters: SessionParameters, protocol: EPProtocol) -> Peer:
        """Validate a peer (wire-profile S3); raises `epnet.errors.PeerError` with the reason."""
        peer = self.trust.authenticate(parameters, protocol.transport, expected=self.expected())
        return self.connections.admit(peer, protocol)

    def expected(self) -> str | None:
        """The identity the peer must have, None for any."""
        return None

    def sessionEnded(self, protocol: EPProtocol, ending: Ending) -> None:
        """A conversation is over, whether or not its session had been opened."""

    def disconnected(self, protocol: EPProtocol) -> None:
        """The connection of a protocol is gone."""


@implementer(IServer)
class EPServerFactory(EPFactory):
    """Accepts connections from downstream devices."""


@implementer(IClient)
class EPClientFactory(EPFactory):
    """Dials one upstream device.

    identity: the identity it must show; None for any that the trust policy believes.
    backoff: how long to wait before dialling again.
    peerIdentity: who it is, as far as that is known.
    """

    dials = True

    def __init__(
        self,
        connections: Connections,
        trust: ITrust,
        sessionSettings: SessionSettings | None = None,
        *,
        identity: str | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        super().__init__(connections, trust, sessionSettings)
        self.peerIdentity = identity
        self._identity = identity
        self._backoff = backoff or Backoff()
        self._lastEnding: Ending | None = None
        self._lasted = 0.0

    def expected(self) -> str | None:
        """The identity the upstream device must have, None for any."""
        return self._identity

    def authenticate(self, parameters: SessionParameters, protocol: EPProtocol) -> Peer:
        """Validate the upstream device, and remember who it is."""
        peer = super().authenticate(parameters, protocol)
        self.peerIdentity = peer.identity
        return peer

    def sessionEnded(self, protocol: EPProtocol, ending: Ending) -> None:
        """Remember how it ended, for the next call."""
        self._lastEnding = ending
        self._lasted = protocol.openFor()

    def redialDelay(self) -> float:
        """Seconds to wait before dialling again, by how the last attempt ended."""
        ending, self._lastEnding = self._lastEnding, None
        lasted, self._lasted = self._lasted, 0.0
        return self._backoff.delay(ending, lasted)


@implementer(IPeer)
class EPPeerFactory(EPClientFactory):
    """Dials a device that may dial us as well; `listening` makes the one that accepts."""

    @classmethod
    def listening(
        cls,
        connections: Connections,
        trust: ITrust,
        sessionSettings: SessionSettings | None = None,
    ) -> Self:
        """The factory that accepts what peers dial."""
        factory = cls(connections, trust, sessionSettings)
        factory.dials = False
        return factory
