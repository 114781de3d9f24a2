"""What arrives on a connection, on its way from the socket through TLS to the session.

What arrives is nearly always one record, with one message or a few in it, or some of them where we
are late.  Then each is read by itself, without asking whether there is more: one read gives all
there is.  Everything else goes the plain way, which is Twisted's: handshakes, pieces of records,
and short ones, which may be alerts.

Of peers that send more at a time than a piece, all but the first one wait for their turn
(`epnet.turns`).  Until then nothing more is read of it: what it sends too much waits at its own
end.  A record may hold eight pieces, and its last bytes bring them all: of these, too, what takes
long waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from epnet.socketpoll import PolledSocket
from epnet.sockets import PIECE_BYTES
from epnet.turns import TURN_SECONDS, Turns

if TYPE_CHECKING:
    from epnet.prompt import PromptTLS


class Pace(Protocol):
    """Where pieces wait for their turn.

    readers: the queue.
    """

    readers: Turns

    def seconds(self) -> float:
        """The time, in s."""

    def unreadSince(self, now: float) -> float:
        """How long bytes that are read now may have waited: since this time, in s."""


class Inflow:
    """What arrives on one connection.

    tls: the plain way, which also knows who gets what comes out of it.
    source: where the bytes come from.
    pace: where pieces wait for their turn once the handshake is over; None to take them as they
        come.
    behindSince: while there has been more to read than was read, since when, in s; else None.
        What is read now may have waited since then.
    held: the piece that waits for its turn.
    left: what waits of a long record, decrypted, and of what came behind it.
    stopped: whether nobody wants any more.

    Its attributes are slots since `PromptTLS`, like all that Twisted wraps others in, passes on
    whom it asks for what it does not have, and each look at it takes long.
    """

    __slots__ = (
        "_connection",
        "_leftSince",
        "_records",
        "behindSince",
        "held",
        "left",
        "pace",
        "source",
        "stopped",
        "tls",
    )

    def __init__(self, tls: PromptTLS) -> None:
        self.tls = tls
        self.source: Any = None
        self.pace: Pace | None = None
        self.behindSince: float | None = None
        self.held = self.left = b""
        self.stopped = False
        self._leftSince = 0.0
        self._records = Records()
        self._connection: SSL.Connection | None = None  # once the handshake is over

    def dataReceived(self, data: bytes) -> None:
        """Take a piece of what the peer sends; in its turn where it is a full one among others."""
        if len(data) < PIECE_BYTES and not self.held and not self.left:
            self._take(data)
            self.behindSince = None
        elif self.pace is None or self._connection is None:
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
        while at < len(left) and not self.stopped:
            self.tls.wrappedProtocol.dataReceived(left[at : at + PIECE_BYTES])
            at += PIECE_BYTES
            if self.pace.seconds() >= until:
                self.left = left[at:]
                break
        self.behindSince = since

    def _hold(self, data: bytes) -> None:
        assert self.pace is not None
        self.held += data
        self.source.pauseProducing()
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
            self.source.resumeProducing()
            self._take(held)

    def giveUp(self) -> None:
        """An error of ours came up in its turn."""
        self.tls.abortConnection()

    def end(self) -> None:
        """The connection is gone; what had arrived comes first, as far as there is time for it."""
        try:
            held, self.held = self.held, b""
            if held:
                self._take(held)
            if self.left:
                self._takeLeft()
        finally:
            self.left = b""
            self._connection = None
            if isinstance(self.source, PolledSocket):
                self.source.stopProducing()
            if self.pace is not None:
                self.pace.readers.forget(self)

    def letGo(self) -> None:
        """Nothing comes any more: hold nobody who holds this."""
        self.tls = None  # type: ignore[assignment]  # nobody asks for it then

    def _take(self, data: bytes) -> None:
        records, connection = self._records.follow(data), self._connection
        if records and connection is not None:
            for record in records:
                if self.stopped:  # because of one before it
                    break
                self._readOne(record, connection)
            return
        self.tls.plainly(data)
        if connection is None and self.tls.connected:
            connection = self.tls.getHandle()
            if connection.get_state_string() == _FINISHED:
                self._connection = connection

    def _readOne(self, record: bytes, connection: SSL.Connection) -> None:
        connection.bio_write(record)
        try:
            data = connection.recv(len(record))
        except SSL.WantReadError:
            # A word of TLS about the connection, which may ask for an answer.
            assert self.tls.transport is not None
            with suppress(SSL.WantReadError):
                self.tls.transport.write(connection.bio_read(_ANSWER_BYTES))
        except SSL.ZeroReturnError:
            self.tls.failVerification(Failure(ConnectionDone()))  # its goodbye, made longer
        except SSL.Error:
            self.tls.failVerification(Failure())
        else:
            self.tls.wrappedProtocol.dataReceived(data)


_ANSWER_BYTES: Final = 16384
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
