"""Reading from thousands of sockets in one go, beside the reactor's own way.

The reactor calls each socket that has something by itself, with a context for what is logged around
it: for small messages of thousands that takes a tenth of all time.  `SocketPoll` is one descriptor
of the reactor, with an epoll of its own (Linux), and reads from all its sockets whenever any has
something.

It knows the usual case only: bytes have come.  Everything else (the end, an error, a transport that
is being closed) it leaves to the reactor, which gets the socket back and finds it again.
"""

from __future__ import annotations

import select
from contextlib import suppress
from socket import socket
from typing import Any, Protocol, Self

from twisted.internet.interfaces import IPushProducer, IReactorFDSet, IReadDescriptor
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from epnet.sockets import PIECE_BYTES


class Receiver(Protocol):
    """Whoever gets the bytes of one socket."""

    def dataReceived(self, data: bytes) -> None:
        """Take them."""

    def giveUp(self) -> None:
        """An error of our own came up; the exception has been logged."""


@implementer(IReadDescriptor)
class SocketPoll:
    """One descriptor for many sockets; the reactor knows it as long as there are any.

    reactor: whose it is.
    """

    log = Logger()

    def __init__(self, reactor: IReactorFDSet) -> None:
        self._reactor = reactor
        self._poll: select.epoll | None = None
        self._sockets: dict[int, PolledSocket] = {}

    @classmethod
    def on(cls, reactor: Any) -> Self | None:
        """One on this reactor; None where it or the system does not have what that takes."""
        works = hasattr(select, "epoll") and IReactorFDSet.providedBy(reactor)
        return cls(reactor) if works else None

    def take(self, source: Connection, receiver: Receiver) -> PolledSocket:
        """Read from a transport in the reactor's stead."""
        source.pauseProducing()
        polled = PolledSocket(self, source, receiver)
        polled.resumeProducing()
        return polled

    def add(self, number: int, polled: PolledSocket) -> None:
        """Read from the socket of that number."""
        if self._poll is None:
            self._poll = select.epoll()
            self._reactor.addReader(self)
        if number not in self._sockets:
            self._poll.register(number, select.EPOLLIN)
        self._sockets[number] = polled

    def remove(self, number: int) -> None:
        """Read from it no more; it may be closed by now, or not among these."""
        if self._sockets.pop(number, None) is None or self._poll is None:
            return
        with suppress(OSError):  # closed, and forgotten with that
            self._poll.unregister(number)
        if not self._sockets:
            self._reactor.removeReader(self)
            self._poll.close()
            self._poll = None

    # The reactor's calls

    def fileno(self) -> int:
        """The number of what it waits for."""
        return -1 if self._poll is None else self._poll.fileno()

    def logPrefix(self) -> str:
        """What log messages begin with."""
        return type(self).__name__

    def doRead(self) -> None:
        """Read once from each socket that has something."""
        assert self._poll is not None
        for number, event in self._poll.poll(0):
            polled = self._sockets.get(number)
            if polled is None:
                continue  # one before it was the end of it
            data = b""
            if event == select.EPOLLIN:
                try:
                    data = polled.handle.recv(PIECE_BYTES)
                except BlockingIOError:
                    continue
                except OSError:
                    pass  # the reactor finds out
            if not data:
                self.remove(number)
                polled.source.resumeProducing()
                continue
            try:
                polled.receiver.dataReceived(data)
            except Exception:
                self.log.failure("error in our own code: giving a connection up")
                if number in self._sockets:
                    self._giveUp(polled)

    def _giveUp(self, polled: PolledSocket) -> None:
        """An error must never reach the reactor: it would give all of them up."""
        try:
            polled.receiver.giveUp()
        except Exception:
            self.log.failure("error in our own code, also in giving a connection up")
            polled.stopProducing()
            polled.source.abortConnection()

    def connectionLost(self, reason: Failure) -> None:
        """The reactor ends."""
        for polled in tuple(self._sockets.values()):
            polled.source.connectionLost(reason)


@implementer(IPushProducer)
class PolledSocket:
    """One transport that is read from.

    source: the transport.
    handle: its socket.
    receiver: gets the bytes.
    """

    __slots__ = ("_number", "_owner", "handle", "receiver", "source")

    def __init__(self, socketPoll: SocketPoll, source: Connection, receiver: Receiver) -> None:
        self.source = source
        self.handle: socket = source.getHandle()
        self.receiver = receiver
        self._owner = socketPoll
        self._number: int = source.fileno()

    def resumeProducing(self) -> None:
        """Read on, unless it is closed or is being closed."""
        if self._number >= 0 and self.source.connected and not self.source.disconnecting:
            self._owner.add(self._number, self)

    def pauseProducing(self) -> None:
        """Read no more for now, nor let the reactor."""
        self._owner.remove(self._number)
        self.source.pauseProducing()

    def stopProducing(self) -> None:
        """Read no more: it is closed, or will be, and its number may soon be somebody else's."""
        self.pauseProducing()
        self._number = -1
