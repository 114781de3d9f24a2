"""Two connections with one peer, in every order of what happens at both ends.

Exhaustive to a bound: all orders and distances, on a coarse grid of times, in which the Session
Parameters of two or three connections can arrive at the two ends, whoever dialled them, with and
without an old connection that one end has forgotten, with and without the rule at the peer.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from epnet import duplicates
from epnet.duplicates import Register
from epnet.protocol import EPProtocol
from tests.crossing import SIDES, Broken, Cable, Restart, World

GRID = (0.0, 0.05, 0.25, 0.45, 1.1)
"""Around the frame period of 100 ms, the term of 300 ms, and far apart."""
COARSE = (0.0, 0.12, 0.45)
WITHIN = 2.5
"""It has to be done within 3 s, even where silence would end a half-open connection only then."""


def twoLive() -> Iterator[World]:
    """Two connections, all orders."""
    for first, second in product(SIDES, repeat=2):
        for a1, b1, a2, b2 in product(GRID, repeat=4):
            yield World([Cable(first, a1, b1), Cable(second, a2, b2)])


def threeLive() -> Iterator[World]:
    """Three connections, all orders on a coarser grid."""
    for diallers in product(SIDES, repeat=3):
        for times in product(COARSE, repeat=6):
            yield World([Cable(d, times[2 * i], times[2 * i + 1]) for i, d in enumerate(diallers)])


def forgotten() -> Iterator[World]:
    """One end restarts and forgets a connection that looks alive from the other one; then come one
    or two more."""
    for old, restarted, second, third in product(SIDES, repeat=4):
        for silentFor in (0.0, 0.15, 1.0):
            half = Cable(old, *((None, 0.0) if restarted == "alpha" else (0.0, None)))
            for a2, b2 in product(GRID, repeat=2):
                yield World([half, Cable(second, silentFor + a2, silentFor + b2)])
            for a2, b2, a3, b3 in product(COARSE, repeat=4):
                yield World(
                    [
                        half,
                        Cable(second, silentFor + a2, silentFor + b2),
                        Cable(third, silentFor + a3, silentFor + b3),
                    ]
                )


def restarts() -> Iterator[World]:
    """Two connections, all orders; in the midst of it one end restarts, and there is a third."""
    for first, second, third, restarted in product(SIDES, repeat=4):
        for when, later in product((0.1, 0.5), (0.01, 0.2)):
            for a1, b1, a2, b2 in product(COARSE, repeat=4):
                cables = [Cable(first, a1, b1), Cable(second, a2, b2)]
                # What arrives at the end that has restarted is of before: nobody is there for it.
                if max(a1, b1, a2, b2) < when:
                    cables.append(Cable(third, when + later, when + 0.1))
                    yield World(cables, restart=Restart(restarted, when))


def withoutTheRule() -> Iterator[World]:
    """The same two connections, with a peer that takes all and closes none."""
    for rules in ((True, False), (False, True)):
        for first, second in product(SIDES, repeat=2):
            for a1, b1, a2, b2 in product((*COARSE, 1.1), repeat=4):
                yield World([Cable(first, a1, b1), Cable(second, a2, b2)], rules=rules)


def tryAll(worlds: Iterator[World]) -> int:
    """Run them all; how many there were.  Raises `Broken` at the first that breaks the rule."""
    tried = 0
    for world in worlds:
        world.run(WITHIN)
        tried += 1
    return tried


class InterleavingTests(SynchronousTestCase):
    """Exactly one connection within 3 s; never none for longer; a live one is never replaced."""

    def test_S9_twoConnections(self) -> None:
        self.assertEqual(tryAll(twoLive()), 4 * 5**4)

    def test_S9_threeConnections(self) -> None:
        self.assertEqual(tryAll(threeLive()), 8 * 3**6)

    def test_S9_aRestartWithTheOldConnectionHalfOpen(self) -> None:
        self.assertEqual(tryAll(forgotten()), 16 * 3 * (5**2 + 3**4))

    def test_S9_aRestartInTheMidst(self) -> None:
        self.assertEqual(tryAll(restarts()), 16 * 2 * (1 + 3**4))

    def test_S9_aPeerWithoutTheRule(self) -> None:
        self.assertEqual(tryAll(withoutTheRule()), 2 * 4 * 4**4)


class BrokenRuleTests(SynchronousTestCase):
    """What the tests above are worth: each way to break the rule is found by one of them."""

    def assertFound(self, name: str, value: object, where: object = duplicates) -> None:
        self.patch(where, name, value)
        for worlds in (twoLive, forgotten, threeLive, withoutTheRule):
            try:
                tryAll(worlds())
            except Broken:
                return
        self.fail(f"nobody minds {name} = {value}")

    def test_bothDecide(self) -> None:
        self.assertFound("decides", lambda *_: True)

    def test_nobodyDecides(self) -> None:
        self.assertFound("decides", lambda *_: False)

    def test_theListenerNeverDecides(self) -> None:
        self.assertFound("decides", lambda ours, theirs, dialled: dialled == (True, True))

    def test_theDeciderWaitsForNothing(self) -> None:
        self.assertFound("TERM_SECONDS", 0.0)

    def test_theDeciderWaitsForEver(self) -> None:
        self.assertFound("TERM_SECONDS", 10.0)

    def test_theOtherEndWaitsForNothing(self) -> None:
        self.assertFound("PATIENCE_SECONDS", 0.0)

    def test_theOtherEndWaitsForEver(self) -> None:
        self.assertFound("PATIENCE_SECONDS", 10.0)

    def test_theOtherEndKeepsWhatIsQuiet(self) -> None:
        self.assertFound("QUIET_SECONDS", 10.0)

    def test_theNewcomerAlwaysWins(self) -> None:
        self.assertFound("wins", lambda *_: True, duplicates._Newcomer)

    def test_theNewcomerNeverWins(self) -> None:
        self.assertFound("wins", lambda *_: False, duplicates._Newcomer)

    def test_nobodyTakesThePlaceOfTheLost(self) -> None:
        self.assertFound("_promote", lambda *_: None, Register)

    def test_allAreAnnounced(self) -> None:
        def announce(register: Register, protocol: EPProtocol, now: float) -> None:
            protocol.announce()

        self.assertFound("opened", announce, Register)
