"""The fill by hand-made examples, each with the numbers worked out beside it."""

from __future__ import annotations

from math import fsum, inf, nan, sqrt

from twisted.trial.unittest import SynchronousTestCase

from epnet.errors import UsageError
from epnet.router.allocation import Allocation, Group, Loss, Reason, Sink, Source, allocate

THREE_PHASE_400V_10A = sqrt(3) * 400 * 10


def given(allocation: Allocation) -> dict[str, int]:
    """Each source's terminal watts, to the watt."""
    return {name: round(setpoint.power_w) for name, setpoint in allocation.sources.items()}


def got(allocation: Allocation) -> dict[str, int]:
    """Each sink's terminal watts, to the watt."""
    return {name: round(setpoint.power_w) for name, setpoint in allocation.sinks.items()}


class SpecificationExamples(SynchronousTestCase):
    """Both examples of EnergyNet §2.1, with the conversion losses that their numbers imply."""

    def test_oneSourceServesTwoSinks(self) -> None:
        loss = Loss(linear=0.0109)
        allocation = allocate(
            [Source("port 1", 420 * 40, loss=loss)],
            [
                Sink("port 2", 540 * 10, loss=loss),
                Sink("port 3", THREE_PHASE_400V_10A, loss=loss),
            ],
        )
        self.assertEqual(got(allocation), {"port 2": 5400, "port 3": 6928})
        self.assertEqual(given(allocation), {"port 1": 420 * 30})
        # The 0.3 kW between 12.6 kW and the 5.4 and 6.9 kW.
        self.assertEqual(round(allocation.losses_w), 272)

    def test_twoSourcesShareTheLoad(self) -> None:
        loss = Loss(linear=0.0087)
        allocation = allocate(
            [Source("port 1", 420 * 20, loss=loss), Source("port 2", 570 * 10, loss=loss)],
            [Sink("port 3", 2 * THREE_PHASE_400V_10A, loss=loss)],
        )
        self.assertEqual(got(allocation), {"port 3": 13856})
        self.assertEqual(given(allocation), {"port 1": 420 * 20, "port 2": 570 * 10})


class SourceTests(SynchronousTestCase):
    """Who delivers what is used."""

    def test_theCheaperSourceIsUsedFirst(self) -> None:
        allocation = allocate(
            [Source("grid", 9000, 3), Source("solar", 2000, 0), Source("battery", 1500, 1)],
            [Sink("home", 3000)],
        )
        self.assertEqual(given(allocation), {"battery": 1000, "grid": 0, "solar": 2000})
        reasons = {name: setpoint.reason for name, setpoint in allocation.sources.items()}
        self.assertEqual(
            reasons,
            {"solar": Reason.OFFER, "battery": Reason.SHARE, "grid": Reason.SPARE},
        )

    def test_sourcesOfOnePriceShareInProportion(self) -> None:
        allocation = allocate([Source("a", 3000), Source("b", 1000)], [Sink("home", 2000)])
        self.assertEqual(given(allocation), {"a": 1500, "b": 500})

    def test_aNegativePriceComesFirst(self) -> None:
        allocation = allocate([Source("a", 500, 0), Source("b", 500, -0.1)], [Sink("home", 500)])
        self.assertEqual(given(allocation), {"a": 0, "b": 500})

    def test_noSourceGoesBeyondTheMaximumOfItsLossCurve(self) -> None:
        # x - 1e-4 x² has its maximum, 2500 W, at 5000 W.
        source = Source("a", 9000, loss=Loss(quadratic=1e-4))
        allocation = allocate([source], [Sink("home", 9000)])
        self.assertEqual(given(allocation), {"a": 5000})
        self.assertEqual(got(allocation), {"home": 2500})
        self.assertIs(allocation.sources["a"].reason, Reason.PEAK)

    def test_sourcesUnderOneFeederAreCutInProportion(self) -> None:
        allocation = allocate(
            [Source("a", 6000), Source("b", 3000), Source("c", 9000, 1)],
            [Sink("home", 9000)],
            [Group("roof", 6000, ["a", "b"])],
        )
        self.assertEqual(given(allocation), {"a": 4000, "b": 2000, "c": 3000})
        self.assertIs(allocation.sources["a"].reason, Reason.GROUP)

    def test_theCheaperSourceOfAFeederComesFirst(self) -> None:
        allocation = allocate(
            [Source("a", 6000, 1), Source("b", 3000, 0)],
            [Sink("home", 9000)],
            [Group("roof", 5000, ["a", "b"])],
        )
        self.assertEqual(given(allocation), {"a": 2000, "b": 3000})

    def test_standingLossesAreServedFirst(self) -> None:
        allocation = allocate([Source("a", 1000)], [Sink("home", 1000)], standing_w=60)
        self.assertEqual(got(allocation), {"home": 940})
        self.assertEqual(allocation.standing_w, 60)

    def test_standingLossesBeyondAllSourcesGetWhatThereIs(self) -> None:
        allocation = allocate([Source("a", 50)], [Sink("home", 1000)], standing_w=60)
        self.assertEqual((given(allocation), got(allocation)), ({"a": 50}, {"home": 0}))
        self.assertEqual(allocation.standing_w, 50)

    def test_withoutSourcesNobodyGetsAnything(self) -> None:
        self.assertEqual(got(allocate([], [Sink("home", 1000)], standing_w=5)), {"home": 0})


class SinkTests(SynchronousTestCase):
    """Who gets what there is."""

    def test_aSmallRequestIsServedAndTheOthersShareTheRest(self) -> None:
        sinks = [Sink("a", 1000), Sink("b", 5000), Sink("c", 9000)]
        self.assertEqual(
            got(allocate([Source("s", 7000)], sinks)), {"a": 1000, "b": 3000, "c": 3000}
        )

    def test_whatOneCannotTakeGoesToTheOthers(self) -> None:
        sinks = [Sink("a", 100, weight=9), Sink("b", 5000)]
        self.assertEqual(got(allocate([Source("s", 2000)], sinks)), {"a": 100, "b": 1900})

    def test_sharesFollowTheWeights(self) -> None:
        sinks = [Sink("a", 9000, weight=2), Sink("b", 9000)]
        self.assertEqual(got(allocate([Source("s", 6000)], sinks)), {"a": 4000, "b": 2000})

    def test_fairIsWhatArrivesNotWhatItCosts(self) -> None:
        # 500 (1 + 0.2) + 500 = 1100
        sinks = [Sink("a", 9000, loss=Loss(0.2)), Sink("b", 9000)]
        self.assertEqual(got(allocate([Source("s", 1100)], sinks)), {"a": 500, "b": 500})

    def test_quadraticLossesAreSolvedFor(self) -> None:
        # 1000 + 1e-4 * 1000² = 1100, twice
        sinks = [Sink(name, 9000, loss=Loss(quadratic=1e-4)) for name in "ab"]
        self.assertEqual(got(allocate([Source("s", 2200)], sinks)), {"a": 1000, "b": 1000})

    def test_theHigherClassIsServedFirst(self) -> None:
        sinks = [Sink("a", 3000), Sink("b", 3000, priority=2)]
        allocation = allocate([Source("s", 1600)], sinks)
        self.assertEqual(got(allocation), {"a": 0, "b": 1600})
        self.assertEqual(allocation.sinks["a"].text, "short of supply: class 2 lacks 1400 W")

    def test_nobodyIsToldOfAClassThatLacksNothingToSpeakOf(self) -> None:
        sinks = [Sink("a", 3000), Sink("b", 1600.3, priority=2)]
        allocation = allocate([Source("s", 1600)], sinks)
        self.assertEqual(allocation.sinks["a"].text, "short of supply: class 1 lacks 3000 W")
        self.assertEqual(allocation.sinks["b"].reason, Reason.REQUEST)

    def test_aLowBidTakesOnlyTheSurplus(self) -> None:
        sources = [Source("solar", 5000, 0), Source("grid", 9000, 3)]
        sinks = [Sink("car", 9000, bid=0), Sink("home", 2000)]
        allocation = allocate(sources, sinks)
        self.assertEqual(got(allocation), {"car": 3000, "home": 2000})
        self.assertEqual(given(allocation), {"solar": 5000, "grid": 0})
        self.assertEqual(
            allocation.sinks["car"].text, "no more power at a price up to its bid of 0"
        )

    def test_aHighBidDoesNotUseThePowerOfALowBidInAHigherClass(self) -> None:
        sources = [Source("solar", 5000, 0), Source("grid", 9000, 3)]
        sinks = [Sink("car", 4000, bid=0, priority=2), Sink("home", 2000)]
        allocation = allocate(sources, sinks)
        self.assertEqual(got(allocation), {"car": 4000, "home": 2000})
        self.assertEqual(given(allocation), {"solar": 5000, "grid": 1000})

    def test_belowItsMinimumASinkGetsNothing(self) -> None:
        sinks = [Sink("car", 9000, 1380), Sink("home", 500, priority=2)]
        allocation = allocate([Source("s", 1800)], sinks)
        self.assertEqual(got(allocation), {"car": 0, "home": 500})
        self.assertEqual(
            allocation.sinks["car"].text, "its minimum does not fit: 1300 W left under the bus"
        )

    def test_aMinimumThatJustFitsIsMet(self) -> None:
        self.assertEqual(
            got(allocate([Source("s", 1380)], [Sink("car", 9000, 1380)])), {"car": 1380}
        )

    def test_aMinimumAboveItsOwnMaximumGetsNothing(self) -> None:
        allocation = allocate([Source("s", 9000)], [Sink("car", 1000, 1380)])
        self.assertEqual(got(allocation), {"car": 0})
        self.assertIs(allocation.sinks["car"].reason, Reason.MINIMUM)

    def test_aRunningSinkKeepsItsMinimum(self) -> None:
        sinks = [Sink("a", 3000, 1000, weight=5), Sink("b", 3000, 1000, running=True)]
        self.assertEqual(got(allocate([Source("s", 1500)], sinks)), {"a": 0, "b": 1500})

    def test_ofTwoMinimumsTheHeavierIsMet(self) -> None:
        sinks = [Sink("a", 3000, 1000), Sink("b", 3000, 1000, weight=2)]
        self.assertEqual(got(allocate([Source("s", 1500)], sinks)), {"a": 0, "b": 1500})

    def test_ofTwoEqualMinimumsTheFirstByIdentityIsMet(self) -> None:
        sinks = [Sink("b", 3000, 1000), Sink("a", 3000, 1000)]
        self.assertEqual(got(allocate([Source("s", 1500)], sinks)), {"a": 1500, "b": 0})

    def test_aSmallerMinimumThatFitsIsMetInsteadOfALargeOne(self) -> None:
        sinks = [Sink("a", 3000, 2000), Sink("b", 3000, 1000)]
        self.assertEqual(got(allocate([Source("s", 1500)], sinks)), {"a": 0, "b": 1500})

    def test_minimumsComeBeforeShares(self) -> None:
        sinks = [Sink("a", 3000, 1000), Sink("b", 3000)]
        self.assertEqual(got(allocate([Source("s", 1500)], sinks)), {"a": 1000, "b": 500})

    def test_lessThanAMicrowattIsNothing(self) -> None:
        allocation = allocate([Source("s", 1e-7)], [Sink("a", 3000)])
        self.assertEqual(allocation.sinks["a"].power_w, 0.0)
        self.assertEqual(allocation.sources["s"].power_w, 0.0)


class GroupTests(SynchronousTestCase):
    """Caps over several ports."""

    def test_membersShareTheCapAndTheOthersGoOn(self) -> None:
        sinks = [Sink("a", 9000), Sink("b", 9000), Sink("c", 9000)]
        allocation = allocate([Source("s", 12000)], sinks, [Group("feeder", 4000, ["a", "b"])])
        self.assertEqual(got(allocation), {"a": 2000, "b": 2000, "c": 8000})
        self.assertEqual(
            allocation.sinks["a"].text, "group feeder has no more than 4000 W for its members"
        )

    def test_roundingDoesNotBarAMinimumThatFits(self) -> None:
        # Added one after the other with rounding, seven times 1380.02 is 9660.140000000001.
        sinks = [Sink(str(number), 9000, 1380.02) for number in range(7)]
        group = Group("feeder", 9660.14, [sink.identity for sink in sinks])
        allocation = allocate([Source("s", 99999)], sinks, [group])
        self.assertEqual({s.power_w for s in allocation.sinks.values()}, {1380.02})

    def test_roundingDoesNotExceedACap(self) -> None:
        # With these weights the rounded level would give 1380.0000000000002 W.
        sinks = [Sink(f"{n}", 9000, weight=w) for n, w in enumerate((0.5, 0.7, 0.7, 1.7))]
        group = Group("feeder", 1380, [sink.identity for sink in sinks])
        allocation = allocate([Source("s", 99999)], sinks, [group])
        self.assertLessEqual(fsum(s.power_w for s in allocation.sinks.values()), 1380)

    def test_nestedCapsHoldTogether(self) -> None:
        sinks = [Sink(name, 9000) for name in "abc"]
        groups = [Group("site", 5000, ["row", "c"]), Group("row", 2000, ["a", "b"])]
        self.assertEqual(
            got(allocate([Source("s", 20000)], sinks, groups)), {"a": 1000, "b": 1000, "c": 3000}
        )

    def test_aHigherClassUsesTheCapFirst(self) -> None:
        sinks = [Sink("a", 3000), Sink("b", 3000, priority=2)]
        groups = [Group("feeder", 4000, ["a", "b"])]
        self.assertEqual(got(allocate([Source("s", 9000)], sinks, groups)), {"a": 1000, "b": 3000})

    def test_aMinimumMustFitUnderTheCap(self) -> None:
        sinks = [Sink("a", 3000, 1380), Sink("b", 3000, 1380)]
        groups = [Group("feeder", 2000, ["a", "b"])]
        allocation = allocate([Source("s", 9000)], sinks, groups)
        self.assertEqual(got(allocation), {"a": 2000, "b": 0})
        self.assertEqual(
            allocation.sinks["b"].text, "its minimum does not fit: 620 W left under feeder"
        )

    def test_aMemberThatIsNotHereCountsNothing(self) -> None:
        groups = [Group("feeder", 4000, ["a", "absent"])]
        self.assertEqual(got(allocate([Source("s", 9000)], [Sink("a", 3000)], groups)), {"a": 3000})


class StorageTests(SynchronousTestCase):
    """Devices that offer power and want some."""

    def test_storageChargesFromWhatIsLeftOver(self) -> None:
        sources = [Source("solar", 5000), Source("battery", 3000, 1.1), Source("grid", 9000, 3)]
        sinks = [Sink("home", 2000), Sink("battery", 4000, bid=0.9)]
        allocation = allocate(sources, sinks)
        self.assertEqual(given(allocation), {"battery": 0, "grid": 0, "solar": 2000 + 3000})
        self.assertEqual(got(allocation), {"battery": 3000, "home": 2000})

    def test_storageDischargesWhenItIsNeeded(self) -> None:
        sources = [Source("solar", 1000), Source("battery", 3000, 1.1), Source("grid", 9000, 3)]
        sinks = [Sink("home", 2000), Sink("battery", 4000, bid=0.9)]
        allocation = allocate(sources, sinks)
        self.assertEqual(given(allocation), {"battery": 1000, "grid": 0, "solar": 1000})
        self.assertEqual(got(allocation), {"battery": 0, "home": 2000})

    def test_storageDoesNotBuyFromItself(self) -> None:
        allocation = allocate([Source("battery", 3000, 1)], [Sink("battery", 4000)])
        self.assertEqual((given(allocation), got(allocation)), ({"battery": 0}, {"battery": 0}))

    def test_storageDoesNotBuyAboveItsOwnPrice(self) -> None:
        sources = [Source("battery", 3000, 1), Source("grid", 9000, 3)]
        allocation = allocate(sources, [Sink("battery", 4000)])
        self.assertEqual(got(allocation), {"battery": 0})
        self.assertEqual(
            allocation.sinks["battery"].text,
            "it offers power itself, and buys only what is cheaper than its own and left over",
        )

    def test_aHigherClassDoesNotMakeStorageChargeWhileItIsNeeded(self) -> None:
        sources = [Source("solar", 1000), Source("battery", 3000, 1)]
        sinks = [Sink("home", 2000), Sink("battery", 4000, priority=5, bid=0.5)]
        allocation = allocate(sources, sinks)
        self.assertEqual(given(allocation), {"battery": 1000, "solar": 1000})
        self.assertEqual(got(allocation), {"battery": 0, "home": 2000})

    def test_emptyStorageMayBuyAtAnyPrice(self) -> None:
        sources = [Source("battery", 0, 1), Source("grid", 9000, 3)]
        self.assertEqual(got(allocate(sources, [Sink("battery", 4000)])), {"battery": 4000})

    def test_oneStorageMayBuyFromACheaperOne(self) -> None:
        sources = [Source("old", 3000, 1), Source("new", 3000, 2)]
        sinks = [Sink("new", 500, bid=1.5), Sink("old", 500, bid=0.5)]
        allocation = allocate(sources, sinks)
        self.assertEqual(given(allocation), {"new": 0, "old": 500})
        self.assertEqual(got(allocation), {"new": 500, "old": 0})


class MistakeTests(SynchronousTestCase):
    """Bad numbers and names are refused, and named."""

    def test_numbersOutOfTheirRange(self) -> None:
        for make, text in [
            (lambda: Source("x", nan), "source 'x': max_w is nan"),
            (lambda: Source("x", inf), "source 'x': max_w is inf"),
            (lambda: Source("x", 1, inf), "source 'x': price is inf"),
            (lambda: Sink("x", -1), "sink 'x': max_w is -1"),
            (lambda: Sink("x", 1, nan), "sink 'x': min_w is nan"),
            (lambda: Sink("x", 1, bid=nan), "sink 'x': bid is nan"),
            (lambda: Sink("x", 1, weight=0), "sink 'x': weight is 0"),
            (lambda: Group("x", -5, []), "group 'x': max_w is -5"),
            (lambda: Loss(1.0), "Loss(linear=1.0"),
            (lambda: Loss(0.0, nan), "quadratic=nan"),
            (lambda: allocate([], [], standing_w=nan), "the router: standing_w is nan"),
        ]:
            self.assertIn(text, str(self.assertRaises(UsageError, make)))

    def test_oneNameForTwo(self) -> None:
        a, b = Source("x", 1), Sink("x", 1)
        for arguments, text in [
            (([a, a], []), "source 'x' is given twice"),
            (([], [b, b]), "sink 'x' is given twice"),
            (([], [], [Group("g", 1, [])] * 2), "group 'g' is given twice"),
            (([a], [], [Group("x", 1, [])]), "group 'x' has the name of a port"),
        ]:
            self.assertIn(text, str(self.assertRaises(UsageError, allocate, *arguments)))

    def test_aGroupWithinItself(self) -> None:
        groups = [Group("g", 1, ["h"]), Group("h", 1, ["g"])]
        mistake = self.assertRaises(UsageError, allocate, [], [], groups)
        self.assertIn("group 'g' is within itself", str(mistake))
