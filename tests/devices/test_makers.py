"""From ``--device KIND:key=value,…`` to a device."""

from pathlib import Path

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from epnet.devices.base import DailyDevice
from epnet.devices.battery import Battery
from epnet.devices.ev import Vehicle
from epnet.devices.grid import Grid
from epnet.devices.load import Load
from epnet.devices.makers import deviceMakers, parseDevice
from epnet.devices.options import quantity
from epnet.devices.solar import Solar
from epnet.errors import UsageError
from epnet.interfaces import IDevice, IDeviceMaker
from tests.fakes import FakeDevice

KINDS = {"solar": Solar, "battery": Battery, "ev": Vehicle, "load": Load, "grid": Grid}


@implementer(IDevice)
class Plain(FakeDevice):
    """An integrator's device that declares no options."""

    def __init__(self, clock: IReactorTime, port: str = "none") -> None:
        super().__init__()
        if port == "broken":
            raise ValueError("no such port")
        self.clock, self.port = clock, port


@implementer(IDevice)
@attrs.define(slots=False, eq=False)
class Declared(FakeDevice):
    """An integrator's device that declares its options."""

    clock: IReactorTime
    watts: float = quantity(1, "W", above=0)
    count: int = attrs.field(default=1, converter=int)
    title: str = "untitled"


COMMON = {field.alias for field in attrs.fields(DailyDevice) if field.init} - {"clock"}


def optionsOf(made: type) -> "list[attrs.Attribute[object]]":
    return [field for field in attrs.fields(made) if field.init and field.alias != "clock"]


class NoDevice:
    def __init__(self, clock: IReactorTime) -> None:
        pass


class MakerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def test_eachKindIsAPluginThatMakesItsDevice(self) -> None:
        makers = deviceMakers()
        for kind, made in KINDS.items():
            verifyObject(IDeviceMaker, makers[kind])
            verifyObject(IPlugin, makers[kind])
            self.assertEqual(makers[kind].kind, kind)
            self.assertTrue(makers[kind].description)
            self.assertIsInstance(makers[kind].makeDevice(self.clock, {}), made)

    def test_optionsAreGivenAsText(self) -> None:
        battery = parseDevice("battery:capacity_wh=12000,soc=40,start=05:30,day=110", self.clock)
        assert isinstance(battery, Battery)
        self.assertEqual((battery.capacity_wh, battery.soc), (12000, 40))
        self.assertEqual((battery.world.timeOfDay, battery.world.dayOfYear), (5.5 * 3600, 110))

    def test_flagsAreYesOrNo(self) -> None:
        self.assertIsNone(parseDevice("grid:feed_in=no", self.clock).demand())
        self.assertIsNotNone(parseDevice("grid:feed_in=yes", self.clock).demand())

    def test_theReferenceTellsEveryOptionAndDefault(self) -> None:
        reference = (Path(__file__).parents[2] / "docs/reference/devices.rst").read_text("utf-8")
        for kind, made in KINDS.items():
            _, _, chapter = reference.partition(f"\n{kind}\n--")
            chapter = chapter.strip("-").partition("\n--")[0]
            for field in optionsOf(made):
                if field.alias not in COMMON:
                    default = field.default if type(field.default) in (int, float) else ""
                    self.assertRegex(chapter, rf"``{field.alias}`` +{default}\b", kind)

    def test_theReferenceTellsTheCommonOptions(self) -> None:
        reference = (Path(__file__).parents[2] / "docs/reference/devices.rst").read_text("utf-8")
        for name in COMMON:
            self.assertIn(f"\n``{name}`` ", reference)


class OwnDeviceTests(SynchronousTestCase):
    """KIND may be the dotted name of an integrator's own class."""

    def setUp(self) -> None:
        self.clock = Clock()

    def parse(self, text: str) -> IDevice:
        return parseDevice(f"{__name__}.{text}", self.clock)

    def test_optionsItDoesNotDeclareAreText(self) -> None:
        device = self.parse("Plain:port=/dev/ttyS0")
        assert isinstance(device, Plain)
        self.assertEqual((device.clock, device.port), (self.clock, "/dev/ttyS0"))

    def test_optionsItDeclaresAreConverted(self) -> None:
        device = self.parse("Declared:watts=5,count=3,title=Mine")
        assert isinstance(device, Declared)
        self.assertEqual((device.watts, device.count, device.title), (5.0, 3, "Mine"))


class MistakeTests(SynchronousTestCase):
    """Each mistake gets one text that says what is wrong and what would be right."""

    def assertRefused(self, device: str, *texts: str) -> None:
        error = self.assertRaises(UsageError, parseDevice, device, Clock())
        for text in texts:
            self.assertIn(text, str(error))

    def test_unknownKind(self) -> None:
        self.assertRefused(
            "solr", "unknown kind of device 'solr'", "did you mean solar?", "battery, ev, grid"
        )
        self.assertRefused("", "unknown kind of device ''")

    def test_unknownOption(self) -> None:
        self.assertRefused(
            "solar:peek_w=3", "device solar", "unknown option 'peek_w'", "did you mean peak_w?"
        )
        self.assertRefused("grid:clock=3", "unknown option 'clock'")
        self.assertRefused("grid:stage=3", "unknown option 'stage'")

    def test_notANumber(self) -> None:
        for value in ("lots", "nan", "inf", "-1", "0", ""):
            self.assertRefused(
                f"battery:capacity_wh={value}",
                "device battery: capacity_wh=",
                "expected a number of Wh above 0",
            )

    def test_outOfRange(self) -> None:
        self.assertRefused("battery:soc=101", "soc=101", "expected a number of % from 0 to 100")
        self.assertRefused("solar:latitude=-91", "a number of degrees from -90 to 90")
        self.assertRefused("solar:day=0", "a whole number, the day of the year, from 1 to 365")
        self.assertRefused("grid:phases=4", "phases=4", "from 1 to 3")

    def test_notATime(self) -> None:
        for value in ("noon", "25:00", "12:60", "12", "-1:30", "1:2:3"):
            self.assertRefused(f"ev:plug={value}", f"plug={value}: expected a time of day, HH:MM")

    def test_notAFlag(self) -> None:
        self.assertRefused("grid:feed_in=maybe", "feed_in=maybe: expected yes or no")

    def test_optionsThatExcludeEachOther(self) -> None:
        self.assertRefused("load:base_w=3000", "device load: base_w=3000 is above peak_w=2000")

    def test_notKeyAndValue(self) -> None:
        self.assertRefused("solar:5000", "device solar: '5000' is no option: write key=value")
        self.assertRefused("solar:=5000", "write key=value")
        self.assertRefused("solar:day=1,day=2", "day is given twice")

    def test_aClassThatCannotBeImported(self) -> None:
        self.assertRefused("no.such.Thing", "device no.such.Thing: cannot import it", "PYTHONPATH")
        self.assertRefused(f"{__name__}.Missing", "cannot import it")
        self.assertRefused("..", "cannot import it")
        self.assertRefused("os.path", "os.path is not a class")

    def test_aClassThatMakesNoDevice(self) -> None:
        self.assertRefused(f"{__name__}.NoDevice", "NoDevice is no IDevice")
        self.assertRefused("builtins.dict", "device builtins.dict: these options do not fit")

    def test_optionsAnOwnClassDoesNotTake(self) -> None:
        self.assertRefused(f"{__name__}.Plain:speed=3", "do not fit", "speed")
        self.assertRefused(f"{__name__}.Plain:port=broken", "bad value: no such port")
        self.assertRefused(f"{__name__}.Declared:watt=3", "did you mean watts?")
        self.assertRefused(f"{__name__}.Declared:watts=-3", "expected a number of W above 0")
        self.assertRefused(f"{__name__}.Declared:count=x", "count=x: invalid literal for int()")
