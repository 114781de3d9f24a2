"""The files that the accounts of a router are kept in; they survive whatever ends the process.

The accounts are written as a whole, to one of two files in turn, and each file is replaced as a
whole too: whenever the process or the power goes, one of them is complete.  Each tells its sequence
number and the digest of its content; on start the newer one that is sound counts.

All of this waits for the disk: `epnet.router.meterkeeper` calls it in a thread.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.logger import Logger

from epnet.errors import UsageError
from epnet.router.ledger import Books, Kept, Record
from epnet.router.provenance import Blend
from epnet.state import makePrivateDirectory, replaceFile
from epnet.wire import Source

FORMAT: Final = 1
"""The format of the files; others are not read."""


@attrs.frozen
class Saved:
    """What a file holds.

    sequence: counts the writes; the higher is the newer.
    time: when it was written, aware.
    """

    sequence: int
    time: datetime
    kept: Kept


class MeterStore:
    """The files that accounts are kept in.

    folder: a directory for nothing else; made where it is not there.
    """

    log = Logger()

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._sequence = 0
        self._lock: int | None = None

    def open(self) -> Saved | None:
        """Lock the folder and give what was written last, or None if there is nothing.

        A file that is not sound is set aside under another name.  Raises `UsageError` if another
        process has the folder, or it cannot be used.
        """
        makePrivateDirectory(self.folder)
        try:
            self._takeLock()
            for leftover in self.folder.glob(".new-*"):
                with suppress(OSError):
                    leftover.unlink()
            found = [saved for saved in map(self._load, self._files()) if saved is not None]
        except OSError as error:
            raise UsageError(
                f"cannot use the meters in {self.folder}: {error.strerror}; mend it, or choose "
                "another state directory"
            ) from error
        newest = max(found, key=lambda saved: saved.sequence, default=None)
        if newest is not None:
            self._sequence = newest.sequence
        return newest

    def write(self, kept: Kept, time: datetime) -> None:
        """Write the accounts; blocks until they are safe.  Raises `UsageError` if that fails."""
        sequence = self._sequence + 1
        about = {
            "sequence": sequence,
            "time": time.isoformat(),
            "books": attrs.asdict(kept.books),
        }
        body = _lines([about, *map(_fields, sorted(kept.records.items()))])
        head = _lines([{"format": FORMAT, "sha256": sha256(body).hexdigest()}])
        replaceFile(self._files()[sequence % 2], head + body, 0o600)
        # Only now, so that after a failure the other file, the good one, is left alone.
        self._sequence = sequence

    def close(self) -> None:
        """Let others have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _files(self) -> tuple[Path, Path]:
        return self.folder / "meters-0.jsonl", self.folder / "meters-1.jsonl"

    def _takeLock(self) -> None:
        # Not for writing: a disk that has become read-only can still be read and locked.
        self._lock = os.open(self.folder / "lock", os.O_RDONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise UsageError(
                f"another router keeps its meters in {self.folder}: stop it, or give this one "
                "another --state-dir"
            ) from None

    def _load(self, path: Path) -> Saved | None:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return _parse(content)
        except (ValueError, KeyError, TypeError) as error:
            aside = path.with_suffix(".damaged")
            self.log.critical(
                "the meters in {path} are damaged ({error}); they are set aside as {aside}",
                path=path,
                error=error,
                aside=aside,
            )
            path.rename(aside)
            return None


def _lines(objects: Iterable[object]) -> bytes:
    return "".join(json.dumps(each) + "\n" for each in objects).encode()


def _fields(item: tuple[str, Record]) -> dict[str, Any]:
    identity, record = item
    fields = attrs.asdict(record, recurse=False)
    if record.blend is not None:
        fields["blend"] = {
            **attrs.asdict(record.blend, recurse=False),
            "sources": {source.name: part for source, part in record.blend.sources.items()},
        }
    return {"identity": identity, **fields}


def _parse(content: bytes) -> Saved:
    """The content of a file.  Raises ValueError, KeyError or TypeError if it is not sound."""
    first, _, body = content.partition(b"\n")
    head = json.loads(first)
    if head["format"] != FORMAT:
        raise ValueError(f"its format is {head['format']}, not {FORMAT}")
    if head["sha256"] != sha256(body).hexdigest():
        raise ValueError("its digest is wrong")
    about, *records = map(json.loads, body.splitlines())
    time = datetime.fromisoformat(about["time"])
    # Files were once without books: these then begin anew.
    books = Books(**about.get("books", {}))
    return Saved(about["sequence"], time, Kept(dict(map(_record, records)), books))


def _record(fields: dict[str, Any]) -> tuple[str, Record]:
    identity, blend = fields.pop("identity"), fields.pop("blend")
    if blend is not None:
        sources = {Source[name]: part for name, part in blend.pop("sources").items()}
        blend = Blend(sources, **blend)
    return identity, Record(**fields, blend=blend)
