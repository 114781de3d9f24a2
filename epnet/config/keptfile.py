"""A file in the state directory that is written while the program runs, and never waited for.

A flush to the disk takes some 10 ms on a good one, and seconds on a card that is busy with itself;
the reactor, on which the consent of devices expires after 200 ms, must not stand still for it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.internet.threads import deferToThread

from epnet.state import makePrivateDirectory, replaceFile

InThread = Callable[..., Deferred[None]]


class KeptFile:
    """Keeps a content in a file: each as a whole, one at a time, and of several the newest.

    path: the file, private to its owner, as its directory is.
    failed: is told why a content could not be kept.
    inThread: runs a function elsewhere; gives its outcome as a Deferred.
    finished: fires when all is in the file.
    """

    def __init__(
        self, path: Path, failed: Callable[[Exception], None], inThread: InThread = deferToThread
    ) -> None:
        self.path = path
        self.finished: Deferred[None] = succeed(None)
        self._failed = failed
        self._inThread = inThread
        self._next: bytes | None = None
        self._writing = False

    def keep(self, content: bytes) -> None:
        """Write this, as soon as what is being written is done."""
        self._next = content
        if not self._writing:
            self.finished = self._write()

    @inlineCallbacks
    def _write(self) -> Any:
        self._writing = True
        while self._next is not None:
            content, self._next = self._next, None
            try:
                yield self._inThread(_replace, self.path, content)
            except Exception as error:
                self._failed(error)
        self._writing = False


def _replace(path: Path, content: bytes) -> None:
    for folder in (path.parent.parent, path.parent):
        makePrivateDirectory(folder)
    replaceFile(path, content, 0o600)
