"""Mixes, carbon, prices and tanks: pure arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.router.provenance import (
    UNKNOWN,
    Blend,
    Tank,
    blendFrom,
    blendOf,
    claimed,
    mixed,
    priceAt,
    wholePercents,
)
from epnet.wire import Source
from epnet.wire.values import Price

NOON = datetime(2026, 6, 21, 12, tzinfo=UTC)
SOLAR, GAS = blendOf(Source.LOCAL_SOLAR), blendOf(Source.GAS)


class BlendTests(SynchronousTestCase):
    def test_carbonIsThatOfTheSpecsTable(self) -> None:
        blend = blendFrom({Source.WIND: 70, Source.LOCAL_SOLAR: 30})
        assert blend is not None
        self.assertAlmostEqual(blend.carbon, 0.7 * 35 + 0.3 * 40)
        self.assertEqual(blend.price, 0.0)

    def test_unknownSourcesCountAsUnknown(self) -> None:
        blend = blendFrom({Source.WIND: 50, 0x4D: 30, Source.UNKNOWN: 20})
        assert blend is not None
        self.assertEqual(blend.sources, {Source.WIND: 0.5, Source.UNKNOWN: 0.5})
        self.assertAlmostEqual(blend.carbon, 0.5 * 35 + 0.5 * 1000)

    def test_nonsenseSaysNothing(self) -> None:
        for mix in (None, {}, {Source.WIND: -1, Source.GAS: 101}, {Source.WIND: 0}):
            self.assertIsNone(blendFrom(mix))
        self.assertIsNone(blendFrom({Source.WIND: 1.7e308, Source.GAS: 1.7e308}))

    def test_aClaimHasToAddUp(self) -> None:
        for total, valid in ((99.4, False), (99.5, True), (100.5, True), (100.6, False)):
            self.assertEqual(claimed({Source.WIND: total}) is not None, valid, total)
        blend = claimed({Source.WIND: 99.5})
        assert blend is not None
        self.assertEqual(blend.sources, {Source.WIND: 1.0})

    def test_sourcesAreWeightedAtTheBusCarbonAndPriceAtTheTerminals(self) -> None:
        dear = Blend({Source.GAS: 1.0}, 500.0, cost=0.4)
        blend = mixed([(100.0, 100.0, SOLAR), (300.0, 100.0, dear)])
        self.assertEqual(blend.sources, {Source.LOCAL_SOLAR: 0.5, Source.GAS: 0.5})
        self.assertAlmostEqual(blend.carbon, (100 * 40 + 300 * 500) / 400)
        self.assertAlmostEqual(blend.cost, 0.3)

    def test_whoReceivesCarriesWhatIsLost(self) -> None:
        blend = Blend({Source.GAS: 1.0}, 500.0, cost=0.4).carrying(110.0, 100.0)
        self.assertAlmostEqual(blend.carbon, 550)
        self.assertAlmostEqual(blend.price or 0, 0.44)

    def test_aPartWithoutAPriceLeavesNone(self) -> None:
        unpriced = Blend({Source.GAS: 1.0}, 500.0, unpriced=1.0)
        self.assertIsNone(unpriced.price)
        self.assertIsNone(mixed([(98.0, 98.0, SOLAR), (2.0, 2.0, unpriced)]).price)
        self.assertEqual(mixed([(998.0, 998.0, SOLAR), (2.0, 2.0, unpriced)]).price, 0.0)

    def test_localEnergyIsNotLocalAbroad(self) -> None:
        blend = mixed([(1, 1, SOLAR), (1, 1, blendOf(Source.SOLAR)), (2, 2, GAS)])
        self.assertAlmostEqual(blend.local, 0.25)
        self.assertEqual(blend.abroad().sources, {Source.SOLAR: 0.5, Source.GAS: 0.5})
        self.assertEqual(blend.abroad().carbon, blend.carbon)
        self.assertIs(GAS.abroad(), GAS)


class WholePercentTests(SynchronousTestCase):
    def test_theLargestRemaindersAreRoundedUp(self) -> None:
        third = 1 / 3
        parts = {Source.WIND: third, Source.SOLAR: third, Source.HYDRO: third}
        self.assertEqual(
            wholePercents(parts), {Source.WIND: 34, Source.SOLAR: 33, Source.HYDRO: 33}
        )
        parts = {Source.WIND: 0.704, Source.GAS: 0.289, Source.COAL: 0.007}
        self.assertEqual(wholePercents(parts), {Source.WIND: 70, Source.GAS: 29, Source.COAL: 1})

    def test_nothingIsLeftOut(self) -> None:
        self.assertEqual(wholePercents({Source.WIND: 0.996, Source.GAS: 0.004}), {Source.WIND: 100})

    @given(
        st.dictionaries(st.sampled_from(list(Source)), st.floats(1e-6, 1e6), min_size=1), st.data()
    )
    def test_sharesAddUpToExactly100(
        self, amounts: dict[Source, float], data: st.DataObject
    ) -> None:
        total = sum(amounts.values())
        parts = {source: amount / total for source, amount in amounts.items()}
        shares = wholePercents(parts)
        self.assertEqual(sum(shares.values()), 100)
        for source, part in parts.items():
            self.assertLess(abs(shares.get(source, 0) - 100 * part), 1 + 1e-9)
        shuffled = data.draw(st.permutations(list(parts)))
        self.assertEqual(wholePercents({source: parts[source] for source in shuffled}), shares)


class PriceTests(SynchronousTestCase):
    def test_aPriceHoldsUntilTheNext(self) -> None:
        hour = timedelta(hours=1)
        prices = tuple(Price(NOON + n * hour, float(n), "SEK") for n in range(3))
        self.assertIsNone(priceAt(prices, NOON - hour))
        self.assertEqual(priceAt(prices, NOON), prices[0])
        self.assertEqual(priceAt(prices, NOON + 1.5 * hour), prices[1])
        self.assertEqual(priceAt(prices, NOON + 99 * hour), prices[2])
        self.assertIsNone(priceAt((), NOON))
        self.assertIsNone(priceAt(None, NOON))


class TankTests(SynchronousTestCase):
    def test_whatFlowsInMixesWithWhatIsThere(self) -> None:
        tank = Tank(100.0)
        tank.put(300.0, SOLAR)
        self.assertEqual(tank.blend.sources, {Source.UNKNOWN: 0.25, Source.LOCAL_SOLAR: 0.75})
        self.assertEqual(tank.take(200.0), 0.0)
        self.assertEqual(tank.joules, 200.0)
        self.assertAlmostEqual(tank.blend.carbon, 0.25 * 1000 + 0.75 * 40)

    def test_moreThanIsThereIsFoundUnknown(self) -> None:
        tank = Tank(100.0, SOLAR)
        self.assertEqual(tank.take(150.0), 50.0)
        self.assertEqual(tank.joules, 0.0)
        self.assertAlmostEqual(tank.blend.sources[Source.UNKNOWN], 1 / 3)

    def test_lossesInStorageLeaveTheirCarbonBehind(self) -> None:
        tank = Tank(100.0, GAS)
        carbon = tank.carbon_g
        self.assertEqual(tank.hold(80.0, UNKNOWN, 0.0), 0.0)
        self.assertEqual(tank.joules, 80.0)
        self.assertAlmostEqual(tank.carbon_g, carbon)
        self.assertAlmostEqual(tank.blend.carbon, 625)

    def test_whatFlowedInElsewhereIsOfTheDevicesOwnWord(self) -> None:
        tank = Tank(100.0, GAS)
        self.assertEqual(tank.hold(200.0, SOLAR, 0.0), 100.0)
        self.assertEqual(tank.blend.sources, {Source.GAS: 0.5, Source.LOCAL_SOLAR: 0.5})

    def test_withinTheSlackNothingIsMoved(self) -> None:
        tank = Tank(100.0, GAS)
        for said in (95.0, 105.0):
            self.assertEqual(tank.hold(said, UNKNOWN, 5.0), 0.0)
            self.assertEqual((tank.joules, tank.blend), (100.0, GAS))
        self.assertAlmostEqual(tank.hold(110.0, UNKNOWN, 5.0), 5.0)
        tank.hold(50.0, UNKNOWN, 5.0)
        self.assertAlmostEqual(tank.joules, 55.0)

    def test_anEmptyDeviceKeepsTheCarbonThatNothingElseCouldCarry(self) -> None:
        tank = Tank(100.0, GAS)
        tank.hold(0.0, UNKNOWN, 0.0)
        self.assertEqual((tank.joules, tank.blend), (100.0, GAS))

    def test_whatIsUsedElsewhereTakesItsCarbonAlong(self) -> None:
        tank = Tank(100.0, GAS)
        self.assertEqual(tank.leave(30.0), 30.0)
        self.assertEqual(tank.leave(-30.0), 0.0)
        self.assertEqual((tank.joules, tank.blend), (70.0, GAS))
        self.assertEqual(tank.leave(100.0), 70.0)
