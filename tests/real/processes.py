"""twistd in a process of its own, and a peer that is not epnet."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from socket import create_connection

from epnet.pki import CertificatePaths
from epnet.wire import Frame, FrameReader, Message, decodeFrame

ROOT = Path(__file__).parents[2]
RUN_TWISTD = "from twisted.scripts.twistd import run; run()"
PATIENCE = 30.0
"""How long anything may take before a test gives up, in s: these machines can be slow."""


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for another process or thread."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {PATIENCE:g} s: {what}")
        threading.Event().wait(0.01)


class Twistd:
    """``twistd -n`` with a plugin and its options, and what it prints."""

    def __init__(self, folder: Path, arguments: Sequence[str]) -> None:
        self.output = folder / f"{arguments[0]}-{time.monotonic_ns()}.log"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        with self.output.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", RUN_TWISTD, "-n", "--pidfile=", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=environment,
            )

    @property
    def number(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return self.output.read_text()

    def says(self, words: str) -> None:
        """Wait until it has printed these words."""
        until(lambda: words in self.text or self._process.poll() is not None, words)
        assert words in self.text, self.text

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        return self._process.poll() is not None

    def kill(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end; its exit status."""
        return self._process.wait(PATIENCE)

    def end(self) -> None:
        """Make sure it is gone."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE)


class RawPeer:
    """A peer on Python's own `ssl`: it sends the bytes it is given, once or over and over.

    One thread does all that is done with the connection.

    heard: each message it received, with the time.
    """

    def __init__(self, port: int, files: CertificatePaths) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(files.authority)
        context.load_cert_chain(files.certificate, files.key)
        self.heard: list[tuple[float, Message]] = []
        self._socket = context.wrap_socket(create_connection(("127.0.0.1", port), PATIENCE))
        self._socket.settimeout(0.01)
        self._once: SimpleQueue[bytes] = SimpleQueue()
        self._repeated = b""
        self._period = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def send(self, data: bytes) -> None:
        """Send bytes once."""
        self._once.put(data)

    def repeat(self, data: bytes, hertz: float = 20) -> None:
        """Send bytes from now on, so many times a second."""
        self._repeated, self._period = data, 1 / hertz

    def newest(self, kind: type[Message]) -> Message | None:
        """The newest message of a kind."""
        return next((m for _, m in reversed(self.heard) if isinstance(m, kind)), None)

    def end(self) -> None:
        """Hang up."""
        self._stopped.set()
        self._thread.join(PATIENCE)
        self._socket.close()

    def _run(self) -> None:
        reader, due = FrameReader(), time.monotonic()
        while not self._stopped.is_set():
            try:
                if not self._once.empty():
                    self._socket.sendall(self._once.get())
                elif self._repeated and time.monotonic() >= due:
                    self._socket.sendall(self._repeated)
                    due += self._period
                if not self._take(reader, self._socket.recv(65536)):
                    return
            except TimeoutError:
                continue
            except OSError:
                return

    def _take(self, reader: FrameReader, data: bytes) -> bool:
        now = time.monotonic()
        for item in reader.feed(data):
            assert isinstance(item, Frame)
            message = decodeFrame(item).message
            assert message is not None
            self.heard.append((now, message))
        return bool(data)
