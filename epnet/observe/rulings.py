"""Who or what ruled over each port, and since when: the changes of it go into the journal.

Set-points move all the time; which bound or rule holds them changes now and then, and that is what
people want to know.  Once a second the newest decision of each port is looked at.  What holds only
for a moment (a ramp, a wait) is no news, and neither is what does not hold for three seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from twisted.application.service import Service
from twisted.internet.task import LoopingCall

from epnet.router.decisions import Decision, Direction
from epnet.router.reasons import Reason

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from epnet.observe.journal import Journal
    from epnet.router.router import Router

LOOK_SECONDS: Final = 1.0
HOLD_LOOKS: Final = 3
"""How often in a row it has to be seen before it is told."""

MOMENTARY: Final = frozenset(
    {
        Reason.RAMP,
        Reason.UNCONFIRMED,
        Reason.OLD_GRANTS,
        Reason.DEAD_BAND,
        Reason.STANDS_IN,
        Reason.REVERSAL,
    }
)
"""What ends by itself within seconds."""

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
        ruling = _Ruling(decision.ruling.reason, decision.ruling.by, decision.power_w > 0.0)
        self._seen = self._seen + 1 if ruling == self._coming else 1
        self._coming = ruling
        if ruling == self.told or self._seen < HOLD_LOOKS:
            return False
        quiet = not ruling.flows and not self.told.flows and ruling.reason in QUIET
        self.told = ruling
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
        """Tell the journal who or what rules now where that has changed."""
        watched = {}
        for identity, port in self._router.ports.items():
            for direction, decision in port.decisions.items():
                key = identity, direction
                watched[key] = self._watched.get(key) or _Watched()
                if decision.ruling.reason not in MOMENTARY and watched[key].settled(decision):
                    text = _inWords(decision)
                    self._journal.note(self._timeOfDay(), text, kind="decision", device=identity)
        self._watched = watched


def _inWords(decision: Decision) -> str:
    verb = "gives" if decision.direction is Direction.IMPORT else "gets"
    power = f"{decision.power_w:.0f} W" if decision.power_w > 0.0 else "nothing"
    return f"{verb} {power}: {decision.ruling.text}"
