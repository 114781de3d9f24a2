"""What a port says to its device: the grant for one that demands, the request for one that gives.

Its limits equal the set-point (router design, *Consent in six messages*).
"""

from __future__ import annotations

from math import inf

from epnet.router.settings import PortSettings
from epnet.wire import DemandParameters, SupplyParameters


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
        low, high = max(low, supply.voltage_limit.min), min(high, supply.voltage_limit.max)
    return max(low, min(high, supply.voltage if supply.voltage is not None else low))
