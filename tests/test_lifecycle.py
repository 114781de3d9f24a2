"""The life cycle of a session: every state with every input."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Protocol
from xml.etree import ElementTree

from automat import TypeMachineBuilder
from twisted.trial.unittest import SynchronousTestCase

from epnet.identity import Peer
from epnet.lifecycle import (
    Cause,
    Conversation,
    Draining,
    Ended,
    Ending,
    Hangup,
    Lifecycle,
    Opened,
    Phase,
    Write,
    lifecycle,
)
from epnet.wire import SessionParameters, SoftDisconnect, decode

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "docs/_ext"))
import machinepicture as machines  # noqa: E402

sys.path.pop()

PEER = Peer("them", None, None, True, SessionParameters(identity="them"), None)

INPUTS: dict[str, Callable[[Lifecycle], None]] = {
    "secured": lambda it: it.secured(),
    "accepted": lambda it: it.accepted(PEER),
    "refused": lambda it: it.refused("bad"),
    "peerLeft": lambda it: it.peerLeft(SoftDisconnect(reconnect=True, reason="update")),
    "leave": lambda it: it.leave("bye", False),
    "drained": lambda it: it.drained(),
    "lost": lambda it: it.lost("silent"),
    "disconnected": lambda it: it.disconnected("gone"),
}

PATHS: dict[Phase, list[str]] = {
    Phase.CONNECTING: [],
    Phase.GREETING: ["secured"],
    Phase.OPEN: ["secured", "accepted"],
    Phase.DRAINING: ["secured", "accepted", "leave"],
    Phase.LEAVING: ["secured", "accepted", "leave", "drained"],
    Phase.CLOSED: ["disconnected"],
}
"""How to get to each state."""

# What each input leads to, and the kinds of effect on the way; what is not named changes nothing.
CUT = (Phase.CLOSED, [Ended, Hangup])
GOODBYE = (Phase.LEAVING, [Write, Ended, Hangup])
LET_GO = (Phase.LEAVING, [Ended, Hangup])
BREAK = (Phase.CLOSED, [Ended])
TABLE: dict[Phase, dict[str, tuple[Phase, list[type]]]] = {
    Phase.CONNECTING: {
        "secured": (Phase.GREETING, [Write]),
        "refused": CUT,
        "leave": CUT,
        "lost": CUT,
        "disconnected": BREAK,
    },
    Phase.GREETING: {
        "accepted": (Phase.OPEN, [Opened]),
        "refused": GOODBYE,
        "peerLeft": LET_GO,
        "leave": GOODBYE,
        "lost": CUT,
        "disconnected": BREAK,
    },
    Phase.OPEN: {
        "refused": GOODBYE,
        "peerLeft": LET_GO,
        "leave": (Phase.DRAINING, [Draining]),
        "lost": CUT,
        "disconnected": BREAK,
    },
    Phase.DRAINING: {
        "refused": GOODBYE,
        "peerLeft": LET_GO,
        "drained": GOODBYE,
        "lost": CUT,
        "disconnected": BREAK,
    },
    Phase.LEAVING: {
        "lost": (Phase.CLOSED, [Hangup]),
        "disconnected": (Phase.CLOSED, []),
    },
    Phase.CLOSED: {},
}


def reach(phase: Phase) -> tuple[Lifecycle, Conversation]:
    """A life cycle in that state, with no effects left from the way there."""
    conversation = Conversation(SessionParameters(identity="us"))
    machine = lifecycle(conversation)
    for name in PATHS[phase]:
        INPUTS[name](machine)
    conversation.effects.clear()
    return machine, conversation


class CompletenessTests(SynchronousTestCase):
    """The tests below miss no state and no input: both are read off the machine."""

    def test_thereAreNoOtherInputs(self) -> None:
        declared = {name for name in vars(Lifecycle) if not name.startswith("_")}
        self.assertEqual(declared, set(INPUTS))
        self.assertEqual({step.input for step in machines.transitions(lifecycle)}, set(INPUTS))

    def test_thereAreNoOtherStates(self) -> None:
        names = {phase.value for phase in Phase}
        self.assertEqual(set(machines.statesInOrder(lifecycle)), names)
        self.assertEqual({step.target for step in machines.transitions(lifecycle)}, names)

    def test_everyPairIsWired(self) -> None:
        """Automat would only raise when an input comes that nobody thought of."""
        wired = {(step.state, step.input) for step in machines.transitions(lifecycle)}
        self.assertEqual(wired, set(product((phase.value for phase in Phase), INPUTS)))


class TransitionTests(SynchronousTestCase):
    def test_pathsReachTheirStates(self) -> None:
        for phase in Phase:
            self.assertIs(reach(phase)[1].phase, phase)

    def test_everyStateTakesEveryInput(self) -> None:
        for phase in Phase:
            for name, give in INPUTS.items():
                machine, conversation = reach(phase)
                give(machine)
                target, kinds = TABLE[phase].get(name, (phase, []))
                found = [type(effect) for effect in conversation.effects]
                self.assertEqual((conversation.phase, found), (target, kinds), f"{phase} {name}")

    def test_theSessionEndsOnceOnEveryPath(self) -> None:
        for phase in Phase:
            for first in INPUTS.values():
                for second in INPUTS.values():
                    conversation = Conversation(SessionParameters(identity="us"))
                    machine = lifecycle(conversation)
                    for name in PATHS[phase]:
                        INPUTS[name](machine)
                    first(machine)
                    second(machine)
                    INPUTS["disconnected"](machine)
                    endings = [e for e in conversation.effects if isinstance(e, Ended)]
                    self.assertEqual(len(endings), 1)


class EffectTests(SynchronousTestCase):
    def effects(self, phase: Phase, *names: str) -> list[object]:
        machine, conversation = reach(phase)
        for name in names:
            INPUTS[name](machine)
        return list(conversation.effects)

    def test_ourParametersAreTheFirstBytes(self) -> None:
        [write] = self.effects(Phase.CONNECTING, "secured")
        assert isinstance(write, Write)
        self.assertEqual(decode(write.data).message, SessionParameters(identity="us"))

    def test_leavingSaysWhyAndWhetherToReconnect(self) -> None:
        [_, write, ended, hangup] = self.effects(Phase.OPEN, "leave", "drained")
        assert isinstance(write, Write)
        self.assertEqual(decode(write.data).message, SoftDisconnect(reconnect=False, reason="bye"))
        self.assertEqual(ended, Ended(Ending(Cause.LEFT, "bye", False, wasOpen=True)))
        self.assertEqual(hangup, Hangup(orderly=True))

    def test_refusalCarriesAReasonAndNoFlag(self) -> None:
        write, ended, _ = self.effects(Phase.GREETING, "refused")
        assert isinstance(write, Write)
        self.assertEqual(decode(write.data).message, SoftDisconnect(reason="bad"))
        self.assertEqual(ended, Ended(Ending(Cause.REFUSED, "bad")))

    def test_softDisconnectFromThePeer(self) -> None:
        ended, _ = self.effects(Phase.OPEN, "peerLeft")
        self.assertEqual(ended, Ended(Ending(Cause.PEER_LEFT, "update", True, wasOpen=True)))

    def test_aLostLinkIsAborted(self) -> None:
        self.assertEqual(self.effects(Phase.OPEN, "lost")[-1], Hangup(orderly=False))

    def test_endingTellsOfATransfer(self) -> None:
        machine, conversation = reach(Phase.OPEN)
        conversation.transferring = True
        machine.lost("silent")
        self.assertEqual(
            conversation.effects[0],
            Ended(Ending(Cause.LOST, "silent", None, wasOpen=True, inTransfer=True)),
        )


class PageTests(SynchronousTestCase):
    """The page shows what the machine does, which is not read off it here but tried."""

    def tried(self) -> dict[tuple[str, str], list[str]]:
        """The inputs that lead from one state to another one."""
        found: dict[tuple[str, str], list[str]] = {}
        for phase, name in product(Phase, sorted(INPUTS)):
            machine, conversation = reach(phase)
            INPUTS[name](machine)
            if conversation.phase is not phase:
                found.setdefault((phase.value, conversation.phase.value), []).append(name)
        return found

    def test_thePageHasIt(self) -> None:
        page = ROOT / "docs/explanation/sessions.rst"
        self.assertIn("\n.. machine:: epnet.lifecycle.lifecycle\n", page.read_text())

    def test_thePictureShowsEachChangeOfState(self) -> None:
        picture = ElementTree.fromstring(machines.picture(lifecycle))
        texts = Counter(text.text for text in picture.iter("{http://www.w3.org/2000/svg}text"))
        lines = Counter(", ".join(inputs) for inputs in self.tried().values())
        self.assertEqual(texts, lines + Counter(phase.value for phase in Phase))
        found = {(e.source, e.target): list(e.inputs) for e in machines.edges(lifecycle)}
        self.assertEqual(found, self.tried())

    def test_theTableShowsEachPair(self) -> None:
        rows = "\n".join(machines.table(lifecycle)).split("   * -")[1:]
        [heads, *body] = [[c.strip(" `\n") for c in row.split("\n     -")] for row in rows]
        shown = {
            (state, name): target
            for name, *targets in body
            for state, target in zip(heads[1:], targets, strict=True)
            if target
        }
        tried = {
            (state, name): target
            for (state, target), names in self.tried().items()
            for name in names
        }
        self.assertEqual(shown, tried)

    def test_anotherMachineIsAnotherPicture(self) -> None:
        class Lamp(Protocol):
            def press(self) -> None: ...

        builder = TypeMachineBuilder(Lamp, object)
        off, on = builder.state("off"), builder.state("on")
        off.upon(Lamp.press).to(on).returns(None)
        on.upon(Lamp.press).to(off).returns(None)
        picture = machines.picture(builder.build())
        self.assertIn(">off</text>", picture)
        self.assertEqual(picture.count(">press</text>"), 2)
        self.assertNotIn("greeting", picture)
