"""Looking at a session only when it says so is the same as looking every time."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.lifecycle import Effect
from epnet.limits import SessionSettings
from epnet.session import Session
from epnet.wire import Message, Ping, SessionParameters, SoftDisconnect, encode
from tests.test_session import DEMAND, GARBAGE, SUPPLY, believe

SWEEP = 0.02

Input = Callable[[Session, float], list[Effect]]


def hear(*messages: Message) -> Input:
    data = b"".join(map(encode, messages))
    return lambda session, now: session.dataReceived(data, now)


INPUTS: dict[str, Input] = {
    "greeting": hear(SessionParameters(identity="them")),
    "ping": hear(Ping()),
    "messages": hear(SUPPLY, DEMAND),
    "many": hear(*[SUPPLY] * 150),
    "goodbye": hear(SoftDisconnect(reason="bye")),
    "garbage": lambda session, now: session.dataReceived(GARBAGE, now),
    "transfer": lambda session, now: session.setTransferring(True, now),
    "no transfer": lambda session, now: session.setTransferring(False, now),
    "publish": lambda session, now: session.publish([SUPPLY], now),
    "leave": lambda session, now: session.leave("enough", None, now),
}
STEPS = st.lists(st.one_of(st.sampled_from(list(INPUTS)), st.integers(1, 200)), max_size=30)
"""Inputs, and how many sweeps there are in between."""


class House:
    """A session and whoever sweeps it."""

    def __init__(self, settings: SessionSettings, *, lazy: bool) -> None:
        self.session = Session(SessionParameters(identity="us"), believe, 0.0, settings)
        self.effects: list[tuple[float, Effect]] = []
        self.looks = 0
        self._lazy = lazy

    def take(self, now: float, effects: list[Effect]) -> None:
        self.effects += [(now, effect) for effect in effects]

    def sweep(self, now: float) -> None:
        if not self._lazy:
            self.session._endsAt = -inf  # no short cut either
        if not self._lazy or self.session.wakeAt <= now:
            self.looks += 1
            self.take(now, self.session.advance(now))
        if (not self._lazy or self.session.wakeAt <= now) and self.session.publishDue(now):
            self.take(now, self.session.publish([DEMAND], now))


class RestTests(SynchronousTestCase):
    def live(self, steps: list[str | int], settings: SessionSettings, *, lazy: bool) -> House:
        house = House(settings, lazy=lazy)
        house.take(0.0, house.session.secured(0.0))
        now = 0.0
        for step in steps:
            if isinstance(step, str):
                # Whoever reads a clock of its own is later than the sweep.
                house.take(now + 0.001, INPUTS[step](house.session, now + 0.001))
                continue
            for _ in range(step):
                now += SWEEP
                house.sweep(now)
        return house

    @given(STEPS, st.sampled_from([0.01, 0.1, 0.13, 0.5]), st.sampled_from([0.03, 0.1]))
    @example(["many", 50] * 8, 0.1, 0.1)
    @example(["transfer", 5, "no transfer", 200], 0.5, 0.1)
    def test_theSameEffectsAtTheSameTimes(
        self, steps: list[str | int], publish: float, keepAlive: float
    ) -> None:
        settings = SessionSettings(publish=publish, keepAlive=keepAlive)
        for story in (steps, ["greeting", *steps]):
            every = self.live(story, settings, lazy=False)
            lazy = self.live(story, settings, lazy=True)
            self.assertEqual(lazy.effects, every.effects)

    def test_anOpenSessionIsLeftAloneMostOfTheTime(self) -> None:
        house = self.live(["greeting", *[5, "ping"] * 100], SessionSettings(), lazy=True)
        self.assertLess(house.looks, 150)
