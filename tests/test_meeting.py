"""Two whole devices, whatever both of them do and whatever happens to them: one connection stays.

`tests.test_interleavings` tries every order with the ends modelled; here the ends are real, and the
schedules are drawn.
"""

from __future__ import annotations

from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet import duplicates
from epnet.duplicates import Register
from epnet.protocol import EPProtocol
from epnet.testing import issueTrusts
from epnet.tls import Trust
from tests.meeting import SIDES, Broken, Event, Network, Schedule

TRUSTS: dict[str, Trust] = {}
"""Made once for the module: making keys takes longer than the tests."""

HORIZON = 20.0
"""The longest wait that may come after the last event: for a handshake that nobody answers (S4)."""


def any_(starts: tuple[float | None, float | None]) -> bool:
    """Whether anybody dials."""
    return starts != (None, None)


def times(most: float) -> st.SearchStrategy[float]:
    """To the hundredth of a second."""
    return st.integers(0, round(most * 100)).map(lambda hundredths: hundredths / 100)


STARTS = st.tuples(st.none() | times(0.6), st.none() | times(0.6)).filter(any_)
EVENTS = st.builds(
    Event,
    at=times(3.0),
    side=st.sampled_from(SIDES),
    what=st.sampled_from(("dial", "vanish", "crash", "stall")),
    lasts=st.sampled_from((0.0, 0.05, 0.2, 0.4, 1.0)),
)
LATENCIES = st.lists(st.sampled_from((0.001, 0.02, 0.05, 0.15)), min_size=1, max_size=8)
SCHEDULES = st.builds(
    Schedule,
    starts=STARTS,
    events=st.lists(EVENTS, max_size=3).map(tuple),
    named=st.booleans(),
    latencies=LATENCIES.map(tuple),
    transfer=st.booleans(),
    lawful=st.sampled_from((True, True, True, False)),
)
WAITING_ON = Schedule(
    (0.0, 0.0),
    (
        Event(0.89, "beta", "dial"),
        Event(1.42, "beta", "vanish", 0.05),
        Event(1.97, "alpha", "dial"),
    ),
    named=False,
    latencies=(0.05, 0.15, 0.001, 0.001, 0.15, 0.001, 0.02),
    lawful=False,
)
"""A newcomer that has waited for a peer without the rule, and outlives what it was held against."""
DIALLED_TWICE = Schedule((0.0, None), (Event(1.0, "alpha", "dial"),))
BOTH_DIAL = Schedule((0.0, 0.0))
SILENT_RESTART = Schedule((None, 0.0), (Event(1.0, "beta", "vanish", 0.2),), transfer=False)


def tryOut(schedule: Schedule) -> None:
    """Let it happen until one connection stands; raises `Broken` if the rule does not hold."""
    if not TRUSTS:
        TRUSTS.update(issueTrusts(Path("trusts").absolute(), *SIDES))
    network = Network(schedule, TRUSTS)
    network.run(max([event.at + event.lasts for event in schedule.events], default=0.0) + 0.5)
    while not network.settled and network.now < HORIZON:
        network.run(0.5)
    network.run(1.0)
    network.checkTheEnd()
    network.checkNothingIsLeft()


class MeetingTests(SynchronousTestCase):
    """Exactly one connection within 3 s; never none for longer; a live one is never replaced."""

    @settings(max_examples=100, deadline=None)
    @given(SCHEDULES)
    @example(WAITING_ON)
    def test_S9_whateverHappens(self, schedule: Schedule) -> None:
        tryOut(schedule)


class BrokenRuleTests(SynchronousTestCase):
    """What the test above is worth: it finds a broken rule, though diallers heal much."""

    def assertFound(
        self, schedule: Schedule, name: str, value: object, where: object = duplicates
    ) -> None:
        """A schedule goes well with the rule, and not without a part of it."""
        tryOut(schedule)
        self.patch(where, name, value)
        self.assertRaises(Broken, tryOut, schedule)

    def test_theDeciderWaitsForNothing(self) -> None:
        self.assertFound(DIALLED_TWICE, "TERM_SECONDS", 0.0)

    def test_theNewcomerAlwaysWins(self) -> None:
        self.assertFound(DIALLED_TWICE, "wins", lambda *_: True, duplicates._Newcomer)

    def test_nobodyTakesThePlaceOfTheLost(self) -> None:
        self.assertFound(SILENT_RESTART, "_promote", lambda *_: None, Register)

    def test_allAreAnnounced(self) -> None:
        def announce(register: Register, protocol: EPProtocol, now: float) -> None:
            protocol.announce()

        self.assertFound(BOTH_DIAL, "opened", announce, Register)
