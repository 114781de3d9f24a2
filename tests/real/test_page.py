"""The live page in Chromium."""

from __future__ import annotations

from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from tests.browser import NO_CHROMIUM, Browser
from tests.test_cli_words import household


class PageTestCase(TestCase):
    """A household whose clock runs as fast as the test lets it."""

    skip = NO_CHROMIUM
    timeout = 180

    def setUp(self) -> None:
        self.house = household()
        self.site = self.house.makeSite()
        self.port = reactor.listenTCP(0, self.site, interface="127.0.0.1")
        self.addCleanup(lambda: self.port.stopListening())
        self.browser = Browser(Path(self.mktemp()).absolute())
        self.addCleanup(self.browser.close)
        self.url = f"http://127.0.0.1:{self.port.getHost().port}/"


class LiveTests(PageTestCase):
    def test_itShowsWhatFlowsAndNothingGoesWrong(self) -> Deferred[None]:
        async def look() -> None:
            await self.browser.open(self.url)
            await self.browser.until("document.querySelectorAll('#rows tr').length === 2")
            text = (await self.browser.run("document.body.innerText")).replace("\u00a0", " ")
            for words in ("The house", "Car", "3.00 kW out", "its own request or limit, 3000 W"):
                self.assertIn(words, text)
            self.assertEqual(self.browser.complaints, [])

        return Deferred.fromCoroutine(look())

    def test_itSaysWhenItIsStaleAndComesBackByItself(self) -> Deferred[None]:
        async def look() -> None:
            await self.browser.open(self.url)
            await self.browser.until("document.querySelector('.status.live')")
            await self.browser.until("document.querySelector('.status.stale')")
            self.house.clock.advance(1)
            await self.browser.until("document.querySelector('.status.live')")

        return Deferred.fromCoroutine(look())
