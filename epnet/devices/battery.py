"""A stationary battery."""

from __future__ import annotations

import math
from typing import ClassVar

import attrs
from zope.interface import implementer

from epnet.devices.base import SOUND
from epnet.devices.options import quantity
from epnet.devices.reservoir import Reservoir
from epnet.devices.storing import StoringDevice
from epnet.errors import UsageError
from epnet.interfaces import IDevice
from epnet.wire import Bounds, DemandParameters, StorageParameters, SupplyParameters


@implementer(IDevice)
@attrs.define(slots=False, eq=False)
class Battery(StoringDevice):
    """Takes a charge up to max_soc and gives it back down to min_soc.

    Its power tapers near both.  Options: min_soc, max_soc; discharge_w, the most it supplies;
    efficiency, of a charge and a discharge together.
    """

    type: ClassVar[str] = "battery"

    min_soc: float = quantity(10, "%", high=100)
    max_soc: float = quantity(100, "%", high=100)
    discharge_w: float = quantity(5000, "W", above=0)
    efficiency: float = quantity(92, "%", above=0, high=100)

    def makeReservoir(self) -> Reservoir:
        """The energy it holds at the start; half the losses are made on the way in."""
        if self.min_soc >= self.max_soc:
            raise UsageError(f"min_soc={self.min_soc:g} is not below max_soc={self.max_soc:g}")
        onePercent_wh = self.capacity_wh / 100
        return Reservoir(
            self.capacity_wh,
            self.soc * onePercent_wh,
            self.min_soc * onePercent_wh,
            self.max_soc * onePercent_wh,
            math.sqrt(self.efficiency / 100),
        )

    @property
    def rating_w(self) -> float:
        """The larger of its powers, W."""
        return max(self.charge_w, self.discharge_w)

    @property
    def window(self) -> Bounds:
        """Around what its cells have, from empty to full, V."""
        return Bounds(340, 460)

    @property
    def voltage_v(self) -> float:
        """Rises with the state of charge, V."""
        return 360 + 0.8 * self.reservoir.soc

    def outlet_w(self) -> float:
        """The most it can give, as full as it was when last settled, W."""
        return self.discharge_w * self.reservoir.outlet()

    def supply(self) -> SupplyParameters:
        """What it could give now."""
        return self.supplyOf(self.available_w(), isolation=SOUND)

    def demand(self) -> DemandParameters:
        """What it could take now."""
        return self.demandOf(self.wanted_w())

    def storage(self) -> StorageParameters:
        """How full it is."""
        self.settle()
        return StorageParameters(soc=self.reservoir.soc, capacity=self.capacity_wh)
