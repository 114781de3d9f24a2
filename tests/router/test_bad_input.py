"""What devices, installers and clocks may do wrong: nothing flows that should not."""

from __future__ import annotations

from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.config.reader import ConfigurationError, parseConfiguration
from epnet.router.bounds import isReal
from epnet.router.decisions import Direction
from epnet.router.folding import foldedStorage
from epnet.router.policy import DevicePolicy, NetworkPolicy, Policies
from epnet.router.reasons import Reason
from epnet.router.terms import Group
from epnet.wire import (
    Bounds,
    DemandParameters,
    Price,
    Source,
    StorageParameters,
    SupplyParameters,
    encode,
)
from tests.config.test_reader import FILE
from tests.observe.house import NOON, House, hear
from tests.router.histories import Device
from tests.router.test_rules import RulesTestCase

WHOLE_3000 = b"\x19\x0b\xb8"
"""3000 as a whole number, as it is encoded: as long as a float of 16 bits."""

NAN, INFINITE = b"\xf9\x7e\x00", b"\xf9\x7c\x00"


class MessageTests(SynchronousTestCase):
    """Real bytes on a real session."""

    SUN = SupplyParameters(voltage_limit=Bounds(300, 800), power_limit=5000, voltage=400)
    WISH = DemandParameters(voltage=400, power_limit=3000)

    def setUp(self) -> None:
        self.house = House()
        self.sun = self.house.plugIn("sun", "solar")
        self.car = self.house.plugIn("car", "vehicle")
        hear(self.sun, self.SUN)
        hear(self.car, self.WISH)
        self.house.settle()
        self.assertGot(3000)

    def assertGot(self, watts: float) -> None:
        self.assertAlmostEqual(self.house.router.ports["car"].export_w, watts)

    def assertRefused(self, protocol: object, data: bytes, code: str) -> None:
        """Those bytes take the consent back; good messages bring it back to the same session."""
        deviations = self.house.connections.deviations
        before = deviations[code]
        for _ in range(15):
            for link, good in ((self.sun, self.SUN), (self.car, self.WISH)):
                link.dataReceived(data if link is protocol else encode(good))
            self.house.clock.advance(0.02)
        self.assertGot(0)
        self.assertGreater(deviations[code], before)
        hear(self.sun, self.SUN)
        hear(self.car, self.WISH)
        self.house.settle()
        self.assertGot(3000)

    def test_NaNFromADeviceThatWants(self) -> None:
        good = encode(self.WISH)
        self.assertIn(WHOLE_3000, good)
        self.assertRefused(self.car, good.replace(WHOLE_3000, NAN), "value.not-finite")

    def test_NaNFromADeviceThatGives(self) -> None:
        good = encode(self.SUN.replace(power_limit=3000))
        self.assertRefused(self.sun, good.replace(WHOLE_3000, NAN), "value.not-finite")

    def test_infinitePower(self) -> None:
        self.assertRefused(
            self.car, encode(self.WISH).replace(WHOLE_3000, INFINITE), "value.not-finite"
        )

    def test_minAboveMax(self) -> None:
        low, high = b"\x19\x01\x2c", b"\x19\x03\x20"  # 300 and 800
        good = encode(self.SUN)
        self.assertIn(low, good)
        swapped = good.replace(low, b"min").replace(high, low).replace(b"min", high)
        self.assertRefused(self.sun, swapped, "bounds.order")


EXTREMES = (0, -1, 1, 50, -1e9, 1e12, 1e308, -1e308, 5e-324, 2**63 - 1)
"""Numbers that a message may hold, whether or not they make sense."""

numbers = st.sampled_from([None, *EXTREMES])
storages = st.builds(
    StorageParameters,
    soc=numbers,
    soc_target=numbers,
    soc_target_time=numbers,
    capacity=numbers,
    energy_mix=st.dictionaries(st.sampled_from(Source), st.sampled_from(EXTREMES)),
)
offers = st.builds(
    SupplyParameters,
    voltage_limit=st.sampled_from([None, Bounds(300, 800), Bounds(-1e308, 1e308)]),
    power_limit=numbers,
    current_limit=st.sampled_from([None, Bounds(0, 10), Bounds(-1e308, 1e308)]),
    voltage=st.sampled_from([None, 400, *EXTREMES]),
    current=numbers,
    energy_prices=st.builds(lambda amount: [Price(NOON, amount, "EUR")], st.sampled_from(EXTREMES)),
)
wishes = st.builds(
    DemandParameters,
    voltage=st.sampled_from([None, 400, *EXTREMES]),
    voltage_limit=numbers,
    power_limit=numbers,
    current_limit=numbers,
    current=numbers,
)


class NumberTests(SynchronousTestCase):
    """Numbers beyond all that is real come from one device, and harm no other."""

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(st.tuples(storages, offers, wishes), min_size=2, max_size=2),
        st.sampled_from(["battery", "vehicle", "grid", "solar", "router"]),
        st.booleans(),
    )
    def test_nobodyElseIsLost(
        self,
        said: list[tuple[StorageParameters, SupplyParameters, DemandParameters]],
        type: str,
        metered: bool,
    ) -> None:
        house = House()
        house.router.setPolicies(Policies(NetworkPolicy(min_soc=20.0)))
        links = [house.plugIn("one", type), house.plugIn("two", type), house.plugIn("sun", "solar")]
        hear(links[2], MessageTests.SUN.replace(energy_prices=[Price(NOON, 0.1, "EUR")]))
        links.append(house.plugIn("car", "vehicle"))
        hear(links[3], MessageTests.WISH)
        if not metered:
            for converter in house.converters.values():
                converter.metered = None
        for link, messages in zip(links, said, strict=False):
            hear(link, *messages)
        house.settle(1.5)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(len(house.router.ports), 4)
        for port in house.router.ports.values():
            self.assertIsNotNone(port.link, port.identity)
        house.look()

    @given(st.lists(storages))
    def test_ofStorageToTheRouterAbove(self, said: list[StorageParameters]) -> None:
        folded = foldedStorage([each for each in said if isReal(each)])
        if folded is not None:
            encode(folded)


class LimitTests(RulesTestCase):
    def test_contradictoryLimitsOfADevice(self) -> None:
        """It offers power at a voltage that its own limits exclude."""
        self.plug(Device("sun", offer_w=5000))
        self.plug(Device("home", wish_w=2000), voltage=Bounds(700, 900))
        self.world.run(3.0)
        self.assertEqual(self.got("home"), 0)
        self.assertIs(self.export("home").ruling.reason, Reason.VOLTAGE)

    def test_contradictoryLimitsOfPolicies(self) -> None:
        """Less than its minimum is allowed: it gets nothing, and the reason is told."""
        self.plug(Device("sun", offer_w=9000))
        self.plug(Device("a", wish_w=6000), min_w=2000)
        self.plug(Device("b", wish_w=6000), min_w=2000)
        self.router.setPolicies(
            Policies(
                devices={"a": DevicePolicy(max_w=1000)}, groups=(Group("feeder", 1500, ["b"]),)
            )
        )
        self.world.run(3.0)
        self.assertEqual((self.got("a"), self.got("b")), (0, 0))
        for name, limit in (("a", "1000 W left under its own maximum"), ("b", "feeder")):
            self.assertIn(limit, self.export(name).ruling.text)

    def test_aNameThatOnlyOneOfTwoCanHave(self) -> None:
        """A device that is called as a group is puts that group under another name: a free one."""
        self.router.setPolicies(Policies(groups=(Group("x", 1000, ["x (group)", "home"]),)))
        self.plug(Device("sun", offer_w=5000))
        self.plug(Device("home", wish_w=3000))
        self.plug(Device("x", wish_w=500))
        self.world.run(3.0)
        self.assertEqual((self.got("home"), self.got("x")), (1000, 500))

    def test_contradictoryLimitsInAFile(self) -> None:
        text = b"[policy.device.car]\nmin_soc = 80\nmax_soc = 20\n[ports.car]\nvoltage = [900, 200]"
        error = self.assertRaises(ConfigurationError, parseConfiguration, text, FILE)
        self.assertEqual(
            [problem.key for problem in error.problems], ["policy.device.car", "ports.car.voltage"]
        )
        self.assertIn("min_soc 80 is above max_soc 20", str(error))

    def test_impossibleMinimumsHoldNobodyUp(self) -> None:
        self.plug(Device("sun", offer_w=5000))
        self.plug(Device("a", wish_w=9000), min_w=8000)
        self.plug(Device("b", wish_w=9000), min_w=1000)
        self.world.run(200.0)
        self.assertEqual(self.got("a"), 0)
        self.assertAlmostEqual(self.got("b"), 5000)
        self.assertIn("its minimum does not fit", self.export("a").ruling.text)

    def test_pricesInDifferentCurrencies(self) -> None:
        """They cannot be compared, so none is a price."""
        self.plug(Device("a", offer_w=3000, price=0.01, currency="SEK"), side="B")
        self.plug(Device("b", offer_w=3000, price=0.2, currency="EUR"), side="B")
        self.plug(Device("home", wish_w=2000))
        self.plug(Device("heater", wish_w=2000), bid=0.5)
        self.world.run(3.0)
        self.assertEqual((round(self.gave("a")), round(self.gave("b"))), (1000, 1000))
        self.assertEqual(self.got("heater"), 0)
        self.router.setPolicies(Policies(NetworkPolicy(currency="EUR")))
        self.world.run(3.0)
        self.assertEqual((round(self.gave("a")), round(self.gave("b"))), (0, 3000))
        self.assertEqual(round(self.got("heater")), 1000)

    def test_clocksThatJumpLoseNothingForGood(self) -> None:
        self.plug(Device("sun", offer_w=2000))
        self.plug(Device("home", wish_w=1000))
        for jump in (3600.0, -500.0, 86400.0, -1000.0):
            self.world.run(3.0)
            self.assertAlmostEqual(self.got("home"), 1000)
            self.world.clock.rightNow += jump
        self.world.run(3.0)
        self.assertAlmostEqual(self.got("home"), 1000)

    def test_aReverseDemandIsAllThatIsTakenOfItsDevice(self) -> None:
        """What it must be rid of comes first; its offer counts again when that is over."""
        self.plug(Device("home", wish_w=3000))
        turbine = self.plug(Device("turbine", offer_w=5000, spare_a=3.0))
        self.world.run(3.0)
        self.assertAlmostEqual(self.gave("turbine"), 1200)
        self.assertAlmostEqual(self.got("home"), 1200)
        turbine.spare_a = None
        self.world.run(3.0)
        self.assertAlmostEqual(self.gave("turbine"), 3000)
        ruling = self.port("turbine").decisions[Direction.IMPORT].ruling
        self.assertIs(ruling.reason, Reason.SHARE)

    def test_aDeviceThatDemandsNothingAtAnyPrice(self) -> None:
        """Bids below every price, and a bid of minus infinity, are answered with nothing."""
        self.plug(Device("sun", offer_w=5000))
        self.plug(Device("home", wish_w=3000), bid=-inf)
        self.world.run(3.0)
        self.assertEqual(self.got("home"), 0)
        self.assertIs(self.export("home").ruling.reason, Reason.BID)
