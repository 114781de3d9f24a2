"""Work in turns: in order, little at a time, whatever happens in one job."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epnet.turns import PART, TURN_SECONDS, Turns
from tests.fakes import Reactor


class Work:
    """A job that takes a while."""

    def __init__(self, name: str, reactor: Reactor, done: list[str], takes: float = 0.0) -> None:
        self.then: Callable[[], object] = lambda: None
        self._name = name
        self._reactor = reactor
        self._done = done
        self._takes = takes

    def proceed(self) -> None:
        self._reactor.now += self._takes
        self._done.append(self._name)
        self.then()

    def giveUp(self) -> None:
        self._done.append(f"{self._name} given up")


class TurnsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        self.turns = Turns(self.reactor, most=3)  # type: ignore[arg-type]
        self.done: list[str] = []

    def queue(self, names: str, takes: float = 0.0) -> list[Work]:
        work = [Work(name, self.reactor, self.done, takes) for name in names]
        for each in work:
            self.turns.queue(each)
        return work

    def test_nothingAtOnceAndThenSoManyATurnInOrder(self) -> None:
        self.queue("abcdefgh")
        for expected in ("", "abc", "abcdef", "abcdefgh"):
            self.assertEqual("".join(self.done), expected)
            self.reactor.turn()
        self.assertEqual(self.reactor.calls, [])

    def test_fewerWhereTheyTakeLong(self) -> None:
        self.queue("abc", TURN_SECONDS * 0.6)
        self.reactor.turn()
        self.assertEqual(self.done, ["a", "b"])
        self.assertEqual(len(self.turns), 1)

    def test_atLeastOneHoweverLongItTakes(self) -> None:
        self.queue("abc", TURN_SECONDS * 10)
        self.reactor.turn()
        self.assertEqual(self.done, ["a"])

    def test_aPartOfTheTimeHoweverLongTheOthersTake(self) -> None:
        job = TURN_SECONDS * 0.9
        self.turns.most = 100
        self.queue(["job"] * 100, job)
        others = 200 * job
        while self.turns and self.reactor.now < 10:
            self.reactor.now += others
            self.reactor.turn()
        turns = round((self.reactor.now - 100 * job) / others)
        self.assertEqual(turns, 100 / (PART * 200))

    def test_orNoPartOfIt(self) -> None:
        job = TURN_SECONDS * 0.9
        self.turns = Turns(self.reactor, most=100, part=0.0)  # type: ignore[arg-type]
        self.queue(["job"] * 10, job)
        self.reactor.now += 1000 * job
        self.reactor.turn()
        self.assertEqual(len(self.done), 2)

    def test_whatWaitsForNobodyGetsNoMore(self) -> None:
        self.reactor.now = 1000.0
        self.queue("abc", TURN_SECONDS * 0.6)
        self.reactor.turn()
        self.assertEqual(self.done, ["a", "b"])

    def test_whoIsQueuedTwiceHasOneTurn(self) -> None:
        [a, _] = self.queue("ab")
        self.turns.queue(a)
        self.reactor.turn()
        self.assertEqual(self.done, ["a", "b"])

    def test_whoHasMoreToDoWaitsBehindTheOthers(self) -> None:
        [a, *_] = self.queue("abcd")
        a.then = lambda: self.turns.queue(a)
        self.reactor.turn()
        self.reactor.turn()
        self.assertEqual(self.done, ["a", "b", "c", "d", "a"])

    def test_whoIsForgottenHasNone(self) -> None:
        [a, b, c] = self.queue("abc")
        self.turns.forget(a)
        b.then = lambda: self.turns.forget(c)
        self.reactor.turn()
        self.assertEqual(self.done, ["b"])

    def test_anErrorOfOursConcernsOneJob(self) -> None:
        [a, _] = self.queue("ab")
        a.then = lambda: 1 / 0
        self.reactor.turn()
        self.assertEqual(self.done, ["a", "a given up", "b"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_norDoesOneInGivingItUp(self) -> None:
        [a, _] = self.queue("ab")
        a.then = a.giveUp = lambda: 1 / 0  # type: ignore[method-assign]
        self.reactor.turn()
        self.assertEqual(self.done, ["a", "b"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.queue("c")
        self.reactor.turn()
        self.assertEqual(self.done, ["a", "b", "c"])

    def test_oneIsDoneAtOnceAndNoOtherInTheSamePause(self) -> None:
        self.assertTrue(self.turns.spare() and self.turns.spare())
        clock = Clock()
        self.turns = Turns(clock, most=3, pause=1.0)
        self.assertTrue(self.turns.spare())
        self.assertFalse(self.turns.spare())
        self.queue("a")
        clock.advance(0.9)
        self.assertEqual((self.done, self.turns.spare()), ([], False))
        clock.advance(0.1)
        self.assertEqual((self.done, self.turns.spare()), (["a"], False))
        clock.advance(1.0)
        self.assertEqual(clock.getDelayedCalls(), [])
        self.assertTrue(self.turns.spare())

    def test_nothingIsDoneInAPauseHoweverLittleThereIsToDo(self) -> None:
        clock = Clock()
        self.turns = Turns(clock, most=3, pause=1.0)
        self.queue("a")
        clock.advance(0)
        self.queue("b")
        clock.advance(0.9)
        self.assertEqual(self.done, ["a"])
        clock.advance(0.1)
        self.assertEqual(self.done, ["a", "b"])
        clock.advance(1.0)
        self.assertEqual(clock.getDelayedCalls(), [])
