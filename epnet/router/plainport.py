"""A port without a plan: what a device in the middle has for each device behind it.

It is bounded by consent, port and cable as a router's port is, and carries what it is given; who
decides over time (ramps on confirmed supply, policies, provenance) is a router's `Port`.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from epnet.consent import allowedPower
from epnet.identity import Peer
from epnet.router import speech
from epnet.router.baseport import BasePort
from epnet.router.converter import SimulatedConverter
from epnet.router.settings import DEFAULT_PORTS, PortSettings, Tier
from epnet.wire import SupplyParameters

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime


class PlainPort(BasePort):
    """A port that carries what it is told to, within what may flow."""

    @property
    def tier(self) -> Tier:
        """Where it stands in the order of sources."""
        return Tier.STORAGE if self.stores else Tier.LOCAL

    def importBound(self) -> float:
        """The most its device may supply now by device, port and cable, W."""
        if self.link is None or self.blocked:
            return 0.0
        supply = self.link.supply()
        if supply is None:
            return 0.0
        voltage = speech.importVoltage(self.settings, supply)
        request = speech.request(self.settings, self.settings.max_power, voltage)
        return allowedPower(supply, request)

    def exportBound(self) -> float:
        """The most its device may draw now by device, port and cable, W."""
        if self.link is None or self.blocked:
            return 0.0
        capability = SupplyParameters(
            voltage_limit=self.settings.voltage,
            current_limit=(0, self.settings.current_limit),
            power_limit=self.settings.max_power,
        )
        return allowedPower(capability, self.link.demand())

    @property
    def overdrawn(self) -> bool:
        """Whether a set-point is above what may flow now."""
        return (self.import_w > 0.0 and self.import_w > self.importBound()) or (
            self.export_w > 0.0 and self.export_w > self.exportBound()
        )

    def setPoints(self, import_w: float, export_w: float, now: float, until: float = inf) -> bool:
        """Take new set-points, W, good until then at the latest; say whether one of them fell."""
        fell = import_w < self.import_w or export_w < self.export_w
        self.import_w = self.asked_w = import_w
        self.export_w = export_w
        self.actuate(now, until)
        return fell


class PlainPortMaker:
    """Makes the port of a device that connects for the first time, by its type.

    clock: the one clock, for the simulated converters.
    meters: whether these have meters: where the devices are simulated, too.
    """

    def __init__(self, clock: IReactorTime, meters: bool = False) -> None:
        self._clock = clock
        self._meters = meters

    def __call__(self, peer: Peer) -> PlainPort:
        """The port of that device."""
        settings = DEFAULT_PORTS.get(peer.parameters.type or "", PortSettings())
        converter = SimulatedConverter(self._clock, settings.max_power, meters=self._meters)
        return PlainPort(peer.identity, settings, converter)
