"""The role of many devices in one process, each so light that it is not what limits.

A device here is a TLS socket of the standard library and frames that are ready but for the time in
them.  It judges nothing that it hears; it counts.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import struct
import sys
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

from epnet.bench.processes import LOOPBACK, deviceFiles, deviceName
from epnet.wire import (
    Bounds,
    Isolation,
    IsolationState,
    Message,
    Price,
    SessionParameters,
    Source,
    SupplyParameters,
    encode,
)
from epnet.wire.frames import MAGIC

ADDRESSES: Final = 16 if sys.platform == "linux" else 1
"""From how many addresses connections come: elsewhere loopback has one only."""
PATIENCE: Final = 40.0
"""How long devices may take to connect, in s."""
TOGETHER: Final = 8
"""How many messages a device that floods sends in one piece."""
STAMP: Final = 4503599627370497.5
"""Stands for the time in a message: a number that takes eight bytes, as the time does."""

_DOUBLE: Final = struct.Struct(">d")
_RECORD: Final = 16384
_PAUSE_SECONDS: Final = 0.001
_UNSENT: Final = 65536
"""What the system holds unsent of one that floods, in bytes: to fill megabytes of its own, it would
take the time of the processor that the server needs."""
_IDLE_SECONDS: Final = 1.0
_REVERSED: Final = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Template:
    """A frame with the time of its sending in it.

    message: what it says, with `STAMP` in one field.
    """

    def __init__(self, message: Message) -> None:
        self._before, self._after = encode(message).split(_DOUBLE.pack(STAMP))

    def at(self, now: float) -> bytes:
        """The frame as sent at that time."""
        return b"".join((self._before, _DOUBLE.pack(now), self._after))


_SUPPLY: Final = SupplyParameters(
    voltage_limit=Bounds(200, 1000),
    current_limit=Bounds(0, 32.5),
    power_limit=11_000,
    power_mix={Source.WIND: 70, Source.LOCAL_SOLAR: 30},
    energy_prices=[Price(datetime(2026, 1, 1, tzinfo=UTC), 0.25, "EUR")],
    voltage=750.5,
    current=STAMP,
    isolation=Isolation(IsolationState.OK, 1000, 1000),
)
OFFER: Final = Template(_SUPPLY)
"""What devices say: every field, and one of them differs each time."""
FREE_OFFER: Final = Template(_SUPPLY.replace(current_limit=Bounds(0, STAMP), current=None))
"""What they say between which power flows: a router would take the time for a measured current."""
NOISE: Final = Template(_SUPPLY.replace(current=None, voltage=STAMP))
"""What devices say that flood: how old it is interests nobody."""
_NO_OFFER: Final = Template(
    _SUPPLY.replace(power_limit=0, current_limit=Bounds(0, STAMP), current=0)
)


def sentAt(message: SupplyParameters) -> float:
    """When one of the last two was sent, in s of the clock that all processes share."""
    assert isinstance(message.current_limit, Bounds)
    return float(message.current_limit.max or 0.0)


class Device:
    """One connection, from the dialling on.

    took: how long it took until the server said something, in s; None before that.
    spokeAt: when it said something the last time, in s.
    """

    def __init__(self, connection: ssl.SSLSocket, greeting: bytes) -> None:
        self.took: float | None = None
        self._socket = connection
        self._greeting = greeting
        self._began = self.spokeAt = time.monotonic()

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def proceed(self) -> None:
        """Go on with the handshake, then greet, then wait for a word."""
        try:
            if self._greeting or self._socket.version() is None:
                self._socket.do_handshake()
                if self._greeting:
                    self._socket.send(self._greeting)
                    self._greeting = b""
            if self.hear():
                self.took = time.monotonic() - self._began
        except _REVERSED:
            pass

    def say(self, frame: bytes) -> bool:
        """Send a frame; False where the server does not read, or is gone: `hear` finds that out."""
        self.spokeAt = time.monotonic()
        try:
            self._socket.send(frame)
        except OSError:
            return False
        return True

    def hear(self) -> bytes:
        """What has arrived, nothing yet perhaps; raises OSError where the connection is gone."""
        try:
            data = self._socket.recv(_RECORD)
        except _REVERSED:
            return b""
        if not data:
            raise ConnectionError("closed by the server")
        return data

    def holdLittle(self) -> None:
        """Let the system hold little that is not sent yet."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNSENT)

    def close(self) -> None:
        """Be gone."""
        self._socket.close()


class Crowd:
    """So many devices of the household."""

    def __init__(self, reactor: object, folder: Path) -> None:
        self._folder = folder
        self._contexts: dict[Path, ssl.SSLContext] = {}
        self._devices: dict[Device, None] = {}
        self._selector = selectors.DefaultSelector()
        self._words = OFFER

    def kind(self, number: int) -> str:
        """The type of a device."""
        return "solar"

    def prepare(self, plain: socket.socket) -> None:
        """Set options of a socket before it connects."""

    # Commands

    def rest(self) -> None:
        """Offer nothing from now on."""
        self._words = _NO_OFFER

    def connect(self, port: int, first: int, count: int, atOnce: int, greet: bool) -> list[float]:
        """Connect devices `first` and on, so many at once; answers how long each took, in s.

        greet: whether they say who they are, as EP does; else they make an offer, to be sent back.

        Those who are connected say something now and then: who is silent for 3 s is lost.
        """
        numbers = iter(range(first, first + count))
        waiting: set[Device] = set()
        took: list[float] = []
        expected = len(self._devices) + count
        until = time.monotonic() + PATIENCE
        while len(took) < count:
            for number in islice(numbers, atOnce - len(waiting)):
                waiting.add(self._dial(port, number, greet))
            for device in self._ready(0.1):
                device.proceed() if device in waiting else self._hear(device)
            shown = {device for device in waiting if device.took is not None}
            waiting -= shown
            took += [device.took for device in shown if device.took is not None]
            now = time.monotonic()
            for device in self._devices:
                if device not in waiting and now - device.spokeAt > _IDLE_SECONDS:
                    device.say(self._words.at(now))
            if now > until:
                raise TimeoutError(f"{count - len(took)} devices did not connect")
        if len(self._devices) < expected:
            raise ConnectionError(f"{expected - len(self._devices)} devices were dropped again")
        return took

    def run(self, seconds: float, hertz: float) -> dict[str, int]:
        """Let every device send so often, evenly spread; answers what was sent and received."""
        order = list(self._devices)
        pace = hertz * len(order)
        began = time.monotonic()
        done = {"sent": 0, "received": 0, "lost": 0}
        turn = 0
        while (now := time.monotonic()) - began < seconds:
            while turn < (now - began) * pace:
                device = order[turn % len(order)]
                done["sent"] += device in self._devices and device.say(
                    self._words.at(time.monotonic())
                )
                turn += 1
            done["received"] += self._hearAll()
        done["lost"] = len(order) - len(self._devices)
        return done

    def _sayNow(self, device: Device) -> bool:
        return device in self._devices and device.say(self._words.at(time.monotonic()))

    def flood(self, port: int, first: int, count: int, seconds: float) -> dict[str, int]:
        """Let so many devices send as fast as the server reads, and come back where it hangs up.

        They may be connected already.  Answers how many frames were sent, and how often a device
        connected.
        """
        until = time.monotonic() + seconds
        done = {"sent": 0, "connected": 0}
        there = dict(zip(range(first, first + count), self._devices, strict=False))
        for device in self._devices:
            device.holdLittle()
        while time.monotonic() < until:
            for number in range(first, first + count):
                if there.get(number) not in self._devices:
                    there[number] = self._dial(port, number, True)
                    there[number].holdLittle()
                    done["connected"] += 1
            words = NOISE.at(time.monotonic()) * TOGETHER
            shouted = sum(self._shout(device, words) for device in tuple(self._devices))
            done["sent"] += TOGETHER * shouted
            if not shouted:
                # Nobody reads.  This process does nothing else, and shall not take a whole core.
                time.sleep(_PAUSE_SECONDS)
        return done

    def _shout(self, device: Device, words: bytes) -> bool:
        """Send where it is connected, and hear; whether it sent."""
        try:
            if device.took is None:
                device.proceed()
                return False
            device.hear()
            return device.say(words)
        except OSError:
            self._drop(device)
            return False

    def hangUp(self) -> None:
        """Leave without a word."""
        for device in tuple(self._devices):
            self._drop(device)

    # Connections

    def _dial(self, port: int, number: int, greet: bool) -> Device:
        files = deviceFiles(self._folder, number)
        context = self._contexts.get(files.certificate)
        if context is None:
            context = self._contexts[files.certificate] = ssl.create_default_context(
                cafile=files.authority
            )
            context.load_cert_chain(files.certificate, files.key)
            context.check_hostname = False  # devices expect an identity
        plain = socket.socket()
        self.prepare(plain)
        if ADDRESSES > 1:
            plain.bind((f"127.0.0.{2 + number % ADDRESSES}", 0))
        plain.settimeout(PATIENCE)
        plain.connect((LOOPBACK, port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        plain.setblocking(False)
        greeting = SessionParameters(identity=deviceName(number), type=self.kind(number))
        tls = context.wrap_socket(plain, do_handshake_on_connect=False)
        words = encode(greeting) if greet else self._words.at(time.monotonic())
        device = Device(tls, words)
        self._devices[device] = None
        self._selector.register(device, selectors.EVENT_READ)
        device.proceed()
        return device

    def _hearAll(self) -> int:
        """How many frames have arrived."""
        return sum(self._hear(device).count(MAGIC) for device in self._ready(_PAUSE_SECONDS))

    def _ready(self, seconds: float) -> list[Device]:
        """Those with something to read, now or within so many s."""
        events = self._selector.select(seconds)
        return [key.fileobj for key, _ in events]  # type: ignore[misc]  # as registered in _dial

    def _hear(self, device: Device) -> bytes:
        try:
            return device.hear()
        except OSError:
            self._drop(device)
            return b""

    def _drop(self, device: Device) -> None:
        del self._devices[device]
        self._selector.unregister(device)
        device.close()
