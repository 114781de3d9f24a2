"""``epnet status``, ``monitor`` and ``explain`` as processes, asking a router over HTTP."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import struct
import sys
import termios
from collections.abc import Generator
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.utils import getProcessOutputAndValue
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from epnet.observe.access import Access
from tests.real.processes import ROOT
from tests.test_cli_words import household

RUN = [sys.executable, "-c", "import sys; from epnet.cli import main; sys.exit(main())"]
ENVIRONMENT = {
    **{key: value for key, value in os.environ.items() if not key.startswith("EPNET_")},
    "PYTHONPATH": str(ROOT),
    "PYTHONUNBUFFERED": "1",
    "TERM": "xterm",
}


class Running(ProcessProtocol):
    """A command that runs on."""

    def __init__(self, *arguments: str, terminal: bool) -> None:
        self.text = ""
        self.ended: Deferred[int] = Deferred()
        self._waiting: list[tuple[str, Deferred[None]]] = []
        command = [*RUN, *arguments]
        reactor.spawnProcess(self, sys.executable, command, ENVIRONMENT, usePTY=terminal)

    def outReceived(self, data: bytes) -> None:
        self.text += data.decode()
        for words, fired in list(self._waiting):
            if words in self.text:
                self._waiting.remove((words, fired))
                fired.callback(None)

    errReceived = outReceived

    def says(self, words: str) -> Deferred[None]:
        """Fires once it prints that, from now on."""
        self.text = ""
        fired: Deferred[None] = Deferred()
        self._waiting.append((words, fired))
        return fired.addTimeout(30, reactor)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(
            self.transport.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0)
        )

    def processEnded(self, reason: Failure) -> None:
        self.ended.callback(reason.value.exitCode)


class CommandTestCase(TestCase):
    timeout = 120
    access: Access | None = None

    def setUp(self) -> None:
        self.house = household()
        self.site = self.house.makeSite(self.access)
        self.port = reactor.listenTCP(0, self.site, interface="127.0.0.1")
        self.addCleanup(self.port.stopListening)
        self.http = f"--http=http://127.0.0.1:{self.port.getHost().port}"

    def command(self, *arguments: str) -> Deferred[tuple[bytes, bytes, int]]:
        return getProcessOutputAndValue(sys.executable, [*RUN[1:], *arguments], ENVIRONMENT)


class OnceTests(CommandTestCase):
    @inlineCallbacks
    def test_status(self) -> Generator[Any, Any, None]:
        out, err, status = yield self.command("status", self.http)
        self.assertEqual((status, err), (0, b""))
        self.assertIn("The house (house-router)", out.decode())
        self.assertIn("Car (car)     D DC  3.00 kW out", out.decode())

    @inlineCallbacks
    def test_statusForPrograms(self) -> Generator[Any, Any, None]:
        out, _, status = yield self.command("status", self.http, "--json")
        self.assertEqual(status, 0)
        self.assertEqual(json.loads(out)["devices"], self.house.look()["devices"])

    @inlineCallbacks
    def test_explain(self) -> Generator[Any, Any, None]:
        out, _, status = yield self.command("explain", "Car", self.http)
        self.assertEqual(status, 0)
        self.assertIn("its own request or limit, 3000 W", out.decode())
        _, err, status = yield self.command("explain", "boat", self.http)
        self.assertEqual(status, 2)
        self.assertIn("no device of the router is called 'boat'", err.decode())

    @inlineCallbacks
    def test_whereNoneRunsItSaysHowToStartOne(self) -> Generator[Any, Any, None]:
        yield self.port.stopListening()
        for command in (["status"], ["monitor"], ["explain", "car"]):
            out, err, status = yield self.command(*command, self.http)
            self.assertEqual((out, status), (b"", 1))
            self.assertRegex(err.decode(), "^epnet: no router runs at http.* start one with .*\n$")

    @inlineCallbacks
    def test_whatIsNoAddressIsAMistake(self) -> Generator[Any, Any, None]:
        for url in ("localhost:56541", "ftp://x", "http://", "http://x:y", "http://x/api"):
            _, err, status = yield self.command("status", f"--url={url}")
            self.assertEqual(status, 2, url)
            self.assertIn("is no address of a router", err.decode())


class TokenTests(CommandTestCase):
    access = Access({"t" * 32: "me"})

    @inlineCallbacks
    def test_aTokenIsAskedForAndShown(self) -> Generator[Any, Any, None]:
        _, err, status = yield self.command("status", self.http)
        self.assertEqual(status, 1)
        self.assertIn("wants a token: give --token-file FILE", err.decode())
        path = Path(self.mktemp())
        path.write_text("me " + "t" * 32 + "\n")
        for command in (["status"], ["explain", "car"]):
            out, _, status = yield self.command(*command, self.http, f"--token-file={path}")
            self.assertEqual(status, 0)
            self.assertIn(b"Car (car)", out)
        monitor = Running("monitor", self.http, f"--token-file={path}", terminal=False)
        yield monitor.says("Car (car) 3.00 kW out")
        monitor.transport.signalProcess("INT")
        status = yield monitor.ended
        self.assertEqual(status, 0)


class MonitorTests(CommandTestCase):
    def start(self, *, terminal: bool) -> Running:
        running = Running("monitor", self.http, terminal=terminal)

        def end() -> Deferred[int]:
            if not running.ended.called:
                running.transport.signalProcess("KILL")
            return running.ended

        self.addCleanup(end)
        return running

    @inlineCallbacks
    def test_inAPipeALineASecond(self) -> Generator[Any, Any, None]:
        running = self.start(terminal=False)
        yield running.says("Car (car) 3.00 kW out, Roof")
        again = running.says("Car (car) 3.00 kW out, Roof")
        self.house.clock.advance(1)
        yield again
        self.assertNotIn("\x1b", running.text)
        running.transport.signalProcess("INT")
        status = yield running.ended
        self.assertEqual(status, 0)

    @inlineCallbacks
    def test_inATerminalAScreenThatFollowsItsSize(self) -> Generator[Any, Any, None]:
        running = self.start(terminal=True)
        yield running.says("Car (car)")
        self.assertIn("\x1b[?1049h", running.text)
        narrow = running.says("The house (h…")
        running.resize(13, 30)
        running.transport.signalProcess(signal.SIGWINCH)
        yield narrow

    @inlineCallbacks
    def test_howeverItEndsTheTerminalIsAsItWas(self) -> Generator[Any, Any, None]:
        for how, expected in (("q", 0), ("\x03", 0), ("INT", 0), ("TERM", 143), ("HUP", 129)):
            running = self.start(terminal=True)
            modes = termios.tcgetattr(running.transport.fd)
            yield running.says("Car (car)")
            self.assertNotEqual(termios.tcgetattr(running.transport.fd)[3], modes[3])
            ended = running.says("\x1b[?25h\x1b[?1049l")
            if len(how) == 1:
                running.transport.write(how.encode())
            else:
                running.transport.signalProcess(how)
            yield ended
            self.assertEqual(termios.tcgetattr(running.transport.fd), modes)
            status = yield running.ended
            self.assertEqual(status, expected, how)

    @inlineCallbacks
    def test_itSaysWhenTheRouterIsGoneAndComesBackByItself(self) -> Generator[Any, Any, None]:
        running = self.start(terminal=True)
        running.resize(120, 30)
        yield running.says("Car (car)")
        gone = running.says("trying again")
        number = self.port.getHost().port
        yield self.port.stopListening()
        for channel in list(self.channels()):
            channel.abortConnection()
        yield gone
        back = running.says("The house")
        self.port = reactor.listenTCP(number, self.site, interface="127.0.0.1")
        self.addCleanup(self.port.stopListening)
        yield back

    def channels(self) -> Generator[Any, None, None]:
        """The transports of the site's connections."""
        for reader in reactor.getReaders():
            if getattr(reader, "server", None) is self.port:
                yield reader
