"""At most one connection with each peer: which one stays (Ethernet/TCP §2, wire-profile S9).

Both ends of a peer-to-peer connection may dial, and a device that restarts dials while its old
connection looks alive from the other end.  When Session Parameters show a second connection with a
peer, the *newcomer* is not announced to the node; it lives on Pings until this is settled:

1. Exactly one end decides: the one that listens where the same end dialled both, otherwise the
   one whose identity sorts higher as UTF-8 bytes.
2. The decider keeps the *established* connection if a frame arrives on it within 300 ms of the
   newcomer's Session Parameters, since live peers send every 100 ms.  Otherwise the established
   one is half-open and the newcomer takes its place.  The other one is closed with a reason.
3. The other end waits for that.  A peer that does not know the rule closes nothing: after 2 s the
   established connection stays, unless it is quiet.
4. A newcomer without a certificate, or with another key, never displaces a session that no
   certificate vouches for (policy ``open``).
5. A third connection takes the newcomer's place, and the established one gets no new term.

Consent is never inherited: the node gets to know the newcomer as a new link.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from epnet.protocol import EPProtocol

TERM_SECONDS: Final = 0.3
"""How long the decider gives the established connection to show that it lives."""
QUIET_SECONDS: Final = 0.3
"""How long a connection may be silent before it counts as quiet."""
PATIENCE_SECONDS: Final = 2.0
"""How long the other end waits for a decision."""
REASON: Final = "there is another connection between us"


def decides(ours: str, theirs: str, dialled: tuple[bool, bool]) -> bool:
    """Whether our end decides.

    dialled: whether our end dialled the established connection, and the newcomer.
    """
    if dialled[0] == dialled[1]:
        return not dialled[0]
    return ours.encode() > theirs.encode()


@attrs.define
class _Contest:
    """A newcomer beside the established connection with the same peer."""

    newcomer: EPProtocol
    began: float
    weDecide: bool

    def newcomerWins(self, established: EPProtocol, now: float) -> bool | None:
        """Whether the newcomer stays; None while that is open."""
        heardAt = established.session.heardAt
        if self.weDecide:
            if heardAt > self.began:
                return False
            return True if now - self.began >= TERM_SECONDS else None
        if now - self.began < PATIENCE_SECONDS:
            return None
        return now - heardAt >= QUIET_SECONDS


class Register:
    """The validated sessions of a node, by the identity of the peer.

    identity: our own.
    """

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self._established: dict[str, EPProtocol] = {}
        self._contests: dict[str, _Contest] = {}

    def __contains__(self, identity: str | None) -> bool:
        """Whether there is a session with that peer; never with None."""
        return identity in self._established

    def opened(self, protocol: EPProtocol, now: float) -> None:
        """A session is validated: announce it, unless there is one with the same peer."""
        identity = protocol.peer.identity
        established = self._established.get(identity)
        if established is None:
            self._established[identity] = protocol
            protocol.announce()
        elif _mayDisplace(protocol, established):
            self._challenge(established, protocol, now)
        else:
            protocol.refuse(REASON)

    def _challenge(self, established: EPProtocol, newcomer: EPProtocol, now: float) -> None:
        identity = newcomer.peer.identity
        dialled = (established.factory.dials, newcomer.factory.dials)
        before = self._contests.get(identity)
        began = now if before is None else before.began
        weDecide = decides(self._identity, identity, dialled)
        self._contests[identity] = _Contest(newcomer, began, weDecide)
        if before is not None:
            before.newcomer.refuse(REASON)

    def ended(self, protocol: EPProtocol) -> None:
        """A session is over: if it was the established one, the newcomer takes its place."""
        if protocol.session.peer is None:
            return
        identity = protocol.peer.identity
        contest = self._contests.get(identity)
        if contest is not None and contest.newcomer is protocol:
            del self._contests[identity]
        elif self._established.get(identity) is protocol:
            del self._established[identity]
            if contest is not None:
                del self._contests[identity]
                self._established[identity] = contest.newcomer
                contest.newcomer.announce()

    def settle(self, now: float) -> None:
        """Decide what can be decided by now; the loser's end calls `ended`."""
        for identity, contest in tuple(self._contests.items()):
            established = self._established[identity]
            newcomerWins = contest.newcomerWins(established, now)
            if newcomerWins is not None:
                (established if newcomerWins else contest.newcomer).refuse(REASON)


def _mayDisplace(newcomer: EPProtocol, established: EPProtocol) -> bool:
    if newcomer.peer.authenticated and established.peer.authenticated:
        return True
    mine, theirs = newcomer.peer.certificate, established.peer.certificate
    return mine is not None and theirs is not None and mine.fingerprint == theirs.fingerprint
