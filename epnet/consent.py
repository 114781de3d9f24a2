"""Consent: how much power two messages together allow (wire-profile *Consent fails safe*).

Pure functions over a Supply and a Demand.  Power from X to Y is allowed only while X's Supply and
Y's Demand are both fresh; how much is the least of all limits in the two.  Whatever is missing,
contradictory or not understood allows nothing.
"""

from __future__ import annotations

from math import inf
from typing import Final

from epnet.wire import DemandParameters, IsolationState, SupplyParameters

CONSENT_LIFETIME: Final = 0.2
"""Seconds a Supply or Demand is good for after it arrived (Framing §5.1, wire-profile S5)."""


FAULT_CLEARS_SECONDS: Final = 60.0
"""How long isolation must be reported OK before a fault no longer blocks (router design)."""

_NO_FAULT = tuple(state for state in IsolationState if state != IsolationState.FAULT)
[_ISOLATION_ID] = (row.id for row in SupplyParameters.fields if row.name == "isolation")


def blocksPower(supply: SupplyParameters) -> bool:
    """Whether the isolation in a Supply forbids power: Fault, or anything not understood."""
    if supply.isolation is None:
        return _ISOLATION_ID in supply.unknown
    return supply.isolation.state not in _NO_FAULT


class IsolationGuard:
    """Whether isolation blocks a port, in both directions, whoever of the two reported it.

    The block belongs to the port and survives reconnection.  It ends when isolation has been
    reported OK, and nothing else, for 60 s, or when an operator says so.

    blocked: whether no power may flow.
    """

    __slots__ = ("_cleanSince", "blocked")

    def __init__(self) -> None:
        self.blocked = False
        self._cleanSince: float | None = None

    def note(self, supply: SupplyParameters, now: float) -> None:
        """Take a Supply that was just sent or received by the port's device."""
        if blocksPower(supply):
            self.blocked = True
            self._cleanSince = None
        elif not self.blocked:
            return
        elif supply.isolation is None or supply.isolation.state != IsolationState.OK:
            self._cleanSince = None
        elif self._cleanSince is None:
            self._cleanSince = now
        elif now - self._cleanSince >= FAULT_CLEARS_SECONDS:
            self.blocked = False

    def clear(self) -> None:
        """An operator has seen to it."""
        self.blocked = False
        self._cleanSince = None

    def interrupt(self) -> None:
        """The session is gone: what was clean so far was not seen to stay so."""
        self._cleanSince = None


def reckoningVoltage(supply: SupplyParameters, demand: DemandParameters) -> float | None:
    """The voltage at which the current limits of a Supply and a Demand count, in V.

    It is what the Demand requires; without that, what the supplier measures within its own window;
    without that, the lower end of the window, which allows the least.  A measured voltage outside
    the window counts for nothing: it may be that of an open contactor, which would otherwise never
    close.  None where the two name no voltage at all.
    """
    if demand.voltage is not None:
        return demand.voltage
    window = supply.voltage_limit
    if window is None:
        return supply.voltage
    if supply.voltage is not None and window.min <= supply.voltage <= window.max:
        return supply.voltage
    return window.min


def offeredPower(supply: SupplyParameters, voltage: float | None = None) -> float:
    """The most a Supply lets the other side draw, in W.

    voltage: what current limits are reckoned at, in V; None for what the Supply itself names.

    A current limit that no voltage above 0 turns into watts allows nothing, and so does a Supply
    that gives neither a power nor a current limit.
    """
    if blocksPower(supply):
        return 0.0
    if voltage is None:
        voltage = reckoningVoltage(supply, DemandParameters())
    limits = []
    if supply.power_limit is not None:
        limits.append(supply.power_limit)
    if supply.current_limit is not None:
        limits.append(supply.current_limit.max * max(0.0, voltage or 0.0))
    return _least(limits)


def requestedPower(demand: DemandParameters, voltage: float | None = None) -> float:
    """The most a Demand asks for, in W; 0 for a reverse demand (negative current, M6).

    voltage: what currents are reckoned at, in V, where the Demand itself requires none.

    A current that no voltage above 0 turns into watts asks for nothing, and so does a Demand
    without any power or current.
    """
    if demand.voltage is not None:
        voltage = demand.voltage
    limits = []
    if demand.power_limit is not None:
        limits.append(demand.power_limit)
    for current in (demand.current_limit, demand.current):
        if current is not None:
            limits.append(current * max(0.0, voltage or 0.0))
    return _least(limits)


def voltagesMeet(supply: SupplyParameters, demand: DemandParameters) -> bool:
    """Whether the supplier's voltage window reaches what the demanding side needs and bears.

    A voltage measured above what either side bears, or required above what it bears itself, meets
    nothing; one measured below the window may be that of an open contactor.
    """
    low, high = supply.voltage_limit or (0.0, inf)
    bears = inf if demand.voltage_limit is None else demand.voltage_limit
    if supply.voltage is not None and supply.voltage > min(high, bears):
        return False
    if demand.voltage is not None and not max(low, 0.0) <= demand.voltage <= min(high, bears):
        return False
    return bears >= low


def allowedPower(supply: SupplyParameters | None, demand: DemandParameters | None) -> float:
    """How much may flow from the sender of `supply` to the sender of `demand`, in W, 0 or more.

    Give None for a message that is missing, no longer fresh, or void as consent.
    """
    if supply is None or demand is None or not voltagesMeet(supply, demand):
        return 0.0
    voltage = reckoningVoltage(supply, demand)
    return min(offeredPower(supply, voltage), requestedPower(demand, voltage))


def withheldSupply(supply: SupplyParameters) -> SupplyParameters:
    """The same Supply with nothing on offer: a zero grant (router design, *Consent*)."""
    return supply.replace(power_limit=0, current_limit=(0, 0))


def withheldDemand(demand: DemandParameters) -> DemandParameters:
    """The same Demand, asking for nothing."""
    return demand.replace(power_limit=0, current_limit=0, current=None)


def _least(limits: list[float]) -> float:
    return max(0.0, min(limits)) if limits else 0.0


class Transfer:
    """Whether a transfer is ongoing (wire-profile, *Sessions*).

    It is, from the moment power above zero is allowed until the meter has stayed under 1 % of the
    rating for 1 s with nothing allowed.

    rating_w: the most the device or port can carry, in W, above 0.
    """

    __slots__ = ("_quietSince", "ongoing", "rating_w")

    STILL_FRACTION: Final = 0.01
    STILL_SECONDS: Final = 1.0

    def __init__(self, rating_w: float) -> None:
        self.rating_w = rating_w
        self.ongoing = False
        self._quietSince: float | None = None

    def update(self, allowed_w: float, measured_w: float, now: float) -> bool:
        """Take what is allowed and measured at `now` (W, s); say whether it is ongoing."""
        if allowed_w > 0.0:
            self.ongoing = True
            self._quietSince = None
        elif self.ongoing:
            if measured_w >= self.STILL_FRACTION * self.rating_w:
                self._quietSince = None
            elif self._quietSince is None:
                self._quietSince = now
            elif now - self._quietSince >= self.STILL_SECONDS:
                self.ongoing = False
        return self.ongoing
