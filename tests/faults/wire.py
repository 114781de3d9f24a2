"""A wire of our own for IP packets, which loses exactly the one it is told to."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import struct
from typing import ClassVar

from twisted.internet import reactor
from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

_TUNSETIFF = 0x400454CA
_IFF_TUN = 0x0001
_IFF_NO_PI = 0x1000
_TCP = 6


class Wire:
    """Two TUN interfaces; what goes into one comes out of the other.

    Runs in the reactor.  Make it, then hand the interfaces to the namespaces they belong in.

    interfaces: their names in the machine's own namespace, until they are moved.
    """

    _numbers: ClassVar[itertools.count[int]] = itertools.count()

    def __init__(self) -> None:
        number = next(self._numbers)
        self.interfaces = tuple(f"ep{os.getpid()}.{number}{side}" for side in "ab")
        self._losing: int | None = None
        self._ends = [_End(name) for name in self.interfaces]
        for side, end in enumerate(self._ends):
            end.carryTo(self, side, self._ends[1 - side])

    def loseOne(self, side: int) -> None:
        """Lose the next TCP segment that carries data; side 0: from the device, 1: to it."""
        self._losing = side

    @property
    def losing(self) -> bool:
        """Whether it is still to lose a segment."""
        return self._losing is not None

    def carries(self, packet: bytes, side: int) -> bool:
        """Whether a packet that came in at a side goes out at the other."""
        if self._losing != side or not _hasData(packet):
            return True
        self._losing = None
        return False

    def close(self) -> None:
        """Take both interfaces away."""
        for end in self._ends:
            end.close()


@implementer(IReadDescriptor)
class _End:
    """One TUN interface, as the reactor reads it."""

    def __init__(self, name: str) -> None:
        self._file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        request = struct.pack("16sH14x", name.encode(), _IFF_TUN | _IFF_NO_PI)
        fcntl.ioctl(self._file, _TUNSETIFF, request)

    def carryTo(self, wire: Wire, side: int, other: _End) -> None:
        self._wire, self._side, self._other = wire, side, other
        reactor.addReader(self)  # type: ignore[attr-defined]

    def fileno(self) -> int:
        return self._file

    def logPrefix(self) -> str:
        return "wire"

    def doRead(self) -> None:
        """One packet at a time, so that others get their turn."""
        try:
            packet = os.read(self._file, 65536)
        except BlockingIOError:
            return
        if self._wire.carries(packet, self._side):
            # An interface that is not up yet takes nothing.
            with contextlib.suppress(OSError):
                os.write(self._other._file, packet)

    def connectionLost(self, reason: object) -> None:
        """The reactor reads no more."""

    def close(self) -> None:
        reactor.removeReader(self)  # type: ignore[attr-defined]
        os.close(self._file)


def _hasData(packet: bytes) -> bool:
    """Whether it is an IPv4 packet with a TCP segment that is more than its header."""
    if packet[0] >> 4 != 4 or packet[9] != _TCP:
        return False
    ipHeader = (packet[0] & 0x0F) * 4
    tcpHeader = (packet[ipHeader + 12] >> 4) * 4
    return int.from_bytes(packet[2:4]) > ipHeader + tcpHeader
