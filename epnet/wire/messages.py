"""The messages, field by field, as the spec's tables have them (Messages §4).

One line a field: its id, its value type, what it means, and whether it matters for consent.  The
constructors, the encoder, the decoder and the tables in the documentation come from these lines.

An extension defines a message of its own in the same way::

    TEMPERATURE = Quantity(0x1000, "Temperature", "°C", "numeric", "Temperature")

    @message(0x01000042, "thermal")
    class ThermalParameters(Message):
        \"""What a heat source offers.\"""

        flow: Number = field(0x00, TEMPERATURE, "Flow temperature", default=None)

    register(ThermalParameters)

and adds fields of its own to existing messages with `registerField`.
"""

from __future__ import annotations

from typing import Final

import attrs

from epnet.wire.compounds import (
    CURRENT_BOUNDS,
    ENERGY_MIX,
    ISOLATION,
    PRICES,
    SOURCE_MIX,
    VOLTAGE_BOUNDS,
)
from epnet.wire.kinds import CURRENT, DURATION, ENERGY, FLAG, PERCENTAGE, POWER, TEXT, VOLTAGE
from epnet.wire.schema import (
    Insulation,
    Message,
    Number,
    Prices,
    Range,
    RequiredWords,
    Shares,
    Truth,
    Words,
    field,
    message,
)

SESSION_TEXT: Final = attrs.evolve(TEXT, maxLength=256)
"""A text of the Session Parameters (V10)."""


@message(0xFFFFFFFF, "ping")
class Ping(Message):
    """Keeps a session alive (Messages §4.1)."""


@message(0xBABA5E55, "session")
class SessionParameters(Message):
    """Who a device is: the handshake (Messages §4.2).  Texts of at most 256 characters (V10)."""

    identity: RequiredWords = field(0x00, SESSION_TEXT, "Device identity")
    type: Words = field(0x01, SESSION_TEXT, "Device type", default=None)
    version: Words = field(0x02, SESSION_TEXT, "Device version <major>.<minor>", default=None)
    name: Words = field(0x03, SESSION_TEXT, "Device name (human readable)", default=None)
    tenant: Words = field(0x04, SESSION_TEXT, "Device tenant", default=None)
    provider: Words = field(0x05, SESSION_TEXT, "Tenant's service provider", default=None)
    session: Words = field(0x06, SESSION_TEXT, "Ephemeral session id", default=None)


@message(0xBABADEAD, "disconnect")
class SoftDisconnect(Message):
    """Says that a device is about to disconnect on purpose (Messages §4.3, M3)."""

    reconnect: Truth = field(0x00, FLAG, "Whether to reconnect soon", default=None)
    reason: Words = field(0x01, TEXT, "Reason for the disconnect", default=None)


@message(0xDCDCF00D, "supply")
class SupplyParameters(Message):
    """What a device can provide (Messages §4.4)."""

    voltage_limit: Range = field(
        0x00, VOLTAGE_BOUNDS, "Voltage limit (min-max)", consent=True, default=None
    )
    current_limit: Range = field(
        0x01, CURRENT_BOUNDS, "Current limit (min-max)", consent=True, default=None
    )
    power_limit: Number = field(0x02, POWER, "Power limit (max)", consent=True, default=None)
    power_mix: Shares = field(0x03, SOURCE_MIX, "Power source mix", default=None)
    energy_prices: Prices = field(0x04, PRICES, "Energy price forecast", default=None)
    voltage: Number = field(0x05, VOLTAGE, "Measured voltage", consent=True, default=None)
    current: Number = field(0x06, CURRENT, "Measured current", consent=True, default=None)
    isolation: Insulation = field(0x07, ISOLATION, "Isolation status", consent=True, default=None)


@message(0xDCDCFEED, "demand")
class DemandParameters(Message):
    """What a device wants to receive (Messages §4.5); a negative current gives energy (M6)."""

    voltage: Number = field(0x00, VOLTAGE, "Voltage requirement", consent=True, default=None)
    current: Number = field(0x01, CURRENT, "Current requirement", consent=True, default=None)
    voltage_limit: Number = field(
        0x02, VOLTAGE, "Max voltage capability", consent=True, default=None
    )
    current_limit: Number = field(
        0x03, CURRENT, "Max current capability", consent=True, default=None
    )
    power_limit: Number = field(0x04, POWER, "Max power capability", consent=True, default=None)
    duration: Number = field(0x05, DURATION, "Estimated remaining time", default=None)


@message(0xDCDCBA77, "storage")
class StorageParameters(Message):
    """What a device stores (Messages §4.6); the type in the spec's example is an error (M1)."""

    soc: Number = field(0x00, PERCENTAGE, "Current state of charge", default=None)
    soc_target: Number = field(0x01, PERCENTAGE, "Target state of charge", default=None)
    soc_target_time: Number = field(0x02, DURATION, "Time left to reach target", default=None)
    capacity: Number = field(0x03, ENERGY, "Total capacity of storage", default=None)
    energy_mix: Shares = field(0x04, ENERGY_MIX, "Currently stored energy mix", default=None)
