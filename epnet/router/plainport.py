"""A port without a plan: what a device in the middle has for each device behind it.

It is bounded by consent, port and cable as a router's port is, and carries what it is given; who
decides over time (ramps on confirmed supply, policies, provenance) is a router's `Port`.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from epnet.consent import IsolationGuard, Transfer, allowedPower
from epnet.identity import Peer
from epnet.interfaces import ILink, IPort, PortReading
from epnet.router import speech
from epnet.router.converter import SimulatedConverter
from epnet.router.settings import DEFAULT_PORTS, PortSettings, Tier
from epnet.wire import DemandParameters, StorageParameters, SupplyParameters

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime


class PlainPort:
    """One port with what its device says, what it is granted, and what is measured.

    identity: the device that belongs to it.
    converter: its power electronics.
    link: the open session with its device, or None.
    isolation: whether isolation blocks it.
    import_w, export_w: the set-points, W; at most one of them above 0.
    """

    def __init__(self, identity: str, settings: PortSettings, converter: IPort) -> None:
        self.identity = identity
        self.settings = settings
        self.converter = converter
        self.link: ILink | None = None
        self.leaving = False
        self.import_w = 0.0
        self.export_w = 0.0
        self.transfer = Transfer(settings.max_power)
        self.isolation = IsolationGuard()

    # Its device's messages

    def attach(self, link: ILink) -> None:
        """Its device has connected.  Consent is never inherited: nothing is granted yet."""
        self.link = link
        self.leaving = False

    def detach(self) -> None:
        """Its device is gone: no power can flow."""
        self.link = None
        self.isolation.interrupt()
        self.import_w = self.export_w = 0.0
        self.transfer = Transfer(self.settings.max_power)
        self.converter.open()

    def noteIsolation(self, supply: SupplyParameters, now: float) -> None:
        """Follow the isolation its device reports; a fault opens the contactor at once."""
        self.isolation.note(supply, now)
        if self.isolation.blocked:
            self.converter.open()

    @property
    def blocked(self) -> bool:
        """Whether nothing may flow: an isolation fault, or its device is leaving."""
        return self.isolation.blocked or self.leaving

    @property
    def tier(self) -> Tier:
        """Where it stands in the order of sources."""
        stores = self.link is not None and self.link.latest(StorageParameters) is not None
        return Tier.STORAGE if stores else Tier.LOCAL

    # What it could carry

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

    # What it is given

    def setPoints(self, import_w: float, export_w: float, now: float, until: float = inf) -> bool:
        """Take new set-points, W, good until then at the latest; say whether one of them fell."""
        fell = import_w < self.import_w or export_w < self.export_w
        self.import_w, self.export_w = import_w, export_w
        self.actuate(now, until)
        return fell

    def actuate(self, now: float, until: float = inf) -> None:
        """Hand the set-points to the converter, with their expiry, and follow the transfer."""
        if self.link is None:
            return
        if self.import_w > 0.0 or self.export_w > 0.0:
            self.converter.close()
        kind = SupplyParameters if self.import_w > 0.0 else DemandParameters
        expires = min(self.link.consentExpires(kind), until)
        self.converter.setLimits(self.import_w, self.export_w, expires)
        reading = self.measured()
        measured_w = reading.import_w + reading.export_w
        self.link.setTransferring(
            self.transfer.update(self.import_w + self.export_w, measured_w, now)
        )

    def measured(self) -> PortReading:
        """What flows: by the port's meter, or as estimated from the messages without one."""
        return self.converter.reading() or self._estimate()

    def _estimate(self) -> PortReading:
        supply = self.link and self.link.latest(SupplyParameters)
        import_w = 0.0
        if isinstance(supply, SupplyParameters) and self.import_w > 0.0:
            import_w = max(0.0, (supply.voltage or 0.0) * (supply.current or 0.0))
        return PortReading(self._exportVoltage(), import_w, self.export_w, estimated=True)

    # What it says to its device

    def messages(self) -> list[SupplyParameters | DemandParameters]:
        """The grant for a device that demands, the request for one that supplies."""
        if self.link is None:
            return []
        messages: list[SupplyParameters | DemandParameters] = []
        if self.link.latest(DemandParameters) is not None:
            flowing_w = self.measured().export_w
            messages.append(
                speech.grant(self.settings, self.export_w, self._exportVoltage(), flowing_w)
            )
        supply = self.link.latest(SupplyParameters)
        if isinstance(supply, SupplyParameters):
            voltage = speech.importVoltage(self.settings, supply)
            messages.append(speech.request(self.settings, self.import_w, voltage))
        return messages

    def _exportVoltage(self) -> float:
        demand = self.link and self.link.latest(DemandParameters)
        return speech.exportVoltage(
            self.settings, demand if isinstance(demand, DemandParameters) else None
        )


class PlainPortMaker:
    """Makes the port of a device that connects for the first time, by its type.

    clock: the one clock, for the simulated converters.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock

    def __call__(self, peer: Peer) -> PlainPort:
        """The port of that device."""
        settings = DEFAULT_PORTS.get(peer.parameters.type or "", PortSettings())
        voltage_v = (settings.voltage.min + settings.voltage.max) / 2
        converter = SimulatedConverter(self._clock, settings.max_power, voltage_v)
        return PlainPort(peer.identity, settings, converter)
