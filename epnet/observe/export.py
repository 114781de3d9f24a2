"""The history over HTTP: as one JSON object for charts, as CSV or JSON lines for whatever size.

The store is read, and what is read put into words, by a thread of its own, in pages so small that
the router never waits long for the interpreter.  A viewer that does not read is waited for without
reading on, for a minute; a store that does not answer costs that viewer an error after 10 s.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar

import attrs
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from twisted.web import http
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from epnet.interfaces import IHistoryStore, Span
from epnet.observe.fields import DEVICE, Choice, Field, Number, Text
from epnet.observe.resources import JSON, abort, refuse, reply
from epnet.observe.worker import Busy, Worker

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

T = TypeVar("T")

PAGE: Final = 20
"""Spans that are read at once: a millisecond or two of work."""
MAX_VALUES: Final = 100_000
"""Values in one JSON object."""
PATIENCE_SECONDS: Final = 10.0
READING_SECONDS: Final = 60.0
"""How long a viewer may read nothing."""
POINTS: Final = 300
"""About how many spans come of a field where no step is asked for."""
MAX_ANSWERS: Final = 16
"""Answers that are under way at a time."""

CSV: Final = "text/csv; charset=utf-8"
JSON_LINES: Final = "application/jsonl"
FORMATS: Final = {"json": JSON, "csv": CSV, "jsonl": JSON_LINES}
COLUMNS: Final = ("time", "device", "field", "mean", "least", "most")

_TIME = Number(-1e10, 1e11)
HISTORY_FIELDS: Final = (
    Field("device", "The device; without it, all of them.", DEVICE),
    Field("field", "The field, as import_w, or several with commas; without it, all.", Text(1000)),
    Field("from", "From when on: s since 1970, or below 0: before now.", _TIME, default=-3600.0),
    Field("to", "Until when: s since 1970, or 0 and below: before now.", _TIME, default=0.0),
    Field("step", "How long a span is, s; without it, of 300 spans.", Number(1, 31_622_400)),
    Field("format", "json, csv, or jsonl: JSON lines.", Choice(tuple(FORMATS)), default="json"),
)


class Series(TypedDict):
    """A field of a device.  A point is ``[time, mean, least, most]``, time in s since 1970."""

    device: str
    field: str
    points: list[list[float]]


class HistoryAnswer(TypedDict):
    """The form of ``/api/v1/history``."""

    step: int
    series: list[Series]


class NoAnswer(Exception):
    """The history cannot be read now.  The text says why."""


@attrs.frozen
class Query:
    """What is asked: of which device and fields (empty: all), from `start` until before `end`."""

    device: str | None
    fields: tuple[str, ...]
    start: int
    end: int
    step: int

    @classmethod
    def of(cls, values: dict[str, Any], now: float) -> Query:
        """From the values of `HISTORY_FIELDS`."""
        start, end = (values[name] + (now if values[name] <= 0 else 0) for name in ("from", "to"))
        step = max(1, round(values["step"] or _even((end - start) / POINTS)))
        fields = tuple(name for name in (values["field"] or "").split(",") if name)
        first = math.floor(start)
        return cls(values["device"], fields, first - first % step, math.ceil(end), step)


def _even(seconds: float) -> int:
    """A step that is kept as such, or a multiple of one."""
    for width in (1, 60, 900):
        if seconds <= width * 15:
            return max(1, math.ceil(seconds / width)) * width
    return math.ceil(seconds / 900) * 900


class HistoryReader:
    """Answers who asks for history.

    store: read in the worker's thread alone.
    now: tells s since 1970.
    """

    log = Logger()

    def __init__(
        self, store: IHistoryStore, worker: Worker, clock: IReactorTime, now: Callable[[], float]
    ) -> None:
        self._store = store
        self._worker = worker
        self._clock = clock
        self._now = now
        self._underWay = 0

    def stop(self) -> None:
        """Read no more."""
        self._worker.stop()

    def answer(self, request: Request, values: dict[str, Any]) -> int:
        """Answer a request for history."""
        if self._underWay >= MAX_ANSWERS:
            return refuse(request, http.SERVICE_UNAVAILABLE, "too many ask for history")
        query = Query.of(values, self._now())
        form = values["format"]
        work = self._json(request, query) if form == "json" else self._lines(request, query, form)
        self._underWay += 1
        answering = Deferred.fromCoroutine(work)
        request.notifyFinish().addErrback(lambda _: answering.cancel())
        answering.addErrback(lambda failure: failure.trap(CancelledError))
        answering.addErrback(lambda failure: self._broken(request, failure))
        answering.addBoth(self._ended)
        done: int = NOT_DONE_YET
        return done

    def _ended(self, _: object) -> None:
        self._underWay -= 1

    def _broken(self, request: Request, failure: Any) -> None:
        """Answer an error where the answer has not begun, else break it off."""
        if not failure.check(NoAnswer):
            self.log.failure("history could not be read", failure)
        if request.startedWriting:
            abort(request)
        else:
            refuse(request, http.SERVICE_UNAVAILABLE, failure.getErrorMessage())

    async def _json(self, request: Request, query: Query) -> None:
        series: dict[tuple[str, str], list[bytes]] = {}
        count = 0
        async for device, points in self._pages(query, _jsonPoints):
            for field, (number, each) in points.items():
                series.setdefault((device, field), []).append(each)
                count += number
            if count > MAX_VALUES:
                text = f"more than {MAX_VALUES} values: ask for less time or a larger step, or csv"
                refuse(request, http.BAD_REQUEST, text)
                return
        reply(request, http.OK, JSON, _jsonAnswer(query.step, series))

    async def _lines(self, request: Request, query: Query, form: str) -> None:
        request.setHeader("Content-Type", FORMATS[form])
        request.setHeader("Content-Disposition", f'attachment; filename="history.{form}"')
        gate = Gate(self._clock)
        first = True
        async for _, lines in self._pages(query, _LINES[form]):
            if first:
                request.registerProducer(gate, True)
                request.write(_head(form))
                first = False
            request.write(lines)
            await gate.passed()
        if first:
            request.write(_head(form))
        else:
            request.unregisterProducer()
        request.finish()

    async def _pages(
        self, query: Query, make: Callable[[str, Sequence[Span]], T]
    ) -> AsyncIterator[tuple[str, T]]:
        """What is made of the spans of each device, a page at a time; made in the thread, too."""

        def page(device: str, start: int) -> tuple[int, T]:
            spans = self._store.read(device, query.fields, start, query.end, query.step, PAGE)
            next = spans[-1].time + query.step if len(spans) == PAGE else query.end
            return next, make(device, spans)

        devices = [query.device] if query.device else await self._read(self._store.devices)
        for device in devices:
            start = query.start
            while start < query.end:
                start, made = await self._read(partial(page, device, start))
                yield device, made

    async def _read(self, job: Callable[[], Any]) -> Any:
        def read() -> Any:
            try:
                return job()
            except Exception:
                self._store.close()
                raise

        try:
            return await self._worker.do(read).addTimeout(PATIENCE_SECONDS, self._clock)
        except Busy:
            raise NoAnswer("too many ask for history") from None
        except TimeoutError:
            raise NoAnswer("the history does not answer: its disk may be slow or dead") from None
        except CancelledError:
            raise
        except Exception as error:
            raise NoAnswer(f"the history cannot be read: {error}") from error


@implementer(IPushProducer)
class Gate:
    """Lets a writer wait while the reader on the other side does not read."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._closed = False
        self._waiting: Deferred[None] | None = None

    async def passed(self) -> None:
        """Wait until there is room.  Raises `NoAnswer` where that takes too long."""
        if self._closed:
            self._waiting = Deferred()
            try:
                await self._waiting.addTimeout(READING_SECONDS, self._clock)
            except TimeoutError:
                raise NoAnswer("nobody reads it") from None

    def pauseProducing(self) -> None:
        """There is no room."""
        self._closed = True

    def resumeProducing(self) -> None:
        """There is room."""
        self._closed = False
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def stopProducing(self) -> None:
        """The reader is gone, which `Request.notifyFinish` tells as well."""


def _head(form: str) -> bytes:
    return (",".join(COLUMNS) + "\r\n").encode() if form == "csv" else b""


def _rows(device: str, spans: Sequence[Span]) -> Iterator[tuple[str | float, ...]]:
    for span in spans:
        time = datetime.fromtimestamp(span.time, UTC).isoformat()
        for field, value in span.values.items():
            yield time, device, field, *value


def _csvLines(device: str, spans: Sequence[Span]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(_rows(device, spans))
    return text.getvalue().encode()


def _jsonLines(device: str, spans: Sequence[Span]) -> bytes:
    rows = (dict(zip(COLUMNS, row, strict=True)) for row in _rows(device, spans))
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


_LINES: Final = {"csv": _csvLines, "jsonl": _jsonLines}


def _jsonPoints(device: str, spans: Sequence[Span]) -> dict[str, tuple[int, bytes]]:
    """How many points there are of each field, and they as JSON, without the brackets."""
    points: dict[str, list[list[float]]] = {}
    for span in spans:
        for field, value in span.values.items():
            points.setdefault(field, []).append([span.time, *value])
    return {name: (len(each), json.dumps(each)[1:-1].encode()) for name, each in points.items()}


def _jsonAnswer(step: int, series: dict[tuple[str, str], list[bytes]]) -> bytes:
    """A `HistoryAnswer` of points that are JSON already."""
    each = [
        b'{"device": %b, "field": %b, "points": [%b]}'
        % (json.dumps(device).encode(), json.dumps(field).encode(), b", ".join(points))
        for (device, field), points in sorted(series.items())
    ]
    return b'{"step": %d, "series": [%b]}' % (step, b", ".join(each))
