"""What the accounts of a router are made of: an account for each port, and the books of them all.

An account has the port's meter, and remembers what its device says of the energy that it gives and
stores; the device's word counts on when it goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

import attrs

from epnet.router.metering import Meter, Register
from epnet.router.provenance import (
    JOULES_PER_KWH,
    UNKNOWN,
    Blend,
    Tank,
    blendFrom,
    blendOf,
    claimed,
    priceAt,
)
from epnet.router.terms import MOST
from epnet.wire import CARBON, Source, StorageParameters, SupplyParameters
from epnet.wire.values import Price

if TYPE_CHECKING:
    from epnet.router.ports import Port

SLACK_OF_CAPACITY: Final = 0.02
"""How far a device's word on its content may be off: states of charge come in steps of 1 %."""

LOCAL_TYPES: Final = {"solar": blendOf(Source.LOCAL_SOLAR), "wind": blendOf(Source.LOCAL_WIND)}
"""What devices of these types give where they do not say it, unless it comes from outside."""


@attrs.frozen
class Record:
    """All of an account that outlives the process; energies mJ, but for `stored`, J.

    carbon_g: what was carried by the energy that its device received, g CO2eq.
    stored, blend: what is in its tank, or None where its device stores nothing.
    """

    imported: int = 0
    importedEstimated: int = 0
    exported: int = 0
    exportedEstimated: int = 0
    gaps: int = 0
    gapMicroseconds: int = 0
    refused: int = 0
    carbon_g: float = 0.0
    stored: float | None = None
    blend: Blend | None = None


@attrs.define
class Books:
    """Where energy (J) and carbon (g CO2eq) came from and went, ever.

    in: given by all but storage, and found in storage.
    out: received by all but storage, and taken from storage elsewhere.
    lost: energy lost on the way and in storage; its carbon went with the rest.
    own: carbon of what the router used itself.

    Energy in is energy out, lost, and the change of what is stored; carbon in is carbon out, own,
    and the change of what is stored.
    """

    energyIn: float = 0.0
    energyOut: float = 0.0
    energyLost: float = 0.0
    carbonIn: float = 0.0
    carbonOut: float = 0.0
    carbonOwn: float = 0.0

    def came(self, joules: float, blend: Blend) -> None:
        """So much came in."""
        self.energyIn += joules
        self.carbonIn += joules * blend.carbon / JOULES_PER_KWH

    def went(self, joules: float, blend: Blend) -> None:
        """So much went out."""
        self.energyOut += joules
        self.carbonOut += joules * blend.carbon / JOULES_PER_KWH


@attrs.frozen
class Kept:
    """All that outlives the process, as of one moment: the accounts, by identity, and the books."""

    records: Mapping[str, Record] = attrs.field(factory=dict)
    books: Books = attrs.field(factory=Books)


class Account:
    """The account of one port.

    meter: its meter.
    tank: what its device stores, or None where it stores nothing.
    source: where the energy that its device gives comes from, but for storage.
    price: what its device asks now, or None where it does not say.
    flowed: the blend of what flowed in the last second, or None where nothing did.
    carbon_g: what was carried by the energy that its device received, g CO2eq.
    """

    __slots__ = (
        "_away",
        "_settled",
        "carbon_g",
        "flowed",
        "meter",
        "price",
        "source",
        "tank",
    )

    def __init__(self) -> None:
        self.meter = Meter()
        self.tank: Tank | None = None
        self.source: Blend = UNKNOWN
        self.price: Price | None = None
        self.flowed: Blend | None = None
        self.carbon_g = 0.0
        self._away = True
        self._settled = (0, 0)

    # What outlives the process

    def record(self) -> Record:
        """What is to be kept of it."""
        meter, tank = self.meter, self.tank
        return Record(
            meter.imported.millijoules,
            meter.imported.estimated,
            meter.exported.millijoules,
            meter.exported.estimated,
            meter.gaps,
            meter.gapMicroseconds,
            meter.refused,
            self.carbon_g,
            None if tank is None else tank.joules,
            None if tank is None else tank.blend,
        )

    @classmethod
    def of(cls, record: Record) -> Account:
        """The account that was kept."""
        self = cls()
        meter = self.meter
        meter.imported = Register.of(record.imported, record.importedEstimated)
        meter.exported = Register.of(record.exported, record.exportedEstimated)
        meter.gaps, meter.gapMicroseconds = record.gaps, record.gapMicroseconds
        meter.refused = record.refused
        self.carbon_g = record.carbon_g
        if record.stored is not None and record.blend is not None:
            self.tank = Tank(record.stored, record.blend)
        self.settle()
        return self

    # What flowed, and what the device says

    def settle(self) -> tuple[float, float]:
        """What was imported and exported since the last call, J."""
        imported, exported = self._settled
        meter = self.meter
        self._settled = (meter.imported.millijoules, meter.exported.millijoules)
        return (self._settled[0] - imported) / 1e3, (self._settled[1] - exported) / 1e3

    def listen(self, port: Port, abroad: bool, time: datetime, books: Books) -> None:
        """Follow what the port's device says of what it stores and gives.

        abroad: whether it is in a network that is not ours.
        time: the time of day, aware.
        """
        if port.link is None or port.peer is None:
            self._away = True
            return
        storage = port.link.latest(StorageParameters)
        if isinstance(storage, StorageParameters) and port.stores:
            self._follow(storage, books)
        supply = port.link.latest(SupplyParameters)
        if isinstance(supply, SupplyParameters):
            default = LOCAL_TYPES.get(port.peer.parameters.type or "", UNKNOWN)
            source = claimed(supply.power_mix) or (UNKNOWN if abroad else default)
            carbon = supply.extensions.get(CARBON.name) if port.settings.side == "C" else None
            self.source = (source.abroad() if abroad else source).emitting(carbon)
            self.price = priceAt(supply.energy_prices, time)

    def _follow(self, storage: StorageParameters, books: Books) -> None:
        """Hold the tank against what the device says is in it.

        What is missing after the device was away was used there, and takes its carbon along.
        """
        joules, slack = _stored(storage)
        if self.tank is None:
            self.tank, slack = Tank(), 0.0
        if joules is None:
            return
        tank = self.tank
        if self._away:
            books.went(tank.leave(tank.joules - joules - slack), tank.blend)
            self._away = False
        before, found = tank.joules, blendFrom(storage.energy_mix) or UNKNOWN
        more = tank.hold(joules, found, slack)
        books.came(more, found)
        books.energyLost += before + more - tank.joules


def _stored(storage: StorageParameters) -> tuple[float | None, float]:
    """What a device says it stores, J, and how far that may be off; None where it does not say."""
    capacity, soc, mix = storage.capacity, storage.soc, storage.energy_mix
    if soc is not None and capacity is not None and 0 <= soc <= 100 and 0 < capacity <= MOST:
        return 36.0 * soc * capacity, 3600.0 * SLACK_OF_CAPACITY * capacity
    if mix is not None and blendFrom(mix) is not None:
        joules = 3600.0 * sum(mix.values())
        return joules, SLACK_OF_CAPACITY * joules
    return None, 0.0
