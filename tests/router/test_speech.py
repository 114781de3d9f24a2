"""At which voltage a port speaks, and what flows over it in few words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from epnet.node import DeviceNode
from epnet.router.baseport import BasePort
from epnet.router.converter import SimulatedConverter
from epnet.router.settings import PortSettings
from epnet.router.speech import importVoltage
from epnet.wire import Bounds, SessionParameters, SupplyParameters
from tests.fakes import FakeDevice, FakeLink

PARAMETERS = SessionParameters(identity="us")

volts = st.integers(0, 9) | st.floats(0, 9)
windows = st.tuples(volts, volts).map(sorted).map(tuple)


class VoltageTests(SynchronousTestCase):
    @given(windows, st.none() | windows, st.none() | volts)
    def test_itIsMeasuredAsFarAsBothWindowsAllow(
        self, ours: Bounds, theirs: Bounds | None, measured: float | None
    ) -> None:
        settings = PortSettings(voltage=Bounds(1 + ours[0], 1 + ours[1]))
        low, high = settings.voltage
        if theirs is not None:
            low, high = max(low, theirs[0]), min(high, theirs[1])
        expected = max(low, min(high, low if measured is None else measured))
        supply = SupplyParameters(voltage_limit=theirs, voltage=measured)
        self.assertEqual(importVoltage(settings, supply), expected)


class FlowTests(SynchronousTestCase):
    @given(st.booleans(), st.floats(0, 900), st.booleans())
    def test_flowsAreWhatIsMeasured(self, meters: bool, watts: float, imports: bool) -> None:
        clock = Clock()
        converter = SimulatedConverter(clock, 1000.0, meters=meters)
        port = BasePort("device", PortSettings(), converter)
        link = FakeLink(DeviceNode(FakeDevice(), PARAMETERS, clock), clock, "device")
        port.attach(link)
        link.hear(SupplyParameters(voltage=230, current=2.5, power_limit=watts))
        port.import_w, port.export_w = (watts, 0.0) if imports else (0.0, watts)
        converter.close()
        converter.setLimits(port.import_w, port.export_w, 9.0)
        clock.advance(2.0)
        reading = port.measured()
        flows = reading.import_w, reading.export_w, reading.estimated
        self.assertEqual(port.flows(), flows)
        self.assertEqual(reading.estimated, not meters)
        if not meters and imports and watts:
            self.assertEqual(reading.import_w, 575.0)
