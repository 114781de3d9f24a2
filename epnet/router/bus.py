"""One DC bus, one driver (EnergyNet §2.3; router design, *Routers among routers*).  Pure.

Routers whose C ports hang on one DC bus need one among them that holds its voltage and says who may
take and give how much: the *driver*.  In this version it is configured.  Two drivers would work
against each other over one pair of wires, so every router on the bus looks out for that:

1. Each tells all the routers that it has sessions with on which bus it is, and of which drivers of
   that bus it has heard; a driver names itself.
2. What was heard goes on from one to the next with its age, and each time counts as older by
   `WAY_SECONDS`, for nobody knows how long it was on its way.  What is older than
   `LIFETIME_SECONDS` is forgotten: so a driver that is gone does not live on in what the others
   tell in a circle.
3. Who has heard of two drivers raises the *alarm*, and lets nothing flow on the bus, driver or not.
4. The alarm is over when no second driver has been heard of for `CLEAR_SECONDS` on end; an operator
   may end it as soon as there is none.

A driver that nobody on the bus can hear cannot be found out by messages, only by its voltage.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import attrs

from epnet.errors import UsageError
from epnet.wire import RouterPath

LIFETIME_SECONDS: Final = 5.0
"""How long a driver is known of that nobody speaks of any more."""

WAY_SECONDS: Final = 0.35
"""By how much what was heard ages on each way: a tick, and more than consent may take (S5)."""

CLEAR_SECONDS: Final = 60.0
"""How long there has to be one driver at most, for the alarm to end by itself."""

MOST_DRIVERS: Final = 8
"""Of how many drivers one keeps note: two are too many already."""


def _named(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    if not 0 < len(value) <= 256:
        raise UsageError(f"{attribute.name} is {value!r}: it must have 1 to 256 characters")


@attrs.frozen
class BusSettings:
    """[bus]: on which DC bus the router's C ports are.

    name: of the bus, the same for all routers on it.
    driver: whether this router is the one that drives it.
    """

    name: str = attrs.field(validator=_named)
    driver: bool = False


class Claim(NamedTuple):
    """What one router tells the others: of which drivers of which bus it has heard.

    age_s: how old the oldest of these is, s.
    """

    bus: str
    drivers: tuple[str, ...]
    age_s: float

    @classmethod
    def of(cls, path: RouterPath) -> Claim | None:
        """What a Router Path says of a bus; None if nothing."""
        if path.bus is None:
            return None
        return cls(path.bus, path.drivers or (), (path.drivers_age or 0) / 1000.0)

    def fields(self) -> dict[str, Any]:
        """The same as fields of a Router Path."""
        age_ms = round(self.age_s * 1000.0)
        return {"bus": self.bus, "drivers": self.drivers, "drivers_age": age_ms}


class Bus:
    """What one router knows of the bus that it is on.

    identity: the router's own.
    settings: its bus, or None where it is on none.
    alarm: whether two drivers have been heard of, and that has not been cleared.
    known: the drivers that were known of at the last look.
    """

    def __init__(self, identity: str, settings: BusSettings | None = None) -> None:
        self.settings = settings
        self.alarm = False
        self.known: tuple[str, ...] = ()
        self._identity = identity
        self._heard: dict[str, float] = {}
        self._cleanSince: float | None = None

    def describe(self, settings: BusSettings | None) -> None:
        """Be on another bus, or none, or drive it or not."""
        if settings != self.settings:
            self.settings = settings
            self.alarm = False
            self._heard.clear()
            self._cleanSince = None

    def heard(self, claim: Claim, now: float) -> None:
        """Another router tells of drivers; what it says of other buses is none of ours."""
        if self.settings is None or claim.bus != self.settings.name:
            return
        since = now - WAY_SECONDS - max(0.0, claim.age_s)
        for driver in claim.drivers:
            if driver != self._identity:
                self._heard[driver] = max(since, self._heard.get(driver, since))
        self._forget(now)

    def _forget(self, now: float) -> None:
        fresh = {
            driver: since for driver, since in self._heard.items() if now - since < LIFETIME_SECONDS
        }
        newest = sorted(fresh, key=lambda driver: (-fresh[driver], driver))[:MOST_DRIVERS]
        self._heard = {driver: fresh[driver] for driver in newest}

    def drivers(self, now: float) -> tuple[str, ...]:
        """The drivers of the bus that are known of now, this router among them if it is one."""
        self._forget(now)
        ours: Iterable[str] = [self._identity] if self.drives else []
        return tuple(sorted({*ours, *self._heard}))

    @property
    def name(self) -> str:
        """The name of the bus; empty on none."""
        return self.settings.name if self.settings is not None else ""

    @property
    def drives(self) -> bool:
        """Whether this router is meant to drive it."""
        return self.settings is not None and self.settings.driver

    def claim(self, now: float) -> Claim | None:
        """What to tell the other routers; None on no bus."""
        if self.settings is None:
            return None
        drivers = self.drivers(now)
        oldest = min(self._heard.values(), default=now)
        return Claim(self.settings.name, drivers, max(0.0, now - oldest))

    def look(self, now: float) -> bool:
        """See whether there is an alarm now; whether that has changed."""
        before = self.alarm
        self.known = self.drivers(now)
        if len(self.known) > 1:
            self.alarm = True
            self._cleanSince = None
        elif self.alarm:
            # A clock that jumped back must not keep the bus dead for good.
            if self._cleanSince is None or now < self._cleanSince:
                self._cleanSince = now
            if now - self._cleanSince >= CLEAR_SECONDS:
                self.alarm = False
        return self.alarm is not before

    def isNews(self, now: float) -> bool:
        """Whether a look would find that there is an alarm now."""
        return not self.alarm and len(self.drivers(now)) > 1

    def clear(self, now: float) -> None:
        """An operator ends the alarm.  Raises `UsageError` while there are two drivers."""
        drivers = self.drivers(now)
        if len(drivers) > 1:
            raise UsageError(
                f"bus {self.name!r} still has the drivers "
                f"{' and '.join(drivers)}: let only one of them say 'driver = true' in [bus]"
            )
        self.alarm = False
        self._cleanSince = None
