"""A thread for work that may block, such as that of a disk: bounded, and nothing waits for it.

The thread is a daemon: a disk that never answers does not keep the program from ending.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

T = TypeVar("T")
Job = tuple[Callable[[], Any], "Deferred[Any]"]

MOST_JOBS: Final = 16


class Busy(Exception):
    """So many jobs are waiting that no more are taken."""


class Worker:
    """One thread that does one job after the other; it begins with the first one.

    name: of the thread.
    reactor: where the results are told.
    """

    def __init__(self, name: str, reactor: IReactorFromThreads) -> None:
        self._name = name
        self._reactor = reactor
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._waiting = 0

    def do(self, job: Callable[[], T]) -> Deferred[T]:
        """Have something done; fires with its result.  Raises `Busy`."""
        if self._waiting >= MOST_JOBS:
            raise Busy(f"{MOST_JOBS} jobs are waiting")
        if self._thread is None:
            self._thread = Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._waiting += 1
        # Who gave up waiting cancels; the job itself cannot be called back.
        done: Deferred[T] = Deferred(lambda _: None)
        self._jobs.put((job, done))
        return done

    def stop(self) -> None:
        """End the thread after the jobs that wait."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread = None

    def _run(self) -> None:
        while (next := self._jobs.get()) is not None:
            job, done = next
            try:
                result = job()
            except Exception:
                result = Failure()
            self._reactor.callFromThread(self._tell, done, result)

    def _tell(self, done: Deferred[Any], result: Any) -> None:
        self._waiting -= 1
        if not done.called:
            done.callback(result)
