"""Two connections with one peer: exactly one stays, whatever happened in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epnet.connections import Connections
from epnet.duplicates import Register, decides
from epnet.factory import EPClientFactory, EPPeerFactory, EPServerFactory
from epnet.identity import CertificateIdentity, Peer
from epnet.interfaces import ILink
from epnet.lifecycle import Phase
from epnet.node import parametersOf
from epnet.protocol import EPProtocol
from epnet.testing import MemoryPair, issueTrusts
from epnet.tls import Trust
from epnet.wire import SessionParameters
from tests.fakes import FakeDevice, peerNamed
from tests.meeting import DEMAND, SUPPLY, WatchingNode

TRUSTS: dict[str, Trust] = {}
"""Made once for the module: making keys takes longer than the tests."""


class Side:
    """One of the two devices; `restart` replaces it by a new one that knows nothing."""

    def __init__(self, identity: str, device: FakeDevice, clock: Clock) -> None:
        self.identity = identity
        self.device = device
        self.clock = clock
        self.restart()

    def restart(self) -> None:
        parameters = parametersOf(self.device, self.identity)
        self.node = WatchingNode(self.device, parameters, self.clock)
        self.connections = Connections(self.node, self.clock)
        self.connections.startService()

    def halt(self) -> None:
        """Stop as ``kill -9`` does, with the network gone too: nobody is told."""
        self.connections._sweep.stop()

    @property
    def link(self) -> EPProtocol | None:
        """The one link the node knows."""
        [link] = self.node.live or [None]
        assert link is None or isinstance(link, EPProtocol)
        return link


class DuplicateTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        if not TRUSTS:
            TRUSTS.update(issueTrusts(Path(self.mktemp()).absolute(), "alpha", "beta"))
        self.clock = Clock()
        self.sides = {
            "alpha": Side("alpha", FakeDevice(supply=SUPPLY), self.clock),
            "beta": Side("beta", FakeDevice(demand=DEMAND), self.clock),
        }
        self.pairs: list[MemoryPair] = []

    def dial(self, dialler: str) -> MemoryPair:
        """One side dials the other."""
        other = "beta" if dialler == "alpha" else "alpha"
        client = EPPeerFactory(self.sides[dialler].connections, TRUSTS[dialler], identity=other)
        server = EPPeerFactory.listening(self.sides[other].connections, TRUSTS[other])
        self.pairs.append(MemoryPair(client, server, self.clock))
        return self.pairs[-1]

    def restart(self, identity: str) -> None:
        """One side restarts; its old connections are half-open at the other end."""
        self.sides[identity].halt()
        for pair in self.pairs:
            pair.cut()
        self.sides[identity].restart()

    def advance(self, seconds: float) -> None:
        until = self.clock.seconds() + seconds - 0.005
        while self.clock.seconds() < until:
            self.clock.advance(0.01)
            for pair in self.pairs:
                pair.settle()

    def assertOneConnection(self, *, ofAtMost: int = 1) -> None:
        """Both sides know the same single connection, and power flows over it."""
        alpha, beta = self.sides["alpha"], self.sides["beta"]
        for side in (alpha, beta):
            self.assertEqual(len(side.node.live), 1, f"{side.identity} has {side.node.live}")
            self.assertLessEqual(side.node.most, ofAtMost)
        ends = {alpha.link, beta.link}
        self.assertTrue(any(ends == {pair.client, pair.server} for pair in self.pairs), ends)
        self.assertEqual(beta.device.limits.draw_w, 3000)


class RuleTests(SynchronousTestCase):
    def test_theListeningSideDecidesWhereOneSideDialledBoth(self) -> None:
        self.assertTrue(decides("a", "b", (False, False)))
        self.assertFalse(decides("b", "a", (True, True)))

    def test_otherwiseTheHigherIdentityDecides(self) -> None:
        for ours, theirs in (("b", "a"), ("a", "B"), ("ä", "z"), ("ab", "a")):
            for dialled in ((True, False), (False, True)):
                self.assertTrue(decides(ours, theirs, dialled))
                self.assertFalse(decides(theirs, ours, dialled))

    def test_exactlyOneSideDecides(self) -> None:
        for established, newcomer in product((True, False), repeat=2):
            for swapped in (False, True):
                ours = (established, newcomer)
                theirs = (not established, not newcomer)
                if swapped:  # the other side saw them in the other order
                    theirs = (theirs[1], theirs[0])
                self.assertNotEqual(decides("a", "b", ours), decides("b", "a", theirs))


class SimultaneousTests(DuplicateTestCase):
    def test_bothDial(self) -> None:
        for first, second in (("alpha", "beta"), ("beta", "alpha")):
            for delay in (0.0, 0.02, 0.1, 0.35, 1.0):
                self.setUp()
                self.dial(first)
                self.advance(delay)
                self.dial(second)
                self.advance(1.0)
                self.assertOneConnection()

    def test_sessionParametersCross(self) -> None:
        """Each side validates its own dialled connection first."""
        self.dial("alpha")
        self.dial("beta")
        for pair in self.pairs:
            pair.settle()
        self.advance(1.0)
        self.assertOneConnection()

    def test_aLiveTransferIsNeverReplaced(self) -> None:
        for dialler in ("alpha", "beta"):
            self.setUp()
            self.dial("alpha")
            self.advance(1.0)
            before = self.sides["alpha"].link
            for _ in range(3):
                self.dial(dialler)
                self.advance(0.5)
            self.assertIs(self.sides["alpha"].link, before)
            self.assertEqual(self.sides["beta"].device.shutDowns, [])
            self.assertOneConnection()

    def test_aThirdConnection(self) -> None:
        for diallers in product(("alpha", "beta"), repeat=3):
            self.setUp()
            for dialler in diallers:
                self.dial(dialler)
            self.advance(1.0)
            self.assertOneConnection()


class RestartTests(DuplicateTestCase):
    def test_withTheOldConnectionHalfOpen(self) -> None:
        """Whoever dialled first, whoever restarts, whoever dials again, whenever."""
        sides = ("alpha", "beta")
        for first, restarted, again in product(sides, repeat=3):
            for delay in (0.0, 0.05, 0.15, 0.25, 1.0):
                self.setUp()
                self.dial(first)
                self.advance(1.0)
                self.restart(restarted)
                self.advance(delay)
                self.dial(again)
                self.advance(3.0)
                self.assertOneConnection()

    def test_bothDialAfterTheRestart(self) -> None:
        for restarted, delay in product(("alpha", "beta"), (0.0, 0.02, 0.1)):
            self.setUp()
            self.dial("alpha")
            self.advance(1.0)
            self.restart(restarted)
            self.dial("alpha")
            self.advance(delay)
            self.dial("beta")
            self.advance(3.0)
            self.assertOneConnection()

    def test_twoRestartsWithinTheTerm(self) -> None:
        for restarted in ("alpha", "beta"):
            self.setUp()
            self.dial("alpha")
            self.advance(1.0)
            for _ in range(2):
                self.restart(restarted)
                self.dial("alpha")
                self.advance(0.1)
            self.advance(3.0)
            self.assertOneConnection()

    def test_aThirdConnectionGivesTheOldOneNoNewTerm(self) -> None:
        self.sides["beta"].device.wants = None
        self.dial("alpha")
        self.advance(1.0)
        self.restart("alpha")
        self.dial("alpha")
        self.advance(0.2)
        self.restart("alpha")
        self.dial("alpha")
        self.advance(0.15)
        self.assertIs(self.sides["beta"].link, self.pairs[-1].server)

    def test_outsideATransferToo(self) -> None:
        """The newcomer need not wait until the old connection is lost, after 3 s."""
        # Beta decides, unless it is the one that has forgotten the old connection.
        for restarted, patience in (("alpha", 0.4), ("beta", 2.1)):
            self.setUp()
            self.sides["beta"].device.wants = None
            self.dial("alpha")
            self.advance(1.0)
            self.restart(restarted)
            self.dial("beta")
            self.advance(patience)
            self.assertIs(self.sides["alpha"].link, self.pairs[-1].server)
            self.assertIs(self.sides["beta"].link, self.pairs[-1].client)


class PeerWithoutTheRuleTests(DuplicateTestCase):
    def setUp(self) -> None:
        super().setUp()
        beta = self.sides["beta"]
        # It takes every connection as it comes, and closes none.
        beta.connections.register.opened = lambda protocol, now: protocol.announce()  # type: ignore[method-assign]

    def test_weStillHaveOne(self) -> None:
        for diallers in (("alpha", "beta"), ("beta", "alpha"), ("alpha", "alpha"), ("beta",) * 2):
            self.setUp()
            for dialler in diallers:
                self.dial(dialler)
                self.advance(0.1)
            self.advance(3.0)
            self.assertEqual(len(self.sides["alpha"].node.live), 1)
            self.assertEqual(self.sides["alpha"].node.most, 1)
            self.assertEqual(len(self.sides["beta"].node.live), 1)


class DisplacementTests(DuplicateTestCase):
    def test_underOpenAnotherKeyNeverDisplaces(self) -> None:
        """Identities are mere labels there: the same key, or stay out."""

        def certificate(fingerprint: str) -> CertificateIdentity:
            return CertificateIdentity(
                identities=frozenset({"alpha"}),
                commonName="alpha",
                tenant=None,
                provider=None,
                fingerprint=fingerprint,
                notAfter=TRUSTS["alpha"].ownIdentity.notAfter,
            )

        def label(fingerprint: str | None) -> Peer:
            shown = certificate(fingerprint) if fingerprint else None
            parameters = SessionParameters(identity="alpha")
            return Peer("alpha", None, None, False, parameters, shown)

        cases = [("1", "2", False), ("1", None, False), (None, None, False), ("1", "1", True)]
        for mine, theirs, displaced in cases:
            self.setUp()
            beta = self.sides["beta"]
            peers = iter((label(mine), label(theirs)))
            self.patch(
                TRUSTS["beta"], "authenticate", lambda *_, expected=None, p=peers, **__: next(p)
            )
            server = EPServerFactory(beta.connections, TRUSTS["beta"])
            for _ in range(2):
                alpha = self.sides["alpha"]
                client = EPClientFactory(alpha.connections, TRUSTS["alpha"])
                self.pairs.append(MemoryPair(client, server, self.clock))
                alpha.halt()
                self.pairs[0].cut()
                alpha.restart()
            self.advance(0.15)
            self.assertEqual(self.pairs[1].server.session.publishing, displaced)


class Other:
    """A connection as `Register` sees it, whose peer is quiet; it is over as soon as refused.

    whenOver: called when it is.
    """

    def __init__(self, register: Register, identity: str) -> None:
        self.peer = peerNamed(identity)
        self.session = self.factory = self
        self.dials, self.heardAt = False, 0.0
        self.whenOver: Callable[[], object] = lambda: None
        self._register = register

    def announce(self) -> None:
        """The node has nothing to say to it."""

    def refuse(self, reason: str) -> None:
        self._register.ended(self)  # type: ignore[arg-type]
        self.whenOver()


class NodeTests(DuplicateTestCase):
    """What a node does when it gets to know harms no other connection."""

    def test_anErrorAboutTheHeirEndsTheHeir(self) -> None:
        self.dial("alpha")
        self.advance(0.5)
        self.dial("alpha")
        node = self.sides["beta"].node
        opened = node.sessionOpened

        def broken(link: ILink) -> None:
            opened(link)
            raise RuntimeError("a bug in a node")

        self.patch(node, "sessionOpened", broken)
        self.pairs[0].server.refuse("enough")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertIs(self.pairs[1].server.session.phase, Phase.CLOSED)

    def test_endingOthersWhileOneIsDecidedIsFine(self) -> None:
        register = Register("us")
        links = [Other(register, identity) for identity in ("x", "x", "y", "y")]
        for link in links:
            register.opened(link, 1.0)  # type: ignore[arg-type]
        links[0].whenOver = lambda: [link.refuse("you, too") for link in links[2:]]
        register.settle(2.0)
        self.assertIn("x", register)
        self.assertNotIn("y", register)
