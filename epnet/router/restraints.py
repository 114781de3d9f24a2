"""What holds a port back besides its device: rests, reversals, charge, an operator's limit.

These last in time, and outlast the session of its device.  Times are s of the one clock, passed in.
"""

from __future__ import annotations

from math import inf
from typing import Final

from epnet.router import bounds
from epnet.router.bounds import Bound, ChargeState
from epnet.router.dynamics import REVERSAL_SECONDS
from epnet.router.policy import DevicePolicy
from epnet.router.reasons import Reason

DWELL_SECONDS: Final = 60.0
"""How long who runs keeps its place, and how long who is blocked waits, before they change (9)."""


class Restraints:
    """What holds one port back."""

    __slots__ = ("_charge", "_exportedAt", "_importedAt", "_limitExpires", "_limit_w", "_rest")

    def __init__(self) -> None:
        self._limit_w, self._limitExpires = inf, 0.0
        self._charge = ChargeState()
        self._rest: tuple[float, float, str] | None = None
        self._importedAt = self._exportedAt = -inf

    def limit(self, max_w: float | None, expires: float | None) -> None:
        """Take an operator's limit, W, until `expires`, s; None: none, or for good."""
        self._limit_w = inf if max_w is None else max_w
        self._limitExpires = inf if expires is None else expires

    def rest(self, reason: str, seconds: float, now: float) -> None:
        """Carry nothing for some seconds, or as long as an earlier rest still demands."""
        if self._rest is not None:
            since, before, _ = self._rest
            # As in `restBound`: it may have begun a moment after `now` was read.
            if abs(now - since) < before and since + before > now + seconds:
                return
        self._rest = (now, seconds, reason)

    def shorten(self, seconds: float) -> None:
        """Let a rest that is on last no longer than this, s from its beginning."""
        if self._rest is not None:
            since, before, reason = self._rest
            self._rest = since, min(before, seconds), reason

    def restBound(self, now: float) -> Bound | None:
        """The bound of a rest that is on, else None."""
        if self._rest is None:
            return None
        since, seconds, reason = self._rest
        # It may have begun a moment after `now` was read.  A clock that jumped back must not keep a
        # port closed for good.
        if abs(now - since) < seconds:
            return Bound(0.0, Reason.COOLDOWN, seconds, reason)
        self._rest = None
        return None

    def flowed(self, import_w: float, export_w: float, now: float) -> None:
        """So much may flow now, W."""
        if import_w > 0.0:
            self._importedAt = now
        if export_w > 0.0:
            self._exportedAt = now

    def charged(self, soc: float, policy: DevicePolicy) -> None:
        """Its device's state of charge is this, %."""
        if policy.min_soc > 0.0 or policy.max_soc < 100.0:
            self._charge = self._charge.after(soc, policy.min_soc, policy.max_soc)

    def applied(
        self, imports: Bound, exports: Bound, policy: DevicePolicy, knowsCharge: bool, now: float
    ) -> tuple[Bound, Bound]:
        """The least of these bounds and its own, for each direction.

        knowsCharge: whether the device tells its state of charge.
        """
        if now - self._exportedAt < REVERSAL_SECONDS and imports.watts > 0.0:
            imports = bounds.REVERSAL
        if now - self._importedAt < REVERSAL_SECONDS and exports.watts > 0.0:
            exports = bounds.REVERSAL
        charge = bounds.chargeBounds(self._charge, policy, knowsCharge)
        operator = self.operatorBound(now)
        return _least(imports, charge[0], operator), _least(exports, charge[1], operator)

    def operatorBound(self, now: float) -> Bound | None:
        """The bound of an operator's limit that holds, else None."""
        if self._limit_w == inf:
            return None
        if now >= self._limitExpires:
            self._limit_w = inf
            return None
        return Bound(self._limit_w, Reason.OPERATOR, self._limit_w)


def _least(bound: Bound, *others: Bound | None) -> Bound:
    for other in others:
        if other is not None and other.watts < bound.watts:
            bound = other
    return bound


class Turns:
    """How long a sink has run, and how long it has waited for room for its minimum (9)."""

    __slots__ = ("_blockedSince", "_servedSince")

    def __init__(self) -> None:
        self._servedSince: float | None = None
        self._blockedSince: float | None = None

    def taken(self, served: bool, admitted: bool, blocked: bool, now: float) -> None:
        """Note what holds from now on.

        served: whether it has power.
        admitted: whether it is to have power; until others have made room, it waits on.
        blocked: whether it is not, for want of room for its minimum.
        """
        if not served:
            self._servedSince = None
        elif self._servedSince is None:
            self._servedSince = now
        if served or not (admitted or blocked):
            self._blockedSince = None
        elif blocked and self._blockedSince is None:
            self._blockedSince = now

    def waited(self, now: float) -> float:
        """For how long it has waited, s, if that is long enough to get another one's place."""
        waited = 0.0 if self._blockedSince is None else now - self._blockedSince
        return waited if waited >= DWELL_SECONDS else 0.0

    def yields(self, now: float) -> bool:
        """Whether it has run for long enough to make room for another."""
        return self._servedSince is not None and now - self._servedSince >= DWELL_SECONDS
