"""What carries power in a street: cables between routers, and sockets for devices.

A `Cable` has power electronics at both ends, and one truth: what one end lets out and the other one
takes in.  Both ends meter that.  So a router that believes in power that is not there is found out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from zope.interface import implementer

from epnet.devices.stage import PowerStage
from epnet.interfaces import IDevice, IPort, PortReading
from epnet.testing import VirtualClock

VOLTS = 400.0
CABLE_VOLTS = 600.0
"""What routers agree on: the middle of what their ports can work at."""


@implementer(IPort)
class Terminal:
    """Power electronics that carry what they may, as far as there is anything on the other side.

    import_w, export_w: what they may carry; expires: until when.
    lies: makes of what flows what its meter shows.
    exported: what it might put out lately, and when, the newest last.
    """

    def __init__(
        self,
        clock: VirtualClock,
        rating_w: float,
        beyond: Callable[[], tuple[float, float]],
        voltage: Callable[[], float] = lambda: VOLTS,
    ) -> None:
        self.stage = PowerStage(clock, rating_w)
        self.import_w = self.export_w = self.expires = 0.0
        self.lies: Callable[[float], float] = lambda watts: watts
        self.exported: deque[tuple[float, float]] = deque([(clock.seconds(), 0.0)])
        self._clock = clock
        self._beyond = beyond
        self._voltage = voltage

    def setLimits(self, import_w: float, export_w: float, expires: float) -> None:
        self.import_w, self.export_w, self.expires = import_w, export_w, expires
        self.stage.setLimits(import_w, export_w, expires)
        self._note()

    def close(self) -> None:
        self.stage.close()

    def open(self) -> None:
        self.import_w = self.export_w = 0.0
        self.stage.open()
        self._note()

    def _note(self) -> None:
        if self.export_w != self.exported[-1][1]:
            self.exported.append((self._clock.seconds(), self.export_w))

    def mostExported(self, seconds: float) -> float:
        """The most that it might put out at any time of the last so many seconds, W."""
        begin = self._clock.seconds() - seconds
        while len(self.exported) > 1 and self.exported[1][0] <= begin:
            self.exported.popleft()
        return max(watts for _, watts in self.exported)

    def allows(self) -> tuple[float, float]:
        """What it would carry now, W in and out."""
        import_w, export_w = self.stage.flow()
        return import_w, export_w

    def flows(self) -> tuple[float, float]:
        """What it carries now, W in and out: no more than the other side gives or takes."""
        import_w, export_w = self.allows()
        gives_w, takes_w = self._beyond()
        return min(import_w, gives_w), min(export_w, takes_w)

    def reading(self) -> PortReading:
        import_w, export_w = self.flows()
        return PortReading(self._voltage(), self.lies(import_w), self.lies(export_w))


class Cable:
    """A power cable between two routers; `ends` are those of the lower and of the upper one."""

    def __init__(self, clock: VirtualClock, rating_w: float) -> None:
        self.ends: tuple[Terminal, Terminal] = (
            Terminal(clock, rating_w, lambda: self._given(1), lambda: CABLE_VOLTS),
            Terminal(clock, rating_w, lambda: self._given(0), lambda: CABLE_VOLTS),
        )

    def _given(self, end: int) -> tuple[float, float]:
        import_w, export_w = self.ends[end].allows()
        return export_w, import_w

    def down_w(self) -> float:
        """What flows from the upper to the lower end; below 0: upwards."""
        import_w, export_w = self.ends[0].flows()
        return import_w - export_w


def socketFor(clock: VirtualClock, device: IDevice, rating_w: float) -> Terminal:
    """Where a device is plugged in."""

    def beyond() -> tuple[float, float]:
        reading = device.reading()
        return reading.supply_w, reading.draw_w

    return Terminal(clock, rating_w, beyond, lambda: device.reading().voltage_v)
