"""Server-sent events: who gets what when, and what becomes of those who do not read."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel
from twisted.python.failure import Failure

from epnet.observe import stream
from epnet.observe.snapshot import State
from tests.observe.sitecase import SiteTestCase

REQUEST = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Transport(StringTransport):
    """One whose connection can be broken off."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class Browser:
    """A connection that asked for events."""

    def __init__(self, test: StreamTestCase) -> None:
        self.transport = Transport(hostAddress=IPv4Address("TCP", "127.0.0.1", 56541))
        self.channel = test.site.buildProtocol(None)
        self.channel.makeConnection(self.transport)
        self.channel.dataReceived(REQUEST)

    def leave(self) -> None:
        self.channel.connectionLost(Failure(ConnectionDone()))

    def stall(self) -> None:
        self.transport.producer.pauseProducing()

    def read(self) -> None:
        self.transport.producer.resumeProducing()

    def events(self) -> list[tuple[str, Any]]:
        """What has come since the last call, by kind."""
        found = []
        for block in self.transport.value().decode().split("\n\n"):
            lines = [line for line in block.split("\n") if ": " in line]
            fields = dict(line.split(": ", 1) for line in lines)
            if "event" in fields:
                found.append((fields["event"], json.loads(fields["data"])))
        self.transport.clear()
        return found


class StreamTestCase(SiteTestCase):
    def say(self, text: str) -> None:
        """A line of the log."""
        self.house.journal(
            {
                "log_level": LogLevel.warn,
                "log_namespace": "epnet.test",
                "log_time": 0.0,
                "log_format": text,
            }
        )


class EventTests(StreamTestCase):
    def test_theStateAtOnceAndEachSecond(self) -> None:
        browser = Browser(self)
        self.assertIn(b"text/event-stream", browser.transport.value())
        self.assertIn(b"retry: 2000\n\n", browser.transport.value())
        [(kind, state)] = browser.events()
        self.assertEqual(kind, "state")
        self.assertEqual(state["router"]["identity"], "house-router")
        self.house.clock.advance(0.9)
        self.assertEqual(browser.events(), [])
        self.house.plugIn("car", "vehicle")
        self.house.clock.advance(0.1)
        [(_, state)] = browser.events()
        self.assertEqual(len(state["devices"]), 1)

    def test_whatHappened(self) -> None:
        self.say("before")
        browser = Browser(self)
        (kind, entries), _ = browser.events()
        self.assertEqual(kind, "log")
        self.assertEqual(
            entries,
            [
                {
                    "number": 1,
                    "time": "1970-01-01T00:00:00.000+00:00",
                    "level": "warning",
                    "kind": "log",
                    "device": None,
                    "security": False,
                    "text": "before",
                }
            ],
        )
        self.say("after")
        self.house.clock.advance(1)
        (_, entries), _ = browser.events()
        self.assertEqual([entry["text"] for entry in entries], ["after"])

    def test_nobodyThereNothingIsMade(self) -> None:
        browser = Browser(self)
        browser.leave()
        self.assertEqual(self.house.clock.getDelayedCalls(), [])
        Browser(self)
        self.assertEqual(len(self.house.clock.getDelayedCalls()), 1)

    def test_headHasNoBody(self) -> None:
        response = self.ask("/api/v1/events", "HEAD")
        self.assertEqual((response.code, response.body), (200, b""))

    def test_soManyAndNoMore(self) -> None:
        self.patch(stream, "MAX_VIEWERS", 2)
        browsers = [Browser(self) for _ in range(2)]
        self.assertEqual(self.ask("/api/v1/events").code, 503)
        browsers[0].leave()
        self.assertEqual([kind for kind, _ in Browser(self).events()], ["state"])


class StalledTests(StreamTestCase):
    def test_itMissesStatesAndNothingElse(self) -> None:
        slow, quick = Browser(self), Browser(self)
        slow.events()
        slow.stall()
        self.say("meanwhile")
        self.house.clock.pump([1] * 5)
        self.assertEqual(slow.events(), [])
        self.assertEqual(len(quick.events()), 7)
        slow.read()
        self.house.clock.advance(1)
        self.assertEqual([kind for kind, _ in slow.events()], ["log", "state"])

    def test_whereAllAreStalledNothingIsMade(self) -> None:
        slow, quick = Browser(self), Browser(self)
        slow.stall()
        looks = self.looks()
        self.house.clock.pump([1] * 3)
        self.assertEqual(len(looks), 3)
        quick.stall()
        self.house.clock.pump([1] * 3)
        self.assertEqual(len(looks), 3)

    def looks(self) -> list[None]:
        """One for each look at the router from now on."""
        looks: list[None] = []
        look = self.house.snapshots.soon

        def soon() -> Deferred[State]:
            looks.append(None)
            return look()

        self.patch(self.house.snapshots, "soon", soon)
        return looks

    def test_itIsCutOffInTheEnd(self) -> None:
        slow = Browser(self)
        slow.stall()
        self.house.clock.pump([1] * 19)
        self.assertFalse(slow.transport.aborted)
        self.house.clock.pump([1] * 2)
        self.assertTrue(slow.transport.aborted)
