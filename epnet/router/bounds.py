"""The most a port may carry now, and which bound says so: pure, no clock.

A bound is the least of many: what the device offers or asks for, what port and cable carry at this
voltage, the direction, the policies.  Each has a name, so that the router can say "limited by cable
32 A".  What an installer and the policies say changes seldom: `StandingBounds` works it out once.
*import* is power into the router, *export* out of it; W at the port's terminals.
"""

from __future__ import annotations

from functools import lru_cache
from math import inf
from typing import Final, NamedTuple

import attrs

from epnet.consent import blocksPower, offeredPower, requestedPower, voltagesMeet
from epnet.router.policy import DevicePolicy, RemotePolicy
from epnet.router.reasons import Reason
from epnet.router.settings import PortSettings
from epnet.router.terms import MOST
from epnet.wire import DemandParameters, StorageParameters, SupplyParameters

SOC_HYSTERESIS: Final = 2.0
"""Percent by which a state of charge has to come back from a bound before power flows again."""

NO_POLICY: Final = DevicePolicy()


class Bound(NamedTuple):
    """A limit in W, with what it is: see `Reason`."""

    watts: float
    reason: Reason
    limit: float
    by: str = ""


def watts(power: float, reason: Reason, by: str = "") -> Bound:
    """A bound of which the number that rules is its power."""
    return Bound(power, reason, power, by)


SILENT_SUPPLY: Final = watts(0.0, Reason.SILENT, "Supply")
SILENT_DEMAND: Final = watts(0.0, Reason.SILENT, "Demand")
ABSENT: Final = watts(0.0, Reason.ABSENT)
LEAVING: Final = watts(0.0, Reason.LEAVING)
ISOLATION: Final = watts(0.0, Reason.ISOLATION)
STRANGE: Final = watts(0.0, Reason.STRANGE)
REVERSAL: Final = watts(0.0, Reason.REVERSAL)
_UNBOUND: Final = Bound(inf, Reason.REQUEST, inf)


@attrs.frozen
class StandingBounds:
    """What holds for a port until its settings or the policies change.

    imports, exports: the least of all powers.
    amps: what port and cable carry, A, as the device's messages count: over all phases.
    ampsReason, ampsBy: which of the two it is, and its amperes.
    window: the port's part in `voltagesMeet`, as one that supplies.
    bears: the same as one that demands.
    """

    imports: Bound
    exports: Bound
    amps: float
    ampsReason: Reason
    ampsBy: str
    window: SupplyParameters
    bears: DemandParameters


@lru_cache(maxsize=256)
def standingBounds(
    settings: PortSettings, device: DevicePolicy, remote: RemotePolicy | None = None
) -> StandingBounds:
    """What the installer and the policies say of a port; `remote`: for another network's router.

    Most ports are alike, and share them.
    """
    both = [watts(settings.max_power, Reason.PORT, power(settings.max_power))]
    if device.derating < 1.0:
        derated = settings.max_power * device.derating
        both.append(watts(derated, Reason.DERATING, f"{device.derating * 100:g} %"))
    if device.max_w < inf:
        both.append(watts(device.max_w, Reason.POLICY, "the device's policy"))
    if remote is not None and remote.max_w < inf:
        both.append(watts(remote.max_w, Reason.POLICY, f"the policy for {tenant(remote)}"))
    cable = settings.cable_current < settings.max_current
    amps = settings.cable_current if cable else settings.max_current
    return StandingBounds(
        _least([*both, *_barred("import", settings, remote)]),
        _least([*both, *_barred("export", settings, remote)]),
        amps * settings.conductors,
        Reason.CABLE if cable else Reason.PORT,
        f"{amps:g} A",
        SupplyParameters(voltage_limit=settings.voltage),
        DemandParameters(voltage_limit=settings.voltage.max),
    )


def power(watts: float) -> str:
    """A power for people."""
    return f"{watts / 1000:.4g} kW" if watts >= 1000 else f"{watts:.4g} W"


def tenant(remote: RemotePolicy) -> str:
    """Whose a remote policy is, for people."""
    return "other networks" if remote.tenant == "*" else f"tenant {remote.tenant}"


def _barred(direction: str, settings: PortSettings, remote: RemotePolicy | None) -> list[Bound]:
    barred = []
    if settings.direction not in ("both", direction):
        barred.append(watts(0.0, Reason.DIRECTION, settings.direction))
    if remote is not None and remote.access not in ("both", direction):
        barred.append(watts(0.0, Reason.ACCESS, tenant(remote)))
    return barred


def _least(bounds: list[Bound]) -> Bound:
    return min(bounds, key=lambda bound: bound.watts)


def importBound(standing: StandingBounds, supply: SupplyParameters | None, voltage: float) -> Bound:
    """The most a device may supply now, by its Supply (None: no fresh one) and the port.

    voltage: what the port takes power at, V.
    """
    if supply is None:
        return SILENT_SUPPLY
    if blocksPower(supply):
        return ISOLATION
    if not _windowsMeet(standing, supply):
        return watts(0.0, Reason.VOLTAGE)
    return _bounded(standing, standing.imports, offeredPower(supply, voltage), voltage, "offer")


def exportBound(standing: StandingBounds, demand: DemandParameters | None, voltage: float) -> Bound:
    """The most a device may draw now, by its Demand (None: no fresh one) and the port.

    voltage: what the port puts out, V.
    """
    if demand is None:
        return SILENT_DEMAND
    if not voltagesMeet(standing.window, demand):
        return watts(0.0, Reason.VOLTAGE)
    return _bounded(standing, standing.exports, requestedPower(demand, voltage), voltage, "request")


def reverseBound(standing: StandingBounds, demand: DemandParameters, voltage: float) -> Bound:
    """What a reverse demand offers (M6), one with a current below 0: energy to be rid of.

    It is all that counts of its device while it lasts: a port has one offer, at one price.
    """
    if not voltagesMeet(standing.window, demand):
        return watts(0.0, Reason.VOLTAGE)
    offered = -(demand.current or 0.0) * (demand.voltage or voltage)
    for limit in (demand.power_limit, _times(demand.current_limit, demand.voltage or voltage)):
        # A limit is a capability: its sign says no more than the current's.
        offered = offered if limit is None else min(offered, abs(limit))
    return _bounded(standing, standing.imports, offered, voltage, "offer")


def _times(current: float | None, voltage: float) -> float | None:
    return None if current is None else current * voltage


def _windowsMeet(standing: StandingBounds, supply: SupplyParameters) -> bool:
    least = standing.window.voltage_limit
    high = supply.voltage_limit
    return voltagesMeet(supply, standing.bears) and (
        high is None or least is None or high.max >= least.min
    )


def _bounded(
    standing: StandingBounds, bound: Bound, own: float, voltage: float, kind: str
) -> Bound:
    """The least of the device's own limit, the port's current at this voltage, and `bound`."""
    own = min(own, MOST)
    carried = standing.amps * voltage
    if own <= carried and own <= bound.watts:
        return Bound(own, Reason.OFFER if kind == "offer" else Reason.REQUEST, own)
    if carried < bound.watts:
        return Bound(carried, standing.ampsReason, carried, standing.ampsBy)
    return bound


@attrs.frozen
class ChargeState:
    """Whether a state of charge has reached its bounds: with hysteresis, so that it does not flap.

    full: it takes nothing, until the charge has fallen 2 % below the upper bound.
    empty: it gives nothing, until the charge has risen 2 % above the lower bound.
    """

    full: bool = False
    empty: bool = False

    def after(self, soc: float, least: float, most: float) -> ChargeState:
        """The state at a charge of `soc`, %, within bounds `least` and `most`."""
        full = soc >= most if not self.full else soc > most - SOC_HYSTERESIS
        empty = soc <= least if not self.empty else soc < least + SOC_HYSTERESIS
        # A bound at the very end bounds nothing: the device itself knows when it is full or empty.
        return ChargeState(full and most < 100.0, empty and least > 0.0)


def chargeBounds(
    state: ChargeState, policy: DevicePolicy, known: bool
) -> tuple[Bound | None, Bound | None]:
    """The bounds that the state of charge sets to import and export; None: none.

    known: whether the device tells its charge; a policy that bounds what nobody knows lets nothing
        pass.
    """
    unknown = watts(0.0, Reason.CHARGE_UNKNOWN)
    imports = exports = None
    if policy.min_soc > 0.0:
        if not known:
            imports = unknown
        elif state.empty:
            imports = Bound(0.0, Reason.CHARGE, policy.min_soc)
    if policy.max_soc < 100.0:
        if not known:
            exports = unknown
        elif state.full:
            exports = Bound(0.0, Reason.CHARGE, policy.max_soc)
    return imports, exports


def isReal(storage: StorageParameters) -> bool:
    """Whether all its numbers are ones that can be reckoned with."""
    mix = storage.energy_mix or {}
    numbers = (storage.capacity, storage.soc, storage.soc_target, storage.soc_target_time)
    return all(number is None or abs(number) <= MOST for number in (*numbers, *mix.values()))
