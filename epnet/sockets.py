"""What the system does with the bytes we send, and what it tells of them (wire-profile S7, S8).

Age is only known from arrival, so what waits to be sent looks fresh when it arrives late.  Hence
little may wait: one publication in our buffer and one in the system's.  And in a transfer, data
that the peer's system does not acknowledge is a sign of loss that silence alone does not give: the
line may be dead in one direction only.
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import Final

import attrs
from twisted.internet.interfaces import ISystemHandle
from twisted.internet.tcp import Connection

PIECE_BYTES: Final = 2048
"""How much waits in our own buffer before publications pause, about five of them.

Twisted reads in pieces of the same size: it must hold a frame or two, and never be 0.  A full one
says that there is more to be read.
"""
_UNSENT_BYTES: Final = 1
"""How much the system holds unsent before it takes no more."""
_IN_FLIGHT_BYTES: Final = 8192
"""How much it holds in all: about ten publications under way, half a second of them.

By default that is megabytes: many minutes of old messages for a peer that does not read.
"""
_UNREAD_BYTES: Final = 32768
"""How much it holds that we have not read: a second of a peer that sends as fast as it may.

By itself that is megabytes, too, and whoever sends more than we read would fill them.
"""
_INFO: Final = struct.Struct("@24xI92xQ16xI")
"""Of Linux's `struct tcp_info`: tcpi_unacked, tcpi_bytes_acked and tcpi_notsent_bytes."""


@attrs.frozen
class Outgoing:
    """What the system tells of the data that we sent.

    waiting: whether any of it is not acknowledged yet.
    acknowledged: bytes that were, since the connection was made.
    """

    waiting: bool
    acknowledged: int


class Acknowledgements:
    """Since when data of ours waits to be acknowledged."""

    __slots__ = ("_acknowledged", "_since")

    def __init__(self) -> None:
        self._since: float | None = None
        self._acknowledged = 0

    def waitingSince(self, outgoing: Outgoing | None, now: float) -> float | None:
        """Since when data has been waiting without any being acknowledged, in s; None if none is.

        outgoing: what the system tells now; None where it does not tell.
        Accurate to the time between two calls.
        """
        if outgoing is None or not outgoing.waiting:
            self._since = None
        elif self._since is None or outgoing.acknowledged != self._acknowledged:
            self._since = now
            self._acknowledged = outgoing.acknowledged
        return self._since


def beneath(tls: object) -> object:
    """The transport beneath a TLS protocol; None where there is none."""
    transport = getattr(tls, "transport", None)
    return getattr(transport, "original", transport)


def sendPromptly(transport: object) -> None:
    """Let data leave at once, and let next to nothing wait; whatever is no TCP stays as it is."""
    if isinstance(transport, Connection):
        transport.setTcpNoDelay(True)
        transport.bufferSize = PIECE_BYTES
        handle = transport.getHandle()
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _IN_FLIGHT_BYTES)
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UNREAD_BYTES)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)


def outgoingOf(transport: object) -> Outgoing | None:
    """What the system tells of a TCP transport: Linux from 4.6 does."""
    if sys.platform != "linux" or not ISystemHandle.providedBy(transport):
        return None
    handle = transport.getHandle()
    if not isinstance(handle, socket.socket) or handle.fileno() < 0:
        return None
    info = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
    if len(info) < _INFO.size:
        return None
    unacknowledged, acknowledged, unsent = _INFO.unpack(info)
    return Outgoing(bool(unacknowledged or unsent), acknowledged)
