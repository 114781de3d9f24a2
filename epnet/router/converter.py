"""The converter of a router port, simulated."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Final

from zope.interface import implementer

from epnet.devices.stage import PowerStage
from epnet.interfaces import IPort, PortReading

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime


_NOTHING: Final = PortReading(0.0, 0.0, 0.0)


def _anything() -> tuple[float, float]:
    """Whatever there may be."""
    return inf, inf


@implementer(IPort)
class SimulatedConverter:
    """Power electronics whose meter shows what the set-points make flow.

    clock: the one clock; set-points expire by it without anyone calling (wire-profile S12).
    rating_w: the most it converts in either direction, W, above 0.
    voltage: gives what its meter shows, V.
    beyond: gives the most that the other end of the cable gives and takes, W.
    meters: whether it has a meter.  Beside devices that are real its meter would be a fiction.

    Increases take 1 s over the full rating, decreases 100 ms; a direction reverses through zero.
    """

    __slots__ = ("_read", "_reading", "_stage", "beyond", "meters", "voltage")

    def __init__(
        self, clock: IReactorTime, rating_w: float, voltage_v: float = 230.0, meters: bool = True
    ) -> None:
        self.meters = meters
        self.voltage: Callable[[], float] = lambda: voltage_v
        self.beyond = _anything
        self._stage = PowerStage(clock, rating_w)
        self._read = (0.0, 0.0, 0.0)
        self._reading = _NOTHING

    def rate(self, rating_w: float) -> None:
        """Be of another rating from now on, W: an installer has described its port anew."""
        self._stage.rate(rating_w)

    def setLimits(self, import_w: float, export_w: float, expires: float) -> None:
        """Follow new set-points, W, until `expires`; without effect while the contactor is open."""
        # Seen from the bus, a port draws what it imports.
        self._stage.setLimits(import_w, export_w, expires)

    def close(self) -> None:
        """Close the contactor: power can flow."""
        self._stage.close()

    def open(self) -> None:
        """Ramp to zero, then open the contactor at near-zero current, or after 500 ms."""
        self._stage.open()

    @property
    def isClosed(self) -> bool:
        """Whether power can flow."""
        return self._stage.isClosed

    def reading(self) -> PortReading | None:
        """What flows now; None without a meter."""
        if not self.meters:
            return None
        import_w, export_w = self._stage.flow()
        gives_w, takes_w = self.beyond()
        read = self.voltage(), min(import_w, gives_w), min(export_w, takes_w)
        if read != self._read:
            self._read, self._reading = read, PortReading(*read)
        return self._reading
