"""A few of the soak's repetitions of every fault: noticed in time, survived, nothing left over."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SkipTest, TestCase

from tests.faults.campaign import FROM_MESSAGE, FROM_RESUMPTION, GAP, strikeRepeatedly
from tests.faults.faults import FAULTS
from tests.faults.network import whyNot
from tests.faults.soak import problemsOf

REPETITIONS = 3
LONGEST_SECONDS = 2.0
"""By then it is noticed on a busy machine too; outside a transfer it would take 3 s.  How fast it
is on an idle one, the soak measures."""
SHORTEST_SECONDS = 0.2
"""Nobody gives up a silent peer earlier (Framing §5.1)."""

Figures = dict[tuple[str, str], list[float]]


class FaultTestCase(TestCase):
    timeout = 300

    def setUp(self) -> None:
        if not Path("/proc/self/fd").exists():
            raise SkipTest("descriptors are counted in Linux's /proc")

    async def strike(self, name: str) -> Figures:
        """Let a fault strike; what was measured, when nothing went wrong."""
        [fault] = [fault for fault in FAULTS if fault.name == name]
        folder = Path(self.mktemp()).absolute()
        report = await strikeRepeatedly(fault, folder, REPETITIONS, REPETITIONS)
        self.assertEqual(list(problemsOf(report, LONGEST_SECONDS)), [])
        if not report.figures:
            raise SkipTest(f"the machine was too busy, {report.disturbed} times in a row")
        return report.figures

    async def expectSilenceIsNoticed(self, name: str, *sides: str) -> Figures:
        """Each of these sides waits its 200 ms, and then shuts down."""
        figures = await self.strike(name)
        for side in sides:
            self.assertGreaterEqual(min(figures[FROM_MESSAGE, side]), SHORTEST_SECONDS)
        return figures

    async def expectAllIsNoticed(self, name: str, *sides: str) -> None:
        """Each of these sides notices, by silence or since it is told."""
        figures = await self.strike(name)
        for side in sides:
            self.assertIn((FROM_MESSAGE, side), figures)

    async def expectSurvival(self, name: str) -> None:
        """Nobody minds, though something has happened."""
        figures = await self.strike(name)
        self.assertGreater(max(figures[GAP, "either"]), 0.08)


class NetworkTests(FaultTestCase):
    """A network in namespaces; where there is none, `RelayTests` break connections all the same."""

    def setUp(self) -> None:
        super().setUp()
        if why := whyNot():
            raise SkipTest(f"no network namespaces, only the relay: {why}")

    async def test_linkDown(self) -> None:
        await self.expectSilenceIsNoticed("link down", "router", "device")

    async def test_blackHole(self) -> None:
        await self.expectSilenceIsNoticed("black hole", "router", "device")

    async def test_throttling(self) -> None:
        await self.expectAllIsNoticed("throttled to 2 kbit/s", "router", "device")

    async def test_oneSegmentLostFromTheDeviceEndsNothing(self) -> None:
        await self.expectSurvival("one segment lost, from the device")

    async def test_oneSegmentLostToTheDeviceEndsNothing(self) -> None:
        await self.expectSurvival("one segment lost, to the device")


class RelayTests(FaultTestCase):
    async def test_stall(self) -> None:
        await self.expectSilenceIsNoticed("relay stalls", "router", "device")

    async def test_blackHole(self) -> None:
        await self.expectSilenceIsNoticed("relay drops", "router", "device")

    async def test_longDelay(self) -> None:
        await self.expectSilenceIsNoticed("relay delays by 300 ms", "router", "device")

    async def test_shortDelayEndsNothing(self) -> None:
        await self.expectSurvival("relay delays by 80 ms")

    async def test_cut(self) -> None:
        await self.expectAllIsNoticed("relay cuts", "router", "device")


class ProcessTests(FaultTestCase):
    async def test_routerFrozen(self) -> None:
        await self.expectSilenceIsNoticed("router frozen", "device")

    async def test_deviceKilled(self) -> None:
        await self.expectAllIsNoticed("device killed", "router")

    async def test_routerKilled(self) -> None:
        await self.expectAllIsNoticed("router killed", "device")

    async def test_fullDiskForLogs(self) -> None:
        if not Path("/dev/full").exists():
            raise SkipTest("there is no /dev/full")
        await self.expectSilenceIsNoticed("device frozen, disk full", "router")

    async def test_wallClockJumps(self) -> None:
        await self.expectSilenceIsNoticed("device frozen, clocks jump", "router")

    async def test_deviceFrozenAndWhenItGoesOn(self) -> None:
        figures = await self.expectSilenceIsNoticed("device frozen", "router")
        self.assertLess(max(figures[FROM_RESUMPTION, "device"]), LONGEST_SECONDS)


class TableTests(FaultTestCase):
    def test_everyFaultIsTriedHere(self) -> None:
        text = Path(__file__).read_text()
        self.assertEqual([fault.name for fault in FAULTS if f'"{fault.name}"' not in text], [])
