"""What has happened lately: the last lines of our own log, for the page and the event stream."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from itertools import islice
from typing import Final, TypedDict

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from zope.interface import implementer

KEPT: Final = 200
"""Entries that are kept."""
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
    security: whether it is about whom to trust, or who changed something.
    text: what happened.
    """

    number: int
    time: str
    level: str
    security: bool
    text: str


@implementer(ILogObserver)
class Journal:
    """Keeps the last entries; to be added to the log as an observer.

    Lines of the log are rare by design, so each is put into words at once: what it is about may
    have changed or gone when somebody looks.
    """

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._count = 0

    def __call__(self, event: LogEvent) -> None:
        """Keep an event of ours that is worth telling."""
        level = LEVELS.get(event.get("log_level"))
        if level is None or not str(event.get("log_namespace", "")).startswith("epnet."):
            return
        self._count += 1
        self._entries.append(
            {
                "number": self._count,
                "time": _timeText(event["log_time"]),
                "level": level,
                "security": bool(event.get("security", False)),
                "text": formatEvent(event)[:LONGEST],
            }
        )

    @property
    def newest(self) -> int:
        """The number of the newest entry; 0 before the first."""
        return self._count

    def since(self, number: int) -> list[Entry]:
        """The entries after that number that are still kept, oldest first."""
        fresh = min(self._count - number, len(self._entries))
        return list(islice(self._entries, len(self._entries) - fresh, None))


def _timeText(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
