"""The values of EP in Python: plain numbers and texts, and the few compounds (Messages §3.1)."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple


class Source(enum.IntEnum):
    """Where energy comes from (Messages §3.1.3).

    title: the name in the spec.
    carbon: typical carbon intensity, in g of CO2 equivalent per kWh.
    """

    title: str
    carbon: int

    def __new__(cls, number: int, title: str, carbon: int) -> Source:
        """Make the integer that also carries a name and a carbon intensity."""
        self = int.__new__(cls, number)
        self._value_ = number
        self.title = title
        self.carbon = carbon
        return self

    def __repr__(self) -> str:
        return f"Source.{self.name}"

    UNKNOWN = 0x00, "Unknown", 1000
    WIND = 0x01, "Wind", 35
    SOLAR = 0x02, "Solar", 50
    HYDRO = 0x03, "Hydro", 50
    NUCLEAR = 0x04, "Nuclear", 50
    GAS = 0x05, "Gas", 500
    OIL = 0x06, "Oil", 800
    COAL = 0x07, "Coal", 1000
    LOCAL_WIND = 0x08, "LocalWind", 30
    LOCAL_SOLAR = 0x09, "LocalSolar", 40


class IsolationState(enum.IntEnum):
    """What an isolation monitoring device says (Messages §3.1.5).

    title: the name in the spec.
    """

    title: str

    def __new__(cls, number: int, title: str) -> IsolationState:
        """Make the integer that also carries a name."""
        self = int.__new__(cls, number)
        self._value_ = number
        self.title = title
        return self

    def __repr__(self) -> str:
        return f"IsolationState.{self.name}"

    UNKNOWN = 0x00, "Unknown"
    OK = 0x01, "Ok"
    WARNING = 0x02, "Warning"
    FAULT = 0x03, "Fault"


class Bounds(NamedTuple):
    """A range (Messages §3.1.1), in the unit of its field.  A plain (min, max) does as well."""

    min: float
    max: float


class Price(NamedTuple):
    """A price per kWh that holds until the next one (Messages §3.1.2).

    timestamp: from when it holds; aware, so with a time zone.
    amount: per kWh, any finite number.
    currency: three capital letters (ISO 4217).
    """

    timestamp: datetime
    amount: float
    currency: str


class Isolation(NamedTuple):
    """The electric isolation of a device (Messages §3.1.5).

    state: an `IsolationState`, or the number of a state that is not in the table.
    negative, positive: resistance between PE and that pole, in ohms, or None if not given.
    """

    state: IsolationState | int
    negative: float | None = None
    positive: float | None = None


Mix = Mapping[Source | int, float]
"""Sources to shares in percent, or to energies in Wh; sources not in the table are numbers."""


def source(number: int) -> Source | int:
    """The source of that id, or the bare number if the table has none."""
    return _SOURCES.get(number, number)


def isolationState(number: int) -> IsolationState | int:
    """The isolation state of that code, or the bare number if the table has none."""
    return _STATES.get(number, number)


_SOURCES: dict[int, Source] = {int(each): each for each in Source}
_STATES: dict[int, IsolationState] = {int(each): each for each in IsolationState}
