"""What a port says to its device: the grant for one that demands, the request for one that gives.

Its limits equal the set-point (router design, *Consent in six messages*).
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Generic, TypeVar

from epnet.router.settings import PortSettings
from epnet.wire import CARBON, DemandParameters, SupplyParameters
from epnet.wire.values import Mix, Price

Said = TypeVar("Said")


class Repeated(Generic[Said]):
    """A message that is said again and again: the same object as long as it says the same.

    make: makes it of what it says.

    So most messages are not made anew, and the codec finds the bytes of the last time in them.
    """

    __slots__ = ("_facts", "_made", "_make")

    def __init__(self, make: Callable[..., Said]) -> None:
        self._make = make
        self._facts: tuple[object, ...] | None = None
        self._made: Said

    def saying(self, *facts: object) -> Said:
        """The message that says this; `facts` are the arguments of `make`."""
        if facts != self._facts:
            self._made = self._make(*facts)
            self._facts = facts
        return self._made


def grant(
    settings: PortSettings, power_w: float, voltage: float, flowing_w: float
) -> SupplyParameters:
    """A Supply whose limits equal a grant of that power, at a voltage, with what flows."""
    return SupplyParameters(
        voltage_limit=settings.voltage,
        current_limit=(0, min(power_w / voltage, settings.current_limit * settings.conductors)),
        power_limit=power_w,
        voltage=voltage,
        current=flowing_w / voltage,
    )


def request(settings: PortSettings, power_w: float, voltage: float) -> DemandParameters:
    """A Demand whose limits equal a set-point of that power, at a voltage."""
    return DemandParameters(
        voltage=voltage,
        voltage_limit=settings.voltage.max,
        current_limit=min(power_w / voltage, settings.current_limit * settings.conductors),
        power_limit=power_w,
    )


def telling(
    supply: SupplyParameters,
    mix: Mix | None,
    prices: tuple[Price, ...] | None,
    carbon: float | None,
) -> SupplyParameters:
    """A Supply with what travels with the power; carbon: g CO2eq/kWh."""
    if mix is None and prices is None and carbon is None:
        return supply
    extensions = {} if carbon is None else {CARBON.name: carbon}
    return supply.replace(power_mix=mix, energy_prices=prices, extensions=extensions)


def exportVoltage(settings: PortSettings, demand: DemandParameters | None) -> float:
    """What a port puts out, V: what its device requires, else the middle of the window."""
    window = settings.voltage
    voltage = (window.min + window.max) / 2
    if demand is not None:
        voltage = voltage if demand.voltage is None else demand.voltage
        voltage = min(voltage, inf if demand.voltage_limit is None else demand.voltage_limit)
    return min(max(voltage, window.min), window.max)


def importVoltage(settings: PortSettings, supply: SupplyParameters) -> float:
    """What a port takes power at, V: what is measured, as far as both windows allow."""
    low, high = settings.voltage
    if supply.voltage_limit is not None:
        least, most = supply.voltage_limit
        low, high = least if least > low else low, most if most < high else high
    voltage = low if supply.voltage is None else supply.voltage
    # Comparing takes a quarter of the time of `min` and `max`.
    voltage = voltage if voltage < high else high
    return voltage if voltage > low else low
