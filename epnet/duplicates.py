"""At most one connection with each peer: which one stays (Ethernet/TCP §2, wire-profile S9).

Both ends of a peer-to-peer connection may dial, and a device that restarts dials while its old
connection looks alive from the other end.  When Session Parameters show a second connection with a
peer, the *newcomer* is not announced to the node; it lives on Pings until this is settled:

1. Exactly one end decides: the one that listens where the same end dialled both, otherwise the
   one whose identity sorts higher as UTF-8 bytes.
2. The decider keeps the *established* connection if a frame arrives on it within 300 ms of the
   newcomer's Session Parameters, since live peers send every 100 ms.  Otherwise the established
   one is half-open and the newcomer takes its place.  The other one is closed with a reason.
3. The other end waits for that.  A peer that does not know the rule closes nothing: when there
   have been both for 2 s, the established connection stays, unless it is quiet.
4. A newcomer without a certificate, or with another key, never displaces a session that no
   certificate vouches for (policy ``open``).
5. There may be several newcomers; each is held against the established connection as above, which
   gets no new term for the next one while it is quiet.  When the established connection ends, the
   newcomer on which a frame arrived last takes its place, and the others are held against that.

Why that ends well: where the two ends have established different connections, rule 1 names one end
that decides between these two, and it keeps its own.

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
MOST_NEWCOMERS: Final = 4
"""How many newcomers with one peer may wait; one more is closed at once."""
REASON: Final = "there is another connection between us"


def decides(ours: str, theirs: str, dialled: tuple[bool, bool]) -> bool:
    """Whether our end decides.

    dialled: whether our end dialled the established connection, and the newcomer.
    """
    if dialled[0] == dialled[1]:
        return not dialled[0]
    return ours.encode() > theirs.encode()


@attrs.frozen
class _Newcomer:
    """A connection beside the established one with the same peer.

    since: when the established one has to be heard after, to stay, where our end decides, s.
    weDecide: whether our end decides between the two.
    """

    protocol: EPProtocol
    since: float
    weDecide: bool

    def wins(self, established: EPProtocol, now: float) -> bool | None:
        """Whether it takes the place of the established one; None while that is open."""
        heardAt = established.session.heardAt
        if self.weDecide:
            if heardAt > self.since:
                return False
            return True if now - self.since >= TERM_SECONDS else None
        if min(self.protocol.openFor(), established.openFor()) < PATIENCE_SECONDS:
            return None
        return now - heardAt >= QUIET_SECONDS


class Register:
    """The validated sessions of a node, by the identity of the peer.

    identity: our own.
    """

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self._established: dict[str, EPProtocol] = {}
        self._newcomers: dict[str, list[_Newcomer]] = {}

    def __contains__(self, identity: str | None) -> bool:
        """Whether there is a session with that peer; never with None."""
        return identity in self._established

    def opened(self, protocol: EPProtocol, now: float) -> None:
        """A session is validated: announce it, unless there is one with the same peer."""
        identity = protocol.peer.identity
        established = self._established.get(identity)
        newcomers = self._newcomers.get(identity, [])
        if established is None:
            self._established[identity] = protocol
            protocol.announce()
        elif len(newcomers) < MOST_NEWCOMERS and _mayDisplace(protocol, established):
            heardAt = established.session.heardAt
            since = min((each.since for each in newcomers if heardAt <= each.since), default=now)
            self._challenge(established, protocol, since)
        else:
            protocol.refuse(REASON)

    def _challenge(self, established: EPProtocol, newcomer: EPProtocol, since: float) -> None:
        identity = newcomer.peer.identity
        dialled = (established.factory.dials, newcomer.factory.dials)
        weDecide = decides(self._identity, identity, dialled)
        self._newcomers.setdefault(identity, []).append(_Newcomer(newcomer, since, weDecide))

    def ended(self, protocol: EPProtocol) -> None:
        """A session is over: if it was the established one, a newcomer takes its place."""
        if protocol.session.peer is None:
            return
        identity = protocol.peer.identity
        newcomers = self._newcomers.pop(identity, [])
        left = [each for each in newcomers if each.protocol is not protocol]
        if self._established.get(identity) is protocol:
            del self._established[identity]
            if left:
                self._promote([each.protocol for each in left])
        elif left:
            self._newcomers[identity] = left

    def _promote(self, newcomers: list[EPProtocol]) -> None:
        """Let the one that was heard last take the place of the established one."""
        heir = max(newcomers, key=lambda each: each.session.heardAt)
        self._established[heir.peer.identity] = heir
        for other in newcomers:
            if other is not heir:
                self._challenge(heir, other, heir.session.heardAt)
        heir.announce()

    def settle(self, now: float) -> None:
        """Decide what can be decided by now; the loser's end calls `ended`."""
        for identity in tuple(self._newcomers):
            # A node that hears of one ending may have ended these, too.
            newcomers = tuple(self._newcomers.get(identity, ()))
            established = self._established.get(identity)
            for each in newcomers:
                assert established is not None
                newcomerWins = each.wins(established, now)
                if newcomerWins is not None:
                    (established if newcomerWins else each.protocol).refuse(REASON)
                if self._established.get(identity) is not established:
                    break


def _mayDisplace(newcomer: EPProtocol, established: EPProtocol) -> bool:
    if newcomer.peer.authenticated and established.peer.authenticated:
        return True
    mine, theirs = newcomer.peer.certificate, established.peer.certificate
    return mine is not None and theirs is not None and mine.fingerprint == theirs.fingerprint
