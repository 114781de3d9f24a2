"""A file that is written by somebody else, one content at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from epnet.config.keptfile import KeptFile
from epnet.errors import UsageError


class KeptFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute() / "kept" / "file"
        self.works: list[tuple[Deferred[None], Callable[[], None]]] = []
        self.failures: list[str] = []
        self.file = KeptFile(
            self.path, lambda error: self.failures.append(str(error)), self.inThread
        )

    def inThread(self, function: Callable[..., None], *arguments: object) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        self.works.append((done, lambda: function(*arguments)))
        return done

    def work(self) -> None:
        """The thread gets to it."""
        done, function = self.works.pop(0)
        try:
            function()
        except UsageError:
            done.errback(Failure())
        else:
            done.callback(None)

    def test_nobodyWaitsForTheDisk(self) -> None:
        self.file.keep(b"a")
        self.assertFalse(self.path.exists())
        self.assertNoResult(self.file.finished)
        self.work()
        self.assertEqual(self.path.read_bytes(), b"a")
        self.successResultOf(self.file.finished)

    def test_oneAtATimeAndTheNewestLast(self) -> None:
        for content in (b"a", b"b", b"c"):
            self.file.keep(content)
        self.assertEqual(len(self.works), 1)
        self.work()
        self.assertNoResult(self.file.finished)
        self.work()
        self.assertEqual(self.path.read_bytes(), b"c")
        self.successResultOf(self.file.finished)
        self.file.keep(b"d")
        self.work()
        self.assertEqual(self.path.read_bytes(), b"d")

    def test_aFailureIsToldOfAndTheNextOneIsTried(self) -> None:
        self.path.parent.parent.write_text("in the way")
        self.file.keep(b"a")
        self.work()
        self.assertEqual(len(self.failures), 1)
        self.path.parent.parent.unlink()
        self.file.keep(b"b")
        self.work()
        self.assertEqual(self.path.read_bytes(), b"b")
