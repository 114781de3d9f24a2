"""Keeps the accounts of a router safe while it runs: nothing but the last 10 s can be lost.

Every 5 s a copy of the accounts goes to the store, in a thread, one at a time.  Where that fails,
as on a full disk, the meters go on in memory, and what they show stands still until it succeeds
again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from epnet.errors import UsageError
from epnet.router.ledger import Kept

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime
    from twisted.python.failure import Failure

    from epnet.router.accounts import Accounts
    from epnet.router.meterstore import MeterStore

SAVE_SECONDS: Final = 5.0
"""Time between two writes: half of what may be lost; the other half is for the disk."""

LATE_SECONDS: Final = 10.0
"""A write that takes as long as this is told of."""


class MeterKeeper(MultiService):
    """Keeps the accounts of a router in a store while it runs.

    Its children, those who still use the meters, stop before it writes for the last time.

    accounts: what is kept; from the start they show only what is in the store.
    store: where.
    clock: the one clock.
    timeOfDay: tells the time of day, aware.
    inThread: runs a function elsewhere; gives its outcome as a Deferred.
    """

    log = Logger()

    def __init__(
        self,
        accounts: Accounts,
        store: MeterStore,
        clock: IReactorTime,
        timeOfDay: Callable[[], datetime] = lambda: datetime.now(UTC),
        inThread: Callable[..., Deferred[None]] = deferToThread,
    ) -> None:
        super().__init__()
        self.accounts = accounts
        self.store = store
        self._clock = clock
        self._timeOfDay = timeOfDay
        self._inThread = inThread
        self._loop = LoopingCall(self._saveUnlessSaving)
        self._loop.clock = clock
        self._saving: Deferred[None] | None = None
        self._began = clock.seconds()
        self._troubled = False

    def startService(self) -> None:
        """Go on from what was kept.  Raises SystemExit with a line for the user if it cannot."""
        try:
            saved = self.store.open()
        except UsageError as error:
            raise SystemExit(str(error)) from error
        now = self._clock.seconds()
        if saved is None:
            self.accounts.restore(Kept(), now, 0.0)
        else:
            down = (self._timeOfDay() - saved.time).total_seconds()
            self.accounts.restore(saved.kept, now, down)
        self._loop.start(SAVE_SECONDS, now=False)
        super().startService()

    @inlineCallbacks
    def stopService(self) -> Any:
        """Stop the children, then write for the last time."""
        yield super().stopService()
        self._loop.stop()
        if self._saving is not None:
            yield self._saving
        yield self._save()
        self.store.close()

    def _saveUnlessSaving(self) -> None:
        if self._saving is None:
            self._save()
        elif (waited := self._clock.seconds() - self._began) >= LATE_SECONDS:
            self._tell(f"the disk has not answered for {waited:.0f} s")

    def _save(self) -> Deferred[None]:
        kept, self._began = self.accounts.kept(), self._clock.seconds()
        saving = self._saving = self._inThread(self.store.write, kept, self._timeOfDay())
        saving.addCallback(self._saved, kept)
        saving.addErrback(self._failed)
        saving.addBoth(self._done)
        return saving

    def _saved(self, _: None, kept: Kept) -> None:
        self.accounts.wereSaved(kept, self._began)
        if self._troubled:
            self._troubled = False
            self.log.warn("the meters are kept again")

    def _failed(self, failure: Failure) -> None:
        self.accounts.saveFailures += 1
        self._tell(failure.getErrorMessage())

    def _done(self, _: None) -> None:
        self._saving = None

    def _tell(self, what: str) -> None:
        """Tell of a trouble, once until it is over."""
        if not self._troubled:
            self._troubled = True
            self.log.critical(
                "the meters are not kept: {what}; they go on in memory, what they show stands "
                "still, and what they count now is lost if the router ends",
                what=what,
            )
