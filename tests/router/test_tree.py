"""Who hangs on whom: the rule alone, between routers that only tell each other their routes."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import count

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.router.tree import (
    HOLD_SECONDS,
    LOST,
    MAX_DEPTH,
    RING,
    ROOT,
    Link,
    Route,
    Tree,
    routeFrom,
    routeOfStranger,
)
from epnet.wire import RouterPath

STEP = 0.02
EVERY = 0.1
SLOWEST = 0.21
"""The longest way of a message, s; with a step at each end it is what the rule allows for a hop."""


class Net:
    """Routers that tell each other their routes, some later than others.

    upstreams: by identity, those above it, the most preferred first.
    random: chooses how long each message takes.
    """

    def __init__(self, upstreams: Mapping[str, Sequence[str]], seed: int = 0) -> None:
        self.now = 100.0
        self.upstreams = upstreams
        self.random = random.Random(seed)
        self.trees = {name: Tree(name) for name in upstreams}
        self.down: set[frozenset[str]] = set()
        self.lossy = self.fastest = 0.0
        self.changes = dict.fromkeys(upstreams, 0)
        self._order = count()
        self._under_way: list[tuple[float, int, str, str, Route, int]] = []
        self._session: dict[frozenset[str], int] = {}
        self._said: dict[str, float] = {}

    def links(self) -> list[frozenset[str]]:
        every = {frozenset((low, up)) for low, ups in self.upstreams.items() for up in ups}
        return sorted(every, key=sorted)

    def cut(self, link: frozenset[str]) -> None:
        """A connection breaks, and both ends notice."""
        self.down.add(link)
        self._session[link] = self._session.get(link, 0) + 1
        one, other = sorted(link)
        self.trees[one].gone(other)
        self.trees[other].gone(one)

    def mend(self, link: frozenset[str]) -> None:
        self.down.discard(link)

    def isUp(self, one: str, other: str) -> bool:
        return frozenset((one, other)) not in self.down

    def restart(self, name: str) -> None:
        for link in self.links():
            if name in link and link not in self.down:
                self.cut(link)
                self.mend(link)
        self.trees[name] = Tree(name)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP)):
            self.step()

    def rest(self) -> None:
        """Let 2 s pass without a change: now and then somebody goes back to who is preferred."""
        for _ in range(8):
            before = sum(self.changes.values())
            self.run(2.0)
            if sum(self.changes.values()) == before:
                return

    def step(self) -> None:
        self.now += STEP
        while self._under_way and self._under_way[0][0] <= self.now:
            _, _, sender, receiver, route, session = heappop(self._under_way)
            link = frozenset((sender, receiver))
            if self._session.get(link, 0) == session and link not in self.down:
                self.trees[receiver].heard(sender, route, self.now)
        for name, tree in self.trees.items():
            upstreams = [up for up in self.upstreams[name] if self.isUp(name, up)]
            parent = tree.parent
            rooted = not self.upstreams[name]
            changed = tree.settle(upstreams, self.now, quiet=True, rooted=rooted)
            self.changes[name] += tree.parent != parent
            if changed or self.now - self._said.get(name, 0.0) >= EVERY - 1e-9:
                self._said[name] = self.now
                self._tell(name)

    def _tell(self, name: str) -> None:
        for other in self.trees:
            link = frozenset((name, other))
            if other != name and link not in self.down and link in self.links():
                if self.random.random() < self.lossy:
                    continue
                at = self.now + self.random.uniform(self.fastest, SLOWEST)
                # On one connection nothing overtakes.
                last = [when for when, _, s, r, _, _ in self._under_way if (s, r) == (name, other)]
                session = self._session.get(link, 0)
                item = (max([at, *last]), next(self._order), name, other)
                heappush(self._under_way, (*item, self.trees[name].route, session))

    # What must hold

    def carrying(self) -> dict[str, str]:
        """By router, the parent over whose link it may take power now."""
        found = {}
        for name, tree in self.trees.items():
            if tree.parent is not None and tree.link(tree.parent, self.now) is Link.UP:
                found[name] = tree.parent
        return found

    def circle(self, parents: Mapping[str, str]) -> list[str] | None:
        for name in parents:
            seen = [name]
            while seen[-1] in parents and parents[seen[-1]] not in seen:
                seen.append(parents[seen[-1]])
            if seen[-1] in parents:
                return seen
        return None

    def parents(self) -> dict[str, str]:
        return {name: tree.parent for name, tree in self.trees.items() if tree.parent is not None}

    def checkForest(self) -> None:
        """Every route is what its parent's makes of it, and no better one was to be had."""
        parents = self.parents()
        assert self.circle(parents) is None, parents
        for name, tree in self.trees.items():
            way = [name]
            while way[-1] in parents:
                way.append(parents[way[-1]])
            assert tree.route.path == tuple(way), (tree.route, way)
            assert tree.route.rank == self.trees[way[-1]].route.rank, (name, tree.route)
        for name, tree in self.trees.items():
            if self.reaches(name):
                assert tree.route.rank == ROOT, (name, tree.route)

    def reaches(self, name: str) -> bool:
        """Whether a router could get to one without upstreams."""
        seen, todo = {name}, [name]
        while todo:
            here = todo.pop()
            if not self.upstreams[here]:
                return True
            for up in self.upstreams[here]:
                if up not in seen and self.isUp(here, up):
                    seen.add(up)
                    todo.append(up)
        return False


NAMES = "abcdefg"
Happening = tuple[str, int, float]
"""What, to which link or router, and how long until the next, s."""


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Routers with upstreams among each other: trees, meshes, rings, and contradictions."""
    names = NAMES[: draw(st.integers(2, len(NAMES)))]
    return {
        name: draw(
            st.lists(st.sampled_from([o for o in names if o != name]), max_size=3, unique=True)
        )
        for name in names
    }


events = st.lists(
    st.tuples(
        st.sampled_from(["cut", "mend", "restart"]),
        st.integers(0, 20),
        st.floats(0.0, 1.5),
    ),
    max_size=8,
)
slowly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def happens(net: Net, what: Iterable[Happening]) -> Iterable[None]:
    """Let it happen, and stop after each step."""
    for kind, which, seconds in what:
        links = net.links()
        if links and kind == "cut":
            net.cut(links[which % len(links)])
        elif links and kind == "mend":
            net.mend(links[which % len(links)])
        elif kind == "restart":
            net.restart(sorted(net.trees)[which % len(net.trees)])
        for _ in range(round(seconds / STEP)):
            net.step()
            yield


class PropertyTests(SynchronousTestCase):
    @settings(slowly, max_examples=150)
    @given(graphs(), events, st.integers(0, 1000))
    def test_neverACircleOfLinksThatCarry(
        self, graph: dict[str, list[str]], what: list[Happening], seed: int
    ) -> None:
        net = Net(graph, seed)
        for _ in happens(net, [*what, ("nothing", 0, 6.0)]):
            self.assertIsNone(net.circle(net.carrying()))
        net.rest()
        net.checkForest()

    @settings(slowly, max_examples=40)
    @given(graphs(), events, st.integers(0, 1000), st.floats(0.0, 0.3))
    @example(
        {
            "a": ["c", "b", "d"],
            "b": ["a", "c"],
            "c": ["a", "b"],
            "d": ["a", "b"],
            "e": ["f", "g"],
            "f": ["a"],
            "g": ["f", "c", "a"],
        },
        [("mend", 0, 1.25), ("cut", 1, 0.875), ("cut", 1, 0.875), ("restart", 0, 1.25)],
        192,
        0.0,
    )
    def test_itSettlesAfterANetworkThatLoses(
        self, graph: dict[str, list[str]], what: list[Happening], seed: int, lossy: float
    ) -> None:
        net = Net(graph, seed)
        net.lossy = lossy
        for _ in happens(net, what):
            pass
        net.lossy = 0.0
        net.run(6.0)
        net.rest()
        net.checkForest()
        before = sum(net.changes.values())
        net.run(24.0)
        net.rest()
        net.checkForest()
        # Each goes back to a preferred one once at most, and back from that if it cannot be.
        self.assertLessEqual(sum(net.changes.values()) - before, 2 * len(graph))

    @settings(slowly, max_examples=20)
    @given(st.integers(1, MAX_DEPTH - 2), st.integers(0, 1000))
    def test_whereTwoHalvesOfARingTakeEachOtherAtOnce(self, half: int, seed: int) -> None:
        """The news of it goes round half of it, or until a way is too long."""
        ring = [f"r{i:02}" for i in range(2 * half)]
        graph: dict[str, list[str]] = {
            each: [ring[(i + 1) % len(ring)]] for i, each in enumerate(ring)
        }
        graph |= {"east": [], "west": []}
        graph[ring[0]].insert(0, "east")
        graph[ring[half]].insert(0, "west")
        net = Net(graph, seed)
        net.fastest = SLOWEST
        net.run(4.0)
        self.assertEqual(net.carrying()[ring[0]], "east")
        net.cut(frozenset((ring[0], "east")))
        net.cut(frozenset((ring[half], "west")))
        circles = 0
        for _ in range(round(6.0 / STEP)):
            net.step()
            circles += net.circle(net.parents()) is not None
            self.assertIsNone(net.circle(net.carrying()))
        self.assertGreater(circles, 0, "no circle came about, so nothing was tested")


class ChoiceTests(SynchronousTestCase):
    """One router, whose neighbours the test plays."""

    def setUp(self) -> None:
        self.tree = Tree("me")
        self.now = 50.0
        self.order = ["first", "second"]
        self.says: dict[str, Route] = {}

    def wait(self, seconds: float, *, quiet: bool = False) -> None:
        for _ in range(round(seconds / EVERY)):
            self.now += EVERY
            for name, route in self.says.items():
                self.tree.heard(name, route, self.now)
            self.tree.settle(self.order, self.now, quiet=quiet, rooted=not self.order)

    def link(self, name: str) -> Link:
        return self.tree.link(name, self.now)

    def test_withoutUpstreamsItIsARootOfRank0(self) -> None:
        self.order = []
        self.wait(0.1)
        self.assertEqual(self.tree.route, Route(ROOT, ("me",)))

    def test_withNoneAliveItIsARootOfRank1(self) -> None:
        self.wait(0.1)
        self.assertEqual(self.tree.route, Route(LOST, ("me",)))

    def test_whereAllLeadBackItIsARootOfRank2(self) -> None:
        self.says = {"first": Route(LOST, ("first", "me"))}
        self.wait(0.1)
        self.assertEqual(self.tree.route, Route(RING, ("me",)))

    def test_theFirstOfEquals(self) -> None:
        self.says = {name: Route(ROOT, (name,)) for name in ("second", "first")}
        self.wait(0.1)
        self.assertEqual(self.tree.route, Route(ROOT, ("me", "first")))

    def test_aBetterRootComesFirst(self) -> None:
        self.says = {"first": Route(LOST, ("first",)), "second": Route(ROOT, ("second",))}
        self.wait(0.1)
        self.assertEqual(self.tree.parent, "second")

    def test_aNewLinkCarriesNothingForASecond(self) -> None:
        self.says = {"first": Route(ROOT, ("first",))}
        self.wait(0.1)
        self.wait(HOLD_SECONDS - 0.1)
        self.assertIs(self.link("first"), Link.HELD)
        self.wait(0.1)
        self.assertIs(self.link("first"), Link.UP)

    def test_thatSecondBeginsAnewWhenTheWayChanges(self) -> None:
        self.says = {"first": Route(ROOT, ("first", "x"))}
        self.wait(0.9)
        self.says = {"first": Route(ROOT, ("first", "y"))}
        self.wait(1.0)
        self.assertIs(self.link("first"), Link.HELD)
        self.wait(0.1)
        self.assertIs(self.link("first"), Link.UP)
        self.says = {"first": Route(ROOT, ("first", "z"))}
        self.wait(0.1)
        self.assertIs(self.link("first"), Link.UP)

    def test_anotherTakesOverAtOnceAndCarriesASecondLater(self) -> None:
        self.says = {name: Route(ROOT, (name,)) for name in self.order}
        self.wait(2.0)
        self.assertIs(self.link("second"), Link.STANDBY)
        del self.says["first"]
        self.tree.gone("first")
        self.wait(0.1)
        self.assertIs(self.link("second"), Link.HELD)
        self.wait(HOLD_SECONDS)
        self.assertIs(self.link("second"), Link.UP)

    def test_aSilentOneIsNoWay(self) -> None:
        self.says = {name: Route(ROOT, (name,)) for name in self.order}
        self.wait(2.0)
        del self.says["first"]
        self.wait(0.4)
        self.assertEqual(self.tree.parent, "second")

    def test_oneThatWasAwayForAMomentIsTakenBackAtOnce(self) -> None:
        for away, route, link in (
            (0.5, Route(ROOT, ("first", "x")), Link.UP),
            (0.5, Route(ROOT, ("first", "y")), Link.HELD),
            (2.5, Route(ROOT, ("first", "y")), Link.HELD),
        ):
            self.says = {"first": Route(ROOT, ("first", "x"))} if link is Link.UP else self.says
            self.wait(3.0)
            self.assertIs(self.link("first"), Link.UP)
            del self.says["first"]
            self.wait(away)
            self.assertIsNone(self.tree.parent)
            self.says = {"first": route}
            self.wait(0.1)
            self.assertIs(self.link("first"), link)

    def test_aPreferredOneIsTakenAgainWhileNothingFlows(self) -> None:
        self.says = {"second": Route(ROOT, ("second",))}
        self.wait(5.0)
        self.says["first"] = Route(ROOT, ("first",))
        self.wait(60.0)
        self.assertEqual(self.tree.parent, "second")
        self.wait(0.1, quiet=True)
        self.assertEqual(self.tree.parent, "first")

    def test_tooFarAway(self) -> None:
        path = tuple(f"r{i}" for i in range(MAX_DEPTH - 2))
        self.says = {"first": Route(ROOT, ("first", *path))}
        self.wait(0.1)
        self.assertEqual(len(self.tree.route.path), MAX_DEPTH)
        self.says = {"first": Route(ROOT, ("first", *path, "end"))}
        self.wait(0.1)
        self.assertIsNone(self.tree.parent)

    def test_theRingOfOthersIsFollowedAfterAWhile(self) -> None:
        self.says = {"first": Route(RING, ("first", "zebra"))}
        self.wait(1.9)
        self.assertEqual(self.tree.route, Route(RING, ("me",)))
        self.wait(0.3)
        self.assertEqual(self.tree.parent, "first")

    def test_whoHangsOnUs(self) -> None:
        self.says = {
            "child": Route(LOST, ("child", "me")),
            "other": Route(LOST, ("other", "child", "me")),
        }
        self.wait(0.1)
        self.assertIs(self.link("child"), Link.DOWN)
        self.assertIs(self.link("other"), Link.STANDBY)
        self.now += 0.31
        self.assertIs(self.link("child"), Link.STANDBY)

    def test_nobodyWhoIsAlsoAboveUs(self) -> None:
        self.says = {
            "first": Route(ROOT, ("first", "child", "top")),
            "child": Route(ROOT, ("child", "me", "first")),
        }
        self.wait(0.1)
        self.assertIs(self.link("child"), Link.STANDBY)

    def test_somebodyOfOurName(self) -> None:
        self.says = {"first": Route(ROOT, ("first", "me", "top"))}
        self.wait(2.9)
        self.assertIsNone(self.tree.impostor)
        self.wait(0.3)
        self.assertEqual(self.tree.impostor, "first")
        self.says = {"first": Route(ROOT, ("first", "top"))}
        self.wait(0.1)
        self.assertIsNone(self.tree.impostor)

    def test_aRootOfOurNameThatIsNotWhatWeAre(self) -> None:
        """We have lost our upstream; a root by nature of our name is somebody else."""
        self.says = {"first": Route(ROOT, ("first", "me"))}
        self.wait(3.3)
        self.assertEqual(self.tree.impostor, "first")

    def test_whatHangsOnUsIsNoImpostor(self) -> None:
        self.says = {"child": Route(LOST, ("child", "me"))}
        self.wait(5.0)
        self.assertIsNone(self.tree.impostor)


class MessageTests(SynchronousTestCase):
    def test_whatMakesNoSense(self) -> None:
        far = [f"r{i}" for i in range(MAX_DEPTH)]
        for rank, path in (
            (3, ["them"]),
            (0.5, ["them"]),
            (0, []),
            (0, ["other"]),
            (0, ["them", "a", "them"]),
            (0, ["them", *far]),
        ):
            self.assertIsNone(routeFrom(RouterPath(rank=rank, path=path), "them"), path)

    def test_aRoute(self) -> None:
        message = RouterPath(rank=1, path=["them", "top"])
        self.assertEqual(routeFrom(message, "them"), Route(LOST, ("them", "top")))

    def test_aStrangerIsARoot(self) -> None:
        self.assertEqual(routeOfStranger("them"), Route(ROOT, ("them",)))
