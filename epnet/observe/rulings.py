"""Who or what ruled over each port, and since when: the changes of it go into the journal.

Set-points move all the time; which bound or rule holds them changes now and then, and that is what
people want to know.  Once a second every port is looked at.  What holds only
for a moment (a ramp, a wait) is no news, and neither is what does not hold for three seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from twisted.application.service import Service
from twisted.internet.task import LoopingCall

from epnet.observe.why import MOMENTARY, lasting
from epnet.router.decisions import Decision, Direction
from epnet.router.reasons import Reason

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from epnet.observe.journal import Journal
    from epnet.router.ports import Port
    from epnet.router.router import Router

LOOK_SECONDS: Final = 1.0
AT_ONCE: Final = 100
"""How many ports are looked at in one turn."""
HOLD_LOOKS: Final = 3
"""How often in a row it has to be seen before it is told."""

QUIET: Final = frozenset({Reason.SILENT, Reason.ABSENT, Reason.DIRECTION})
"""Why a device that never took part in a direction takes no part in it."""


class _Ruling(NamedTuple):
    reason: Reason
    by: str
    flows: bool


_NOTHING: Final = _Ruling(Reason.SILENT, "", False)


class _Watched:
    """One direction of a port: the ruling that was told, and one that is not told yet."""

    def __init__(self) -> None:
        self.told = self._coming = _NOTHING
        self._seen = 0

    def settled(self, decision: Decision) -> bool:
        """Whether another ruling than the one told has held long enough; it counts as told now."""
        ruling = lasting(decision)
        now = _Ruling(ruling.reason, ruling.by, decision.power_w > 0.0)
        self._seen = self._seen + 1 if now == self._coming else 1
        self._coming = now
        if now == self.told or now.reason in MOMENTARY or self._seen < HOLD_LOOKS:
            return False
        quiet = not now.flows and not self.told.flows and now.reason in QUIET
        self.told = now
        return not quiet


class Rulings(Service):
    """Looks while it runs.

    timeOfDay: tells the time of day, aware.
    """

    def __init__(
        self,
        router: Router,
        journal: Journal,
        clock: IReactorTime,
        timeOfDay: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._router = router
        self._journal = journal
        self._clock = clock
        self._timeOfDay = timeOfDay
        self._watched: dict[tuple[str, Direction], _Watched] = {}
        self._looking: LoopingCall = LoopingCall(self.look)
        self._looking.clock = clock

    def startService(self) -> None:
        """Begin to look."""
        super().startService()
        self._looking.start(LOOK_SECONDS, now=False)

    def stopService(self) -> None:
        """Look no more."""
        super().stopService()
        if self._looking.running:
            self._looking.stop()

    def look(self) -> None:
        """Tell the journal what rules now where that has changed, a few ports in each turn."""
        self._lookAt(iter(list(self._router.ports.items())))

    def _lookAt(self, ports: Iterator[tuple[str, Port]]) -> None:
        some = list(islice(ports, AT_ONCE))
        for identity, port in some:
            for direction, decision in port.decisions.items():
                watched = self._watched.setdefault((identity, direction), _Watched())
                if watched.settled(decision):
                    text = _inWords(decision)
                    self._journal.note(self._timeOfDay(), text, kind="decision", device=identity)
        if len(some) == AT_ONCE:
            self._clock.callLater(0, self._lookAt, ports)
        else:
            for key in [key for key in self._watched if key[0] not in self._router.ports]:
                del self._watched[key]


def _inWords(decision: Decision) -> str:
    verb = "gives" if decision.direction is Direction.IMPORT else "gets"
    power = f"{decision.power_w:.0f} W" if decision.power_w > 0.0 else "nothing"
    return f"{verb} {power}: {lasting(decision).text}"
