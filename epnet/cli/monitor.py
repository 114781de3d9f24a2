"""``epnet monitor``: the running router, live; in a pipe, a line a second."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import termios
import time
import tty
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread, main_thread
from typing import Any, Final, TextIO

from epnet.cli import remote
from epnet.cli.remote import RouterError, RunningRouter
from epnet.cli.words import cut, flow, headline, nameOf, plain, table

RETRY_SECONDS: Final = 2.0
EVENTS: Final = 50
"""Events that are kept, to fill a tall screen."""

HOME: Final = "\x1b[H"
CLEAR_LINE: Final = "\x1b[K"
CLEAR_BELOW: Final = "\x1b[J"
# Another screen, without a cursor; and back.
ENTER: Final = "\x1b[?1049h\x1b[?25l"
LEAVE: Final = "\x1b[?25h\x1b[?1049l"


def addArguments(parser: argparse.ArgumentParser) -> None:
    """Add where the router is."""
    remote.addArguments(parser)


def run(options: argparse.Namespace) -> int:
    """Show it until it is interrupted; then return 0."""
    router = RunningRouter.of(options)
    router.state()  # whoever cannot be asked at first is a mistake, later it is news
    try:
        if sys.stdout.isatty():
            screen = Screen(sys.stdout, router.url)
            with _borrowed(screen):
                _watch(router, screen)
        else:
            _print(router)
    except KeyboardInterrupt:
        return 0
    return 0


class Screen:
    """What is shown in a terminal.

    out: the terminal.
    url: of the router.
    trouble: why there is no news; empty while there is.
    """

    def __init__(self, out: TextIO, url: str) -> None:
        self.trouble = ""
        self._out = out
        self._url = url
        self._state: Any = None
        self._events: deque[Any] = deque(maxlen=EVENTS)

    def take(self, kind: str, value: Any) -> None:
        """Take an event of the router."""
        if kind == "state":
            self._state, self.trouble = value, ""
        elif kind == "log":
            known = self._events[-1]["number"] if self._events else 0
            if value and value[-1]["number"] < known:  # the router has begun anew
                self._events.clear()
                known = 0
            self._events.extend(entry for entry in value if entry["number"] > known)

    def draw(self) -> None:
        """Draw everything anew, in the size that the terminal has now."""
        columns, lines = shutil.get_terminal_size()
        shown = [cut(line, columns) for line in self.lines(columns, lines)][: lines - 1]
        self._out.write(HOME + "".join(f"{line}{CLEAR_LINE}\r\n" for line in shown) + CLEAR_BELOW)
        self._out.flush()

    def lines(self, columns: int, lines: int) -> Iterator[str]:
        """What is shown, from the top: the router, its devices, and as many events as fit."""
        if self.trouble:
            yield f"!! what you see is old; trying again: {self.trouble}"
        if self._state is None:
            return
        top = [*headline(self._state).split("\n"), "", *table(self._state["devices"], columns), ""]
        yield from top
        room = max(0, lines - len(top) - 3)
        for entry in list(self._events)[-room:] if room else []:
            yield f"{entry['time'][11:19]} {plain(entry['text'])}"
        yield f"{self._url}; q ends"


def _watch(router: RunningRouter, screen: Screen) -> None:
    """Keep the screen up to date until interrupted; come back whenever the router is gone."""
    while True:
        try:
            for kind, value in router.events():
                screen.take(kind, value)
                screen.draw()
            screen.trouble = "the router has hung up"
        except RouterError as error:
            screen.trouble = str(error)
        screen.draw()
        time.sleep(RETRY_SECONDS)  # this program does nothing else; Ctrl-C and `q` end it here, too


@contextmanager
def _borrowed(screen: Screen) -> Iterator[None]:
    """The terminal for a screen of ours; in the end it is as it was, whatever ends us.

    Raises KeyboardInterrupt in what is done meanwhile once somebody types q.
    """
    signals = {
        signal.SIGWINCH: lambda number, frame: screen.draw(),
        signal.SIGTERM: lambda number, frame: sys.exit(128 + number),
        signal.SIGHUP: lambda number, frame: sys.exit(128 + number),
    }
    before = {number: signal.signal(number, handler) for number, handler in signals.items()}
    keys = sys.stdin.fileno() if sys.stdin.isatty() else None
    modes = None if keys is None else termios.tcgetattr(keys)
    sys.stdout.write(ENTER)
    try:
        if keys is not None:
            tty.setcbreak(keys)
            Thread(target=_listen, args=[keys], daemon=True).start()
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if keys is not None and modes is not None:
            termios.tcsetattr(keys, termios.TCSAFLUSH, modes)
        sys.stdout.write(LEAVE)
        sys.stdout.flush()


def _listen(keys: int) -> None:
    """Wait for a q; then interrupt whatever the main thread waits for."""
    while key := os.read(keys, 1):
        if key in b"qQ":
            signal.pthread_kill(main_thread().ident or 0, signal.SIGINT)


def _print(router: RunningRouter) -> None:
    """Print a line a second, until interrupted or the router is gone."""
    for kind, state in router.events():
        if kind == "state":
            print(summary(state), flush=True)
    raise RouterError("the router has hung up")


def summary(state: Any) -> str:
    """The state in a line: the time, and who gives and takes how much."""
    flows = [
        f"{nameOf(device)} {flow(device['import_w'], device['export_w'])}"
        for device in state["devices"]
        if device["import_w"] or device["export_w"]
    ]
    return f"{state['router']['time'][:19]}Z  {', '.join(flows) or 'nothing flows'}"
