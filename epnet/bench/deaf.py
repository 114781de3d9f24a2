"""The role of devices that send and do not read."""

from __future__ import annotations

import socket
import time
from typing import Final

from epnet.bench.crowd import Crowd
from epnet.wire import DemandParameters, Frame, FrameReader, decodeFrame

_RECEIVE_BYTES: Final = 2048
"""What their systems take unread: little, so that the server feels it soon."""
_READING_SECONDS: Final = 0.5


class Deaf(Crowd):
    """Devices that do not read for a while, and then do."""

    def prepare(self, plain: socket.socket) -> None:
        """Let little wait on this side."""
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)

    def ignore(self, seconds: float, hertz: float) -> dict[str, list[float]]:
        """Send without reading, then read; answers, for each device, what was heard.

        ages: how old the newest message was when it was read, in s.
        waited: how many frames older than that had waited.
        """
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            self._sayAll()
            time.sleep(1 / hertz)  # to do nothing is what this process is for
        woke = time.monotonic()
        readers = {device: FrameReader() for device in self._devices}
        newest = dict.fromkeys(self._devices, float("inf"))
        waited = dict.fromkeys(self._devices, 0)
        while time.monotonic() - woke < _READING_SECONDS:
            self._sayAll()
            for device in self._ready(1 / hertz):
                for item in readers[device].feed(self._hear(device)):
                    made = _madeAt(item)
                    if made is not None:
                        newest[device] = time.monotonic() - made
                        waited[device] += made < woke
        return {"ages": list(newest.values()), "waited": list(map(float, waited.values()))}

    def _sayAll(self) -> None:
        now = time.monotonic()
        for device in self._devices:
            device.say(self._words.at(now))


def _madeAt(item: object) -> float | None:
    """When the server made a message, in s of the clock that all processes share."""
    assert isinstance(item, Frame)
    message = decodeFrame(item).message
    return message.power_limit if isinstance(message, DemandParameters) else None
