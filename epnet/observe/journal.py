"""What has happened lately, for the page and the event stream: lines of our own log, and decisions.

Of each kind so many entries are kept: a busy day of one does not push the others out.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import Final, TypedDict

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from zope.interface import implementer

KEPT: Final = 200
"""Entries of each kind that are kept."""
LONGEST: Final = 300
"""Characters of an entry's text that are kept."""

LEVELS: Final = {
    LogLevel.info: "info",
    LogLevel.warn: "warning",
    LogLevel.error: "error",
    LogLevel.critical: "error",
}


class Entry(TypedDict):
    """Something that happened.

    number: rises by one from entry to entry.
    time: when, ISO 8601 in UTC.
    level: info, warning or error.
    kind: log, session (it began, ended, or was refused), or decision.
    device: whom it is about; null where it is about no device.
    security: whether it is about whom to trust, or who changed something.
    text: what happened; of a decision, what the device gives or gets, and why.
    """

    number: int
    time: str
    level: str
    kind: str
    device: str | None
    security: bool
    text: str


@implementer(ILogObserver)
class Journal:
    """Keeps the last entries; to be added to the log as an observer.

    Lines of the log are rare by design, so each is put into words at once: what it is about may
    have changed or gone when somebody looks.

    us: whose sessions are told; those of devices in the same process are not.  None: everybody's.
    """

    def __init__(self, us: str | None = None) -> None:
        self._us = us
        self._entries: dict[str, deque[Entry]] = {}
        self._count = 0

    def __call__(self, event: LogEvent) -> None:
        """Keep an event of ours that is worth telling."""
        level = LEVELS.get(event.get("log_level"))
        if level is None or not str(event.get("log_namespace", "")).startswith("epnet."):
            return
        if self._us is not None and event.get("us", self._us) != self._us:
            return
        device = event.get("identity", event.get("device"))
        self.note(
            datetime.fromtimestamp(event["log_time"], UTC),
            formatEvent(event),
            level=level,
            kind="session" if "event" in event else "log",
            device=device if isinstance(device, str) else None,
            security=bool(event.get("security", False)),
        )

    def note(
        self,
        time: datetime,
        text: str,
        *,
        kind: str,
        level: str = "info",
        device: str | None = None,
        security: bool = False,
    ) -> None:
        """Keep an entry; see `Entry`."""
        self._count += 1
        self._entries.setdefault(kind, deque(maxlen=KEPT)).append(
            {
                "number": self._count,
                "time": time.astimezone(UTC).isoformat(timespec="milliseconds"),
                "level": level,
                "kind": kind,
                "device": device,
                "security": security,
                "text": text[:LONGEST],
            }
        )

    @property
    def newest(self) -> int:
        """The number of the newest entry; 0 before the first."""
        return self._count

    def since(self, number: int) -> list[Entry]:
        """The entries after that number that are still kept, oldest first."""
        if number >= self._count:
            return []
        kept = (entry for entries in self._entries.values() for entry in entries)
        return sorted(
            (entry for entry in kept if entry["number"] > number), key=lambda entry: entry["number"]
        )
