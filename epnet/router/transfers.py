"""The life of a transfer, per port and direction (router design, *Consent in six messages*).

=========  =================================================  ===========================
State      Means                                              Leaves when
=========  =================================================  ===========================
idle       nothing is offered or asked for                    something is
offered    a source offers                                    we ask, or it no longer does
requested  a sink asks; a source is asked                     both sides consent
granted    power is allowed                                   it flows, or is taken back
active     power flows                                        it is taken back
draining   it is taken back, and still flows                  it has come to rest
shutdown   something is wrong: the port opens                 nothing flows any more
cooldown   the port stays open                                its time is over
=========  =================================================  ===========================

Each tick brings *facts*; the table says which fact leads where, the first that holds.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from epnet.router.decisions import TransferState as State


class Facts(NamedTuple):
    """What is so now.

    offered: the device offers power (never for a sink: what a sink is offered is the bus).
    asked: the sink asks, or the source was asked.
    granted: the set-point is above zero.
    flowing: the meter reads more than nothing.
    barred: nothing may flow: a fault, a loss, a cooldown.
    cooled: no cooldown is on.
    """

    offered: bool
    asked: bool
    granted: bool
    flowing: bool
    barred: bool
    cooled: bool


# From a state, by a fact and whether it holds, to a state.
TABLE: Final[dict[State, tuple[tuple[str, bool, State], ...]]] = {
    State.IDLE: (("asked", True, State.REQUESTED), ("offered", True, State.OFFERED)),
    State.OFFERED: (("asked", True, State.REQUESTED), ("offered", False, State.IDLE)),
    State.REQUESTED: (("granted", True, State.GRANTED), ("asked", False, State.IDLE)),
    State.GRANTED: (("granted", False, State.DRAINING), ("flowing", True, State.ACTIVE)),
    State.ACTIVE: (("granted", False, State.DRAINING),),
    State.DRAINING: (("granted", True, State.GRANTED), ("flowing", False, State.IDLE)),
    State.SHUTDOWN: (("flowing", False, State.COOLDOWN),),
    State.COOLDOWN: (("flowing", True, State.SHUTDOWN), ("cooled", True, State.IDLE)),
}

_STOPPED: Final = frozenset({State.SHUTDOWN, State.COOLDOWN})
# Nothing is to be shut down where nothing was allowed.
_HARMLESS: Final = frozenset({State.IDLE, State.OFFERED, State.REQUESTED})


def following(state: State, facts: Facts) -> State:
    """The state after these facts; several steps of a transfer may come at once."""
    if facts.barred and state not in _STOPPED:
        if state in _HARMLESS and not facts.flowing:
            return State.IDLE
        state = State.SHUTDOWN
    for _ in TABLE:
        after = next(
            (to for fact, holds, to in TABLE[state] if getattr(facts, fact) is holds), state
        )
        if after is state:
            break
        state = after
        if facts.barred and state is State.IDLE:
            break
    return state
