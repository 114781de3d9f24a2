"""Invariants 1, 2 and 8 over random histories in which converters fail and time never stands still.

A clock that moves whenever it is read is what a real one is: whatever was begun at a time finds
later ones in all that follows.
"""

from __future__ import annotations

from math import inf, nan
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epnet.identity import Peer
from epnet.interfaces import PortReading
from epnet.router.drivers import GuardedConverter
from epnet.router.ports import Port
from tests.router.histories import STEP, Wire, World
from tests.router.test_histories import (
    HISTORIES,
    NAMES,
    Happening,
    happen,
    happenings,
    houses,
)

MOMENT = 5e-6
"""How long it takes to read the clock, s."""


class MovingClock(Clock):
    """One that nobody reads twice at the same time."""

    def seconds(self) -> float:
        self.rightNow += MOMENT
        return super().seconds()


class Failing:
    """The wire of a converter that fails.

    left: by method, how often it still fails.
    reads: what its meter shows instead of what there is, or None.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.left: dict[str, float] = {}
        self.reads: PortReading | None = None

    def __getattr__(self, name: str) -> Any:
        if self.left.get(name, 0) > 0:
            self.left[name] -= 1
            return self._fail
        if name == "reading" and self.reads is not None:
            return lambda: self.reads
        return getattr(self.wire, name)

    def _fail(self, *args: object) -> None:
        raise OSError("timeout")


class FailingWorld(World):
    """A router all of whose converters may fail, by a clock that moves."""

    makeClock = MovingClock

    def __init__(self) -> None:
        self.failing: dict[str, Failing] = {}
        super().__init__()

    def _makePort(self, peer: Peer) -> Port:
        port = super()._makePort(peer)
        wire = self.failing[peer.identity] = Failing(self.wires[peer.identity])
        guard = GuardedConverter(wire, peer.identity, self.clock)  # type: ignore[arg-type]
        guard.failed = port.converterFailed
        port.converter = guard  # type: ignore[assignment]
        return port

    def breaks(self, breakage: Breakage) -> None:
        """A converter fails from now on, and none of what it failed in before."""
        if breakage.whom in self.failing:
            self.failing[breakage.whom].left = {breakage.what: breakage.times}
            self.failing[breakage.whom].reads = breakage.reads

    def mend(self) -> None:
        """No converter fails any more."""
        for failing in self.failing.values():
            failing.left.clear()

    def checkBroken(self) -> None:
        """Nothing flows where limits or meters fail for good."""
        for name, failing in self.failing.items():
            forGood = inf in (failing.left.get("setLimits"), failing.left.get("reading"))
            assert not (forGood and self.router.ports[name].busy), f"{name} fails, and is used"


@attrs.frozen
class Breakage:
    """A converter breaks, mostly not for good: whose, what of it, how often, how its meter lies."""

    whom: str
    what: str
    times: float
    reads: PortReading | None
    steps: int


LIES = (PortReading(nan, 0, 0), PortReading(400, nan, 0), PortReading(400, 0, -9))

breakages = st.builds(
    Breakage,
    st.sampled_from(NAMES),
    st.sampled_from(["setLimits", "close", "open", "reading"]),
    st.sampled_from([1, 1, 2, 5, inf]),
    st.sampled_from(
        [
            None,
            None,
            None,
            PortReading(nan, 0, 0),
            PortReading(400, nan, 0),
            PortReading(400, 0, -9),
        ]
    ),
    st.integers(1, 30),
)


class FailingTests(SynchronousTestCase):
    @HISTORIES
    @given(
        houses(FailingWorld), st.lists(st.one_of(happenings, breakages), min_size=6, max_size=25)
    )
    def test_1_2_8_whateverFails(
        self, world: FailingWorld, events: list[Happening | Breakage]
    ) -> None:
        for event in events:
            if isinstance(event, Happening):
                happen(world, event)
            else:
                world.breaks(event)
            for _ in range(event.steps):
                world.step()
                world.checkBroken()
        world.mend()
        world.run(4 * STEP)
        for name, failing in world.failing.items():
            if not world.router.ports[name]._closed:
                self.assertFalse(failing.wire.isClosed, f"{name} was told to open")
        for failure in self.flushLoggedErrors():
            self.assertIsNotNone(failure.check(OSError, ValueError), failure)
