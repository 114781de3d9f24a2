"""A quick way for the bytes of established connections, beside Twisted's own.

What is here changes when bytes move and what that costs, never which.  Twisted's TLS
(`TLSMemoryBIOFactory`) is the plain way that says what is right; `tests/test_prompt.py` holds both
side by side, and `epnet bench session` says what it saves.

`PromptTransport` sends at once what the system takes.  Twisted's transport collects what is written
and waits for the reactor to say that the system takes it: two system calls and a turn more.

`PromptTLS` makes a record of each write at once, since a session writes all it has in one piece,
and lets `epnet.inflow` read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

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
from epnet.inflow import Inflow
from epnet.socketpoll import SocketPoll

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
    reading: what reads from it, if that is not the reactor.
    """

    def __init__(self, original: Connection) -> None:
        super().__init__(original)
        self.reading: IPushProducer | None = None
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
                self.abortConnection()
                return
        self.original.write(data)
        self._wait()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send them in one piece."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Close it once all is sent, and read no more."""
        self._stopReading()
        self.original.loseConnection()

    def abortConnection(self) -> None:
        """Close it now, and read no more."""
        self._stopReading()
        self.original.abortConnection()

    def _stopReading(self) -> None:
        if self.reading is not None:
            self.reading.stopProducing()

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


class PromptTLS(TLSMemoryBIOProtocol):
    """TLS that sends promptly where there is a socket, and reads a record at a time.

    inflow: what arrives goes through it.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.inflow = Inflow(self)

    def makeConnection(self, transport: ITransport) -> None:
        """Send promptly where there is a socket."""
        self.inflow.source = transport
        if isinstance(transport, Connection):
            transport = PromptTransport(transport)
        super().makeConnection(transport)

    def listen(self, socketPoll: SocketPoll) -> None:
        """Let its socket, where it has one, be read from together with others."""
        transport = self.transport
        if isinstance(transport, PromptTransport):
            transport.reading = socketPoll.take(transport.original, self.inflow)
            self.inflow.source = transport.reading

    def dataReceived(self, data: bytes) -> None:
        """Bytes from the peer."""
        self.inflow.dataReceived(data)

    def plainly(self, data: bytes) -> None:
        """Take bytes as Twisted does."""
        super().dataReceived(data)

    def abortConnection(self) -> None:
        """Close it now."""
        self.inflow.stopped = True
        super().abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is gone; what had arrived comes first."""
        if getattr(self.transport, "overrun", False):
            reason = Failure(PeerError("it does not read what TLS answers it"))
        try:
            self.inflow.end()
        finally:
            super().connectionLost(reason)


class PromptTLSFactory(TLSMemoryBIOFactory):
    """Makes `PromptTLS`."""

    protocol = PromptTLS
