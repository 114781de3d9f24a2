"""The live page in Chromium: looked at, clicked through, and used by keyboard alone."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from math import sin
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred, execute
from twisted.logger import LogLevel
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from epnet.interfaces import Sample
from epnet.observe.export import HistoryReader
from epnet.observe.resources import CountedFactory
from epnet.observe.snapshot import State
from epnet.observe.sqlite import SqliteStore
from epnet.observe.worker import Worker
from epnet.wire import DemandParameters, StorageParameters
from tests.browser import NO_CHROMIUM, Browser
from tests.observe.house import NOON, House, hear
from tests.observe.test_calls import SUN

SIZES = ((390, 844), (820, 1180), (1440, 900))
HOUR = 3600
"""Updates in an hour: the page gets one each second."""

BATCH = 300
"""So many of them are sent before the page has to have shown the last one."""

HUNGRY = DemandParameters(voltage=400, power_limit=11000)

OUTSIDE = """
[...document.querySelectorAll('#flows .node')].flatMap(node => {
  const box = node.querySelector('.box').getBBox();
  return [...node.querySelectorAll('text')]
    .filter(text => text.textContent).map(text => text.getBBox())
    .filter(text => text.x < box.x || text.x + text.width > box.x + box.width)
    .map(text => JSON.stringify([text.x, text.width, box.x, box.width]));
})
"""
"""Texts in the picture that do not fit the boxes of their devices."""


def household() -> House:
    """The sun gives 5 kW; the car wants 11 kW."""
    house = House()
    hear(house.plugIn("solar", "solar", "Roof"), SUN)
    hear(house.plugIn("car", "vehicle", "Car"), HUNGRY, StorageParameters(soc=62.5))
    house.settle()
    return house


class AtOnce:
    """A worker that works in the thread of who asks."""

    def do(self, job: Callable[[], Any]) -> Deferred[Any]:
        return execute(job)

    def stop(self) -> None:
        pass


def hourBeforeNoon(path: Path) -> SqliteStore:
    """What would have been recorded of the household."""
    samples = []
    for second in range(-HOUR, 0):
        time = int(NOON.timestamp()) + second
        power = 3000.0 + 1000.0 * sin(second / 300)
        samples += [
            Sample(time, "solar", {"import_w": power, "export_w": 0.0}),
            Sample(time, "car", {"import_w": 0.0, "export_w": power, "storage.soc": 40.0}),
        ]
    store = SqliteStore(path)
    store.write(samples)
    return store


class PageTestCase(TestCase):
    """A household whose clock runs as fast as the test lets it."""

    skip = NO_CHROMIUM
    timeout = 240

    def setUp(self) -> None:
        self.house = household()
        worker = cast(Worker, AtOnce())
        store = hourBeforeNoon(Path(self.mktemp()).absolute())
        self.addCleanup(store.close)
        reader = HistoryReader(store, worker, self.house.clock, NOON.timestamp)
        self.site = self.house.makeSite(history=reader)
        self.house.snapshots.history = lambda: {
            "waiting": 0,
            "written": 2 * HOUR,
            "dropped": 0,
            "failure": None,
        }
        self.factory = CountedFactory(self.site)
        self.listen(0)
        self.addCleanup(lambda: self.port.stopListening())
        self.browser = Browser(Path(self.mktemp()).absolute())
        self.addCleanup(self.browser.close)
        self.url = f"http://127.0.0.1:{self.port.getHost().port}/"

    def listen(self, number: int) -> None:
        """Take requests on that port."""
        factory: Any = self.factory
        self.port: Any = reactor.listenTCP(number, factory, interface="127.0.0.1")

    def look(self, work: Callable[[], Awaitable[None]]) -> Deferred[None]:
        """Open the page, do that, and see that the page has had nothing to complain of."""

        async def looking() -> None:
            await self.browser.open(self.url)
            await self.browser.until("document.querySelectorAll('#rows tr').length === 2")
            await work()
            self.assertEqual(self.browser.complaints, [])

        return Deferred.fromCoroutine(looking())

    def ask(self, power_w: float) -> None:
        """The car asks for so much."""
        link: Any = self.house.router.ports["car"].link
        hear(link, HUNGRY.replace(power_limit=power_w))

    async def text(self, selector: str) -> str:
        """What is to be read there."""
        found = await self.browser.run(f"document.querySelector({json.dumps(selector)}).innerText")
        return str(found).replace("\u00a0", " ")

    def say(self, text: str, **fields: object) -> None:
        """A line of the log."""
        self.house.journal(
            {
                "log_level": LogLevel.info,
                "log_namespace": "epnet.test",
                "log_time": NOON.timestamp(),
                "log_format": text,
                **fields,
            }
        )


class LiveTests(PageTestCase):
    def test_itShowsWhatFlows(self) -> Deferred[None]:
        async def work() -> None:
            text = await self.text("body")
            for words in ("The house", "Roof", "5.00 kW out", "class 1 lacks 6000 W"):
                self.assertIn(words, text)
            label = await self.browser.run("document.querySelector('#flows').ariaLabel")
            self.assertIn("from Roof 5.00\u00a0kW over the bus to Car 5.00\u00a0kW", label)

        return self.look(work)

    def test_itTellsUnaskedWhyTheCarChargesSlowly(self) -> Deferred[None]:
        async def work() -> None:
            self.assertEqual(
                await self.text("#held p"),
                "Car charges slowly, with 5.00 of 11.00 kW. Short of supply: class 1 lacks 6000 W. "
                "For more: more supply, or a higher class or weight.",
            )

        return self.look(work)

    def test_itSaysWhenItIsStaleAndComesBackByItself(self) -> Deferred[None]:
        async def work() -> None:
            await self.browser.until("document.querySelector('.status.live')")
            await self.browser.until("document.querySelector('.status.stale')")
            self.house.clock.advance(1)
            await self.browser.until("document.querySelector('.status.live')")

        return self.look(work)

    def test_itSaysThatTheRouterIsGoneAndComesBackByItself(self) -> Deferred[None]:
        async def work() -> None:
            number = self.port.getHost().port
            await self.port.stopListening()
            for connection in list(self.factory.protocols):
                connection.transport.abortConnection()
            await self.browser.until("document.querySelector('.status.lost')")
            self.assertIn("trying again", await self.text(".status"))
            self.assertIn("old", await self.text(".status"))
            self.browser.complaints.clear()  # that nobody was there
            self.listen(number)
            await self.browser.until("document.querySelector('.status.live')")
            self.browser.complaints.clear()

        return self.look(work)


class WhyTests(PageTestCase):
    async def seeWhy(self) -> None:
        """Read the dialog about the car, and close it by keyboard."""
        await self.browser.until("document.querySelector('#why[open] .verdict')?.textContent")
        text = await self.text("#why")
        for words in (
            "Gets 5.00 kW of the 11.00 kW that it wants.",
            "Because: Short of supply: class 1 lacks 6000 W.",
            "All sources together give less than is asked for.",
            "For more: More supply, or a higher class or weight.",
            "0 W → 5.00 kW out: short of supply",
        ):
            self.assertIn(words, text)
        await self.browser.press("Escape")
        await self.browser.until("!document.querySelector('#why').open")

    def test_onClickOnWhateverShowsADevice(self) -> Deferred[None]:
        async def work() -> None:
            for place in (
                "#flows [data-why=car] .box",
                "#flows [data-why=car] .strand",
                "#rows [data-why=car] .reason",
                "#held button",
            ):
                await self.browser.click(place)
                await self.seeWhy()
            await self.browser.click("#rows [data-why=solar] button")
            await self.browser.until("document.querySelector('#why-name').innerText === 'Roof'")
            await self.browser.click("#why-close")
            await self.browser.until("!document.querySelector('#why').open")

        return self.look(work)

    def test_byKeyboardAlone(self) -> Deferred[None]:
        async def work() -> None:
            seen = []
            for key in ("Enter", " "):
                focused = None
                for _ in range(30):
                    await self.browser.press("Tab")
                    focused = await self.browser.run(
                        "document.activeElement.closest('#flows') &&"
                        " document.activeElement.dataset.why"
                    )
                    if focused == "car":
                        break
                self.assertEqual(focused, "car")
                await self.browser.press(key)
                await self.seeWhy()
                # Whoever closes it is where they were.
                seen.append(await self.browser.run("document.activeElement.dataset.why"))
                await self.browser.run("document.activeElement.blur()")
            self.assertEqual(seen, ["car", "car"])

        return self.look(work)

    def test_itIsLiveAndSaysWhenItCannotBe(self) -> Deferred[None]:
        async def work() -> None:
            await self.browser.click("#flows [data-why=car] .box")
            await self.browser.until("document.querySelector('#why .verdict')")
            self.ask(2000)
            self.house.settle(2)
            await self.browser.until(
                "/that it wants: 2.00/.test(document.querySelector('#why').innerText)"
            )

        return self.look(work)


class HistoryTests(PageTestCase):
    def test_rangesCursorAndTable(self) -> Deferred[None]:
        async def work() -> None:
            await self.browser.until("document.querySelectorAll('.chart .area').length === 2")
            words = "document.querySelector('.chart svg').getAttribute('aria-valuetext')"
            before = await self.browser.run(words)
            self.assertRegex(before, r"Roof .* in, Car .* out")
            await self.browser.run("document.querySelector('.chart svg').focus()")
            await self.browser.press("Home")
            self.assertNotEqual(await self.browser.run(words), before)
            await self.browser.click(".chart summary")
            await self.browser.until("document.querySelectorAll('.chart table tr').length > 20")
            for label in ("1 h", "6 h", "1 day", "1 week", "1 month", "1 year"):
                await self.browser.run(
                    f"[...document.querySelectorAll('#ranges button')]"
                    f".find(each => each.textContent === '{label}').click()"
                )
                await self.browser.until(
                    "document.querySelector('#ranges [aria-pressed=true]').textContent"
                    f" === '{label}'"
                )
            await self.browser.until(
                "/not yet enough history/.test(document.querySelector('#history').innerText)"
            )

        return self.look(work)


class EventTests(PageTestCase):
    def test_whatHappenedAndOfWhichKind(self) -> Deferred[None]:
        async def work() -> None:
            self.say("session with {identity} open", event="opened", identity="car")
            self.say("something else")
            self.house.clock.advance(1)
            await self.browser.until("document.querySelectorAll('#entries li').length === 2")
            self.assertIn("session with Car open", await self.text("#entries"))
            await self.browser.click("#kinds button:nth-child(3)")
            await self.browser.until("document.querySelectorAll('#entries li').length === 1")
            await self.browser.click("#entries button")
            await self.browser.until("document.querySelector('#why[open]')")
            self.assertIn("session with car open", await self.text("#why-entries"))

        return self.look(work)


class SizeTests(PageTestCase):
    def test_itFitsEverySizeLightAndDark(self) -> Deferred[None]:
        async def work() -> None:
            self.house.plugIn("wide", "home", "W" * 40)
            self.house.clock.advance(1)
            await self.browser.until("document.querySelectorAll('#rows tr').length === 3")
            grounds = set()
            for width, height in SIZES:
                for dark in (False, True):
                    await self.browser.show(width, height, dark=dark)
                    await self.fits(width)
                    grounds.add(
                        await self.browser.run("getComputedStyle(document.body).backgroundColor")
                    )
                    await self.browser.click("#flows [data-why=car] .box")
                    await self.browser.until("document.querySelector('#why .verdict')")
                    await self.fits(width)
                    await self.browser.press("Escape")
            self.assertEqual(len(grounds), 2)

        return self.look(work)

    async def fits(self, width: int) -> None:
        wide = await self.browser.run(
            "Math.max(document.documentElement.scrollWidth,"
            " document.querySelector('#why').scrollWidth)"
        )
        self.assertLessEqual(wide, width)
        self.assertEqual(await self.browser.run(OUTSIDE), [])


class Feed(Resource):
    """A stream of events of which the test makes every one.

    listening: fires with the request of who listens.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.listening: Deferred[Request] = Deferred()

    def render_GET(self, request: Request) -> int:
        request.setHeader("Content-Type", "text/event-stream")
        self.listening.callback(request)
        done: int = NOT_DONE_YET
        return done


def updatesOf(states: list[State]) -> Iterator[bytes]:
    """Those states over and over, in which each now and then a device is away, and what happens."""
    count = 0
    while True:
        state = states[count % len(states)]
        router = {**state["router"], "name": f"Update {count}"}
        devices = state["devices"][: None if count % 50 else 1]
        entry = {
            "number": count,
            "time": "2026-06-21T12:00:00.000+00:00",
            "level": "info",
            "kind": "decision",
            "device": "car",
            "security": False,
            "text": f"gets {count} W",
        }
        log = f"event: log\ndata: {json.dumps([entry])}\n\n" if count % 7 == 0 else ""
        data = json.dumps({**state, "router": router, "devices": devices})
        yield f"{log}event: state\ndata: {data}\n\n".encode()
        count += 1


class LongTests(PageTestCase):
    def test_eightHoursOfUpdatesLeaveNothingBehind(self) -> Deferred[None]:
        states = []
        for step in range(40):
            self.ask(500 + 250 * step)
            self.house.settle(0.3)
            states.append(self.house.look())
        updates = updatesOf(states)
        feed = Feed()
        self.site.resource.children[b"api"].children[b"v1"].putChild(b"events", feed)
        name = "document.querySelector('#router-name').textContent"

        async def work() -> None:
            await self.browser.open(self.url)
            request = await feed.listening
            weights = []
            for sent in range(0, 8 * HOUR, BATCH):
                request.write(b"".join(islice(updates, BATCH)))
                await self.browser.until(f"{name} === 'Update {sent + BATCH - 1}'")
                if sent + BATCH in (HOUR, 8 * HOUR):
                    weights.append(await self.browser.weight())
            first, last = weights
            self.assertLess(last["heap"], 1.1 * first["heap"] + 500_000)
            self.assertLess(last["nodes"], first["nodes"] + 50)
            self.assertLessEqual(last["listeners"], first["listeners"] + 5)
            self.assertEqual(self.browser.complaints, [])

        return Deferred.fromCoroutine(work())
