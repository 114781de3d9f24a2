"""The role of devices between which power flows, and changes all the time."""

from __future__ import annotations

import time
from math import inf
from pathlib import Path
from typing import Any, Final

from epnet.bench.crowd import FREE_OFFER, Crowd, Device
from epnet.bench.frame import quantile
from epnet.wire import DemandParameters, Frame, FrameReader, SupplyParameters, decodeFrame, encode

HERTZ: Final = 20.0
CHANGE_SECONDS: Final = 1.0
LOW_W, HIGH_W = 1000.0, 3000.0
NEAR_W: Final = 1.0
"""A grant as near as that to what was asked for is all of it."""


class Consumer:
    """A device that asks for much and for little in turn, and waits for the grant to follow.

    changeAt: when it changes its mind for the first time, in s.
    rises, falls: how long it took from sending a change until the first grant that follows it, s.
    """

    def __init__(self, device: Device, changeAt: float) -> None:
        self.device = device
        self.rises: list[float] = []
        self.falls: list[float] = []
        self._reader = FrameReader()
        self._asked = LOW_W
        self._granted = 0.0
        self._changeAt = changeAt
        self._waitingSince: float | None = None

    def say(self, now: float) -> None:
        """Ask for what it wants; something else when that has been granted long enough."""
        served = abs(self._granted - self._asked) < NEAR_W
        if now >= self._changeAt and self._waitingSince is None and served:
            self._asked = LOW_W if self._asked == HIGH_W else HIGH_W
            self._changeAt = now + CHANGE_SECONDS
            self._waitingSince = now
        demand = DemandParameters(voltage=400, voltage_limit=1000, power_limit=self._asked)
        self.device.say(encode(demand))

    def take(self, data: bytes, now: float) -> None:
        """Follow what is granted."""
        for frame in self._reader.feed(data):
            assert isinstance(frame, Frame)
            message = decodeFrame(frame).message
            if isinstance(message, SupplyParameters) and message.power_limit is not None:
                self._take(message.power_limit, now)

    def _take(self, power_w: float, now: float) -> None:
        rises = self._asked == HIGH_W
        follows = power_w > self._granted if rises else power_w < self._granted
        if self._waitingSince is not None and follows:
            (self.rises if rises else self.falls).append(now - self._waitingSince)
            self._waitingSince = None
        self._granted = power_w


class Exchange(Crowd):
    """Devices of which those with even numbers supply and those with odd ones draw."""

    def __init__(self, reactor: object, folder: Path) -> None:
        super().__init__(reactor, folder)
        self._consumers: dict[Device, Consumer] = {}

    def kind(self, number: int) -> str:
        """Let supply and demand alternate."""
        return "vehicle" if number % 2 else "solar"

    def trade(self, seconds: float) -> dict[str, Any]:
        """Let power flow; answers the median and the 99th percentile of each change, in ms."""
        began = time.monotonic()
        devices = list(self._devices)
        consumers = devices[1::2]
        # They do not all change their minds at the same time.
        step = CHANGE_SECONDS / max(1, len(consumers))
        self._consumers = {
            device: Consumer(device, began + number * step)
            for number, device in enumerate(consumers)
        }
        turn = 0
        while (now := time.monotonic()) - began < seconds:
            while turn < (now - began) * HERTZ * len(devices):
                self._say(devices[turn % len(devices)], now)
                turn += 1
            for device in self._ready(0.001):
                data = self._hear(device)
                if device in self._consumers:
                    self._consumers[device].take(data, time.monotonic())
        rises = [each for consumer in self._consumers.values() for each in consumer.rises]
        falls = [each for consumer in self._consumers.values() for each in consumer.falls]
        lost = len(devices) - len(self._devices)
        return {"rises": _quantiles(rises), "falls": _quantiles(falls), "lost": lost}

    def _say(self, device: Device, now: float) -> None:
        if device not in self._devices:
            return
        if device in self._consumers:
            self._consumers[device].say(now)
        else:
            device.say(FREE_OFFER.at(now))


def _quantiles(times: list[float]) -> list[float]:
    if not times:
        return [inf, inf]  # no grant ever followed
    return [quantile(times, part) * 1000 for part in (0.5, 0.99)]
