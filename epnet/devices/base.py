"""What simulated devices have in common: their limits, their contactor, how they say a power."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final

import attrs

from epnet.devices.options import quantity, timeOfDay, whole
from epnet.devices.ramp import FALL_SECONDS, RISE_SECONDS
from epnet.devices.stage import PowerStage
from epnet.devices.world import DAYS_A_YEAR, World
from epnet.interfaces import Limits, Reading
from epnet.wire import (
    Bounds,
    DemandParameters,
    Isolation,
    IsolationState,
    StorageParameters,
    SupplyParameters,
)

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

SOUND: Final = Isolation(IsolationState.OK, 1_000_000, 1_000_000)
"""What the isolation monitor of a device without a fault says."""


@attrs.define(slots=False, eq=False)
class SimulatedDevice(ABC):
    """The base of the simulated devices; a subclass says what it offers, wants and stores.

    Options: name; ramp_s, the time of an increase over the full rating.
    """

    type: ClassVar[str]
    version: ClassVar[str] = "1.0"

    clock: IReactorTime
    name: str = attrs.field(kw_only=True)
    ramp_s: float = quantity(RISE_SECONDS, "s", above=0, high=60)
    stage: PowerStage = attrs.field(init=False)

    @name.default
    def _defaultName(self) -> str:
        return f"Simulated {self.type}"

    def __attrs_post_init__(self) -> None:
        """Put its power electronics in."""
        self.stage = PowerStage(self.clock, self.rating_w, self.ramp_s, FALL_SECONDS)

    # What a subclass says

    @property
    @abstractmethod
    def rating_w(self) -> float:
        """The most power it can ever draw or supply, W."""

    @property
    @abstractmethod
    def window(self) -> Bounds:
        """The voltages it works at, V."""

    @property
    @abstractmethod
    def voltage_v(self) -> float:
        """The voltage at its terminals, V, above 0."""

    def available_w(self) -> float:
        """The most it could supply now, W, 0 or more."""
        return 0.0

    def wanted_w(self) -> float:
        """The most it would draw now, W, 0 or more."""
        return 0.0

    # IDevice

    def supply(self) -> SupplyParameters | None:
        """What it could supply now: nothing ever, unless a subclass says otherwise."""
        return None

    def demand(self) -> DemandParameters | None:
        """What it would like to draw now: nothing ever, unless a subclass says otherwise."""
        return None

    def storage(self) -> StorageParameters | None:
        """What it stores: nothing, unless a subclass says otherwise."""
        return None

    def reading(self) -> Reading:
        """What flows now: as permitted, as far as there is something to supply or a wish."""
        draw_w, supply_w = self.stage.flow()
        return Reading(
            self.voltage_v,
            min(draw_w, self.wanted_w()) if draw_w else 0.0,
            min(supply_w, self.available_w()) if supply_w else 0.0,
        )

    def setLimits(self, limits: Limits) -> None:
        """Follow the newest permission; one above zero closes the contactor."""
        if limits.draw_w > 0.0 or limits.supply_w > 0.0:
            self.stage.close()
        self.stage.setLimits(limits.draw_w, limits.supply_w, limits.expires)

    def shutDown(self, reason: str) -> None:
        """Ramp to zero within 100 ms and open the contactor."""
        self.stage.open()

    # How to say a power

    def supplyOf(self, power_w: float, **more: Any) -> SupplyParameters:
        """The Supply (Messages §4.4) that offers so much, with what is measured."""
        voltage_v = self.voltage_v
        return SupplyParameters(
            voltage_limit=self.window,
            current_limit=(0, currentFor(power_w, voltage_v)),
            power_limit=power_w,
            voltage=voltage_v,
            current=self.reading().supply_w / voltage_v,
            **more,
        )

    def demandOf(self, power_w: float, **more: Any) -> DemandParameters:
        """The Demand (Messages §4.5) that wants so much."""
        voltage_v = self.voltage_v
        return DemandParameters(
            voltage=voltage_v,
            voltage_limit=self.window.max,
            current_limit=currentFor(power_w, voltage_v),
            power_limit=power_w,
            **more,
        )


@attrs.define(slots=False, eq=False)
class DailyDevice(SimulatedDevice):
    """The base of devices whose behaviour follows the time of day, or that store energy.

    Options: start, the time of day at the start; speed, world seconds per real second; day, of the
    year.
    """

    start: float | None = timeOfDay()
    speed: float = quantity(1.0, "world seconds per second", above=0, high=100_000)
    day: int | None = whole(None, "the day of the year", 1, DAYS_A_YEAR)
    world: World = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Start the day."""
        super().__attrs_post_init__()
        self.world = World(self.clock, self.start, self.speed, self.day)


def currentFor(power_w: float, voltage_v: float) -> float:
    """The current that carries a power, A: never less than that power by rounding."""
    current = power_w / voltage_v
    return current if current * voltage_v >= power_w else math.nextafter(current, math.inf)
