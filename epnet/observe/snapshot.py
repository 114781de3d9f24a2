"""The state of a router at one moment, ready for JSON: what every observer looks at.

`snapshot` is a pure function of the router, its connections and the time.  Observers share it
(`epnet.observe.looking`), so that any number of viewers cost the router one look.

Powers are watts at a port's terminals, to the milliwatt: *import* into the router, *export* out of
it.  A measured value that is not finite becomes null, since JSON has no word for it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypedDict

from epnet.lifecycle import Phase
from epnet.observe.accounting import (
    AccountState,
    MeteringState,
    NetworkState,
    accountState,
    meteringState,
    networkState,
)
from epnet.observe.history import HistoryState
from epnet.observe.why import WhyState, whyState
from epnet.router.decisions import Direction
from epnet.wire import DemandParameters, Message, StorageParameters, SupplyParameters
from epnet.wire.jsonform import fieldsOf

if TYPE_CHECKING:
    from epnet.connections import Connections
    from epnet.interfaces import ILink
    from epnet.protocol import EPProtocol
    from epnet.router.bus import Bus
    from epnet.router.ports import Port
    from epnet.router.router import Router

Fields = dict[str, Any]
"""A message's fields in the form of ``epnet decode --json``."""


class RouterState(TypedDict):
    """The router itself.

    uptime_s: since it began to be observed.
    time: when the snapshot was taken, ISO 8601 in UTC.
    """

    identity: str
    name: str | None
    type: str | None
    version: str | None
    uptime_s: float
    time: str


class SessionState(TypedDict):
    """A port's session; everything but `connected` is null without one.

    state: open, or draining: being left in order.
    address: where the device dialled from.
    seconds: how long the session has been open.
    fingerprint: SHA-256 of the device's certificate, hex.
    tenant, provider: what the certificate vouches for.
    """

    connected: bool
    state: str | None
    address: str | None
    seconds: float | None
    transferring: bool | None
    authenticated: bool | None
    fingerprint: str | None
    tenant: str | None
    provider: str | None


class DeviceState(AccountState, WhyState):
    """A port and the device that belongs to it, with its account.

    name, type: as the device last said; null where it never has.
    side: A loads, B utility grid, C other routers, D local resources (EnergyNet §2.2).
    kind: 'AC' or 'DC'.
    supply, demand, storage: its newest messages, however old; null where it never sent one.
    limit_import_w, limit_export_w: the most that may flow now, W; null before the first decision.
    granted_w: the set-point of the direction in use, W.
    import_w, export_w: what flows, W; by the port's meter, or an estimate where `estimated`.
    """

    identity: str
    name: str | None
    type: str | None
    side: str
    kind: str
    session: SessionState
    supply: Fields | None
    demand: Fields | None
    storage: Fields | None
    limit_import_w: float | None
    limit_export_w: float | None
    granted_w: float
    granted_import_w: float
    granted_export_w: float
    import_w: float | None
    export_w: float | None
    estimated: bool


class Totals(TypedDict):
    """The whole network: the ports' measured values added up, and the newest decision's sums."""

    import_w: float
    export_w: float
    bus_w: float
    losses_w: float
    standing_w: float


class BusState(TypedDict):
    """The DC bus that the router is on.

    driver: whether the router is meant to drive it.
    drivers: those that it has heard of.
    alarm: whether there are or were two, so that nothing may flow on it.
    """

    name: str
    driver: bool
    drivers: list[str]
    alarm: bool


class MessageCount(TypedDict):
    """How many messages of a type were 'sent' or 'received'."""

    type: str
    direction: str
    count: int


class InvariantCount(TypedDict):
    """How often an invariant was checked, and did not hold."""

    invariant: int
    checked: int
    broken: int


class Counters(TypedDict):
    """What has been counted since the router began.

    losses: transfers that were lost, by cause.
    decisions, deciding_s: how often power was allocated anew, and how long that took together, s.
    invariants: what must always hold of a decision, by number.
    """

    messages: list[MessageCount]
    losses: dict[str, int]
    decisions: int
    deciding_s: float
    invariants: list[InvariantCount]


class State(TypedDict):
    """The form of ``/api/v1/state``.

    devices: by identity.
    sessions: how many connections are in each state.
    diagnostics: how often each deviation from the specs was seen, by code.
    configuration: what is wrong with its file, so that an earlier configuration is in force.
    certificates: s until what the router shows and goes by expires: own, authority, crl.
    history: how the recording of history fares; null where none is kept.
    bus: the DC bus that the router is on, or null.
    """

    router: RouterState
    devices: list[DeviceState]
    totals: Totals
    sessions: dict[str, int]
    diagnostics: dict[str, int]
    configuration: list[str]
    certificates: dict[str, float]
    counters: Counters
    network: NetworkState
    metering: MeteringState
    history: HistoryState | None
    bus: BusState | None


def snapshot(router: Router, connections: Connections, uptime_s: float, time: datetime) -> State:
    """The state now.

    uptime_s: seconds to report as the router's uptime.
    time: the time of day to report, aware.
    """
    devices = deviceStates(router, connections, sorted(router.ports))
    return stateWith(devices, router, connections, uptime_s, time)


def deviceStates(
    router: Router, connections: Connections, identities: Iterable[str]
) -> list[DeviceState]:
    """The states of these devices, as far as they have a port."""
    protocols: dict[ILink | None, EPProtocol] = {protocol: protocol for protocol in connections}
    ports = (router.ports.get(identity) for identity in identities)
    return [_deviceState(port, protocols.get(port.link), router) for port in ports if port]


def stateWith(
    devices: list[DeviceState],
    router: Router,
    connections: Connections,
    uptime_s: float,
    time: datetime,
) -> State:
    """The state now, given that of all devices."""
    allocation, parameters = router.allocation, router.parameters
    state: State = {
        "router": {
            "identity": parameters.identity,
            "name": parameters.name,
            "type": parameters.type,
            "version": parameters.version,
            "uptime_s": round(uptime_s, 3),
            "time": time.astimezone(UTC).isoformat(timespec="milliseconds"),
        },
        "devices": devices,
        "totals": {
            "import_w": _sum(device["import_w"] for device in devices),
            "export_w": _sum(device["export_w"] for device in devices),
            "bus_w": round(allocation.bus_w, 3),
            "losses_w": round(allocation.losses_w, 3),
            "standing_w": round(allocation.standing_w, 3),
        },
        "sessions": _sessionCounts(connections),
        "diagnostics": dict(sorted(connections.deviations.items())),
        "configuration": list(connections.misconfigured),
        "certificates": {
            what: round((expiry - time).total_seconds(), 3)
            for what, expiry in sorted(connections.expiries.items())
        },
        "counters": {
            "messages": [
                {"type": kind, "direction": direction, "count": count}
                for kind, direction, count in _messageCounts(connections)
            ],
            "losses": dict(sorted(connections.losses.items())),
            "decisions": router.decisions,
            "deciding_s": router.decidingSeconds,
            "invariants": [
                {"invariant": each, "checked": count, "broken": router.invariants.broken[each]}
                for each, count in sorted(router.invariants.checked.items())
            ],
        },
        "network": networkState(router.accounts, router.ports.values()),
        "metering": meteringState(router.accounts),
        "history": None,
        "bus": _busState(router.neighbours.bus),
    }
    return state


def _busState(bus: Bus) -> BusState | None:
    if bus.settings is None:
        return None
    return {
        "name": bus.settings.name,
        "driver": bus.settings.driver,
        "drivers": list(bus.known),
        "alarm": bus.alarm,
    }


def _messageCounts(connections: Connections) -> list[tuple[str, str, int]]:
    """How many messages of each type were received and sent, in order."""
    directions = {"received": connections.received, "sent": connections.sent}
    return sorted(
        (kind.__name__, direction, count)
        for direction, counts in directions.items()
        for kind, count in counts.items()
    )


def _sessionCounts(protocols: Iterable[EPProtocol]) -> dict[str, int]:
    """By state; a session that is over counts no more, though its connection may take its time."""
    counts = Counter(protocol.session.phase for protocol in protocols)
    return {phase.value: counts[phase] for phase in Phase if phase is not Phase.CLOSED}


def _deviceState(port: Port, protocol: EPProtocol | None, router: Router) -> DeviceState:
    parameters = port.peer.parameters if port.peer is not None else None
    measured = port.measured()
    return {
        "identity": port.identity,
        "name": parameters.name if parameters else None,
        "type": parameters.type if parameters else None,
        "side": port.settings.side,
        "kind": port.settings.kind,
        "session": _sessionState(protocol),
        "supply": _latest(port, SupplyParameters),
        "demand": _latest(port, DemandParameters),
        "storage": _latest(port, StorageParameters),
        "limit_import_w": _limit(port, Direction.IMPORT),
        "limit_export_w": _limit(port, Direction.EXPORT),
        "granted_w": round(port.import_w or port.export_w, 3),
        "granted_import_w": round(port.import_w, 3),
        "granted_export_w": round(port.export_w, 3),
        "import_w": _watts(measured.import_w),
        "export_w": _watts(measured.export_w),
        "estimated": port.estimated,
        **whyState(port),
        **accountState(router.accounts, port.identity),
    }


def _sessionState(protocol: EPProtocol | None) -> SessionState:
    if protocol is None:
        return _NO_SESSION
    peer = protocol.peer
    return {
        "connected": True,
        "state": protocol.session.phase.value,
        "address": protocol.address,
        "seconds": round(protocol.openFor(), 3),
        "transferring": protocol.session.transferring,
        "authenticated": peer.authenticated,
        "fingerprint": peer.certificate.fingerprint if peer.certificate else None,
        "tenant": peer.tenant,
        "provider": peer.provider,
    }


_NO_SESSION: Final[SessionState] = {
    "connected": False,
    "state": None,
    "address": None,
    "seconds": None,
    "transferring": None,
    "authenticated": None,
    "fingerprint": None,
    "tenant": None,
    "provider": None,
}


def _latest(port: Port, kind: type[Message]) -> Fields | None:
    message = port.link.latest(kind) if port.link is not None else None
    return fieldsOf(message) if message is not None else None


def _limit(port: Port, direction: Direction) -> float | None:
    decision = port.decisions.get(direction)
    return None if decision is None else _watts(decision.bound_w)


def _sum(powers: Iterable[float | None]) -> float:
    return round(math.fsum(power or 0.0 for power in powers), 3)


def _watts(power: float) -> float | None:
    """A measured power, to the milliwatt; None where a meter gives no number."""
    return round(power, 3) if math.isfinite(power) else None
