"""A day in a street of three tenants: what one exports the others import, minus losses.

The day passes in two minutes: the powers are those of a day, and all energies, also what batteries
hold, are that many times smaller.
"""

from __future__ import annotations

from math import fsum

import attrs
from twisted.trial.unittest import SynchronousTestCase

from epnet.devices.battery import Battery
from epnet.devices.ev import Vehicle
from epnet.devices.grid import Grid
from epnet.devices.load import Load
from epnet.devices.solar import Solar
from epnet.router.losses import Loss
from epnet.router.settings import DEFAULT_PORTS, PortSettings
from epnet.wire import Source, SupplyParameters
from tests.street.street import (
    CABLE_PORT,
    House,
    Street,
    grantsAreCovered,
    invariantsHold,
    linksHold,
    noCircles,
)

DAY_SECONDS = 120.0
SPEED = 86_400 / DAY_SECONDS
DAY = {"start": 0.0, "speed": SPEED, "day": 172}
LOSS = Loss(0.01)
GRID = PortSettings(
    side="B", phases=3, max_current=50, cable_current=50, max_power=30_000, bid=0, price=0.30
)


class Mixes:
    """What a device was told of its power, at each hour of the day."""

    def __init__(self, house: House, identity: str) -> None:
        self.house, self.identity = house, identity
        self.told: list[SupplyParameters] = []

    def note(self) -> None:
        link = self.house.links[self.identity]
        supply = link.other.latest(SupplyParameters)
        assert isinstance(supply, SupplyParameters)
        self.told.append(supply)


class DayTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.street = street = Street(1)
        street.checks = [invariantsHold, grantsAreCovered, noCircles, linksHold]
        clock = street.clock
        self.houses = [street.house(f"house-{n}", tenant=f"family-{n}") for n in (1, 2, 3)]
        first, second, third = self.houses
        cable = attrs.evolve(CABLE_PORT, loss=LOSS)
        street.connect(second, first, settings=cable)
        street.connect(third, second, settings=cable)
        first.plug("grid-1", Grid(clock, fuse_a=50, phases=3), GRID)
        first.plug("home-1", Load(clock, **DAY))
        second.plug(
            "solar-2",
            Solar(clock, peak_w=12_000, **DAY),
            attrs.evolve(DEFAULT_PORTS["solar"], price=0.08),
        )
        battery = Battery(clock, capacity_wh=10_000 / SPEED, soc=50)
        surplus = attrs.evolve(DEFAULT_PORTS["battery"], price=0.15, bid=0.15)
        second.plug("battery-2", battery, surplus)
        second.plug("home-2", Load(clock, **DAY))
        car = Vehicle(clock, soc=20, capacity_wh=50_000 / SPEED, charge_w=7_000)
        third.plug("car-3", car, DEFAULT_PORTS["vehicle"])
        third.plug("home-3", Load(clock, **DAY))
        self.mixes = {name: Mixes(self.houses[int(name[-1]) - 1], name) for name in self.lamps}

    lamps = ("home-1", "home-2", "home-3")

    def pass_(self) -> None:
        """Let the day pass."""
        for _ in range(24):
            self.street.run(DAY_SECONDS / 24)
            for mixes in self.mixes.values():
                mixes.note()

    def metered(self, house: House, identity: str) -> tuple[float, float]:
        """What a port has imported and exported, J."""
        meter = house.router.accounts.byPort[identity].meter
        return meter.imported.millijoules / 1000, meter.exported.millijoules / 1000

    def test_itsAccounts(self) -> None:
        self.pass_()
        for way in self.street.ways:
            lower = self.metered(way.lower, way.upper.identity)
            upper = self.metered(way.upper, way.lower.identity)
            for given, taken in ((lower[1], upper[0]), (upper[1], lower[0])):
                self.assertLessEqual(abs(taken - given), 0.003 * given, str(way.names))
        down, up = self.metered(self.houses[1], "house-1")
        self.assertGreater(min(down, up), 10_000.0, "both ways, over the day")
        self.lossesAreOnTheBooks()
        self.carbonCrosses()
        self.nothingLocalCrosses()
        for house in self.houses:
            self.assertFalse(house.router.invariants.broken)

    def lossesAreOnTheBooks(self) -> None:
        """In each house, what came in is what went out, is stored, and was lost."""
        for house in self.houses:
            books = house.router.accounts.books
            tanks = [account.tank for account in house.router.accounts.byPort.values()]
            stored = fsum(tank.joules for tank in tanks if tank is not None)
            kept = books.energyOut + books.energyLost + stored
            self.assertAlmostEqual(kept / books.energyIn, 1.0, places=6)

    def carbonCrosses(self) -> None:
        """The third house makes nothing: what it has is from the second, and what its car had."""
        sent = self.houses[1].router.accounts.byPort["house-3"].carbon_g
        had = 0.2 * 50 / SPEED * Source.UNKNOWN.carbon
        come = self.houses[2].router.accounts.books.carbonIn - had
        self.assertLess(abs(come / sent - 1.0), 0.02)

    def nothingLocalCrosses(self) -> None:
        told = {
            name: {source for supply in mixes.told for source in (supply.power_mix or {})}
            for name, mixes in self.mixes.items()
        }
        self.assertEqual(told["home-1"], {Source.UNKNOWN, Source.SOLAR})
        self.assertEqual(told["home-2"], {Source.UNKNOWN, Source.LOCAL_SOLAR})
        self.assertEqual(told["home-3"], {Source.UNKNOWN, Source.SOLAR})
        self.assertTrue(all(supply.energy_prices for supply in self.mixes["home-3"].told))
