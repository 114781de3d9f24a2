"""A quick way for the bytes of established connections, beside Twisted's own.

What is here changes when bytes move and what that costs, never which.  Twisted's TLS
(`TLSMemoryBIOFactory`) is the plain way that says what is right; `tests/test_prompt.py` holds both
side by side, and `epnet bench session` says what it saves.

`PromptTransport` sends at once what the system takes.  Twisted's transport collects what is written
and waits for the reactor to say that the system takes it: two system calls and a turn more.

`PromptTLS` makes a record of each write at once, since a session writes all it has in one piece,
and reads whole records one by one without asking whether there is more.  Of peers
that send more at a time than a piece, all but the first one wait for their turn (`epnet.turns`).
Until then nothing more is read of it: what it sends too much waits at its own end.  A record may
hold eight pieces, and its last bytes bring them all: of these, too, what takes long waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from OpenSSL import SSL
from twisted.internet.interfaces import (
    IConsumer,
    IPullProducer,
    IPushProducer,
    ISystemHandle,
    ITCPTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Connection
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.components import proxyForInterface
from twisted.python.failure import Failure
from zope.interface import implementer

from epnet.errors import PeerError
from epnet.sockets import PIECE_BYTES
from epnet.turns import TURN_SECONDS, Turns

if TYPE_CHECKING:
    from twisted.internet.interfaces import ITransport


BEHIND_BYTES: Final = 65536
"""How much may follow what waits already: a session publishes nothing then, and TLS has next to
nothing to say by itself."""


@implementer(IPullProducer, IConsumer, ISystemHandle)
class PromptTransport(proxyForInterface(ITCPTransport, "original")):  # type: ignore[misc]
    """A TCP transport that sends at once what the system takes.

    The rest waits in the transport below, and while it does, all that follows waits behind it and
    the producer is paused.  What TLS has to answer follows all the same; of a peer that asks and
    asks and reads nothing (RFC 8446 §4.6.3) that would be more and more.

    original: the transport below.
    overrun: whether the connection was ended for that.
    """

    def __init__(self, original: Connection) -> None:
        super().__init__(original)
        self._send = original.getHandle().send
        self._producer: IPushProducer | None = None
        self._waiting = self.overrun = False
        self._behind = 0

    def getHandle(self) -> object:
        """The socket."""
        return self.original.getHandle()

    def write(self, data: bytes) -> None:
        """Send now what the system takes now."""
        if not self._waiting and self.original.connected:
            try:
                sent = self._send(data)
            except OSError:
                sent = 0  # what is wrong, if anything is, the transport below finds and tells
            if sent == len(data):
                return
            data = data[sent:]
        elif self._waiting:
            self._behind += len(data)
            if self._behind > BEHIND_BYTES:
                self.overrun = True
                self.original.abortConnection()
                return
        self.original.write(data)
        self._wait()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send them in one piece."""
        self.write(b"".join(data))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Pause a push producer while anything waits."""
        assert streaming, "TLS has push producers only"
        self._producer = producer
        if self._waiting:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """Pause it no more."""
        self._producer = None

    def _wait(self) -> None:
        """Find out when the transport below has sent everything: it asks its producer for more."""
        if not self._waiting:
            # It asks once at once, when it does not mean that.
            self.original.registerProducer(self, False)
            self._waiting = True
            if self._producer is not None:
                self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """The transport below has sent everything."""
        if self._waiting:
            self._waiting, self._behind = False, 0
            self.original.unregisterProducer()
            if self._producer is not None:
                self._producer.resumeProducing()

    def stopProducing(self) -> None:
        """The transport below goes away; whoever holds this gets to know by itself."""


class Pace(Protocol):
    """Where pieces wait for their turn.

    readers: the queue.
    """

    readers: Turns

    def seconds(self) -> float:
        """The time, in s."""

    def unreadSince(self, now: float) -> float:
        """How long bytes that are read now may have waited: since this time, in s."""


class PromptTLS(TLSMemoryBIOProtocol):
    """TLS that makes a record of each write at once, and reads a whole record at once.

    What arrives is nearly always one record, with one message or a few in it, or some of them where
    we are late.  Then each is read by itself, and one read gives all there is.  Everything else
    goes the plain way: handshakes, pieces of records, and short ones, which may be alerts.

    pace: where pieces wait for their turn once the handshake is over; None to take them as they
        come.
    behindSince: while there has been more to read than was read, since when, in s; else None.
        What is read now may have waited since then.
    held: the piece that waits for its turn.
    left: what waits of a long record, decrypted, and of what came behind it.
    """

    pace: Pace | None = None
    behindSince: float | None = None
    held = b""
    left = b""
    _leftSince = 0.0

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._records = Records()
        self._shaken = False

    def makeConnection(self, transport: ITransport) -> None:
        """Send promptly where there is a socket."""
        self._source: Any = transport
        if isinstance(transport, Connection):
            transport = PromptTransport(transport)
        super().makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        """Take a piece of what the peer sends; in its turn where it is a full one among others."""
        if len(data) < PIECE_BYTES and not (self.held or self.left):
            self._take(data)
            self.behindSince = None
        elif self.pace is None or not self._shaken:
            self._take(data)
        elif self.behindSince is None:
            self.behindSince = self.pace.unreadSince(self.pace.seconds())
            if not self.left and self.pace.readers.spare():
                self._take(data)
            else:
                self._hold(data)
        else:
            self._hold(data)

    def takeLong(self, data: bytes) -> None:
        """Take decrypted bytes that are many, or behind others: what takes long, in later turns."""
        assert self.pace is not None
        if self.left:
            self.left += data
            return
        since = self.behindSince
        self._leftSince = self.pace.unreadSince(self.pace.seconds()) if since is None else since
        self.left = data
        self._takeLeft()
        if self.left:
            self.pace.readers.queue(self)

    def _takeLeft(self) -> None:
        """Take of what is left as much as a turn has time for."""
        assert self.pace is not None
        until = self.pace.seconds() + TURN_SECONDS
        since, self.behindSince = self.behindSince, self._leftSince
        left, self.left = self.left, b""
        at = 0
        while at < len(left) and not self._aborted:
            self.wrappedProtocol.dataReceived(left[at : at + PIECE_BYTES])
            at += PIECE_BYTES
            if self.pace.seconds() >= until:
                self.left = left[at:]
                break
        self.behindSince = since

    def _hold(self, data: bytes) -> None:
        assert self.pace is not None
        self.held += data
        self._source.pauseProducing()
        self.pace.readers.queue(self)

    def proceed(self) -> None:
        """Take the piece that waits, and then read on; before that, what is left."""
        assert self.pace is not None
        self.pace.readers.forget(self)
        if self.left:
            self._takeLeft()
        if self.left:
            self.pace.readers.queue(self)
        elif self.held:
            held, self.held = self.held, b""
            self._source.resumeProducing()
            self._take(held)

    def giveUp(self) -> None:
        """An error of ours came up in its turn."""
        self.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is gone; what had arrived comes first, as far as there is time for it."""
        try:
            held, self.held = self.held, b""
            if held:
                self._take(held)
            if self.left:
                self._takeLeft()
        finally:
            self.left = b""
            if self.pace is not None:
                self.pace.readers.forget(self)
            if getattr(self.transport, "overrun", False):
                self._reason = Failure(PeerError("it does not read what TLS answers it"))
            super().connectionLost(reason)

    def _take(self, data: bytes) -> None:
        records = self._records.follow(data)
        if records and self._shaken:
            for number, record in enumerate(records):
                if self.disconnecting:  # because of one before it
                    super().dataReceived(b"".join(records[number:]))
                    return
                self._readOne(record)
            return
        super().dataReceived(data)
        if not self._shaken and self.connected:
            self._shaken = self.getHandle().get_state_string() == _FINISHED

    def _readOne(self, record: bytes) -> None:
        connection = self.getHandle()
        connection.bio_write(record)
        try:
            data = connection.recv(len(record))
        except SSL.WantReadError:
            self._flushSendBIO()  # a word of TLS about the connection, which may ask for an answer
        except SSL.ZeroReturnError:
            self._flushReceiveBIO()  # its goodbye, made longer: the plain way finds it again
        except SSL.Error:
            self.failVerification(Failure())
        else:
            self.wrappedProtocol.dataReceived(data)


_FINISHED: Final = b"SSL negotiation finished successfully"
_HEAD_BYTES: Final = 5
_APPLICATION_DATA: Final = 23
_SHORT_BYTES: Final = 29
"""Records up to this long may be alerts (24) or key updates (27); frames make longer ones (34)."""


class Records:
    """Where the records of TLS begin and end in a stream (RFC 8446 §5.1)."""

    __slots__ = ("_head", "_missing")

    def __init__(self) -> None:
        self._head = b""  # of a record, as far as it is here
        self._missing = 0  # of the content of a record

    def follow(self, data: bytes) -> Sequence[bytes]:
        """Take the next piece; give its records if it is whole ones, none of them short."""
        records = []
        at, whole = 0, len(data)
        if not self._head and not self._missing:
            while whole - at > _SHORT_BYTES and data[at] == _APPLICATION_DATA:
                length = _HEAD_BYTES + (data[at + 3] << 8 | data[at + 4])
                if length == whole:
                    return (data,)
                if length <= _SHORT_BYTES:
                    break
                records.append(data[at : at + length])
                at += length
            if at == whole:
                return records
        self._skip(data)
        return ()

    def _skip(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            if self._missing:
                step = min(self._missing, len(data) - at)
                self._missing -= step
            else:
                step = min(_HEAD_BYTES - len(self._head), len(data) - at)
                self._head += data[at : at + step]
                if len(self._head) == _HEAD_BYTES:
                    self._missing = self._head[3] << 8 | self._head[4]
                    self._head = b""
            at += step


class PromptTLSFactory(TLSMemoryBIOFactory):
    """Makes `PromptTLS`."""

    protocol = PromptTLS
