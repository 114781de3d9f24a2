"""Takes the pictures of the live page in the documentation, from the demonstration as it runs::

    python -m tests.screenshots docs/pictures

The router and its household run for two minutes; the first pictures are taken while the car gets
less than it asks for, the last ones when there is some history.
"""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from tests.browser import Browser
from tests.png import denser
from tests.real.processes import Twistd

SIZES = {"desktop": (1440, 900), "tablet": (820, 1180), "phone": (390, 844)}
LOOKS = {"": False, "-dark": True}
SLOW = "/Car charges slowly, with [1-9]/.test(document.getElementById('held').innerText)"
HISTORY_SECONDS = 55
"""How long to wait for some history once the car has been seen."""


async def takePictures(browser: Browser, reactor: Any, folder: Path) -> None:
    """Take all of them."""
    await browser.until(SLOW, 120)
    await browser.until("document.querySelectorAll('[data-why=demo-car] .strand').length > 1")
    for name, (width, height) in SIZES.items():
        for look, dark in LOOKS.items():
            await browser.show(width, height, dark=dark)
            await browser.picture(folder / f"page-{name}{look}.png")
    await browser.run("document.querySelector('[data-why=demo-car]').focus()")
    await browser.press("Enter")
    await browser.until("document.querySelector('#why .verdict')")
    await browser.show(*SIZES["phone"])
    await browser.picture(folder / "why-phone.png")
    await browser.show(*SIZES["desktop"])
    await browser.picture(folder / "why.png", "#why")
    await browser.press("Escape")
    await deferLater(reactor, HISTORY_SECONDS)
    await browser.run("document.getElementById('history').scrollIntoView()")
    await browser.picture(folder / "history.png", "#history")


async def main(reactor: Any, folder: Path) -> None:
    """Run the demonstration and a browser, and end both."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as place:
        loopback = "tcp:0:interface=127.0.0.1"
        options = ["--demo", "--identity", "house", "--state-dir", place]
        options += ["--listen", loopback, "--http", loopback]
        twistd = Twistd(Path(place), ["ep-router", *options])
        browser = Browser(Path(place) / "browser")
        try:
            twistd.says("the live page is at")
            found = re.search(r"the live page is at (\S+)", twistd.text)
            assert found is not None
            await browser.open(found[1])
            await takePictures(browser, reactor, folder)
            if " lost: " in twistd.text:
                print("note: sessions were lost, this machine is busy: look at the pictures")
            if browser.complaints:
                raise SystemExit(f"the page complains: {browser.complaints}")
        finally:
            await browser.close()
            twistd.kill(signal.SIGTERM)
            twistd.wait()
    # Only now: it takes seconds, and the demonstration does not wait.
    for path in folder.glob("*.png"):
        path.write_bytes(denser(path.read_bytes()))


def run(reactor: Any, folder: str) -> Deferred[None]:
    """As `react` wants it."""
    work: Coroutine[Any, Any, None] = main(reactor, Path(folder))
    return Deferred.fromCoroutine(work)


if __name__ == "__main__":
    react(run, sys.argv[1:] or ["docs/pictures"])
