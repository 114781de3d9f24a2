"""The ports of a router: what one may carry, and what flows over it now (EnergyNet §2.1).

A port is one connected device as the router sees it.  `epnet.router.settings.PortSettings` is what
its installer says of it; `epnet.router.baseport` has its device, its set-points and the converter
that actuates and meters; `Port` adds what bounds it, and carries out its part of each plan.
*import* is power into the router, *export* power out of it, W at the terminals, never negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from operator import is_
from types import MappingProxyType
from typing import Final

from epnet.consent import CONSENT_LIFETIME, Transfer, blocksPower
from epnet.identity import Peer
from epnet.interfaces import ILink, IPort, PortReading
from epnet.router import bounds, speech
from epnet.router.baseport import BasePort
from epnet.router.bounds import Bound
from epnet.router.decisions import Change, Decision, Direction, History, TransferState
from epnet.router.dozing import Dozing, isNothing
from epnet.router.dynamics import Draw, Requests, rampStep
from epnet.router.planning import Place, Step
from epnet.router.policy import DevicePolicy, RemotePolicy
from epnet.router.prices import Forecast
from epnet.router.reasons import Reason
from epnet.router.restraints import Restraints, Turns
from epnet.router.settings import PortSettings, Tier
from epnet.router.supervision import (
    FAULT_COOLDOWN_SECONDS,
    LOSS_COOLDOWN_SECONDS,
    OVER_W,
    Finding,
    Watch,
    mayClose,
)
from epnet.router.terms import Sink, Source
from epnet.router.transfers import Facts, following
from epnet.wire import DemandParameters, Message, StorageParameters, SupplyParameters
from epnet.wire.values import Mix, Price

STORAGE_SECONDS: Final = 3.0
"""How long a state of charge is taken for true without a newer one (wire-profile S6)."""


_ABSENT: Final = bounds.ABSENT, bounds.ABSENT
_IDLE: Final = MappingProxyType(dict.fromkeys(Direction, TransferState.IDLE))


class Port(BasePort):
    """One port of a router, as its plans see it and as they set it.

    peer: its device as it last presented itself, or None where it never has.
    refused: whether its session is being closed because it has no port.
    failed: whether its converter has raised an error while it was in use, and nobody knows yet.
    imports, exports: the bounds of this moment, each with its name.
    mix, prices, carbon: what its device is told of the power that it receives, or None; of its
        carbon, g CO2eq/kWh, only other routers are told.
    rank: what places it among the sources where it has no price, in words.
    states: of the transfer in each direction.
    history: the newest decision of each direction, and the last changes.
    place: the port as a plan sees it.
    storage: what its device stores, if it has said so lately.
    """

    __slots__ = (
        "_doze",
        "_draw",
        "_facts",
        "_reading",
        "_requests",
        "_restraints",
        "_said",
        "_seen",
        "_storedAt",
        "_telling",
        "_turns",
        "carbon",
        "exports",
        "failed",
        "forecast",
        "history",
        "imports",
        "mix",
        "peer",
        "place",
        "policy",
        "prices",
        "rank",
        "refused",
        "remote",
        "standing",
        "states",
        "storage",
        "watch",
    )

    def __init__(self, identity: str, settings: PortSettings, converter: IPort) -> None:
        super().__init__(identity, settings, converter)
        self.peer: Peer | None = None
        self.refused = self.failed = False
        self.imports = self.exports = bounds.ABSENT
        self.mix: Mix | None = None
        self.prices: tuple[Price, ...] | None = None
        self.carbon: float | None = None
        self.rank = ""
        self.states = _IDLE
        self.history = History()
        self.forecast = Forecast()
        self.policy = bounds.NO_POLICY
        self.remote: RemotePolicy | None = None
        self.storage: StorageParameters | None = None
        self._restraints = Restraints()
        self._turns = Turns()
        self._reading: PortReading | None = None
        self._seen: tuple[object, ...] = (None, None, None)
        self._said = _ABSENT
        self._storedAt = -inf
        self._requests = Requests()
        self._draw = Draw()
        self._doze = Dozing(identity)
        self._facts: dict[Direction, Facts] = {}
        self._telling = speech.Repeated(speech.telling)
        self.watch = Watch(settings.max_power)
        self.describe(settings)

    # What installer, policies and operator say

    def describe(self, settings: PortSettings) -> None:
        """Take what the installer says; what flows stays within it from the next plan on."""
        self.settings = settings
        self.transfer.rating_w = settings.max_power
        self.resting = False
        self.watch.rating_w = settings.max_power
        source = Source(self.identity, 0.0, 0.0, settings.loss)
        sink = Sink(self.identity, 0.0, settings.min_w, loss=settings.loss)
        self.place = Place(source, sink, settings.max_power)
        self.place.replaces = settings.ramp_w_s is None
        self.govern(self.policy, self.remote)

    def govern(self, policy: DevicePolicy, remote: RemotePolicy | None) -> None:
        """Take the policies for this device; `remote`: those for another network's router."""
        self._doze.end()
        self.policy, self.remote = policy, remote
        self.standing = bounds.standingBounds(self.settings, policy, remote)
        sink = self.place.sink
        sink.priority = self.settings.priority if remote is None else remote.priority
        sink.weight = self.settings.weight

    def limit(self, max_w: float | None, expires: float | None) -> None:
        """Take an operator's limit, W, until `expires`, s; None: none, or for good."""
        self._doze.end()
        self._restraints.limit(max_w, expires)

    @property
    def decisions(self) -> Mapping[Direction, Decision]:
        """The newest decision, by direction."""
        return self.history.decisions

    @property
    def changes(self) -> Sequence[Change]:
        """The last ten changes, oldest first."""
        return tuple(self.history.changes)

    @property
    def tier(self) -> Tier:
        """Where it stands in the order of sources."""
        if self.settings.side == "B":
            return Tier.GRID
        if self.settings.side == "C":
            return Tier.ROUTER
        return Tier.STORAGE if self.stores else Tier.LOCAL

    @property
    def hasNews(self) -> bool:
        """Whether its device should be told something before its time."""
        return False

    # Its device

    def attach(self, link: ILink) -> None:
        """Its device has connected.  Consent is never inherited: nothing is granted yet."""
        super().attach(link)
        self._doze.end()
        self.peer = link.peer
        self._storedAt = -inf
        self._requests.clear()

    def detach(self, reason: str, now: float) -> None:
        """Its device is gone: no power can flow, and the port rests until its contactor is open."""
        self._doze.end()
        if self.transfer.ongoing:
            self._restraints.rest(reason, LOSS_COOLDOWN_SECONDS, now)
        self.release()
        self._draw.lost(now)

    def stop(self) -> None:
        """Carry nothing from now on."""
        if self.export_w:
            self._draw.lowered(self.export_w)
        self._requests.clear()
        super().stop()

    def heard(self, message: Message, now: float) -> bool:
        """Take note of a message; a fault in the isolation opens the contactor at once.

        Says whether a plan should follow soon, though nothing in use has fallen.
        """
        same = isNothing(message)
        if isinstance(message, SupplyParameters):
            self.noteIsolation(message, now)
            same = same and self.forecast.isOf(message.energy_prices)
        elif isinstance(message, StorageParameters):
            self._storedAt = now
            same = message == self.storage
        self._draw.heard(now)
        if not same or self.isolation.blocked:
            self._doze.end()
        return False

    def stored(self, now: float) -> StorageParameters | None:
        """What its device has lately said that it stores; None where that cannot be."""
        storage = self.said(StorageParameters) if now - self._storedAt <= STORAGE_SECONDS else None
        return storage if storage is not None and bounds.isReal(storage) else None

    # What it may carry

    @property
    def matters(self) -> bool:
        """Whether a plan has to know of it: its device is here, may still draw, or has just gone.

        It has just gone until that has been decided, and what its transfer ends with is over.
        """
        return (
            self.link is not None
            or self._draw.isHigher
            or self.imports is not bounds.ABSENT
            or self.states != _IDLE
        )

    @property
    def mayDraw(self) -> bool:
        """Whether its device may still draw by an older grant."""
        return self._draw.isHigher

    def isForgettable(self, now: float) -> bool:
        """Whether its device has gone, nobody vouches for it, and nothing of it would be missed.

        What an operator says of a device is kept elsewhere; energy is, too.
        """
        unvouched = self.peer is not None and not self.peer.authenticated
        held = self.isolation.blocked or self._restraints.restBound(now) is not None
        return unvouched and not (self.matters or self.refused or held)

    def dozes(self, now: float) -> bool:
        """Whether a plan may leave it alone: `doze` found it idle, and nothing has changed."""
        if self.leaving or not self._doze.lasts(now):
            return False
        if self.storage is not None and now - self._storedAt > STORAGE_SECONDS:
            return False
        reading = self._reading = self.metered()
        return reading is None or reading.import_w + reading.export_w <= min(
            OVER_W, Transfer.STILL_FRACTION * self.settings.max_power
        )

    def doze(self, now: float) -> None:
        """Begin to doze if it is idle, its device says nothing else, and nothing will pass."""
        if (
            self.place.idle
            and self.resting
            and max(said.watts for said in self._said) <= 0.0
            and self._stopped(now) is None
            and self.settings.side != "C"
            and self.states == _IDLE
        ):
            self._doze.begin(now)

    def look(self, now: float, elapsed: float) -> Place:
        """Bring its place up to now: bounds, what is confirmed, how far it may rise."""
        link, place, settings = self.link, self.place, self.settings
        # Read once: whoever needs it in this plan takes this.
        self._reading = self.metered()
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
        place.draws_w = self.export_w
        if self._draw.isHigher:
            metered_w = self._reading.export_w if self._reading is not None else None
            place.draws_w = self._draw.most(self.export_w, metered_w, now)
        step = rampStep(settings.max_power, settings.ramp_w_s, elapsed)
        place.importStep_w = place.exportStep_w = step
        if place.sink.min_w > 0.0:
            place.sink.waited_s, place.sink.yields = (
                self._turns.waited(now),
                self._turns.yields(now),
            )
        return place

    def _noteStorage(self, now: float) -> None:
        self.storage = self.stored(now)
        if self.storage is not None and self.storage.soc is not None:
            self._restraints.charged(self.storage.soc, self.policy)

    def _bounds(self, now: float) -> tuple[Bound, Bound]:
        """What rules in each direction at this moment."""
        stopped = self._stopped(now)
        if stopped is not None:
            return stopped, stopped
        assert self.link is not None
        seen = (self.link.supply(), self.link.demand(), self.standing)
        if not all(map(is_, seen, self._seen)):
            self._seen = seen
            self._said = self._importBound(), self._exportBound()
        knowsCharge = self.storage is not None and self.storage.soc is not None
        imports, exports = self._said
        if not self._closed and self._isStrange():
            imports = exports = bounds.STRANGE
        return self._restraints.applied(imports, exports, self.policy, knowsCharge, now)

    def _isStrange(self) -> bool:
        """Whether its cable is under another voltage than its device says, so is not its own."""
        supply = None if self.link is None else self.link.supply()
        if supply is None or supply.voltage is None or self._reading is None:
            return False
        return not mayClose(self._reading.voltage_v, supply.voltage)

    def _stopped(self, now: float) -> Bound | None:
        if self.link is None:
            return bounds.ABSENT
        if self.leaving:
            return bounds.LEAVING
        if self.isolation.blocked:
            return bounds.ISOLATION
        return self._restraints.restBound(now)

    def _importBound(self) -> Bound:
        """The most its device may supply by what it says, and by the port."""
        assert self.link is not None
        demand = self.link.demand()
        self.reversing = demand is not None and demand.current is not None and demand.current < 0.0
        if demand is not None and self.reversing:
            return bounds.reverseBound(self.standing, demand, self.exportVoltage())
        supply = self.link.supply()
        voltage = 0.0 if supply is None else speech.importVoltage(self.settings, supply)
        return bounds.importBound(self.standing, supply, voltage)

    def _exportBound(self) -> Bound:
        """The most its device may draw by what it says, and by the port."""
        assert self.link is not None
        return bounds.exportBound(self.standing, self.link.demand(), self.exportVoltage())

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
        flows = self.import_w > 0.0 or self.export_w > 0.0
        return self.consentExpires if flows and self.link is not None else inf

    # What it is given

    def take(self, step: Step, now: float) -> bool:
        """Take new set-points; say whether what its device may do has fallen."""
        fell = step.asked_w < self.asked_w or step.export_w < self.export_w
        if step.export_w < self.export_w:
            self._draw.lowered(self.export_w)
        self.import_w, self.export_w, self.asked_w = step.import_w, step.export_w, step.asked_w
        self.place.importing, self.place.exporting = step.importing, step.exporting
        self._restraints.flowed(self.import_w, self.export_w, now)
        target = step.exportTarget
        blocked = target.reason is Reason.MINIMUM and self.exports.watts > 0.0
        self._turns.taken(self.export_w > 0.0, target.power_w > 0.0, blocked, now)
        self.drive(now)
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

    # Whether all is well

    def supervise(self, now: float) -> Finding | None:
        """Hold what flows against what may and what the device reports; shut down if need be."""
        if self.failed:
            self.failed = False
            return Finding.FAILED
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

    def converterFailed(self, reason: str, now: float) -> None:
        """Its converter has raised an error: nothing flows until a minute after the last one."""
        self.failed = self.failed or self.busy
        self.shutDown(reason, FAULT_COOLDOWN_SECONDS, now)

    def shutDown(self, reason: str, seconds: float, now: float) -> None:
        """Open the port, and keep it open for some seconds."""
        self._doze.end()
        self._restraints.rest(reason, seconds, now)
        self.stop()
        self.watch.reset()

    def clear(self) -> bool:
        """An operator has seen to a fault: False if its device still reports one.

        A port rests until its contactor is open all the same.
        """
        supply = self.said(SupplyParameters)
        if supply is not None and blocksPower(supply):
            return False
        self.isolation.clear()
        self._restraints.shorten(LOSS_COOLDOWN_SECONDS)
        return True

    def follow(self, now: float) -> None:
        """Bring the state of the transfer in each direction up to now."""
        reading = self._reading or self.measured()
        quiet_w = Transfer.STILL_FRACTION * self.settings.max_power
        barred = self._stopped(now) is not None
        cooled = self._restraints.restBound(now) is None
        here = self.link is not None
        offered = here and not barred and self.imports.watts > 0.0
        wanted = here and not barred and self.exports.watts > 0.0
        asked, importing = self.asked_w > 0.0, self.import_w > 0.0
        flowing = reading.import_w > quiet_w
        self._follow(Direction.IMPORT, Facts(offered, asked, importing, flowing, barred, cooled))
        exporting, flowing = self.export_w > 0.0, reading.export_w > quiet_w
        self._follow(Direction.EXPORT, Facts(False, wanted, exporting, flowing, barred, cooled))

    def _follow(self, direction: Direction, facts: Facts) -> None:
        if facts != self._facts.get(direction):
            self._facts[direction] = facts
            state = following(self.states[direction], facts)
            if state is not self.states[direction]:
                self.states = MappingProxyType({**self.states, direction: state})

    # What it says to its device

    def grant(self, demand: DemandParameters, now: float) -> SupplyParameters:
        """What its device may draw, with what travels with the power."""
        self._draw.sent(now)
        return self.telling(super().grant(demand, now))

    def telling(self, supply: SupplyParameters) -> SupplyParameters:
        """A Supply with what travels with the power."""
        return self._telling.saying(supply, self.mix, self.prices, self.carbon)

    def request(self, supply: SupplyParameters | None, now: float) -> DemandParameters:
        """What its device is asked to supply."""
        self._requests.sent(self.asked_w, now)
        return super().request(supply, now)
