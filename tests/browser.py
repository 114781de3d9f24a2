"""Chromium without a window, driven by its DevTools protocol over a pipe."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

CHROMIUM = shutil.which("chromium")
NO_CHROMIUM = None if CHROMIUM else "chromium is not installed (apt-get install chromium)"

PATIENCE_SECONDS = 180
"""How long the browser may take for one thing."""

OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--remote-debugging-pipe",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "about:blank",
]


KEYS = {
    "Enter": {"windowsVirtualKeyCode": 13, "text": "\r"},
    " ": {"windowsVirtualKeyCode": 32, "text": " "},
    "Escape": {"windowsVirtualKeyCode": 27},
    "Tab": {"windowsVirtualKeyCode": 9},
    "ArrowLeft": {"windowsVirtualKeyCode": 37},
    "ArrowRight": {"windowsVirtualKeyCode": 39},
    "Home": {"windowsVirtualKeyCode": 36},
}
"""What the browser has to be told of a key besides its name."""


class Browser(ProcessProtocol):
    """A browser with one page.

    complaints: what the page has written to its console, and exceptions that nobody caught.
    """

    def __init__(self, folder: Path) -> None:
        self.complaints: list[str] = []
        self.ended: Deferred[None] = Deferred()
        self._answers: dict[int, Deferred[Any]] = {}
        self._buffer = b""
        self._count = 0
        self._session: str | None = None
        command = [CHROMIUM or "", f"--user-data-dir={folder}", *OPTIONS]
        # It reads commands from descriptor 3 and writes answers to 4, each ended by a zero byte.
        descriptors = {0: "w", 1: "r", 2: "r", 3: "w", 4: "r"}
        reactor.spawnProcess(self, command[0], command, None, childFDs=descriptors)

    async def open(self, url: str) -> None:
        """Go to a page."""
        [page] = [
            each
            for each in (await self.call("Target.getTargets"))["targetInfos"]
            if each["type"] == "page"
        ]
        attached = await self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Runtime", "Log", "Page"):
            await self.call(f"{domain}.enable")
        await self.call("Emulation.setScrollbarsHidden", hidden=True)
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    def call(self, method: str, **parameters: Any) -> Deferred[Any]:
        """Have something done; fires with the answer."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        answer = self._answers[self._count] = Deferred()
        self.transport.writeToChild(3, json.dumps(message).encode() + b"\0")
        return answer.addTimeout(PATIENCE_SECONDS, reactor)

    async def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        answer = await self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise AssertionError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def until(self, script: str, seconds: float = 30) -> None:
        """Wait until an expression in the page is true."""
        await self.run(
            "new Promise((done, fail) => { const began = performance.now(); const look = () => { "
            f"if ({script}) done(); else if (performance.now() - began > {seconds * 1000:g}) "
            f"fail(new Error({json.dumps(script)})); else setTimeout(look, 50); }}; look(); }})"
        )

    async def press(self, key: str) -> None:
        """Press a key and let it go."""
        code = KEYS.get(key, {})
        for kind in ("keyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, **code)

    async def click(self, selector: str) -> None:
        """Click on the middle of the first element of that kind."""
        element = f"document.querySelector({json.dumps(selector)})"
        await self.run(f"{element}.scrollIntoView({{block: 'center'}})")
        box = await self.run(
            f"(box => [box.x + box.width / 2, box.y + box.height / 2])"
            f"({element}.getBoundingClientRect())"
        )
        place = {"x": box[0], "y": box[1], "button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, **place)

    async def weight(self) -> dict[str, float]:
        """What the page holds once the garbage is gone: bytes of heap, nodes, listeners."""
        await self.call("HeapProfiler.enable")
        await self.call("HeapProfiler.collectGarbage")
        counters = await self.call("Memory.getDOMCounters")
        heap = (await self.call("Runtime.getHeapUsage"))["usedSize"]
        return {
            "heap": heap,
            "nodes": counters["nodes"],
            "listeners": counters["jsEventListeners"],
        }

    async def show(self, width: int, height: int, *, dark: bool = False) -> None:
        """Show the page at that size, light or dark."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])
        await self.run("new Promise(done => setTimeout(done, 400))")

    async def picture(self, path: Path, selector: str | None = None) -> None:
        """Write what is shown into a PNG file, or only the first element of that kind."""
        options: dict[str, Any] = {}
        if selector is not None:
            box = await self.run(
                f"(({{x, y, width, height}}) =>"
                f" ({{x: x + scrollX, y: y + scrollY, width, height, scale: 1}}))"
                f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
            )
            options["clip"] = box
        taken = await self.call("Page.captureScreenshot", format="png", **options)
        path.write_bytes(base64.b64decode(taken["data"]))

    def close(self) -> Deferred[None]:
        """End it; fires when it is gone."""
        if not self.ended.called:
            self.transport.signalProcess("KILL")
        return self.ended

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """What it says."""
        if childFD != 4:
            return
        *messages, self._buffer = (self._buffer + data).split(b"\0")
        for text in messages:
            message = json.loads(text)
            if "id" in message:
                answer = self._answers.pop(message["id"])
                if "error" in message:
                    answer.errback(AssertionError(message["error"]))
                else:
                    answer.callback(message["result"])
            elif message["method"] in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(json.dumps(message["params"]))
            elif message["method"] == "Runtime.consoleAPICalled":
                self.complaints.append(json.dumps(message["params"]["args"]))

    def processEnded(self, reason: Failure) -> None:
        """It is gone."""
        self.ended.callback(None)
