"""The ports of a router: what one may carry, and what flows over it now (EnergyNet §2.1).

A port is one connected device as the router sees it.  `epnet.router.settings.PortSettings` is what
its installer says of it; `Port` adds the device's messages, the set-points, and the converter that
actuates and meters.
*import* is power into the router, *export* power out of it, W at the terminals, never negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, isfinite
from operator import is_
from typing import Final

from twisted.internet.interfaces import IReactorTime

from epnet.consent import CONSENT_LIFETIME, IsolationGuard, Transfer
from epnet.errors import PeerError
from epnet.identity import Peer
from epnet.interfaces import ILink, IPort, PortReading
from epnet.router import bounds, speech
from epnet.router.bounds import Bound, ChargeState
from epnet.router.converter import SimulatedConverter
from epnet.router.decisions import Change, Decision, Direction, History, TransferState
from epnet.router.dynamics import REVERSAL_SECONDS, Draw, Requests, rampStep
from epnet.router.planning import Place, Step
from epnet.router.policy import DevicePolicy, RemotePolicy
from epnet.router.prices import Forecast
from epnet.router.reasons import Reason
from epnet.router.settings import DEFAULT_PORTS, PortSettings, Tier
from epnet.router.supervision import (
    FAULT_COOLDOWN_SECONDS,
    LOSS_COOLDOWN_SECONDS,
    Finding,
    Watch,
)
from epnet.router.terms import Sink, Source
from epnet.router.transfers import Facts, following
from epnet.wire import DemandParameters, Message, StorageParameters, SupplyParameters
from epnet.wire.values import Mix, Price

STORAGE_SECONDS: Final = 3.0
"""How long a state of charge is taken for true without a newer one (wire-profile S6)."""

DWELL_SECONDS: Final = 60.0
"""How long who runs keeps its place, and how long who is blocked waits, before they change (9)."""


class Port:
    """One port with what its device says, what it is granted, and what is measured.

    identity: the device that belongs to it.
    converter: its power electronics.
    link: the open session with its device, or None.
    peer: its device as it last presented itself, or None where it never has.
    leaving, refused: whether its session is being closed on purpose; because it has no port.
    isolation: whether isolation blocks it.
    import_w, export_w: the set-points, W; at most one of them above 0.
    asked_w: what its device is asked to supply, W: ahead of `import_w` while that rises.
    imports, exports: the bounds of this moment, each with its name.
    mix, prices: what its device is told of the power that it receives, or None.
    states: of the transfer in each direction.
    history: the newest decision of each direction, and the last changes.
    place: the port as a plan sees it.
    reversing: whether its device demands to be rid of energy (M6).
    """

    def __init__(self, identity: str, settings: PortSettings, converter: IPort) -> None:
        self.identity = identity
        self.converter = converter
        self.link: ILink | None = None
        self.peer: Peer | None = None
        self.leaving = self.refused = False
        self.import_w = self.export_w = self.asked_w = 0.0
        self.imports = self.exports = bounds.ABSENT
        self.mix: Mix | None = None
        self.prices: tuple[Price, ...] | None = None
        self.isolation = IsolationGuard()
        self.states = dict.fromkeys(Direction, TransferState.IDLE)
        self.history = History()
        self.forecast = Forecast()
        self.policy = bounds.NO_POLICY
        self.remote: RemotePolicy | None = None
        self._limit_w, self._limitExpires = inf, 0.0
        self.reversing = False
        self._charge = ChargeState()
        self._storage: StorageParameters | None = None
        self._closed = False
        self._reading: PortReading | None = None
        self._seen: tuple[object, ...] = (None, None, None)
        self._said = bounds.ABSENT, bounds.ABSENT
        self._storedAt = -inf
        self._requests = Requests()
        self._draw = Draw()
        self._cooldown: tuple[float, float, str] | None = None
        self._importedAt = self._exportedAt = -inf
        self._servedSince: float | None = None
        self._blockedSince: float | None = None
        self._facts: dict[Direction, Facts] = {}
        self.describe(settings)

    # What installer, policies and operator say

    def describe(self, settings: PortSettings) -> None:
        """Take what the installer says; what flows stays within it from the next plan on."""
        self.settings = settings
        self.transfer = Transfer(settings.max_power)
        self.watch = Watch(settings.max_power)
        source = Source(self.identity, 0.0, 0.0, settings.loss)
        sink = Sink(self.identity, 0.0, settings.min_w, loss=settings.loss)
        self.place = Place(source, sink, settings.max_power)
        self.place.replaces = settings.ramp_w_s is None
        self.govern(self.policy, self.remote)

    def govern(self, policy: DevicePolicy, remote: RemotePolicy | None) -> None:
        """Take the policies for this device; `remote`: those for another network's router."""
        self.policy, self.remote = policy, remote
        self.standing = bounds.standingBounds(self.settings, policy, remote)
        sink = self.place.sink
        sink.priority = self.settings.priority if remote is None else remote.priority
        sink.weight = self.settings.weight

    def limit(self, max_w: float | None, expires: float | None) -> None:
        """Take an operator's limit, W, until `expires`, s; None: none, or for good."""
        self._limit_w = inf if max_w is None else max_w
        self._limitExpires = inf if expires is None else expires

    @property
    def decisions(self) -> Mapping[Direction, Decision]:
        """The newest decision, by direction."""
        return self.history.decisions

    @property
    def changes(self) -> Sequence[Change]:
        """The last ten changes, oldest first."""
        return tuple(self.history.changes)

    # Its device's messages

    def attach(self, link: ILink) -> None:
        """Its device has connected.  Consent is never inherited: nothing is granted yet."""
        self.link = link
        self.peer = link.peer
        self.leaving = False
        self._storedAt = -inf
        self._requests.clear()

    def detach(self, reason: str, now: float) -> None:
        """Its device is gone: no power can flow, and the port rests until its contactor is open."""
        if self.transfer.ongoing:
            self._cooldown = (now + LOSS_COOLDOWN_SECONDS, LOSS_COOLDOWN_SECONDS, reason)
        self.link = None
        self.isolation.interrupt()
        self._stop()
        self._draw.lost(now)
        self.transfer = Transfer(self.settings.max_power)

    def _stop(self) -> None:
        """Carry nothing from now on."""
        if self.export_w:
            self._draw.lowered(self.export_w)
        self.import_w = self.export_w = self.asked_w = 0.0
        self._requests.clear()
        self._open()

    def _open(self) -> None:
        """Open the contactor, once."""
        if self._closed:
            self._closed = False
            self.converter.open()

    def heard(self, message: Message, now: float) -> None:
        """Take note of a message; a fault in the isolation opens the contactor at once."""
        if isinstance(message, SupplyParameters):
            self.isolation.note(message, now)
            if self.isolation.blocked:
                self._open()
        elif isinstance(message, StorageParameters):
            self._storedAt = now
        self._draw.heard(now)

    @property
    def blocked(self) -> bool:
        """Whether nothing may flow: an isolation fault, or its device is leaving."""
        return self.isolation.blocked or self.leaving

    @property
    def stores(self) -> bool:
        """Whether its device is a storage."""
        return self.link is not None and self.link.latest(StorageParameters) is not None

    @property
    def storage(self) -> StorageParameters | None:
        """What its device stores, if it has said so lately."""
        return self._storage

    @property
    def tier(self) -> Tier:
        """Where it stands in the order of sources."""
        if self.settings.side == "B":
            return Tier.GRID
        if self.settings.side == "C":
            return Tier.ROUTER
        return Tier.STORAGE if self.stores else Tier.LOCAL

    @property
    def supplies(self) -> bool:
        """Whether its device has ever said that it supplies."""
        return self.link is not None and self.link.latest(SupplyParameters) is not None

    # What it could carry

    def look(self, now: float, elapsed: float) -> Place:
        """Bring its place up to now: bounds, what is confirmed, how far it may rise."""
        link, place, settings = self.link, self.place, self.settings
        self._noteStorage(now)
        self.imports, self.exports = self._bounds(now)
        place.source.max_w, place.sink.max_w = self.imports.watts, self.exports.watts
        place.sink.running = self.export_w > 0.0
        place.import_w, place.export_w = self.import_w, self.export_w
        place.asked_w = self.asked_w
        place.confirmed_w = 0.0
        if link is not None and self.asked_w > 0.0:
            kind = DemandParameters if self.reversing else SupplyParameters
            arrived = link.consentExpires(kind) - CONSENT_LIFETIME
            place.confirmed_w = self._requests.confirmed(arrived)
        # Read once: whoever needs it in this plan takes this.
        self._reading = self.metered()
        place.draws_w = self.export_w
        if self._draw.isHigher:
            metered_w = self._reading.export_w if self._reading is not None else None
            place.draws_w = self._draw.most(self.export_w, metered_w, now)
        step = rampStep(settings.max_power, settings.ramp_w_s, elapsed)
        place.importStep_w = place.exportStep_w = step
        self._takeTurns(now)
        return place

    @property
    def matters(self) -> bool:
        """Whether a plan has to know of it: its device is here, or may still draw."""
        return self.link is not None or self._draw.isHigher

    def _noteStorage(self, now: float) -> None:
        link = self.link
        storage = None
        if link is not None and now - self._storedAt <= STORAGE_SECONDS:
            storage = link.latest(StorageParameters)
        self._storage = storage if isinstance(storage, StorageParameters) else None
        if self._storage is not None and self._storage.soc is not None:
            policy = self.policy
            if policy.min_soc > 0.0 or policy.max_soc < 100.0:
                soc = self._storage.soc
                self._charge = self._charge.after(soc, policy.min_soc, policy.max_soc)

    def _takeTurns(self, now: float) -> None:
        """Say how long it has run or waited for room for its minimum (9)."""
        sink = self.place.sink
        if sink.min_w > 0.0:
            waited = 0.0 if self._blockedSince is None else now - self._blockedSince
            sink.waited_s = waited if waited >= DWELL_SECONDS else 0.0
            served = self._servedSince
            sink.yields = served is not None and now - served >= DWELL_SECONDS

    def _bounds(self, now: float) -> tuple[Bound, Bound]:
        """What rules in each direction at this moment."""
        stopped = self._stopped(now)
        if stopped is not None:
            return stopped, stopped
        assert self.link is not None
        supply, demand = self.link.supply(), self.link.demand()
        seen = (supply, demand, self.standing)
        if not all(map(is_, seen, self._seen)):
            self._seen = seen
            self._said = self._importBound(), self._exportBound()
        imports, exports = self._said
        charge = bounds.chargeBounds(self._charge, self.policy, self._knowsCharge())
        if now - self._exportedAt < REVERSAL_SECONDS:
            imports = bounds.REVERSAL
        if now - self._importedAt < REVERSAL_SECONDS:
            exports = bounds.REVERSAL
        operator = self._operatorBound(now)
        return _least(imports, charge[0], operator), _least(exports, charge[1], operator)

    def _stopped(self, now: float) -> Bound | None:
        if self.link is None:
            return bounds.ABSENT
        if self.leaving:
            return bounds.LEAVING
        if self.isolation.blocked:
            return bounds.ISOLATION
        if self._cooldown is not None:
            until, seconds, reason = self._cooldown
            # A clock that jumped back must not keep a port closed for good.
            if until - seconds <= now < until:
                return Bound(0.0, Reason.COOLDOWN, seconds, reason)
            self._cooldown = None
        return None

    def _knowsCharge(self) -> bool:
        return self._storage is not None and self._storage.soc is not None

    def _operatorBound(self, now: float) -> Bound | None:
        if self._limit_w == inf:
            return None
        if now >= self._limitExpires:
            self._limit_w = inf
            return None
        return Bound(self._limit_w, Reason.OPERATOR, self._limit_w)

    def _importBound(self) -> Bound:
        assert self.link is not None
        demand = self.link.demand()
        self.reversing = False
        if demand is not None and demand.current is not None and demand.current < 0.0:
            reverse = bounds.reverseBound(self.standing, demand, self._exportVoltage())
            self.reversing = True
            return reverse
        supply = self.link.supply()
        voltage = 0.0 if supply is None else self._importVoltage(supply)
        return bounds.importBound(self.standing, supply, voltage)

    def _exportBound(self) -> Bound:
        assert self.link is not None
        return bounds.exportBound(self.standing, self.link.demand(), self._exportVoltage())

    def overdrawn(self, now: float) -> bool:
        """Whether a set-point is above what may flow now."""
        if self.import_w <= 0.0 and self.export_w <= 0.0:
            return False
        if self._stopped(now) is not None:
            return True
        if self.import_w > 0.0:
            return self.import_w > self._importBound().watts
        return self.export_w > self._exportBound().watts

    @property
    def consentEnds(self) -> float:
        """When the consent for what flows ends, s; inf where nothing flows."""
        if self.link is None or (self.import_w <= 0.0 and self.export_w <= 0.0):
            return inf
        supplies = self.import_w > 0.0 and not self.reversing
        return self.link.consentExpires(SupplyParameters if supplies else DemandParameters)

    def bar(self, bound: Bound) -> None:
        """Let it be no sink in the plan being made."""
        self.exports = bound
        self.place.sink.max_w = bound.watts

    # What it is given

    def take(self, step: Step, now: float) -> bool:
        """Take new set-points; say whether what its device may do has fallen."""
        fell = step.asked_w < self.asked_w or step.export_w < self.export_w
        if step.export_w < self.export_w:
            self._draw.lowered(self.export_w)
        self.import_w, self.export_w, self.asked_w = step.import_w, step.export_w, step.asked_w
        self.place.importing, self.place.exporting = step.importing, step.exporting
        if self.import_w > 0.0:
            self._importedAt = now
        if self.export_w > 0.0:
            self._exportedAt = now
            self._servedSince = now if self._servedSince is None else self._servedSince
        else:
            self._servedSince = None
        blocked = step.exportTarget.reason is Reason.MINIMUM and self.exports.watts > 0.0
        if not blocked:
            self._blockedSince = None
        elif self._blockedSince is None:
            self._blockedSince = now
        self._drive(now)
        return fell

    def settled(self) -> Place:
        """Its place with the set-points that it has been given."""
        self.place.import_w, self.place.export_w = self.import_w, self.export_w
        return self.place

    def cut(self, export_w: float, now: float) -> None:
        """Take some of its grant back at once, and tell its device."""
        if self.link is not None and export_w < self.export_w:
            self._draw.lowered(self.export_w)
            self.export_w = export_w
            self.actuate(now)
            self.link.publishNow()

    def actuate(self, now: float) -> None:
        """Hand the set-points to the converter, and tell the session whether a transfer is on."""
        self._drive(now)
        self.announce()

    def announce(self) -> None:
        """Tell the session whether a transfer is on."""
        if self.link is not None:
            self.link.setTransferring(self.transfer.ongoing)

    def _drive(self, now: float) -> None:
        """Hand the set-points to the converter, with their expiry, and follow the transfer."""
        if self.link is None:
            return
        if self.import_w > 0.0 or self.export_w > 0.0:
            self.converter.close()
            self._closed = True
        elif self.blocked:
            self._open()
        supplies = self.import_w > 0.0 and not self.reversing
        expires = self.link.consentExpires(SupplyParameters if supplies else DemandParameters)
        self.converter.setLimits(self.import_w, self.export_w, expires)
        reading = self.measured()
        allowed_w = max(self.import_w, self.asked_w) + self.export_w
        measured_w = reading.import_w + reading.export_w
        self.transfer.update(allowed_w, measured_w, now)

    def measured(self) -> PortReading:
        """What flows: by the port's meter, or as estimated from the messages without one."""
        return self.converter.reading() or self._estimate()

    def metered(self) -> PortReading | None:
        """What the port's meter reads; None without one, or where it reads no numbers."""
        reading = self.converter.reading()
        if reading is None or not isfinite(reading.import_w + reading.export_w):
            return None
        return reading

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

    # Whether all is well

    def supervise(self, now: float) -> Finding | None:
        """Hold what flows against what may and what the device reports; shut down if need be."""
        reading = self._reading
        if reading is None or self.link is None:
            return None
        finding = self.watch.carries(
            self.import_w + self.export_w, reading.import_w + reading.export_w, now
        )
        reported = None
        supply = self.link.supply() if self.import_w > 0.0 and not self.reversing else None
        if supply is not None and supply.voltage is not None and supply.current is not None:
            reported = (supply.voltage, supply.voltage * supply.current)
        disagree = self.watch.agrees((reading.voltage_v, reading.import_w), reported, now)
        finding = finding if finding is not None else disagree
        if finding in (Finding.OVERDRAWN, Finding.MISMATCHED):
            self.shutDown(finding.value, FAULT_COOLDOWN_SECONDS, now)
        return finding

    def shutDown(self, reason: str, seconds: float, now: float) -> None:
        """Open the port, and keep it open for some seconds."""
        self._cooldown = (now + seconds, seconds, reason)
        self._stop()
        self.watch.reset()

    def follow(self, now: float) -> None:
        """Bring the state of the transfer in each direction up to now."""
        reading = self._reading or self.measured()
        quiet_w = Transfer.STILL_FRACTION * self.settings.max_power
        barred = self._stopped(now) is not None
        cooled = self._cooldown is None
        here = self.link is not None
        offered = here and not barred and self.imports.watts > 0.0
        wanted = here and not barred and self.exports.watts > 0.0
        self._follow(
            Direction.IMPORT,
            Facts(
                offered,
                self.asked_w > 0.0,
                self.import_w > 0.0,
                reading.import_w > quiet_w,
                barred,
                cooled,
            ),
        )
        self._follow(
            Direction.EXPORT,
            Facts(False, wanted, self.export_w > 0.0, reading.export_w > quiet_w, barred, cooled),
        )

    def _follow(self, direction: Direction, facts: Facts) -> None:
        if facts != self._facts.get(direction):
            self._facts[direction] = facts
            self.states[direction] = following(self.states[direction], facts)

    # What it says to its device

    def messages(self, now: float) -> list[SupplyParameters | DemandParameters]:
        """The grant for a device that demands, the request for one that supplies; sent now."""
        link = self.link
        if link is None:
            return []
        messages: list[SupplyParameters | DemandParameters] = []
        if link.latest(DemandParameters) is not None:
            flowing_w = self.measured().export_w
            grant = speech.grant(self.settings, self.export_w, self._exportVoltage(), flowing_w)
            messages.append(grant.replace(power_mix=self.mix, energy_prices=self.prices))
            self._draw.sent(now)
        supply = link.latest(SupplyParameters)
        if isinstance(supply, SupplyParameters) or self.reversing:
            if isinstance(supply, SupplyParameters) and not self.reversing:
                voltage = self._importVoltage(supply)
            else:
                voltage = self._exportVoltage()
            messages.append(speech.request(self.settings, self.asked_w, voltage))
            self._requests.sent(self.asked_w, now)
        return messages

    def _exportVoltage(self) -> float:
        demand = self.link and self.link.latest(DemandParameters)
        return speech.exportVoltage(
            self.settings, demand if isinstance(demand, DemandParameters) else None
        )

    def _importVoltage(self, supply: SupplyParameters) -> float:
        return speech.importVoltage(self.settings, supply)

    def wireVoltage(self) -> float:
        """The voltage on its wire, as far as its device tells, V: for a simulated converter."""
        supply = self.link and self.link.latest(SupplyParameters)
        if isinstance(supply, SupplyParameters) and supply.voltage:
            return supply.voltage
        return self._exportVoltage()


def _least(bound: Bound, *others: Bound | None) -> Bound:
    for other in others:
        if other is not None and other.watts < bound.watts:
            bound = other
    return bound


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
        converter = SimulatedConverter(self._clock, settings.max_power)
        port = Port(peer.identity, settings, converter)
        converter.voltage = port.wireVoltage
        return port

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
