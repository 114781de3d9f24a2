"""What epnet adds to the spec's messages, as wire-profile M5 allows.

A peer that does not know an addition passes over it, and loses nothing but that.
"""

from __future__ import annotations

from typing import Final

from epnet.wire.kinds import Quantity
from epnet.wire.messages import SupplyParameters
from epnet.wire.registry import registerField

CARBON_INTENSITY: Final = Quantity(
    0x0100, "Carbon intensity", "g CO2eq/kWh", "numeric", "Carbon emitted for energy"
)

CARBON: Final = registerField(
    SupplyParameters,
    0x0100,
    "carbon_intensity",
    CARBON_INTENSITY,
    "Carbon intensity of the power, losses included (epnet)",
)
"""What a mix in whole percents cannot say: what was emitted for energy lost on the way as well."""
