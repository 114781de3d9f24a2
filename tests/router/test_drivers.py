"""Converters of others' making: how they are found, and what happens when they fail."""

from __future__ import annotations

from decimal import Decimal
from math import inf, nan
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from epnet.errors import UsageError
from epnet.identity import Peer
from epnet.interfaces import IPort, PortReading
from epnet.router.converter import SimulatedConverter
from epnet.router.drivers import TOLD_SECONDS, GuardedConverter, checkConverter, makeConverter
from epnet.router.portmaker import PortMaker, PortRefused
from epnet.router.ports import Port
from epnet.router.reasons import Reason
from epnet.router.router import MOST_ROUNDS, Router
from epnet.router.settings import PortSettings
from epnet.testing import ConverterContract
from epnet.wire import Isolation, IsolationState, SessionParameters, SupplyParameters
from tests.fakes import FakeLink, peerNamed
from tests.router.histories import Device, Wire, World
from tests.router.test_rules import RulesTestCase

HERE = __name__


@implementer(IPort)
@attrs.define(eq=False)
class Inverter:
    """One that works.

    unit: its address.
    """

    clock: Clock
    unit: int = attrs.field(default=1, converter=int)
    stage: SimulatedConverter = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.stage = SimulatedConverter(self.clock, 5000.0)  # type: ignore[arg-type]

    def setLimits(self, import_w: float, export_w: float, expires: float) -> None:
        self.stage.setLimits(import_w, export_w, expires)

    def close(self) -> None:
        self.stage.close()

    def open(self) -> None:
        self.stage.open()

    def reading(self) -> PortReading | None:
        return self.stage.reading()


class Absent(Inverter):
    """One that is not there."""

    def __attrs_post_init__(self) -> None:
        raise OSError("no such device: /dev/ttyUSB0")


class NoConverter:
    """Something else."""

    def __init__(self, clock: Clock) -> None:
        pass


class Mending:
    """The wire of a converter that fails at what the test says.

    failing: the names of its methods that raise.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.failing: set[str] = set()
        self.opened = 0

    def __getattr__(self, name: str) -> Any:
        if name == "open":
            self.opened += 1
        if name not in self.failing:
            return getattr(self.wire, name)

        def fail(*args: object) -> None:
            raise OSError("timeout")

        return fail


class FindingTests(SynchronousTestCase):
    def assertRefused(self, text: str, description: str) -> None:
        error = self.assertRaises(UsageError, checkConverter, description)
        self.assertIn(text, str(error))
        self.assertIn(description.partition(":")[0], str(error))

    def test_byItsDottedName(self) -> None:
        converter: Any = makeConverter(f"{HERE}.Inverter:unit=7", Clock())
        verifyObject(IPort, converter)
        self.assertIsInstance(converter, Inverter)
        self.assertEqual(converter.unit, 7)

    def test_itIsOnlyMadeWhereItIsNeeded(self) -> None:
        self.assertIs(checkConverter(f"{HERE}.Absent:unit=7"), Absent)

    def test_mistakes(self) -> None:
        self.assertRefused("in PYTHONPATH?", "acme.Inverter")
        self.assertRefused("is not a class", f"{HERE}.HERE")
        self.assertRefused("is no IPort", f"{HERE}.NoConverter")
        self.assertRefused("unknown option 'unti': did you mean unit?", f"{HERE}.Inverter:unti=7")
        self.assertRefused("unit=x", f"{HERE}.Inverter:unit=x")
        self.assertRefused("'unit' is no option", f"{HERE}.Inverter:unit")


class InverterTests(ConverterContract, SynchronousTestCase):
    """What is driven through the guard keeps the contract as before."""

    rating_w = 5000.0

    def makeConverter(self, clock: Clock) -> IPort:
        return GuardedConverter(makeConverter(f"{HERE}.Inverter", clock), "car", clock)


class MakingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.makePort = PortMaker(self.clock, {})
        self.router = Router(SessionParameters(identity="router"), self.makePort, self.clock)

    def describe(self, description: str | None) -> None:
        self.router.describe({"car": PortSettings(converter=description)}, None)

    def connect(self) -> FakeLink:
        link = FakeLink(self.router, self.clock, "car")
        self.router.sessionOpened(link)
        return link

    def driven(self) -> object:
        guard = self.router.ports["car"].converter
        assert isinstance(guard, GuardedConverter)
        return guard.converter

    def test_oneForEachDeviceAndDescription(self) -> None:
        self.describe(f"{HERE}.Inverter:unit=1")
        self.connect()
        first = self.driven()
        self.describe(f"{HERE}.Inverter:unit=2")
        self.connect()
        self.assertIsNot(self.driven(), first)
        self.describe(f"{HERE}.Inverter:unit=1")
        self.connect()
        self.assertIs(self.driven(), first)

    def test_anotherConverterIsAnotherPort(self) -> None:
        self.describe(None)
        link = self.connect()
        self.describe(f"{HERE}.Inverter")
        self.assertEqual(link.disconnected, [("its port has another converter now", None)])

    def test_whereItCannotBeMadeThereIsNoPort(self) -> None:
        self.describe(f"{HERE}.Absent")
        link = self.connect()
        [(reason, _)] = link.disconnected
        self.assertEqual(reason, "the converter of its port cannot be made")
        self.assertNotIn("car", self.router.ports)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertRaises(PortRefused, self.makePort, peerNamed("car"))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)


class Later:
    """A clock a moment on: as in real time, a plan was begun before anything in it fails."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def seconds(self) -> float:
        return self._clock.seconds() + 0.001


class MendedWorld(World):
    """All of whose converters may fail."""

    def _makePort(self, peer: Peer) -> Port:
        port = super()._makePort(peer)
        wire = Mending(self.wires[peer.identity])
        guard = GuardedConverter(wire, peer.identity, Later(self.clock))  # type: ignore[arg-type]
        guard.failed = port.converterFailed
        port.converter = guard  # type: ignore[assignment]
        return port


class FailureTests(RulesTestCase):
    """An error opens the port it belongs to, in the same turn; the others make do."""

    def setUp(self) -> None:
        self.world = MendedWorld()
        self.router = self.world.router
        self.plug(Device("sun", offer_w=3000, price=0.1))
        self.plug(Device("grid", offer_w=9000, price=0.3))
        self.plug(Device("home", wish_w=2000))
        self.plug(Device("car", wish_w=2000))
        self.world.run(3.0)
        self.assertEqual((self.gave("sun"), self.got("home")), (3000, 2000))

    def mending(self, identity: str) -> Mending:
        guard: Any = self.port(identity).converter
        found = guard.converter
        assert isinstance(found, Mending)
        return found

    def told(self) -> int:
        return len(self.flushLoggedErrors(OSError))

    def breaks(self, identity: str, *names: str) -> None:
        """From now on these methods raise; two ticks pass."""
        self.mending(identity).failing.update(names)
        self.world.run(0.2)

    def test_aSource(self) -> None:
        for name in ("setLimits", "reading"):
            self.breaks("sun", name)
            self.assertEqual(self.gave("sun"), 0)
            self.assertFalse(self.world.wires["sun"].isClosed)
            self.assertEqual(self.got("home") + self.got("car"), 4000)  # the grid steps in
            self.assertGreater(self.told(), 0)
            self.mending("sun").failing.clear()
            self.world.run(70.0)
            self.assertEqual(self.gave("sun"), 3000)

    def test_aSinkAndTheOthersGoOn(self) -> None:
        self.breaks("car", "setLimits")
        self.assertEqual((self.got("car"), self.got("home")), (0, 2000))
        self.assertFalse(self.world.wires["car"].isClosed)
        self.assertEqual(self.told(), 1)
        ruling = self.export("car").ruling
        self.assertIs(ruling.reason, Reason.COOLDOWN)
        self.assertIn("its converter fails: timeout", ruling.text)

    def test_itIsToldOfOnceAMinute(self) -> None:
        self.breaks("car", "reading")
        self.world.run(TOLD_SECONDS - 1.0)
        self.assertEqual(self.told(), 1)
        self.world.run(2.0)
        self.assertEqual(self.told(), 1)
        self.assertEqual(self.got("car"), 0)

    def test_aContactorThatDoesNotObey(self) -> None:
        self.breaks("car", "setLimits", "open", "close", "reading")
        self.assertEqual((self.got("car"), self.got("home")), (0, 2000))
        self.world.unplug("car")
        self.world.run(1.0)
        self.assertEqual(self.got("home"), 2000)
        self.assertGreater(self.told(), 0)

    def test_aReadingThatIsNone(self) -> None:
        self.patch(self.mending("car"), "reading", lambda: 2000.0)
        self.world.run(0.2)
        self.assertEqual(self.got("car"), 0)
        [failure] = self.flushLoggedErrors(TypeError)
        self.assertIn("not a PortReading", failure.getErrorMessage())

    def test_aMeterThatFailsWhenAMessageIsMade(self) -> None:
        link = self.world.devices["car"].link
        assert link is not None
        self.mending("car").failing.add("reading")
        link.publishNow()
        self.assertEqual((self.got("car"), self.gave("sun"), self.gave("grid")), (0, 2000, 0))
        self.assertIn(0, [each.power_limit for each in link.sent[-1]])  # type: ignore[attr-defined]
        self.assertEqual(self.told(), 1)

    def test_aMeterThatFailsWhenNobodyPlans(self) -> None:
        self.world.clock.advance(0.05)
        self.router.allocate()
        self.world.clock.advance(0.05)
        self.mending("sun").failing.add("reading")
        self.router.advance(self.world.clock.seconds())
        self.assertEqual((self.gave("sun"), self.gave("grid")), (0, 4000))
        self.assertEqual(self.told(), 1)

    def test_aReadingThatIsNoPower(self) -> None:
        nothing: Any = None
        for reading in (
            PortReading(nothing, 0.0, 2000.0),
            PortReading(400.0, 0.0, nan),
            PortReading(400.0, 0.0, inf),
            PortReading(400.0, -2000.0, 0.0),
            PortReading(400.0, 0.0, 1e13),
            PortReading(nan, 0.0, 2000.0),
            PortReading(400.0, 0.0, Decimal(2000)),  # type: ignore[arg-type]
        ):
            meter: Any = self.mending("car")
            meter.reading = lambda reading=reading: reading
            self.world.run(0.2)
            self.assertEqual((self.got("car"), self.got("home")), (0, 2000))
            self.assertFalse(self.world.wires["car"].isClosed)
            self.assertGreater(len(self.flushLoggedErrors(ValueError)), 0)
            del meter.reading
            self.world.run(TOLD_SECONDS + 10.0)
            self.assertEqual(self.got("car"), 2000)

    def test_aContactorThatObeysTheSecondTimeOnly(self) -> None:
        self.mending("car").failing.add("open")
        link = self.world.devices["car"].link
        assert link is not None
        link.hear(SupplyParameters(isolation=Isolation(IsolationState.FAULT)))
        self.assertTrue(self.world.wires["car"].isClosed)
        self.mending("car").failing.clear()
        self.world.run(0.2)
        self.assertFalse(self.world.wires["car"].isClosed)
        self.assertEqual(self.told(), 1)

    def test_aContactorThatObeysWhenItsDeviceIsGone(self) -> None:
        self.mending("car").failing.add("open")
        self.world.unplug("car")
        self.world.run(5.0)
        self.assertTrue(self.world.wires["car"].isClosed)
        self.mending("car").failing.clear()
        self.world.run(0.2)
        self.assertFalse(self.world.wires["car"].isClosed)
        self.assertEqual(self.told(), 1)

    def test_anErrorThatSaysNothing(self) -> None:
        class Mute(Exception):
            def __str__(self) -> str:
                raise RuntimeError("not even its text")

        for error, text in ((TimeoutError(), "TimeoutError"), (Mute(), "Mute")):

            def fail(*args: object, error: Exception = error) -> None:
                raise error

            car: Any = self.mending("car")
            car.setLimits = fail
            self.world.run(0.2)
            self.assertEqual((self.got("car"), self.got("home")), (0, 2000))
            self.assertIn(text, self.export("car").ruling.text)
            del car.setLimits
            self.world.run(TOLD_SECONDS + 10.0)
            self.assertEqual(len(self.flushLoggedErrors(type(error))), 1)

    def test_oneThatPutsItOff(self) -> None:
        """A coroutine that nobody waits for has done nothing, and a Deferred loses its error."""
        car: Any = self.mending("car")

        def setLimits(*limits: float) -> Deferred[None]:
            return Deferred()

        car.setLimits = setLimits
        self.world.run(0.2)
        self.assertEqual((self.got("car"), self.got("home")), (0, 2000))
        [failure] = self.flushLoggedErrors(TypeError)
        self.assertIn("setLimits() puts it off", failure.getErrorMessage())

    def test_manyThatFailOneAfterTheOther(self) -> None:
        """Each stands in for the one before it, and fails as well: that is no endless descent."""
        for number in range(20):
            self.plug(Device(f"reserve {number:02}", offer_w=4000, price=0.2))
        self.world.run(3.0)
        for name in self.world.wires:
            self.mending(name).failing.add("setLimits")
        before = self.router.decisions
        self.router.allocate()
        self.assertLessEqual(self.router.decisions - before, MOST_ROUNDS)
        self.world.run(1.0)
        self.assertEqual(self.got("home") + self.got("car"), 0)
        self.assertFalse(any(port.busy for port in self.router.ports.values()))
        self.assertGreater(self.told(), 8)

    def test_withoutAMeterNothingFails(self) -> None:
        self.patch(self.mending("car"), "reading", lambda: None)
        self.world.run(0.5)
        self.assertEqual(self.got("car"), 2000)
        self.assertTrue(self.port("car").estimated)
