"""Every device keeps the one contract of `IDevice`."""

from __future__ import annotations

from typing import ClassVar

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epnet.devices.base import SimulatedDevice
from epnet.devices.makers import deviceMakers, parseDevice
from epnet.interfaces import IDevice, Limits
from epnet.middle import MiddleDevice
from epnet.testing import DeviceContract
from tests.devices.test_devices import DEVICES
from tests.real.telling import Telling


class SimulatedContract(DeviceContract):
    kind: ClassVar[str]

    def makeDevice(self, clock: Clock) -> IDevice:
        return parseDevice(DEVICES[self.kind], clock)

    def contactorIsClosed(self, device: IDevice) -> bool:
        assert isinstance(device, SimulatedDevice)
        return device.stage.isClosed


class SolarTests(SimulatedContract, SynchronousTestCase):
    kind = "solar"


class BatteryTests(SimulatedContract, SynchronousTestCase):
    kind = "battery"


class VehicleTests(SimulatedContract, SynchronousTestCase):
    kind = "ev"


class LoadTests(SimulatedContract, SynchronousTestCase):
    kind = "load"


class GridTests(SimulatedContract, SynchronousTestCase):
    kind = "grid"


class MiddleTests(SimulatedContract, SynchronousTestCase):
    """A device in the middle is a device; here with nobody behind it."""

    kind = "battery"

    def makeDevice(self, clock: Clock) -> IDevice:
        return MiddleDevice(super().makeDevice(clock), clock, 5000.0)

    def contactorIsClosed(self, device: IDevice) -> bool:
        assert isinstance(device, MiddleDevice)
        return super().contactorIsClosed(device.own)


class WithoutPhysicsTests(DeviceContract, SynchronousTestCase):
    """What the tests of programs use keeps it too."""

    def makeDevice(self, clock: Clock) -> IDevice:
        return Telling(clock)


class CompletenessTests(SynchronousTestCase):
    def test_everyKindIsTried(self) -> None:
        tried = {each.kind for each in SimulatedContract.__subclasses__()}
        self.assertEqual(tried, set(deviceMakers()))


class Careless(Telling):
    """Breaks one rule at a time."""

    broken = ""

    def setLimits(self, limits: Limits) -> None:
        if self.broken == "expiry":
            limits = Limits(limits.draw_w, limits.supply_w, 1e9)
        if self.broken == "limit":
            limits = Limits(limits.draw_w and self.rating_w, 0.0, limits.expires)
        if self.broken == "sum":
            limits = Limits(limits.draw_w * 2, 0.0, limits.expires)
        self._limits = limits

    def shutDown(self, reason: str) -> None:
        if self.broken != "shutDown":
            super().shutDown(reason)


class BrokenDeviceTests(SynchronousTestCase):
    """The contract finds who breaks it."""

    def test_each(self) -> None:
        cases = {
            "expiry": "test_3_aPermissionEndsByItself",
            "limit": "test_2_neverMoreThanPermitted",
            "sum": "test_2_neverMoreThanPermitted",
            "shutDown": "test_4_shutDownTakesAtMost100ms",
        }
        for broken, name in cases.items():

            class Contract(DeviceContract, SynchronousTestCase):
                def makeDevice(self, clock: Clock) -> IDevice:
                    device = Careless(clock)
                    device.broken = self.broken
                    return device

            Contract.broken = broken
            case = Contract(name)
            self.assertRaises(self.failureException, getattr(case, name))
