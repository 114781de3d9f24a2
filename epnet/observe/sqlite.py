"""The history in SQLite: seconds for a day, minutes for a month, quarters of an hour for years.

A row is one device over one span of a level, its values packed: ``(field, value)`` for seconds,
``(field, count, mean, least, most)`` for what is made of them.  A level is made from the one below
once a span is over; what is not over yet is read from below, what has gone from a fine level from
above.  So nothing is kept in memory, and a crash costs what was not written yet.

How old something is can only be told by the wall clock, and that may jump: a year ahead with a bad
battery, to 1970 without one.  So what is old is let go of only by a clock that has shown about the
same date for a day of recording, and what is ahead of the clock never.
"""

from __future__ import annotations

import math
import os
import sqlite3
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby, islice
from pathlib import Path
from typing import Final

from zope.interface import implementer

from epnet.interfaces import IHistoryStore, Sample, Span

DAY: Final = 86400
WIDTHS: Final = (1, 60, 900)
"""How long a span of each level is, s."""
KEPT_DAYS: Final = (1, 30, math.inf)
"""How long each level is kept, days, unless everything is kept shorter."""
PRUNE_SECONDS: Final = 600
BELIEVED: Final = DAY // WIDTHS[-1]
"""How many spans of the last level there must be in the week before, for a clock to be believed."""
MAX_FIELDS: Final = 2**16
"""What the number of a field has room for; devices can make up names only within a mix."""
MOST_IN_MIND: Final = 10_000
"""Of how many devices the numbers are held in memory; of more, they are looked up anew."""

_SECOND: Final = struct.Struct("<Hd")
_SPAN: Final = struct.Struct("<HIddd")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS device (id INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS field (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS span (
    level INTEGER NOT NULL, device INTEGER NOT NULL, time INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (level, device, time)
) WITHOUT ROWID;
"""

_EVER: Final = 2**62

Part = tuple[int, float, float, float]
"""How many seconds, their mean, least and most."""
Row = tuple[int, dict[int, Part]]
"""When a span begins, and its parts by the number of the field."""


@implementer(IHistoryStore)
class SqliteStore:
    """A history in one file.

    path: of the file; made where there is none.
    keepDays: how long anything is kept, days.
    """

    def __init__(self, path: Path, keepDays: float = math.inf) -> None:
        self._path = path
        self._keep = [min(days, keepDays) * DAY for days in KEPT_DAYS]
        self._open: sqlite3.Connection | None = None
        self._devices: dict[str, int] = {}
        self._fields: dict[str, int] = {}
        self._rolled: dict[tuple[int, int], int] = {}
        self._pruned = -math.inf

    # IHistoryStore

    def write(self, samples: Sequence[Sample]) -> None:
        """Keep the samples in one transaction."""
        try:
            with self._database():
                if len(self._devices) > MOST_IN_MIND:
                    self._devices, self._rolled = {}, {}
                for sample in samples:
                    device = self._idOf("device", self._devices, sample.device)
                    self._roll(device, sample.time)
                    self._put(0, device, sample.time, self._packed(sample))
                newest = max((sample.time for sample in samples), default=0)
                if abs(newest - self._pruned) >= PRUNE_SECONDS:
                    self._prune(newest)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                self._putAside(error)
            raise

    def devices(self) -> list[str]:
        """The devices of which there is a history."""
        rows = self._database().execute("SELECT identity FROM device ORDER BY identity")
        return [identity for (identity,) in rows]

    def read(
        self, device: str, fields: Sequence[str], start: int, end: int, step: int, most: int
    ) -> list[Span]:
        """The first spans of a device."""
        database = self._database()
        found = database.execute("SELECT id FROM device WHERE identity = ?", [device]).fetchone()
        if found is None:
            return []
        names = dict(database.execute("SELECT id, name FROM field"))
        wanted = {number for number, name in names.items() if not fields or name in fields}
        level = max(number for number, width in enumerate(WIDTHS) if width <= max(1, step))
        spans: Iterator[Span] = (
            Span(begin, {names[field]: part[1:] for field, part in sorted(parts.items())})
            for begin, parts in _merged(self._rows(level, found[0], start, end), step, wanted)
            if parts
        )
        return list(islice(spans, most))

    def close(self) -> None:
        """Close the file."""
        database, self._open = self._open, None
        if database is not None:
            with suppress(sqlite3.Error):
                database.close()

    # Writing

    def _database(self) -> sqlite3.Connection:
        if self._open is None:
            self._devices, self._fields, self._rolled = {}, {}, {}
            # Nobody but us may read when somebody is at home.
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            self._open = sqlite3.connect(self._path, timeout=5.0)
            self._open.executescript(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                f"PRAGMA journal_size_limit = {2**24};" + _SCHEMA
            )
        return self._open

    def _idOf(self, table: str, known: dict[str, int], name: str) -> int:
        if name not in known:
            column = "identity" if table == "device" else "name"
            database = self._database()
            database.execute(f"INSERT OR IGNORE INTO {table} ({column}) VALUES (?)", [name])
            found = database.execute(f"SELECT id FROM {table} WHERE {column} = ?", [name])
            [known[name]] = found.fetchone()
        return known[name]

    def _packed(self, sample: Sample) -> bytes:
        numbered = ((self._idOf("field", self._fields, n), v) for n, v in sample.values.items())
        return b"".join(_SECOND.pack(*each) for each in numbered if each[0] < MAX_FIELDS)

    def _put(self, level: int, device: int, begin: int, data: bytes) -> None:
        self._database().execute(
            "INSERT OR REPLACE INTO span VALUES (?, ?, ?, ?)", [level, device, begin, data]
        )

    def _roll(self, device: int, now: int) -> None:
        """Make the spans of the upper levels that are over now."""
        for level, width in enumerate(WIDTHS[1:], 1):
            over = now - now % width
            begin = self._rolled.get((level, device))
            if begin is None:
                begin = self._edge(level, device, over)
            if begin < over:
                rows = self._select(level - 1, device, begin, over)
                for at, parts in _merged(rows, width, None):
                    data = b"".join(_SPAN.pack(field, *part) for field, part in parts.items())
                    self._put(level, device, at, data)
            # A clock that was set back begins a span anew; the new one replaces the old.
            self._rolled[level, device] = over

    def _prune(self, now: int) -> None:
        """Let go of what is too old: whole spans of the level above, so that they meet."""
        self._pruned = now
        if not self._isBelieved(now):
            return
        database = self._database()
        for level, seconds in enumerate(self._keep):
            if math.isfinite(seconds):
                end = now - int(seconds)
                database.execute(
                    "DELETE FROM span WHERE level = ? AND device IN (SELECT id FROM device)"
                    " AND time < ?",
                    [level, end - end % WIDTHS[-1]],
                )

    def _isBelieved(self, now: int) -> bool:
        """Whether a day has been recorded at about this date, of any one device."""
        rows = self._database().execute(
            "SELECT max((SELECT count(*) FROM span WHERE level = ? AND device = device.id"
            " AND time BETWEEN ? AND ?)) FROM device",
            [len(WIDTHS) - 1, now - 7 * DAY, now],
        )
        [most] = rows.fetchone()
        return most is not None and most >= BELIEVED

    def _putAside(self, error: sqlite3.DatabaseError) -> None:
        """Move a broken file away, so that the next use begins a new one."""
        self.close()
        aside = self._path.with_name(f"{self._path.name}.broken-{int(time.time())}")
        os.replace(self._path, aside)
        for end in ("-wal", "-shm"):
            self._path.with_name(self._path.name + end).unlink(missing_ok=True)
        raise sqlite3.OperationalError(f"the file was broken and is now {aside}") from error

    # Reading

    def _rows(self, level: int, device: int, start: float, end: int) -> Iterator[Row]:
        """The rows of a level, of the levels above before it begins, of those below at its end."""
        oldest = self._oldest(level, device)
        if start < oldest and level + 1 < len(WIDTHS):
            yield from self._rows(level + 1, device, start, int(min(end, oldest)))
            start = oldest
        yield from self._down(level, device, start, end)

    def _down(self, level: int, device: int, start: float, end: int) -> Iterator[Row]:
        edge = min(end, self._edge(level, device, end)) if level else end
        yield from self._select(level, device, start, edge)
        if level:
            yield from self._down(level - 1, device, max(start, edge), end)

    def _oldest(self, level: int, device: int) -> float:
        """When a level begins, in whole spans of the levels above, of which it is let go."""
        found = self._end("min", level, device, _EVER)
        return math.inf if found is None else found - found % WIDTHS[-1]

    def _edge(self, level: int, device: int, before: int) -> int:
        """Until when there are spans of a level that begin before some time."""
        found = self._end("max", level, device, before)
        return 0 if found is None else found + WIDTHS[level]

    def _end(self, which: str, level: int, device: int, before: int) -> int | None:
        text = f"SELECT {which}(time) FROM span WHERE level = ? AND device = ? AND time < ?"
        found: int | None = self._database().execute(text, [level, device, before]).fetchone()[0]
        return found

    def _select(self, level: int, device: int, start: float, end: int) -> Iterator[Row]:
        rows = self._database().execute(
            "SELECT time, data FROM span WHERE level = ? AND device = ? AND time >= ? AND time < ?"
            " ORDER BY time",
            [level, device, min(start, _EVER), end],
        )
        for begin, data in rows:
            if level:
                yield begin, {each[0]: each[1:] for each in _SPAN.iter_unpack(data)}
            else:
                seconds = _SECOND.iter_unpack(data)
                yield begin, {field: (1, value, value, value) for field, value in seconds}


def _merged(rows: Iterable[Row], step: int, wanted: set[int] | None) -> Iterator[Row]:
    """Rows put together to spans of `step` s; only of the fields that are wanted."""
    for begin, group in groupby(rows, key=lambda row: row[0] - row[0] % step):
        made: dict[int, Part] = {}
        for _, row in group:
            for field, part in row.items():
                if wanted is None or field in wanted:
                    made[field] = _together(made[field], part) if field in made else part
        yield begin, made


def _together(one: Part, other: Part) -> Part:
    count = one[0] + other[0]
    mean = one[1] + (other[1] - one[1]) * (other[0] / count)
    return count, mean, min(one[2], other[2]), max(one[3], other[3])
