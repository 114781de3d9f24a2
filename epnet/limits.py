"""How many may connect, how many strangers may wait, how fast peers may send (wire-profile S4, S8).

Pure bookkeeping: `epnet.door` and `epnet.session` act on what it says.

A *stranger* is a connection that we accepted and that has not yet shown who it is: no Session
Parameters of it have held against its certificate.  A stranger is never refused.  Where there are
too many, the oldest one makes room, and that of the address with the most strangers: who fills the
waiting room pushes out himself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv6Address, ip_address
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

import attrs

from epnet.errors import UsageError

S = TypeVar("S")


@attrs.frozen
class between:
    """An attrs validator: `UsageError` for a setting outside these bounds, and for NaN."""

    low: float
    high: float

    def __call__(self, _: object, attribute: attrs.Attribute[Any], value: float) -> None:
        """Check a value."""
        if not self.low <= value <= self.high:
            raise UsageError(
                f"{attribute.name} is {value:g}: it must be between {self.low:g} and {self.high:g}"
            )


class oneOf:
    """An attrs validator: `UsageError` for a setting that is none of these."""

    def __init__(self, *words: object) -> None:
        self.words = words

    def __call__(self, _: object, attribute: attrs.Attribute[Any], value: object) -> None:
        """Check a value."""
        if value not in self.words:
            wanted = ", ".join(map(repr, self.words))
            raise UsageError(f"{attribute.name} is {value!r}: it must be one of {wanted}")


UNVOUCHED: Final = 1000
"""How many devices a node remembers, as far as nobody vouches for them."""


@attrs.frozen
class ConnectionLimits:
    """How many connections a node takes; each limit is 1 to 100,000.

    connections: sessions with validated peers.
    perAddress: the same from one address.
    strangers: accepted connections whose peer is not validated yet.
    strangersPerAddress: the same from one address.
    handshakes: flights of TLS handshakes that are computed at most before other connections are
        looked at again; `epnet.door` says how long they may take.
    unvouched: devices that are remembered when one comes that nobody vouches for: see
        `epnet.router.acquaintance`.

    An IPv6 network of 64 bits counts as one address: any host can take all of them.
    """

    connections: int = attrs.field(default=1000, validator=between(1, 100_000))
    perAddress: int = attrs.field(default=256, validator=between(1, 100_000))
    strangers: int = attrs.field(default=512, validator=between(1, 100_000))
    strangersPerAddress: int = attrs.field(default=64, validator=between(1, 100_000))
    handshakes: int = attrs.field(default=8, validator=between(1, 100_000))
    unvouched: int = attrs.field(default=UNVOUCHED, validator=between(1, 100_000))


@attrs.frozen
class SessionSettings:
    """The times of a session, in seconds, and its limits.

    publish: between the node's messages outside a transfer, 0.01 to 1 (Framing §5.1).
    publishInTransfer: the same in a transfer, 0.01 to 0.066 (S7).
    keepAlive: the longest time without sending any frame, 0.01 to 0.1 (S7).
    loss: the longest silence in a transfer, 0.2; up to 0.4 for slow peers (S5).
    idleLoss: the longest silence outside transfers, 3 to 30 (S6).
    greeting: the time for the peer's Session Parameters, 1 to 60 (S4).
    handshake: the time for the TLS handshake, 1 to 60 (S4).
    maxPayload: the largest payload accepted, in bytes, 1 KiB to 16 MiB (F6).
    """

    publish: float = attrs.field(default=0.1, validator=between(0.01, 1))
    publishInTransfer: float = attrs.field(default=0.05, validator=between(0.01, 0.066))
    keepAlive: float = attrs.field(default=0.1, validator=between(0.01, 0.1))
    loss: float = attrs.field(default=0.2, validator=between(0.2, 0.4))
    idleLoss: float = attrs.field(default=3.0, validator=between(3, 30))
    greeting: float = attrs.field(default=5.0, validator=between(1, 60))
    handshake: float = attrs.field(default=10.0, validator=between(1, 60))
    maxPayload: int = attrs.field(default=65536, validator=between(1024, 2**24))


def neighbourhood(host: str) -> str:
    """What counts as one address: an IPv4 address, or the IPv6 network that a host may have.

    Link-local IPv6 addresses count singly, since all hosts on a link share their network.  What is
    no address, as in tests and on local sockets, counts as it is.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return host if address.is_link_local else address.exploded[:19]


class Strangers(Generic[S]):
    """The strangers, and who of them makes room for another one (S4).

    most: how many there may be.
    mostPerAddress: how many of one address.
    """

    def __init__(self, most: int, mostPerAddress: int) -> None:
        self.setMost(most, mostPerAddress)
        self._addresses: dict[S, str] = {}
        self._byAddress: dict[str, dict[S, None]] = {}

    def setMost(self, most: int, mostPerAddress: int) -> None:
        """Take other limits; they hold for those who arrive."""
        self._most = most
        self._mostPerAddress = mostPerAddress

    def __len__(self) -> int:
        return len(self._addresses)

    def __iter__(self) -> Iterator[S]:
        """All of them, oldest first."""
        return iter(tuple(self._addresses))

    def arrived(self, stranger: S, address: str) -> S | None:
        """There is one more; gives who makes room for it and no longer counts, if anybody."""
        self._addresses[stranger] = address
        room = self._byAddress.setdefault(address, {})
        room[stranger] = None
        if len(room) <= self._mostPerAddress:
            if len(self._addresses) <= self._most:
                return None
            room = max(self._byAddress.values(), key=len)
        oldest = next(iter(room))
        self.left(oldest)
        return oldest

    def left(self, stranger: S) -> None:
        """One is gone, or no stranger any more; nothing happens if it was none."""
        address = self._addresses.pop(stranger, None)
        if address is not None:
            room = self._byAddress[address]
            del room[stranger]
            if not room:
                del self._byAddress[address]


MOST_PER_SECOND: Final = 100
"""Messages of one type a second; the fastest that Framing §5.1 knows is 100 Hz."""
SECONDS_TOO_FAST: Final = 5
"""For how many seconds on end a peer may exceed that."""


MOST_AHEAD: Final = MOST_PER_SECOND * SECONDS_TOO_FAST
"""How many messages of a type beyond that, within one count, are too many at once."""
TYPES_APART: Final = 16
"""How many types are counted apart within a count; all others count as one."""
OTHER_TYPES: Final = -1
_NOBODY: Final[Mapping[int, int]] = MappingProxyType({})


class MessageRate:
    """Whether a peer sends more than 100 messages a second of a type, for 5 s on end (S8).

    Whoever sends within a second what would be too much in five is too fast at once.

    Counting is one addition a message; whether it is too many for long is asked in the sweep.

    countedUntil: when `tooFast` can say something new, in s.
    """

    __slots__ = ("_counts", "_fastFor", "_since", "countedUntil")

    def __init__(self, now: float) -> None:
        self._since = now
        self.countedUntil = now + 1.0
        self._counts: dict[int, int] = {}
        self._fastFor = _NOBODY

    def count(self, typeId: int, now: float) -> bool:
        """A message of that type arrived; says whether it is too many at once."""
        counts = self._counts
        if typeId not in counts and len(counts) >= TYPES_APART:
            typeId = OTHER_TYPES
        counts[typeId] = count = counts.get(typeId, 0) + 1
        return count > MOST_AHEAD and count > MOST_AHEAD + MOST_PER_SECOND * (now - self._since)

    def tooFast(self, now: float) -> int | None:
        """The type of which too many come, or None."""
        elapsed = now - self._since
        if elapsed < 1.0:
            return None
        self._fastFor = {
            typeId: self._fastFor.get(typeId, 0) + 1
            for typeId, count in self._counts.items()
            # One more may fall into any second of a peer that sends exactly as often as it may.
            if count > MOST_PER_SECOND * elapsed + 1
        } or _NOBODY
        self._since = now
        self.countedUntil = now + 1.0
        self._counts.clear()
        return next((t for t, n in self._fastFor.items() if n >= SECONDS_TOO_FAST), None)
