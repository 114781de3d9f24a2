"""The files of the meters: whole after any end, sound or set aside; and who keeps them filled."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

import epnet.state
from epnet.errors import UsageError
from epnet.router.accounts import Accounts
from epnet.router.ledger import Account, Books, Kept, Record
from epnet.router.meterkeeper import MeterKeeper
from epnet.router.meterstore import MeterStore, Saved
from epnet.router.provenance import Blend
from epnet.wire import Source
from tests.router.plant import NOON

BLEND = Blend({Source.LOCAL_SOLAR: 0.1, Source.UNKNOWN: 0.9}, 904.25, cost=0.1, unpriced=1 / 3)
BOOKS = Books(energyIn=1e12 / 3, energyOut=0.1, carbonIn=7.25, carbonOwn=1e-9)
RECORDS = {
    "sun": Record(imported=10**18 + 1, gaps=3, gapMicroseconds=700_001),
    "bättery": Record(exported=5, exportedEstimated=4, carbon_g=0.1, stored=7200.5, blend=BLEND),
}


def disk(error: int) -> Callable[..., None]:
    """What a system call does on such a disk."""

    def call(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    return call


class StoreTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()) / "meters"
        self.store = self.makeStore()

    def makeStore(self) -> MeterStore:
        store = MeterStore(self.folder)
        self.addCleanup(store.close)
        return store

    def reopen(self) -> Saved | None:
        self.store.close()
        self.store = self.makeStore()
        return self.store.open()

    def fill(self, *counts: int) -> None:
        self.store.open()
        for count in counts:
            self.store.write(Kept({"sun": Record(imported=count)}), NOON)

    def files(self) -> list[Path]:
        return sorted(self.folder.glob("meters-*.jsonl"))


class StoreTests(StoreTestCase):
    def test_aNewStoreIsEmpty(self) -> None:
        self.assertIsNone(self.store.open())
        self.assertEqual(self.folder.stat().st_mode & 0o777, 0o700)

    def test_whatWasWrittenIsThere(self) -> None:
        self.store.open()
        self.store.write(Kept(RECORDS, BOOKS), NOON)
        self.assertEqual(self.reopen(), Saved(1, NOON, Kept(RECORDS, BOOKS)))
        [file] = self.files()
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)

    def test_aFileWithoutBooksBeginsThemAnew(self) -> None:
        self.fill(1)
        [file] = self.files()
        _, about, *records = file.read_text().splitlines()
        fields = json.loads(about)
        del fields["books"]
        body = "".join(f"{line}\n" for line in (json.dumps(fields), *records))
        digest = sha256(body.encode()).hexdigest()
        file.write_text(json.dumps({"format": 1, "sha256": digest}) + "\n" + body)
        saved = self.reopen()
        assert saved is not None
        self.assertEqual(saved.kept, Kept({"sun": Record(imported=1)}, Books()))

    def test_theNewerCounts(self) -> None:
        for last in range(1, 6):
            self.fill(last)
            saved = self.reopen()
            assert saved is not None
            self.assertEqual((saved.sequence, saved.kept.records["sun"].imported), (last, last))
            self.store.close()

    def test_whatAKilledWriteLeftIsCleanedUp(self) -> None:
        self.fill(1)
        (self.folder / ".new-abc").write_bytes(b"half")
        self.assertIsNotNone(self.reopen())
        self.assertEqual(list(self.folder.glob(".new-*")), [])

    def test_anyDamageIsSeenAndTheOtherFileCounts(self) -> None:
        self.fill(1, 2)
        [newest] = [file for file in self.files() if b'"sequence": 2' in file.read_bytes()]
        whole = newest.read_bytes()
        damages = [whole[:length] for length in range(len(whole))]
        damages += [
            whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(len(whole))
        ]
        for content in damages:
            newest.write_bytes(content)
            with capturedLogs() as logs:
                saved = self.reopen()
            assert saved is not None
            self.assertEqual(saved.sequence, 1, content)
            self.assertEqual([event["log_level"] for event in logs], [LogLevel.critical])
            self.assertEqual(newest.with_suffix(".damaged").read_bytes(), content)

    def test_anotherFormatIsSetAside(self) -> None:
        self.fill(1)
        [file] = self.files()
        file.write_text(file.read_text().replace('"format": 1', '"format": 2'))
        with capturedLogs() as logs:
            self.assertIsNone(self.reopen())
        self.assertIn("format", str(logs[0]["error"]))

    def test_afterAFailureTheGoodFileIsLeftAlone(self) -> None:
        self.fill(1, 2)
        for call, error in (("replace", 5), ("fsync", 28)):
            self.patch(epnet.state.os, call, disk(error))
            for _ in range(3):
                with self.assertRaises(UsageError) as caught:
                    self.store.write(Kept({"sun": Record(imported=3)}), NOON)
                self.assertIn(os.strerror(error), str(caught.exception))
        saved = self.reopen()
        assert saved is not None
        self.assertEqual(saved.kept.records["sun"].imported, 2)

    def test_twoRoutersDoNotShareAStore(self) -> None:
        self.store.open()
        with self.assertRaises(UsageError) as caught:
            self.makeStore().open()
        self.assertIn("--state-dir", str(caught.exception))
        self.store.close()
        self.makeStore().open()

    def test_aFolderThatCannotBeUsedIsAMistakeOfTheUser(self) -> None:
        self.folder.parent.mkdir()
        self.folder.write_text("a file")
        self.assertRaises(UsageError, self.store.open)


class KeeperTests(StoreTestCase):
    """The keeper over a store; what runs in its thread is held back until the test lets it."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.time = NOON
        self.accounts = Accounts()
        self.held: list[tuple[Callable[..., None], tuple[Any, ...], Deferred[None]]] = []
        self.hold = False
        self.keeper = self.makeKeeper()

    def makeKeeper(self) -> MeterKeeper:
        return MeterKeeper(self.accounts, self.store, self.clock, lambda: self.time, self.inThread)

    def inThread(self, call: Callable[..., None], *arguments: Any) -> Deferred[None]:
        if self.hold:
            self.held.append((call, arguments, Deferred()))
            return self.held[-1][2]
        try:
            call(*arguments)
        except Exception:
            return fail(Failure())
        return succeed(None)

    def count(self, millijoules: int) -> None:
        """So much has been counted in all."""
        self.accounts.byPort["sun"] = Account.of(Record(imported=millijoules))

    def unsaved(self) -> float | None:
        self.accounts.advance(self.clock.seconds(), ())
        return self.accounts.unsaved_s

    def shown(self) -> int:
        return self.accounts.shown("sun").imported

    def stop(self) -> None:
        self.successResultOf(self.keeper.stopService())

    def test_whatIsShownIsNeverAheadOfTheStore(self) -> None:
        self.keeper.startService()
        self.count(1000)
        self.assertEqual(self.shown(), 0)
        self.clock.advance(5)
        self.assertEqual((self.shown(), self.accounts.saves), (1000, 1))
        self.hold = True
        self.count(2000)
        self.clock.advance(5)
        self.assertEqual(self.shown(), 1000)
        call, arguments, done = self.held.pop()
        call(*arguments)
        self.count(2500)
        done.callback(None)
        self.assertEqual(self.shown(), 2000)
        self.assertEqual(self.unsaved(), 0)

    def test_aRestartGoesOnAndTheTimeBetweenIsAGap(self) -> None:
        self.keeper.startService()
        self.count(1000)
        self.clock.advance(5)
        self.store.close()  # as a killed process does
        self.time += timedelta(seconds=90)
        self.store, self.accounts = self.makeStore(), Accounts()
        self.keeper = self.makeKeeper()
        self.keeper.startService()
        self.assertEqual(self.shown(), 1000)
        meter = self.accounts.byPort["sun"].meter
        self.assertEqual(meter.imported.millijoules, 1000)
        self.assertEqual((meter.gaps, meter.gapMicroseconds), (1, 90_000_000))

    def test_aWallClockThatWasSetBackMakesNoGap(self) -> None:
        self.fill(1000)
        self.store.close()
        self.time -= timedelta(days=1)
        self.keeper.startService()
        self.assertEqual(self.accounts.byPort["sun"].meter.gaps, 0)

    def test_aFullDiskIsToldOnceAndMeteringGoesOn(self) -> None:
        self.keeper.startService()
        self.count(1000)
        self.clock.advance(5)
        fsync = os.fsync
        self.patch(epnet.state.os, "fsync", disk(28))
        with capturedLogs() as logs:
            for count in range(2000, 6000, 1000):
                self.count(count)
                self.clock.advance(5)
        [event] = logs
        self.assertEqual(event["log_level"], LogLevel.critical)
        self.assertIn("No space left", event["what"])
        self.assertEqual((self.accounts.saveFailures, self.unsaved()), (4, 20))
        self.assertEqual(self.shown(), 1000)
        self.patch(epnet.state.os, "fsync", fsync)
        with capturedLogs() as logs:
            self.clock.advance(5)
        self.assertEqual(len(logs), 1)
        self.assertEqual(self.shown(), 5000)

    def test_aDiskThatDoesNotAnswerIsToldOnceAndWaitedFor(self) -> None:
        self.keeper.startService()
        self.hold = True
        with capturedLogs() as logs:
            for _ in range(20):
                self.clock.advance(5)
        self.assertEqual(len(self.held), 1)
        [event] = logs
        self.assertIn("not answered", event["what"])

    def test_theLastWriteComesAfterAllElseHasStopped(self) -> None:
        drained: Deferred[None] = Deferred()
        self.keeper.startService()
        self.hold = True
        self.clock.advance(5)  # a write that is under way
        self.patch(self.keeper, "addService", lambda service: None)
        self.keeper.services.append(_Slow(drained))
        stopping = self.keeper.stopService()
        self.count(7000)
        drained.callback(None)
        self.assertEqual(len(self.held), 1)
        self.hold = False
        self.held.pop()[2].callback(None)
        self.successResultOf(stopping)
        saved = self.reopen()
        assert saved is not None
        self.assertEqual(saved.kept.records["sun"].imported, 7000)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_aStoreInUseEndsTheProgramWithOneLine(self) -> None:
        self.store.open()
        self.store = self.makeStore()
        self.keeper = self.makeKeeper()
        self.assertIn(
            "another router", str(self.assertRaises(SystemExit, self.keeper.startService))
        )


class _Slow:
    """A service that takes its time to stop."""

    def __init__(self, stopped: Deferred[None]) -> None:
        self._stopped = stopped

    def stopService(self) -> Deferred[None]:
        return self._stopped
