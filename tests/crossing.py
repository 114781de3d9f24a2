"""A model of two devices and the connections between them, to try `Register` in every order.

The registers are the real ones.  The connections are not: an end validates its peer when the
Session Parameters arrive, hears a frame every 100 ms from then on, and closes.  What arrives when,
and who restarts when, is the whole input, so that all orders can be tried one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any

import attrs

from epnet.duplicates import Register
from tests.fakes import peerNamed

SWEEP = 0.02
FRAME = 0.1
IDLE_LOSS = 3.0
TRANSFER_LOSS = 0.2
SIDES = ("alpha", "beta")


@attrs.frozen
class Restart:
    """A device forgets everything at a time, s, and its connections are half-open from then on."""

    side: str
    when: float


@attrs.frozen
class Cable:
    """One connection: who dialled it, and when the Session Parameters arrive at either end, s.

    A time of None: they never do, since that end is not there any more.
    """

    dialler: str
    alpha: float | None
    beta: float | None


class Wayside:
    """The register of a peer without the rule: it takes every connection and closes none."""

    def __init__(self) -> None:
        self.live: list[Any] = []

    def opened(self, protocol: Any, now: float) -> None:
        self.live.append(protocol)
        protocol.announce()

    def ended(self, protocol: Any) -> None:
        if protocol in self.live:
            self.live.remove(protocol)

    def settle(self, now: float) -> None:
        """It never decides."""


@attrs.define
class _Session:
    peer: Any = None
    heardAt: float = 0.0


@attrs.define
class _Factory:
    dials: bool


class End:
    """One end of a connection, as `Register` sees a protocol."""

    def __init__(self, world: World, side: str, cable: int, *, dials: bool) -> None:
        self.side, self.cable = side, cable
        self.factory = _Factory(dials)
        self.session = _Session()
        self.announced = self.closed = False
        self.other: End | None = None
        self._world = world
        self._openedAt = 0.0

    @property
    def peer(self) -> Any:
        return self.session.peer

    def greet(self) -> None:
        """The peer's Session Parameters arrive."""
        if not self.closed:
            self.session.peer = peerNamed("beta" if self.side == "alpha" else "alpha")
            self.session.heardAt = self._openedAt = self._world.now
            self._world.registers[self.side].opened(self, self._world.now)

    def openFor(self) -> float:
        return self._world.now - self._openedAt

    def hear(self) -> None:
        """A frame arrives."""
        if not self.closed:
            self.session.heardAt = self._world.now

    def announce(self) -> None:
        self.announced = True
        self._world.check()

    def refuse(self, reason: str) -> None:
        self.close()

    def close(self) -> None:
        """The session ends here, and the other end gets to know in a moment, if it is there."""
        if self.closed:
            return
        self.closed = True
        wasAnnounced, self.announced = self.announced, False
        if wasAnnounced:
            self._world.over(self)
        self._world.registers[self.side].ended(self)
        self._world.check()
        if self.other is not None:
            self._world.at(self._world.now + 0.001, self.other.close)

    @property
    def transferring(self) -> bool:
        """Whether power flows: both ends are announced."""
        other = self.other
        return self.announced and other is not None and other.announced


class Broken(AssertionError):
    """The rule does not hold."""


class World:
    """Both devices, for as long as it takes.

    rules: whether alpha and beta know the rule.
    settledAt: when anything was announced or closed last, s.
    """

    def __init__(
        self,
        cables: Sequence[Cable],
        *,
        restart: Restart | None = None,
        rules: tuple[bool, bool] = (True, True),
    ) -> None:
        self.now = self.settledAt = 0.0
        self.rules = dict(zip(SIDES, rules, strict=True))
        self.registers: dict[str, Any] = {
            side: Register(side) if knows else Wayside() for side, knows in self.rules.items()
        }
        self.ends: list[End] = []
        self._number = count()
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._last = 0.0
        for cable in cables:
            self._connect(cable)
        if restart is not None:
            self.at(restart.when, lambda: self._restart(restart))
            self._last = max(self._last, restart.when)

    def at(self, when: float, call: Callable[[], None]) -> None:
        heappush(self._calls, (when, next(self._number), call))

    def _connect(self, cable: Cable) -> None:
        number = len(self.ends) // 2
        pair = [End(self, side, number, dials=cable.dialler == side) for side in SIDES]
        self.ends += pair
        times = (cable.alpha, cable.beta)
        if None not in times:
            pair[0].other, pair[1].other = pair[1], pair[0]
        for end, when in zip(pair, times, strict=True):
            if when is not None:
                self.at(when, end.greet)
                self._last = max(self._last, when)
                if end.other is not None:
                    self.at(when + FRAME, lambda e=end: self._frame(e))  # type: ignore[misc]

    def _restart(self, restart: Restart) -> None:
        self.registers[restart.side] = Register(restart.side)
        for end in self.ends:
            if end.side == restart.side and end.peer is not None:
                end.closed, end.announced = True, False
                if end.other is not None:
                    end.other.other = end.other = None

    def _frame(self, end: End) -> None:
        if not (end.closed or end.other is None or end.other.closed):
            end.hear()
            self.at(self.now + FRAME, lambda: self._frame(end))

    def _sweep(self) -> None:
        for end in self.ends:
            if end.peer is not None and not end.closed:
                silent = self.now - end.session.heardAt
                if silent >= (TRANSFER_LOSS if end.transferring else IDLE_LOSS):
                    end.close()
        for register in self.registers.values():
            register.settle(self.now)

    def over(self, end: End) -> None:
        """An announced session ends: that must not be one with a transfer, and its peer alive."""
        other = end.other
        if other is not None and other.announced and not other.closed and self.rules[end.side]:
            raise Broken(f"at {self.now:.2f} s {end.side} ended live connection {end.cable}")

    def check(self) -> None:
        """At most one announced session, where the rule is known."""
        self.settledAt = self.now
        for side, knows in self.rules.items():
            found = [end.cable for end in self.live(side)]
            if knows and len(found) > 1:
                raise Broken(f"at {self.now:.2f} s {side} has connections {found}")

    def live(self, side: str) -> list[End]:
        return [end for end in self.ends if end.side == side and end.announced]

    def run(self, settledWithin: float = 3.0) -> None:
        """Let everything happen, and hold the outcome to the rule.

        Raises `Broken` if it is not exactly one connection within the time after the last arrival,
        or if a side that had one has none for as long.
        """
        until = self._last + settledWithin
        step = 0
        without = dict.fromkeys(SIDES, 0.0)
        while self.now < until:
            step += 1
            sweepAt = step * SWEEP
            while self._calls and self._calls[0][0] <= sweepAt:
                self.now, _, call = heappop(self._calls)
                call()
            self.now = sweepAt
            self._sweep()
            for side in SIDES:
                without[side] = 0.0 if self.live(side) else without[side] + SWEEP
                if without[side] > settledWithin:
                    raise Broken(f"{side} was without a connection for {settledWithin:g} s")
        found = {side: [end.cable for end in self.live(side)] for side in SIDES}
        if len(found["alpha"]) != 1 or found["alpha"] != found["beta"]:
            raise Broken(f"in the end {found}")
