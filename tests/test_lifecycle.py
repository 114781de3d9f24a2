"""The life cycle of a session: every state with every input."""

from collections.abc import Callable

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
