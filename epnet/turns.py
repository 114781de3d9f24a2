"""Work that nobody else shall wait for: a little of it in each turn of the reactor.

The reactor serves all connections in turns.  What one peer can make us compute at its pleasure is
queued here instead of being done as it arrives: a `Turns` does about a millisecond's worth of it in
each turn, in order of arrival, and everybody else is served in between.  Whoever causes much of
such work waits for it himself.

Where everybody else takes long, so that turns are few, it gets a part of the time all the same:
else nobody new would ever come in to a node that has as much to do as it can.
"""

from __future__ import annotations

from itertools import islice
from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

TURN_SECONDS: Final = 0.0005
"""For how long work is begun in a turn; what has begun is finished, mostly within as much again."""
PART: Final = 0.1
"""Which part of the time it is in any case, while work waits, however long turns take: newcomers
shall get in.  Those who only send too much are owed none."""


class Job(Protocol):
    """Somebody with work to be done."""

    def proceed(self) -> None:
        """Do it."""

    def giveUp(self) -> None:
        """An error of our own came up; the exception has been logged."""


class Turns:
    """A queue of work.

    clock: the one clock.
    most: how many jobs are done at most in a turn, however quick they are.
    pause: how long nothing is done in between, in s: 0 to go on in the next turn.
    part: which part of the time it gets in any case, 0 to 1.
    """

    log = Logger()

    def __init__(
        self, clock: IReactorTime, most: int, pause: float = 0.0, part: float = PART
    ) -> None:
        self.most = most
        self._pause = pause
        self._part = part
        self._clock = clock
        self._queue: dict[Job, None] = {}
        self._next: IDelayedCall | None = None
        self._since = 0.0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._queue)

    def queue(self, job: Job) -> None:
        """Do a job when its turn comes; once, however often it is queued until then."""
        self._queue[job] = None
        if self._next is None:
            self._since = self._clock.seconds()
            self._next = self._clock.callLater(0, self._proceed)

    def spare(self) -> bool:
        """Whether a job may be done at once: then nothing more is done before a pause is over."""
        if self._next is not None:
            return False
        if self._pause:
            self._since = self._clock.seconds()
            self._next = self._clock.callLater(self._pause, self._proceed)
        return True

    def forget(self, job: Job) -> None:
        """There is nothing to be done any more."""
        self._queue.pop(job, None)

    def _proceed(self) -> None:
        now = self._clock.seconds()
        until = now + max(TURN_SECONDS, self._part * (now - self._since))
        jobs = tuple(islice(self._queue, self.most))
        for job in jobs:
            if job not in self._queue:
                continue  # one before it was the end of it
            del self._queue[job]
            self._do(job)
            now = self._clock.seconds()
            if now >= until:
                break
        self._next, self._since = None, now
        if self._queue or (jobs and self._pause):
            self._next = self._clock.callLater(self._pause, self._proceed)

    def _do(self, job: Job) -> None:
        """Do a job; whatever is wrong with it, the others shall have their turns."""
        try:
            job.proceed()
        except Exception:
            self.log.failure("error in our own code: giving a connection up")
            try:
                job.giveUp()
            except Exception:
                self.log.failure("error in our own code, in giving it up")
