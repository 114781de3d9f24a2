"""The ports of a router: what one may carry, and what flows over it now (EnergyNet §2.1).

A port is one connected device as the router sees it.  `epnet.router.settings.PortSettings` is what
its installer says of it; `Port` adds the device's messages, the set-points, and the converter that
actuates and meters.
*import* is power into the router, *export* power out of it, W at the terminals, never negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from twisted.internet.interfaces import IReactorTime

from epnet.consent import IsolationGuard, Transfer, allowedPower
from epnet.errors import PeerError
from epnet.identity import Peer
from epnet.interfaces import ILink, IPort, PortReading
from epnet.router.converter import SimulatedConverter
from epnet.router.decisions import Change, Decision, Direction, History, TransferState
from epnet.router.settings import DEFAULT_PORTS, PortSettings, Tier
from epnet.router.terms import Setpoint, Sink, Source
from epnet.wire import DemandParameters, StorageParameters, SupplyParameters
from epnet.wire.values import Mix, Price


class Port:
    """One port with what its device says, what it is granted, and what is measured.

    identity: the device that belongs to it.
    converter: its power electronics.
    link: the open session with its device, or None.
    peer: its device as it last presented itself, or None where it never has.
    isolation: whether isolation blocks it.
    import_w, export_w: the set-points, W; at most one of them above 0.
    mix, prices: what its device is told of the power that it receives, or None.
    """

    def __init__(self, identity: str, settings: PortSettings, converter: IPort) -> None:
        self.identity = identity
        self.settings = settings
        self.converter = converter
        self.link: ILink | None = None
        self.peer: Peer | None = None
        self.leaving = False
        self.import_w = 0.0
        self.export_w = 0.0
        self.mix: Mix | None = None
        self.prices: tuple[Price, ...] | None = None
        self.transfer = Transfer(settings.max_power)
        self.isolation = IsolationGuard()
        self._history = History()
        self.limit(inf, inf)

    @property
    def decisions(self) -> Mapping[Direction, Decision]:
        """The newest decision, by direction."""
        return self._history.decisions

    @property
    def changes(self) -> Sequence[Change]:
        """The last ten changes, oldest first."""
        return tuple(self._history.changes)

    def note(self, setpoint: Setpoint, direction: Direction, bound_w: float, now: float) -> None:
        """Remember a decision."""
        power_w = setpoint.power_w
        state = TransferState.ACTIVE if power_w > 0.0 else TransferState.IDLE
        self._history.note(
            Decision(
                now,
                direction,
                state,
                power_w,
                power_w,
                bound_w,
                setpoint.reason,
                setpoint.limit,
                setpoint.by,
            )
        )

    def limit(self, max_w: float, expires: float) -> None:
        """Take an operator's limit of each direction, W, until a time of the router's clock."""
        self.operator_w, self._limitExpires = max_w, expires

    def expire(self, now: float) -> None:
        """Forget an operator's limit whose time is over."""
        if now >= self._limitExpires:
            self.limit(inf, inf)

    # Its device's messages

    def attach(self, link: ILink) -> None:
        """Its device has connected.  Consent is never inherited: nothing is granted yet."""
        self.link = link
        self.peer = link.peer
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

    # What it could carry

    def importBound(self) -> float:
        """The most its device may supply now by device, port and cable, W."""
        if self.link is None or self.blocked:
            return 0.0
        supply = self.link.supply()
        if supply is None:
            return 0.0
        allowed = allowedPower(supply, self._request(self.settings.max_power, supply))
        return min(allowed, self.operator_w)

    def exportBound(self) -> float:
        """The most its device may draw now by device, port and cable, W."""
        if self.link is None or self.blocked:
            return 0.0
        capability = SupplyParameters(
            voltage_limit=self.settings.voltage,
            current_limit=(0, self.settings.current_limit),
            power_limit=self.settings.max_power,
        )
        return min(allowedPower(capability, self.link.demand()), self.operator_w)

    @property
    def overdrawn(self) -> bool:
        """Whether a set-point is above what may flow now."""
        return (self.import_w > 0.0 and self.import_w > self.importBound()) or (
            self.export_w > 0.0 and self.export_w > self.exportBound()
        )

    def source(self) -> Source:
        """The port as a source of power for the bus."""
        return Source(self.identity, self.importBound(), self.tier, self.settings.loss)

    def sink(self) -> Sink:
        """The port as a sink of power from the bus."""
        return Sink(
            self.identity,
            self.exportBound(),
            min_w=self.settings.min_w,
            priority=self.settings.priority,
            weight=self.settings.weight,
            bid=self.settings.bid,
            loss=self.settings.loss,
            running=self.export_w > 0.0,
        )

    @property
    def tier(self) -> Tier:
        """Where it stands in the order of sources."""
        if self.settings.side == "B":
            return Tier.GRID
        if self.settings.side == "C":
            return Tier.ROUTER
        stores = self.link is not None and self.link.latest(StorageParameters) is not None
        return Tier.STORAGE if stores else Tier.LOCAL

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

    @property
    def estimated(self) -> bool:
        """Whether `measured` is an estimate."""
        return self.converter.reading() is None

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
            messages.append(self._grant(self.export_w))
        supply = self.link.latest(SupplyParameters)
        if isinstance(supply, SupplyParameters):
            messages.append(self._request(self.import_w, supply))
        return messages

    def _grant(self, power_w: float) -> SupplyParameters:
        """A Supply whose limits equal a grant of that power."""
        voltage = self._exportVoltage()
        return SupplyParameters(
            voltage_limit=self.settings.voltage,
            current_limit=(0, min(power_w / voltage, self.settings.current_limit)),
            power_limit=power_w,
            power_mix=self.mix,
            energy_prices=self.prices,
            voltage=voltage,
            current=self.measured().export_w / voltage,
        )

    def _request(self, power_w: float, supply: SupplyParameters) -> DemandParameters:
        """A Demand whose limits equal a set-point of that power."""
        voltage = self._importVoltage(supply)
        return DemandParameters(
            voltage=voltage,
            voltage_limit=self.settings.voltage.max,
            current_limit=min(power_w / voltage, self.settings.current_limit),
            power_limit=power_w,
        )

    def _exportVoltage(self) -> float:
        """What the port puts out, V: what its device requires, else the middle of the window."""
        window = self.settings.voltage
        voltage = (window.min + window.max) / 2
        demand = self.link and self.link.latest(DemandParameters)
        if isinstance(demand, DemandParameters):
            voltage = voltage if demand.voltage is None else demand.voltage
            voltage = min(voltage, inf if demand.voltage_limit is None else demand.voltage_limit)
        return min(max(voltage, window.min), window.max)

    def _importVoltage(self, supply: SupplyParameters) -> float:
        """What the port takes power at, V: what is measured, as far as both windows allow."""
        low, high = self.settings.voltage
        if supply.voltage_limit is not None:
            low, high = max(low, supply.voltage_limit.min), min(high, supply.voltage_limit.max)
        return max(low, min(high, supply.voltage if supply.voltage is not None else low))


class PortRefused(PeerError):
    """A device has no port here: it is not listed, and unlisted devices are refused."""


class PortMaker:
    """Makes the port of a device that connects for the first time.

    clock: the one clock, for the simulated converters.
    described: settings by identity.
    default: for devices that are not described.  None with descriptions: they are refused; None
        without any: they get the settings of their type.
    """

    def __init__(
        self,
        clock: IReactorTime,
        described: Mapping[str, PortSettings],
        default: PortSettings | None = None,
    ) -> None:
        self._clock = clock
        self.describe(described, default, refuse=False)

    def describe(
        self,
        described: Mapping[str, PortSettings],
        default: PortSettings | None,
        refuse: bool = True,
    ) -> None:
        """Replace what installers say; `refuse`: whether devices not described are refused."""
        self._described = dict(described)
        self._default = default
        self._refuses = refuse and default is None and bool(described)

    def __call__(self, peer: Peer) -> Port:
        """The port of that device.  Raises `PortRefused` if there is none for it."""
        settings = self.settingsOf(peer)
        voltage_v = (settings.voltage.min + settings.voltage.max) / 2
        converter = SimulatedConverter(self._clock, settings.max_power, voltage_v)
        return Port(peer.identity, settings, converter)

    def settingsOf(self, peer: Peer) -> PortSettings:
        """What is said of the port of that device; of one that only says its name, the default.

        Raises `PortRefused` if unlisted devices are refused.
        """
        if peer.authenticated and peer.identity in self._described:
            return self._described[peer.identity]
        if self._refuses:
            raise PortRefused(f"no port is configured for {peer.identity!r}")
        if self._default is not None:
            return self._default
        return DEFAULT_PORTS.get(peer.parameters.type or "", PortSettings())
