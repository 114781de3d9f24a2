"""The contract of `IDevice` as tests, for devices of any making."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from epnet.interfaces import IDevice, Limits

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase as _Base
else:
    _Base = object

FALL_SECONDS = 0.1
OPEN_SECONDS = 0.5
NEAR_ZERO = 0.01
STEP = 0.01
ROUNDING = 1e-9
"""Of the rating: less than that is nothing."""
LONG = 1000.0
"""Longer than any test."""


class DeviceContract(_Base):
    """Mix it into a test case of trial and say how to make the device; the tests come with it::

        class ChargerTests(DeviceContract, SynchronousTestCase):
            def makeDevice(self, clock):
                return Charger(clock)

    settleSeconds: how long the device may take to carry its full power, s.
    """

    settleSeconds: ClassVar[float] = 5.0

    def makeDevice(self, clock: Clock) -> IDevice:
        """A new device that lives by this clock, at a time when it has something to do."""
        raise NotImplementedError("override makeDevice: it says which device to test")

    def contactorIsClosed(self, device: IDevice) -> bool | None:
        """Whether its contactor is closed; None where no test can see that."""
        return None

    # Tools

    def new(self) -> tuple[IDevice, Clock]:
        """A device, some time after the beginning of time."""
        clock = Clock()
        clock.advance(LONG)
        return self.makeDevice(clock), clock

    def running(self) -> Iterator[tuple[IDevice, Clock, str]]:
        """A device at its full power, for each direction that it has: 'draw', then 'supply'."""
        found = False
        for direction in ("draw", "supply"):
            device, clock = self.new()
            if (device.demand() if direction == "draw" else device.supply()) is None:
                continue
            self.permit(device, clock, direction, device.rating_w)
            clock.advance(self.settleSeconds)
            self.assertGreater(self.flows(device, direction), 0.0, f"it has nothing to {direction}")
            found = True
            yield device, clock, direction
        self.assertTrue(found, "it neither draws nor supplies")

    def permit(
        self,
        device: IDevice,
        clock: Clock,
        direction: str,
        power_w: float,
        seconds: float = LONG,
    ) -> None:
        """Let it carry that much for so long, in one direction."""
        draw_w, supply_w = (power_w, 0.0) if direction == "draw" else (0.0, power_w)
        device.setLimits(Limits(draw_w, supply_w, clock.seconds() + seconds))

    def flows(self, device: IDevice, direction: str) -> float:
        """What flows in that direction, W; nothing may in the other one."""
        reading = device.reading()
        draw_w, supply_w = reading.draw_w, reading.supply_w
        self.assertGreaterEqual(min(draw_w, supply_w), 0.0, "a power is never negative")
        wanted, other = (draw_w, supply_w) if direction == "draw" else (supply_w, draw_w)
        self.assertEqual(other, 0.0, f"permitted to {direction}, it does the contrary")
        return wanted

    def assertNothingFlows(self, device: IDevice) -> None:
        """Nothing does, in either direction."""
        reading = device.reading()
        rounding_w = ROUNDING * device.rating_w
        self.assertLessEqual(max(reading.draw_w, reading.supply_w), rounding_w)

    # The contract

    def test_1_itSaysWhatItIs(self) -> None:
        device, _ = self.new()
        verifyObject(IDevice, device)
        for text in (device.type, device.name):
            self.assertTrue(isinstance(text, str) and text)
        self.assertTrue(re.fullmatch(r"\d+\.\d+", device.version), device.version)
        self.assertGreater(device.rating_w, 0.0)

    def test_2_nothingFlowsWithoutPermission(self) -> None:
        device, clock = self.new()
        for _ in range(10):
            clock.advance(0.5)
            self.assertNothingFlows(device)

    def test_2_neverMoreThanPermitted(self) -> None:
        for device, clock, direction in self.running():
            self.assertLessEqual(self.flows(device, direction), device.rating_w * (1 + ROUNDING))
            for part in (0.5, 0.1, 0.7, 0.0):
                before_w = self.flows(device, direction)
                self.permit(device, clock, direction, part * device.rating_w)
                for step in range(round(self.settleSeconds / 0.05)):
                    clock.advance(0.05)
                    limit_w = part * device.rating_w
                    if step < 1:
                        limit_w = max(limit_w, before_w)
                    rounding_w = ROUNDING * device.rating_w
                    self.assertLessEqual(self.flows(device, direction), limit_w + rounding_w)

    def test_3_aPermissionEndsByItself(self) -> None:
        for device, clock, direction in self.running():
            self.permit(device, clock, direction, device.rating_w, seconds=0.2)
            # Nobody calls; not even to ask.
            clock.advance(0.2 + FALL_SECONDS)
            self.assertNothingFlows(device)

    def test_3_oneThatHasExpiredAllowsNothing(self) -> None:
        device, clock = self.new()
        for direction in ("draw", "supply"):
            self.permit(device, clock, direction, device.rating_w, seconds=-1.0)
            clock.advance(FALL_SECONDS)
            self.assertNothingFlows(device)

    def test_4_shutDownTakesAtMost100ms(self) -> None:
        for device, clock, _ in self.running():
            device.shutDown("a test")
            clock.advance(FALL_SECONDS)
            self.assertNothingFlows(device)

    def test_4_theContactorOpensAtNearZeroCurrentOrAfter500ms(self) -> None:
        for device, clock, direction in self.running():
            if self.contactorIsClosed(device) is None:
                continue
            self.assertTrue(self.contactorIsClosed(device))
            device.shutDown("a test")
            before_w = self.flows(device, direction)
            for _ in range(round(OPEN_SECONDS / STEP)):
                clock.advance(STEP)
                if not self.contactorIsClosed(device):
                    break
                before_w = self.flows(device, direction)
            self.assertFalse(self.contactorIsClosed(device))
            # In one step the current may fall by a tenth of the rating, and not by more.
            most_w = (NEAR_ZERO + STEP / FALL_SECONDS) * device.rating_w
            self.assertLessEqual(before_w, most_w, "it opened under load")

    def test_4_twiceOrWithNothingFlowingItIsHarmless(self) -> None:
        device, clock = self.new()
        for _ in range(3):
            device.shutDown("a test")
            clock.advance(0.05)
            self.assertNothingFlows(device)
        for running, itsClock, _ in self.running():
            running.shutDown("a test")
            itsClock.advance(FALL_SECONDS / 2)
            running.shutDown("again")
            itsClock.advance(FALL_SECONDS / 2)
            self.assertNothingFlows(running)

    def test_5_whatWasPermittedBeforeAShutdownIsWorthNothing(self) -> None:
        for device, clock, direction in self.running():
            device.shutDown("a test")
            self.permit(device, clock, direction, 0.0)
            for _ in range(10):
                clock.advance(self.settleSeconds / 10)
                self.assertNothingFlows(device)

    def test_5_newPermissionStartsANewTransfer(self) -> None:
        for device, clock, direction in self.running():
            device.shutDown("a test")
            clock.advance(OPEN_SECONDS)
            self.permit(device, clock, direction, device.rating_w)
            clock.advance(self.settleSeconds)
            self.assertGreater(self.flows(device, direction), 0.0)
