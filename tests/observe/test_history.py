"""The recorder, and who asks for history: slow, failing and dead stores hold nobody up."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from io import StringIO
from threading import Event, get_ident
from typing import Any
from unittest.mock import patch

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from epnet.interfaces import IHistoryStore, Sample, Span
from epnet.observe import export, history, looking
from epnet.observe.export import HistoryReader, Query
from epnet.observe.history import Recorder, valuesOf
from epnet.observe.worker import Busy, Worker
from epnet.wire import StorageParameters
from tests.observe.house import NOON, House, hear
from tests.observe.sitecase import Response, SiteTestCase
from tests.observe.test_calls import SUN, WISH

START = int(NOON.timestamp())


@implementer(IHistoryStore)
class MemoryStore:
    """Keeps everything in memory.

    failure: raised by every use, where there is one.
    """

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.failure: Exception | None = None
        self.closed = 0

    def write(self, samples: Sequence[Sample]) -> None:
        self._check()
        self.samples.extend(samples)

    def devices(self) -> list[str]:
        self._check()
        return sorted({sample.device for sample in self.samples})

    def read(
        self, device: str, fields: Sequence[str], start: int, end: int, step: int, most: int
    ) -> list[Span]:
        self._check()
        found = [
            Span(s.time, {n: (v, v, v) for n, v in s.values.items() if not fields or n in fields})
            for s in self.samples
            if s.device == device and start <= s.time < end
        ]
        return found[:most]

    def close(self) -> None:
        self.closed += 1

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure


class Jobs:
    """A worker that works when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []
        self.dead = False
        self.stopped = False

    def do(self, job: Callable[[], Any]) -> Deferred[Any]:
        done: Deferred[Any] = Deferred(lambda _: None)
        self.waiting.append((job, done))
        if not self.dead:
            self.work()
        return done

    def work(self) -> None:
        while self.waiting:
            job, done = self.waiting.pop(0)
            try:
                result = job()
            except Exception:
                result = Failure()
            if not done.called:
                done.callback(result)

    def stop(self) -> None:
        self.stopped = True


class RecorderTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House()
        self.house.makeSite()
        since = self.house.clock.seconds()
        self.wrong = timedelta()
        self.house.snapshots.timeOfDay = lambda: (
            NOON + self.wrong + (self.house.clock.seconds() - since) * timedelta(seconds=1)
        )
        self.store, self.worker = MemoryStore(), Jobs()
        self.recorder = Recorder(
            self.house.snapshots,
            self.store,
            self.worker,
            self.house.clock,  # type: ignore[arg-type]
        )
        self.house.plugIn("car", "vehicle")
        self.recorder.startService()

    def live(self, seconds: int) -> None:
        self.house.clock.pump([1.0] * seconds)

    def times(self) -> list[int]:
        return [sample.time - START for sample in self.store.samples]


class RecorderTests(RecorderTestCase):
    def test_eachSecondInBatches(self) -> None:
        self.live(4)
        self.assertEqual(self.times(), [])
        self.live(6)
        self.assertEqual(self.times(), list(range(1, 11)))
        self.assertEqual(self.recorder.state()["written"], 10)

    def test_whatIsRecorded(self) -> None:
        battery = self.house.plugIn("battery", "battery")
        hear(battery, SUN, WISH, StorageParameters(soc=62.5))
        [state, _] = self.house.look()["devices"]
        values = valuesOf(state)
        self.assertEqual(values["connected"], 1)
        self.assertEqual(values["storage.soc"], 62.5)
        self.assertEqual(values["supply.voltage_limit.max"], 1000)
        self.assertEqual(values["granted_import_w"], 0)
        self.assertEqual({type(value) for value in values.values()}, {float})

    def test_aSampleThatFailsIsToldAndEndsNothing(self) -> None:
        self.live(2)
        with patch.object(looking, "stateWith", lambda *_: 1 // 0):
            self.live(2)
        self.live(6)
        self.assertEqual(self.times(), [1, 2, *range(5, 11)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_theRestIsWrittenAtTheEnd(self) -> None:
        self.live(3)
        self.successResultOf(self.recorder.stopService())
        self.assertEqual(self.times(), [1, 2, 3])
        self.assertTrue(self.worker.stopped)


class ClockTests(RecorderTestCase):
    def test_aJumpIsToldAndRecordingGoesOn(self) -> None:
        with capturedLogs() as events:
            self.live(10)
            self.wrong = timedelta(days=365)
            self.live(10)
            self.wrong = timedelta(0)
            self.live(10)
            self.wrong = timedelta(seconds=30)  # what a time server does is not news
            self.live(5)
        there = 365 * 86400
        self.assertEqual(
            self.times(),
            [*range(1, 11), *range(there + 11, there + 21), *range(21, 31), *range(61, 66)],
        )
        ahead, back = map(formatEvent, events)
        self.assertIn("has jumped 31536000 s ahead: history goes on", ahead)
        self.assertIn("has jumped 31536000 s back: history goes on", back)


class SlowStoreTests(RecorderTestCase):
    def test_oneBatchIsUnderWayAtATime(self) -> None:
        self.worker.dead = True
        self.live(30)
        self.assertEqual(len(self.worker.waiting), 1)
        self.assertEqual(self.recorder.state()["waiting"], 30)
        self.worker.dead = False
        self.worker.work()
        self.live(5)
        self.assertEqual(self.times(), list(range(1, 36)))

    def test_aDeadOneCostsTheOldestAndTheyAreCounted(self) -> None:
        self.patch(history, "MAX_BACKLOG", 20)
        self.worker.dead = True
        self.live(100)
        state = self.recorder.state()
        self.assertEqual((state["waiting"], state["dropped"], state["written"]), (25, 75, 0))
        self.worker.dead = False
        self.worker.work()
        self.live(5)
        self.assertEqual(self.times(), [1, 2, 3, 4, 5, *range(86, 106)])

    def test_aDeadOneIsToldOnceAndWhenItIsBack(self) -> None:
        self.worker.dead = True
        with capturedLogs() as events:
            self.live(14)
            self.assertIsNone(self.recorder.state()["failure"])
            self.live(20)
            self.assertEqual(self.recorder.state()["failure"], "it does not answer")
            self.worker.dead = False
            self.worker.work()
        self.assertIsNone(self.recorder.state()["failure"])
        dead, back = map(formatEvent, events)
        self.assertIn("history cannot be written: it does not answer", dead)
        self.assertIn("history is written again", back)

    def test_whatCameDuringALongWriteIsWrittenAtTheEnd(self) -> None:
        self.worker.dead = True
        self.live(8)
        ended = self.recorder.stopService()
        self.worker.dead = False
        self.worker.work()
        self.successResultOf(ended)
        self.assertEqual(self.times(), list(range(1, 9)))

    def test_aDeadOneDoesNotKeepTheProgram(self) -> None:
        self.worker.dead = True
        self.live(6)
        ended = self.recorder.stopService()
        self.assertNoResult(ended)
        self.live(2)
        self.successResultOf(ended)


class FailingStoreTests(RecorderTestCase):
    def test_nothingIsLostAndItIsToldOnce(self) -> None:
        self.store.failure = OSError("no space left")
        with capturedLogs() as events:
            self.live(60)
            self.assertEqual(self.recorder.state()["failure"], "no space left")
            self.store.failure = None
            self.live(60)
        self.assertEqual(self.times(), list(range(1, 121)))
        self.assertIsNone(self.recorder.state()["failure"])
        failed, again = map(formatEvent, events)
        self.assertIn("history cannot be written: no space left", failed)
        self.assertIn("history is written again; 0 samples", again)

    def test_itIsTriedLessAndLessOften(self) -> None:
        self.store.failure = OSError("no space left")
        self.live(5 + 1 + 2 + 4 + 8 + 16)
        self.assertEqual(self.store.closed, 6)
        self.live(600)
        self.assertLessEqual(self.store.closed, 6 + 11)

    def test_whatDoesNotFitIsCounted(self) -> None:
        self.patch(history, "MAX_BACKLOG", 20)
        self.store.failure = OSError("no space left")
        self.live(100)
        self.store.failure = None
        self.live(60)
        state = self.recorder.state()
        self.assertEqual(state["written"] + state["dropped"] + state["waiting"], 160)
        self.assertEqual(state["dropped"], len(set(range(1, 161)) - set(self.times())))


class WorkerTests(SynchronousTestCase):
    """A real thread, whose results come through a queue instead of a reactor."""

    def setUp(self) -> None:
        self.calls: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self.called = Event()
        self.worker = Worker("test", self)  # type: ignore[arg-type]
        self.addCleanup(self.worker.stop)

    def callFromThread(self, call: Callable[..., None], *arguments: Any) -> None:
        self.calls.append((call, arguments))
        self.called.set()

    def results(self) -> None:
        self.assertTrue(self.called.wait(10))
        self.called.clear()
        while self.calls:
            call, arguments = self.calls.pop(0)
            call(*arguments)

    def test_workIsDoneElsewhere(self) -> None:
        done = self.worker.do(get_ident)
        self.assertNoResult(done)
        self.results()
        self.assertNotEqual(self.successResultOf(done), get_ident())

    def test_errorsComeBack(self) -> None:
        done = self.worker.do(lambda: 1 // 0)
        self.results()
        self.failureResultOf(done, ZeroDivisionError)

    def test_soManyAndNoMore(self) -> None:
        gate = Event()
        self.addCleanup(gate.set)
        jobs = [self.worker.do(gate.wait) for _ in range(16)]
        self.assertRaises(Busy, self.worker.do, gate.wait)
        jobs[5].addErrback(lambda failure: None)
        jobs[5].cancel()  # who gives up frees nothing, for the thread is as stuck as before
        self.assertRaises(Busy, self.worker.do, gate.wait)


class Slow(StringTransport):
    """A connection that has no room after each write."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.producer is not None:
            self.producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))


class HistoryCallTests(SiteTestCase):
    def setUp(self) -> None:
        self.house = House()
        self.store, self.worker = MemoryStore(), Jobs()
        self.reader = HistoryReader(
            self.store,
            self.worker,
            self.house.clock,
            lambda: START + 100.0,  # type: ignore[arg-type]
        )
        self.site = self.house.makeSite(None, self.reader)
        self.store.write(
            [
                Sample(START + number, device, {"import_w": float(number), "storage.soc": 50.0})
                for number in range(5)
                for device in ("car", "=roof,1")
            ]
        )

    def history(self, query: str) -> Response:
        return self.ask(f"/api/v1/history?{query}")

    def test_asJson(self) -> None:
        answer = self.history("device=car&field=import_w").json()
        self.assertEqual(
            answer,
            {
                "step": 12,
                "series": [
                    {
                        "device": "car",
                        "field": "import_w",
                        "points": [[START + n, n, n, n] for n in range(5)],
                    }
                ],
            },
        )

    def test_allDevicesAndFields(self) -> None:
        series = self.history("").json()["series"]
        names = [(each["device"], each["field"]) for each in series]
        self.assertEqual(
            names, [(d, f) for d in ("=roof,1", "car") for f in ("import_w", "storage.soc")]
        )

    def test_asCsvForAnythingThatReadsIt(self) -> None:
        response = self.history("format=csv&field=storage.soc")
        self.assertEqual(response.headers["content-type"], "text/csv; charset=utf-8")
        rows = list(csv.reader(StringIO(unchunked(response.body))))
        self.assertEqual(rows[0], ["time", "device", "field", "mean", "least", "most"])
        self.assertEqual(len(rows), 11)
        self.assertEqual(
            rows[6], ["2026-06-21T12:00:00+00:00", "car", "storage.soc", "50.0", "50.0", "50.0"]
        )

    def test_asJsonLines(self) -> None:
        lines = unchunked(self.history("format=jsonl&device=car").body).splitlines()
        self.assertEqual(
            json.loads(lines[2]),
            {
                "time": "2026-06-21T12:00:01+00:00",
                "device": "car",
                "field": "import_w",
                "mean": 1,
                "least": 1,
                "most": 1,
            },
        )

    def test_nothingThereIsNoError(self) -> None:
        self.assertEqual(self.history("device=nobody").json()["series"], [])
        csvText = unchunked(self.history("device=nobody&format=csv").body)
        self.assertEqual(csvText, "time,device,field,mean,least,most\r\n")

    def test_pageAfterPage(self) -> None:
        self.patch(export, "PAGE", 2)
        self.assertEqual(
            len(self.history("device=car&field=import_w&step=1").json()["series"][0]["points"]), 5
        )
        rows = unchunked(self.history("format=csv&field=import_w&step=1").body).splitlines()
        self.assertEqual(len(rows), 11)

    def test_whoDoesNotReadIsWaitedForWithoutReadingOn(self) -> None:
        self.patch(export, "PAGE", 2)
        reads = self.reads()
        transport = Slow(hostAddress=self.listening)
        channel = self.site.buildProtocol(None)
        channel.makeConnection(transport)
        query = (
            b"GET /api/v1/history?format=csv&device=car&step=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        channel.dataReceived(query)
        self.house.clock.advance(59)
        for pages in (1, 2, 3):
            self.assertEqual(len(reads), pages)
            transport.producer.resumeProducing()
        body = transport.value().split(b"\r\n\r\n", 1)[1]
        self.assertEqual(len(unchunked(body).splitlines()), 11)

    def test_whoNeverReadsIsCutOff(self) -> None:
        transport = Slow(hostAddress=self.listening)
        channel = self.site.buildProtocol(None)
        channel.makeConnection(transport)
        channel.dataReceived(b"GET /api/v1/history?format=csv HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.house.clock.advance(59)
        self.assertFalse(transport.aborted)
        self.house.clock.advance(2)
        self.assertTrue(transport.aborted)
        self.assertEqual(self.reader._underWay, 0)

    def test_whoGoesMeanwhileIsForgotten(self) -> None:
        self.patch(export, "PAGE", 2)
        reads = self.reads()
        transport = Slow(hostAddress=self.listening)
        channel = self.site.buildProtocol(None)
        channel.makeConnection(transport)
        channel.dataReceived(b"GET /api/v1/history?format=csv HTTP/1.1\r\nHost: localhost\r\n\r\n")
        channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((len(reads), self.reader._underWay), (1, 0))

    def reads(self) -> list[int]:
        """From when on the store is read, for each time it is from now on."""
        reads: list[int] = []
        read = self.store.read

        def reading(device: str, fields: Sequence[str], start: int, *more: int) -> list[Span]:
            reads.append(start)
            return read(device, fields, start, *more)

        self.patch(self.store, "read", reading)
        return reads

    def test_tooMuchForOneObject(self) -> None:
        self.patch(export, "MAX_VALUES", 4)
        response = self.history("device=car")
        self.assertEqual(response.code, 400)
        self.assertIn("csv", response.json()["error"])

    def test_badQueries(self) -> None:
        for query in ("from=x", "step=0", "step=-1", "format=xml", "from=1e30", "device="):
            self.assertEqual(self.history(query).code, 400, query)

    def test_aDeadDiskIsAnswered503(self) -> None:
        self.worker.dead = True
        transport = self.send(b"GET /api/v1/history HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.house.clock.advance(9)
        self.assertEqual(transport.value(), b"")
        self.house.clock.advance(2)
        response = Response(transport.value())
        self.assertEqual(response.code, 503)
        self.assertIn("does not answer", response.json()["error"])

    def test_aBrokenStoreIsAnswered503AndClosed(self) -> None:
        self.store.failure = OSError("bad sector")
        for form in ("json", "csv"):
            response = self.history(f"format={form}")
            self.assertEqual(response.code, 503)
            self.assertIn("bad sector", response.json()["error"])
        self.assertEqual(self.store.closed, 2)

    def test_soManyAskAndNoMore(self) -> None:
        self.worker.dead = True
        request = b"GET /api/v1/history HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for _ in range(16):
            self.send(request)
        self.assertEqual(Response(self.send(request).value()).code, 503)
        self.house.clock.advance(11)
        self.worker.dead = False
        self.worker.work()
        self.assertEqual(self.history("").code, 200)


class QueryTests(SynchronousTestCase):
    def query(self, **values: Any) -> Query:
        fields = {"device": None, "field": None, "from": -3600.0, "to": 0.0, "step": None}
        return Query.of({**fields, **values}, 10_000.4)

    def test_timesBelowZeroAreBeforeNow(self) -> None:
        query = self.query(step=60.0)
        self.assertEqual((query.start, query.end, query.step), (6360, 10_001, 60))
        query = self.query(**{"from": 100.0, "to": 200.0})
        self.assertEqual((query.start, query.end, query.step), (100, 200, 1))

    def test_aStepIsChosenForAbout300Spans(self) -> None:
        for hours, step in ((0.05, 1), (1, 12), (24, 300), (24 * 30, 9000)):
            self.assertEqual(self.query(**{"from": -3600.0 * hours}).step, step)

    def test_severalFields(self) -> None:
        self.assertEqual(self.query(field="a,,b").fields, ("a", "b"))


def unchunked(body: bytes) -> str:
    """A body sent in chunks."""
    text = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        count = int(size, 16)
        text, body = text + rest[:count], rest[count + 2 :]
        if not count:
            break
    return text.decode()
