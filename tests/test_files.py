"""How many files a program may have open."""

from __future__ import annotations

import resource
from resource import RLIM_INFINITY

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from epnet.limits import ConnectionLimits
from epnet.tap.files import OTHERS, makeRoom
from tests.test_tap import ServiceTestCase, router

LIMITS = ConnectionLimits(connections=1000, strangers=500)
NEEDED = 1500 + OTHERS


class RoomTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.limit = (1024, RLIM_INFINITY)
        self.patch(resource, "getrlimit", lambda what: self.limit)
        self.patch(resource, "setrlimit", self.set)

    def set(self, what: int, limit: tuple[int, int]) -> None:
        self.assertEqual(what, resource.RLIMIT_NOFILE)
        self.limit = limit

    def allowed(self, soft: int, hard: int) -> tuple[int, int]:
        self.limit = (soft, hard)
        makeRoom(LIMITS)
        return self.limit

    def test_asMuchAsIsNeeded(self) -> None:
        self.assertEqual(self.allowed(1024, 524288), (NEEDED, 524288))
        self.assertEqual(self.allowed(1024, RLIM_INFINITY), (NEEDED, RLIM_INFINITY))

    def test_neverLessThanThereIs(self) -> None:
        for enough in ((NEEDED, NEEDED), (20000, 30000), (RLIM_INFINITY, RLIM_INFINITY)):
            self.assertEqual(self.allowed(*enough), enough)

    def test_whereItIsTooLittleItSaysSo(self) -> None:
        with capturedLogs() as events:
            self.assertEqual(self.allowed(256, 1024), (1024, 1024))
        [event] = events
        self.assertEqual((event["allowed"], event["needed"]), (1024, NEEDED))
        with capturedLogs() as events:
            self.allowed(1024, 524288)
        self.assertEqual(events, [])


class StartTests(ServiceTestCase):
    def test_withTheLimitsOfTheFileAndWithout(self) -> None:
        limits = []
        self.patch(resource, "getrlimit", lambda what: (1024, RLIM_INFINITY))
        self.patch(resource, "setrlimit", lambda what, limit: limits.append(limit[0]))
        self.make(router)
        file = self.folder / "router.toml"
        file.write_text("[limits]\nconnections = 3000\nstrangers = 100\n")
        self.make(router, f"--config={file}")
        usual = ConnectionLimits()
        self.assertEqual(limits, [usual.connections + usual.strangers + OTHERS, 3100 + OTHERS])
