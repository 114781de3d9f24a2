"""The invariant tests are worth something: each of these errors, put in on purpose, is caught."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.router import allocation, bounds, planning, ports, restraints
from epnet.router.fairness import Claim
from epnet.router.losses import Loss
from epnet.router.settings import PortSettings
from epnet.wire import DemandParameters, SupplyParameters
from tests.router import test_allocation_properties as properties
from tests.router import test_turns as turns
from tests.router.histories import WINDOW, Device, World

ONCE = settings(
    max_examples=400,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
    print_blob=False,
)


def proportional(claims: Sequence[Claim]) -> None:
    """Seeded error: everyone gets the same part of its wish."""
    part = 1.0
    for limit in {limit: None for claim in claims for limit in claim.limits}:
        inside = [claim for claim in claims if limit in claim.limits]
        wanted = sum(limit.cost(claim, claim.high) for claim in inside)
        if wanted > limit.left:
            part = min(part, limit.left / wanted)
    for claim in claims:
        claim.low = claim.high = max(claim.low, claim.high * part)


def clampedAfterwards(claims: Sequence[Claim]) -> None:
    """Seeded error: shared by weight first, cut to the wish then; the rest is lost."""
    for limit in {limit: None for claim in claims for limit in claim.limits}:
        inside = [claim for claim in claims if limit in claim.limits]
        weights = sum(claim.weight * (1.0 + claim.loss.linear) for claim in inside)
        for claim in inside:
            share = limit.left * claim.weight / weights / (1.0 + 1e-3 * claim.loss.quadratic)
            claim.high = max(claim.low, min(claim.high, share))
    for claim in claims:
        claim.low = claim.high


class FillMutations(SynchronousTestCase):
    def assertCaught(self, *names: str, cases: st.SearchStrategy[Any] = properties.cases) -> None:
        """At least one of the property tests of these names fails for some of these cases."""
        if not any(self.isCaught(name, cases) for name in names):
            self.fail(f"none of {names} has noticed")

    def isCaught(self, name: str, cases: st.SearchStrategy[Any]) -> bool:
        test = properties.Invariants(name)
        inner: Callable[..., Any] = getattr(test, name).hypothesis.inner_test

        @ONCE
        @given(cases)
        def run(case: Any) -> None:
            inner(test, case)

        try:
            run()
        except AssertionError:
            return True
        return False

    def test_nothingIsCaughtWithoutAnError(self) -> None:
        self.assertRaises(
            self.failureException,
            self.assertCaught,
            "test_1_theBusIsInBalance",
            "test_5_everyoneShortHasABottleneckInWhichNobodyHasMore",
        )

    def test_proportionalInsteadOfMaxMin(self) -> None:
        self.patch(allocation, "fill", proportional)
        self.assertCaught("test_5_everyoneShortHasABottleneckInWhichNobodyHasMore")

    def test_clampAfterSharing(self) -> None:
        self.patch(allocation, "fill", clampedAfterwards)
        self.assertCaught("test_5_everyoneShortHasABottleneckInWhichNobodyHasMore")

    def test_lossesForgotten(self) -> None:
        self.patch(Loss, "withdrawn", lambda self, power: power)
        self.assertCaught("test_1_theBusIsInBalance")

    def test_sortedByArrival(self) -> None:
        self.patch(allocation, "_identity", lambda port: 0)
        self.assertCaught("test_6_theOrderOfTheInputsDoesNotMatter")

    def test_muchSupplyMistakenForLess(self) -> None:
        everything = allocation.MeritOrder.upTo
        self.patch(
            allocation.MeritOrder, "upTo", lambda self, price: everything(self, price) % 8192.0
        )
        self.assertCaught("test_7_moreSupplyLowersNobody", cases=properties.growths)


class TurnMutations(SynchronousTestCase):
    """Errors in who has to make room for whom, and when."""

    def assertCaught(self, *names: str) -> None:
        """Each of the tests of these names fails."""
        for name in names:
            self.assertRaises(self.failureException, getattr(turns.TurnTests(name), name))

    def test_rotationNever(self) -> None:
        self.patch(restraints.Turns, "yields", lambda self, now: False)
        self.assertCaught(
            "test_9_twoAlone", "test_9_whoNeedsTwoPlacesGetsThemThoughTheyComeFreeApart"
        )

    def test_nobodyWaits(self) -> None:
        self.patch(restraints.Turns, "waited", lambda self, now: 0.0)
        self.assertCaught("test_9_twoAlone")

    def test_dwellIgnored(self) -> None:
        self.patch(restraints, "DWELL_SECONDS", 0.0)
        self.assertCaught("test_9_twoAlone")

    def test_theWaitForgottenBeforeThePlaceIsFree(self) -> None:
        taken = restraints.Turns.taken

        def forgetful(
            self: restraints.Turns, served: bool, admitted: bool, blocked: bool, now: float
        ) -> None:
            taken(self, served, False, blocked, now)

        self.patch(restraints.Turns, "taken", forgetful)
        self.assertCaught("test_9_twoAlone")

    def test_placesGivenAwayOneByOne(self) -> None:
        self.patch(allocation, "_later", allocation._turn)
        self.assertCaught("test_9_whoNeedsTwoPlacesGetsThemThoughTheyComeFreeApart")


def house() -> World:
    """A source, and two sinks that want more than it has."""
    world = World()
    settings = PortSettings(side="D", kind="DC", voltage=WINDOW)
    world.plug(Device("sun", offer_w=4000.0), settings)
    world.plug(Device("car", wish_w=3000.0), settings)
    world.plug(Device("pump", wish_w=3000.0), settings)
    world.run(3.0)
    return world


class HistoryMutations(SynchronousTestCase):
    """Errors in what happens over time, put into one short history."""

    def history(self) -> None:
        world = house()
        world.wires["car"].lag = 0.2
        world.devices["car"].wish_w = 500.0
        world.run(1.0)
        world.devices["sun"].offer_w = 5000.0
        world.devices["car"].wish_w = 3000.0
        world.run(3.0)
        world.devices["sun"].silent = world.clock.seconds() + 1.0
        world.run(2.0)

    def test_nothingIsCaughtWithoutAnError(self) -> None:
        self.history()

    def test_staleLeaseHonoured(self) -> None:
        def stale(port: ports.Port) -> bounds.Bound:
            assert port.link is not None
            supply = port.link.latest(SupplyParameters)
            assert supply is None or isinstance(supply, SupplyParameters)
            return bounds.importBound(port.standing, supply, 400.0)

        def staleToo(port: ports.Port) -> bounds.Bound:
            assert port.link is not None
            demand = port.link.latest(DemandParameters)
            assert demand is None or isinstance(demand, DemandParameters)
            return bounds.exportBound(port.standing, demand, 400.0)

        self.patch(ports.Port, "_importBound", stale)
        self.patch(ports.Port, "_exportBound", staleToo)
        self.assertRaises(AssertionError, self.history)

    def test_unconfirmedSupplyUsed(self) -> None:
        self.patch(ports.Requests, "confirmed", lambda self, arrived: 1e9)
        self.assertRaises(AssertionError, self.history)

    def test_oldGrantsForgotten(self) -> None:
        self.patch(ports.Draw, "most", lambda self, granted, metered, now: granted)
        self.assertRaises(AssertionError, self.history)

    def test_sourcesNotDispatchedAnew(self) -> None:
        dispatch = planning._dispatch

        def undispatched(*args: Any) -> Any:
            dispatch(*args)
            return args[2].sources

        self.patch(planning, "_dispatch", undispatched)
        self.assertRaises(AssertionError, self.history)
