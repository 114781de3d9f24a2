"""The room that the processes of a benchmark need."""

from __future__ import annotations

import resource

from twisted.trial.unittest import SynchronousTestCase

from epnet.bench import processes
from epnet.bench.processes import OTHERS, WorkerFailed


class RoomTests(SynchronousTestCase):
    """How many files a process may have open."""

    def setUp(self) -> None:
        self.limits = (1024, 20_000)
        self.patch(resource, "getrlimit", lambda _: self.limits)
        self.patch(resource, "setrlimit", lambda _, limits: setattr(self, "limits", limits))

    def room(self, devices: int) -> tuple[int, int]:
        processes._makeRoom(devices)
        return self.limits

    def test_fewDevicesHaveIt(self) -> None:
        self.assertEqual(self.room(500), (1024, 20_000))

    def test_manyAreGivenIt(self) -> None:
        self.assertEqual(self.room(1500), (1500 + OTHERS, 20_000))

    def test_unlessTheSystemDoesNotLetThem(self) -> None:
        error = self.assertRaises(WorkerFailed, self.room, 19_900)
        self.assertIn("20000 files open here, and 19900 devices need 20156", str(error))
        self.assertEqual(self.limits, (20_000, 20_000))

    def test_noLimitIsNone(self) -> None:
        self.limits = (1024, resource.RLIM_INFINITY)
        self.assertEqual(self.room(19_900)[0], 19_900 + OTHERS)
        self.limits = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        self.assertEqual(self.room(19_900)[0], resource.RLIM_INFINITY)
