"""Reading a configuration: what it makes, and everything that it refuses."""

from __future__ import annotations

import math
from pathlib import Path

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.config.keys import PLACES, ROOT, TABLES
from epnet.config.kinds import Choice, Kind, Number, Several, Window
from epnet.config.model import CLIENT, ROLES, ROUTER, SERVER, Configuration
from epnet.config.reader import LARGEST, ConfigurationError, Found, parseConfiguration
from epnet.config.tables import Named, Table
from epnet.router.bus import BusSettings
from epnet.router.losses import Loss
from epnet.router.policy import DevicePolicy, NetworkPolicy, RemotePolicy
from epnet.router.settings import DC_VOLTAGE, PortSettings
from epnet.router.terms import Group
from epnet.wire import Bounds
from tests.config.test_positions import inline

FILE = Path("/etc/epnet/house.toml")

EVERYTHING = """
[router]
identity = "house"
name = "Our house"
tenant = "us"
provider = "them"
certificate = "house.pem"
key = "/keys/house.pem"
listen = ["tcp:56540"]
publish_hz = 20
[trust]
policy = "devices"
authorities = ["a.pem", "b.pem"]
devices = "devices.txt"
[ports.car]
side = "D"
kind = "DC"
voltage = [200, 920.5]
max_current = 40
cable_current = 32
direction = "export"
max_power = 22e3
min_w = 1400
loss = {linear = 0.0109, quadratic = 1e-7}
priority = 2
weight = 0.5
bid = inf
price = -0.05
ramp_w_s = 1000
group = "feeder"
loss_ms = 300
converter = "tests.router.test_drivers.Inverter:unit=7"
[ports.heatpump]
phases = 3
[ports.default]
kind = "DC"
[policy.network]
max_import_w = 11_000
max_export_w = inf
min_soc = 20
reserve = 0.1
currency = "EUR"
fee = 0.02
[policy.device.car]
min_soc = 10
max_soc = 90
max_w = 7000
derating = 0.5
[[policy.group]]
name = "feeder"
max_w = 20_000
members = ["heatpump"]
[[policy.remote]]
tenant = "*"
access = "import"
priority = -1
max_w = 100
price = 0.3
[upstream]
hosts = ["street@192.0.2.1", "router.example:1,[::1]:2"]
identities = ["transformer"]
[downstream]
hosts = ["house-2@192.0.2.2"]
[bus]
name = "row"
driver = true
[http]
listen = "tcp:8080:interface=127.0.0.1"
tls_certificate = "http.pem"
tls_key = "http.key"
token_file = "tokens"
[history]
url = ""
keep_days = 30
[limits]
connections = 10
per_address = 5
strangers = 20
unvouched = 30
handshake_s = 3
session_s = 2
idle_s = 4.5
max_payload = 4096
"""


def parse(text: str, role: str = ROUTER) -> Found:
    return parseConfiguration(text.encode(), FILE, role)


class ReadingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.read = parse(EVERYTHING).configuration

    def test_ports(self) -> None:
        self.assertEqual(
            self.read.ports["car"],
            PortSettings(
                side="D",
                kind="DC",
                voltage=Bounds(200, 920.5),
                max_current=40,
                cable_current=32,
                direction="export",
                max_power=22_000,
                min_w=1400,
                loss=Loss(0.0109, 1e-7),
                priority=2,
                weight=0.5,
                bid=math.inf,
                price=-0.05,
                ramp_w_s=1000,
                group="feeder",
                loss_ms=300,
                converter="tests.router.test_drivers.Inverter:unit=7",
            ),
        )
        self.assertEqual(list(self.read.ports), ["car", "heatpump"])
        self.assertEqual(self.read.defaultPort, PortSettings(kind="DC", voltage=DC_VOLTAGE))
        self.assertEqual(self.read.patience, {"car": 300})

    def test_policies(self) -> None:
        policies = self.read.policies
        self.assertEqual(policies.network, NetworkPolicy(11_000, math.inf, 20, 0.1, "EUR", 0.02))
        self.assertEqual(policies.devices, {"car": DevicePolicy(10, 90, 7000, 0.5)})
        self.assertEqual(policies.groups, (Group("feeder", 20_000, ["car", "heatpump"]),))
        self.assertEqual(policies.remotes, {"*": RemotePolicy("*", "import", -1, 100, 0.3)})

    def test_pathsStartWhereTheFileIs(self) -> None:
        self.assertEqual(self.read.router.certificate, Path("/etc/epnet/house.pem"))
        self.assertEqual(self.read.router.key, Path("/keys/house.pem"))
        self.assertEqual(
            self.read.trust.authorities, (Path("/etc/epnet/a.pem"), Path("/etc/epnet/b.pem"))
        )

    def test_bus(self) -> None:
        self.assertEqual(self.read.bus, BusSettings("row", driver=True))
        self.assertEqual(parse('[bus]\nname = "row"').configuration.bus, BusSettings("row"))
        for text, reason in (
            ("[bus]\ndriver = true", "needs name"),
            ('[bus]\nname = "row"\ndriver = 1', "true or false"),
            (f'[bus]\nname = "{"x" * 257}"', "1 to 256 characters"),
        ):
            self.assertIn(reason, str(self.assertRaises(ConfigurationError, parse, text)))

    def test_pageAndHistory(self) -> None:
        page = self.read.http
        self.assertEqual(page.tls_certificate, Path("/etc/epnet/http.pem"))
        self.assertEqual(page.tls_key, Path("/etc/epnet/http.key"))
        self.assertEqual(page.token_file, Path("/etc/epnet/tokens"))
        self.assertEqual((self.read.history.url, self.read.history.keep_days), ("", 30))

    def test_limits(self) -> None:
        limits, settings = self.read.limits.connections, self.read.sessionSettings
        self.assertEqual((limits.connections, limits.perAddress, limits.strangers), (10, 5, 20))
        self.assertEqual(limits.unvouched, 30)
        self.assertEqual((settings.handshake, settings.greeting, settings.idleLoss), (3, 2, 4.5))
        self.assertEqual((settings.maxPayload, settings.publish), (4096, 0.05))

    def test_theDefaultPortSaysHowLongTheOthersMayBeSilent(self) -> None:
        read = parse("[ports.default]\nloss_ms = 400\n[ports.a]\n").configuration
        self.assertEqual(read.sessionSettings.loss, 0.4)
        self.assertEqual(read.patience, {"a": 200})

    def test_anEmptyFileIsAllDefaults(self) -> None:
        self.assertEqual(parse("").configuration, Configuration())

    def test_everyKeyIsReadHere(self) -> None:
        """So that no key is declared that nobody can give, or given that nobody reads."""
        for table in TABLES:
            for key in table.keys:
                if not isinstance(key.kind, Table | Named | Several):
                    said = key.name in EVERYTHING or key.name in ("crl", "source")
                    self.assertTrue(said, f"{table.title} {key.name}")

    def test_everythingThatCanBeSetIsAKey(self) -> None:
        """What a port or a policy has, a file can say: a new attribute wants a key."""
        keys = {table.title: {key.name for key in table.keys} for table in TABLES}
        for title, cls in {
            "[ports.IDENTITY]": PortSettings,
            "[policy.network]": NetworkPolicy,
            "[policy.device.IDENTITY]": DevicePolicy,
            "[[policy.group]]": Group,
            "[[policy.remote]]": RemotePolicy,
        }.items():
            self.assertEqual(keys[title], {field.name for field in attrs.fields(cls)})


class MistakeTests(SynchronousTestCase):
    def mistakes(self, text: str, role: str = ROUTER) -> list[str]:
        error = self.assertRaises(ConfigurationError, parse, text, role)
        lines = str(error).splitlines()
        self.assertEqual(len(lines), len(error.problems))
        return [line.removeprefix(f"{FILE}:") for line in lines]

    def test_eachWithLineKeyAndReason(self) -> None:
        cases = {
            '[router]\nidentty = "x"': '2: router.identty is not known here; did you mean identity',
            "[router]\nmin_soc = 3": "2: router.min_soc is not known here; it belongs in "
            "[policy.network] or [policy.device.IDENTITY]",
            "[prots.x]": "1: prots is not known here; did you mean ports?",
            "mqtt.url = 'x'": "1: mqtt is not known here",
            "router = 1": "1: router is 1; it must be a table",
            "ports = [1]": "1: ports is a list; it must be a table of tables, by name",
            "[router]\nname = ''": "2: router.name is \"\"; it must not be empty",
            "[router]\nname = 'a\tb'": "2: router.name is",
            "[router]\nlisten = 'tcp:1'": '2: router.listen is "tcp:1"; it must be a list',
            "[router]\nlisten = [\n'tcp:1',\n'ssl:2']": "4: router.listen[1] is \"ssl:2\"; TLS is",
            "[router]\nlisten = ['nonsense']": "2: router.listen[0] 'nonsense' is no endpoint",
            "[router]\npublish_hz = 0.5": "2: router.publish_hz is 0.5; it must be a number from 1 "
            "to 100 Hz",
            "[upstream]\nhosts = ['a:b']": "2: upstream.hosts[0] 'a:b' is no upstream address",
            f"[upstream]\nhosts = ['a:{'9' * 5000}']": "2: upstream.hosts[0] 'a:9999",
            "[router]\nname = 'a\x85b'": '2: router.name is "a\\u0085b"; it must not be empty',
            "[ports.a]\npriority = true": "2: ports.a.priority is true; it must be a whole number",
            "[ports.a]\npriority = 1.0": "2: ports.a.priority is 1.0; it must be a whole number",
            "[ports.a]\nmax_current = true": "2: ports.a.max_current is true; it must be a number",
            "[ports.a]\nmax_current = '3'": '2: ports.a.max_current is "3"; it must be a number '
            "from 0 to 10,000 A",
            "[ports.a]\nmax_current = nan": "2: ports.a.max_current is nan; it must be",
            "[ports.a]\nmax_power = inf": "2: ports.a.max_power is inf; it must be a number from",
            "[ports.a]\nbid = nan": "2: ports.a.bid is nan; it must be a number",
            f"[ports.a]\nbid = 0x{'f' * 400}": "2: ports.a.bid is a number far too large",
            f"[ports.a]\nbid = 0x{'f' * 9000}": "2: ports.a.bid is a number far too large",
            "[ports.a]\nside = 'd'": '2: ports.a.side is "d"; it must be "A", "B", "C" or "D"',
            "[ports.a]\nside = []": "2: ports.a.side is a list; it must be",
            "[ports.a]\nphases = 2": "2: ports.a.phases is 2; it must be 1 or 3",
            "[ports.a]\nphases = true": "2: ports.a.phases is true; it must be 1 or 3",
            "[ports.a]\nvoltage = [300, 200]": "2: ports.a.voltage is [300, 200]; it must be two",
            "[ports.a]\nvoltage = [0, 200]": "2: ports.a.voltage is [0, 200]; it must be two",
            "[ports.a]\nvoltage = 230": "2: ports.a.voltage is 230; it must be two numbers",
            "[ports.a]\nloss = {linear = 1.0}": "2: ports.a.loss Loss(linear=1.0, quadratic=0.0):",
            "[ports.a]\nloss.lineer = 0": "2: ports.a.loss.lineer is not known here; did you mean",
            "[ports.a]\ngroup = 'fedeer'\n[[policy.group]]\nname='feeder'\nmax_w=1\nmembers=[]":
            '2: ports.a.group is "fedeer"; no group has that name; did you mean feeder?',
            '[ports."a b"]\nside = 1': '2: ports."a b".side is 1',
            '[ports.""]': '1: ports."" is ""; it must not be empty',
            "[policy.device.a]\nmin_soc = 60\nmax_soc = 40": "1: policy.device.a min_soc 60 is "
            "above max_soc 40",
            "[[policy.group]]\nname = 'g'": "1: policy.group[0] needs max_w",
            "[policy.group]\nname = 'g'": "1: policy.group is a table; it must be a list",
            "[[policy.remote]]\ntenant='t'\n[[policy.remote]]\ntenant='t'": "4: policy.remote[1]."
            'tenant is "t", as another one before it',
            "[ports.a]\nconverter = 'no.Such'": "2: ports.a.converter converter no.Such: cannot",
            "[trust]\npolicy = 'open'\ncrl = 'x'": "3: trust.crl is for policy \"authority\"",
            "[history]\nkeep_days = 0": "2: history.keep_days is 0",
            "[upstream]\nside = 'C'": "2: upstream.side is not known here; it belongs in [ports.ID",
            "a = ,": "1:5: is no TOML: ",
            "[router]\n\nx": "3: is no TOML: ",
            "a = 1\na = 2\n": "2:6: is no TOML: ",
            f"a = {'1' * 5000}": " is no TOML: ",
            f"a = {'[' * 5000}": " nests far too deeply",
        }  # fmt: skip
        for text, expected in cases.items():
            first = self.mistakes(text)[0]
            self.assertEqual(first[: len(expected)], expected)

    def test_allAtOnceInTheOrderOfTheirLines(self) -> None:
        text = "[ports.a]\nsyde = 1\nbid = ''\ngroup = 'g'\n[[policy.group]]\nmax_w = -1\n[x]\n"
        self.assertEqual(
            [line.split()[0] + line.split()[1] for line in self.mistakes(text)],
            [
                "2:ports.a.syde",
                "3:ports.a.bid",
                "4:ports.a.group",
                "5:policy.group[0]",
                "5:policy.group[0]",
                "6:policy.group[0].max_w",
                "7:x",
            ],
        )

    def test_groupsWithinThemselves(self) -> None:
        group = "[[policy.group]]\nname = '{}'\nmax_w = 1\nmembers = [{!r}]\n"
        circle = group.format("a", "b") + group.format("b", "c") + group.format("c", "a")
        [only] = self.mistakes(circle)
        self.assertIn("members lead back to the group itself", only)
        for name in "abc":
            self.assertIn(f'"{name}"', only)
        self.mistakes(group.format("a", "a"))
        parse(group.format("a", "b") + group.format("b", "c"))

    def test_whatIsForAnotherPluginIsRefused(self) -> None:
        [only] = self.mistakes("[ports.a]\n", CLIENT)
        self.assertEqual(only, "1: ports is for ep-router, not for ep-client; leave it out")
        [only] = self.mistakes("[upstream]\n", SERVER)
        self.assertIn("is for ep-router and ep-client and ep-peer, not for ep-server", only)
        for role in ROLES:
            parse("[router]\nidentity = 'x'\n[trust]\n[limits]\n", role)

    def test_bytesThatAreNoText(self) -> None:
        with self.assertRaises(ConfigurationError) as caught:
            parseConfiguration(b"a = 1\nb = '\xff'\n", FILE)
        self.assertEqual(str(caught.exception), f"{FILE}:2:6: is not UTF-8: save it as such")
        with self.assertRaises(ConfigurationError) as caught:
            parseConfiguration(b"#" * (LARGEST + 1), FILE)
        self.assertIn("larger", str(caught.exception))


DRIVEN = "converter = 'tests.router.test_drivers.Inverter:unit=7'"


class WarningTests(SynchronousTestCase):
    def test_whatIsLegalAndOdd(self) -> None:
        cases = {
            "[ports.a]\ncable_current = 16": "2: ports.a.cable_current is 16 A, less than the port",
            "[ports.a]\nmin_w = 9000": "2: ports.a.min_w is 9,000 W, and the port carries 8,096 W",
            "[ports.a]\nmax_current = 0": "2: ports.a.max_current or the cable's is 0 A",
            "[ports.a]\nkind = 'DC'\nphases = 3": "3: ports.a.phases is for AC",
            "[ports.a]\nloss_ms = 250": "2: ports.a.loss_ms is 250 ms; Framing §5.1 says 200 ms",
            "router.identity = 'a'\n[ports.a]": "2: ports.a is the router itself",
            f"[ports.a]\n{DRIVEN}\n[ports.b]\n{DRIVEN}": '4: ports.b.converter is that of "a"',
            f"[ports.default]\n{DRIVEN}": "2: ports.default.converter is driven anew for each",
            "[ports.a]\n[policy.device.b]": "2: policy.device.b is for a device that has no port",
            "[policy.device.b]\nderating = 0": "2: policy.device.b.derating is 0",
            "[ports.a]\nmin_w = 99\n[policy.device.a]\nmax_w = 9": "4: policy.device.a.max_w leaves"
            " less than the port's min_w of 99 W",
            "[[policy.group]]\nname='g'\nmax_w=1\nmembers=[]": "4: policy.group[0].members is e",
            "[ports.a]\n[[policy.group]]\nname='g'\nmax_w=1\nmembers=['b']": "5: policy.group[0]."
            'members names "b", which no port is',
            "[ports.a]\nmin_w = 9\n[[policy.group]]\nname='g'\nmax_w=1\nmembers=['a']": "5: policy."
            'group[0].max_w is less than the min_w of its member "a"',
        }
        for text, expected in cases.items():
            [warning] = parse(text).warnings
            said = warning.text("")
            self.assertEqual(said[1 : 1 + len(expected)], expected)

    def test_nothingOddAboutWhatIsUsual(self) -> None:
        usual = "[ports.a]\n[ports.default]\n[policy.device.b]\n[[policy.group]]\n"
        self.assertEqual(parse(usual + "name='g'\nmax_w=1e4\nmembers=['a']").warnings, ())


NAMES = st.sampled_from([*PLACES, "default", "a b", "é"]) | st.text(max_size=4)
SCALARS = (
    st.integers(-5, 400)
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.text(max_size=5)
    | st.sampled_from(
        ["A", "DC", "both", "tcp:1", "tcp:x", "unix:", "a:1", "fd:3", "haproxy:tcp:1"]
    )
)


def valuesOf(kind: Kind) -> st.SearchStrategy[object]:
    """What may stand for a kind: mostly right, sometimes not."""
    if isinstance(kind, Table):
        known = {key.name: valuesOf(key.kind) for key in kind.keys}
        return st.fixed_dictionaries({}, optional=known) | st.dictionaries(NAMES, SCALARS)
    if isinstance(kind, Named):
        return st.dictionaries(st.sampled_from(["a", "b", "default"]), valuesOf(kind.each))
    if isinstance(kind, Several):
        return st.lists(valuesOf(kind.each), max_size=3)
    if isinstance(kind, Choice):
        return st.sampled_from(kind.words) | SCALARS
    if isinstance(kind, Number):
        within = st.integers if kind.whole else st.floats
        return within(int(max(kind.low, -9)), int(min(kind.high, 9999))) | SCALARS
    if isinstance(kind, Window):
        return st.lists(st.floats(1, 1000), min_size=2, max_size=2) | SCALARS
    return st.sampled_from(["a", "b"]) | SCALARS


class PropertyTests(SynchronousTestCase):
    def check(self, content: bytes) -> None:
        """Whatever the bytes, reading them gives a configuration or problems that can be shown."""
        for role in ROLES:
            try:
                found = parseConfiguration(content, FILE, role)
            except ConfigurationError as error:
                self.assertTrue(error.problems)
                self.assertEqual(len(str(error).splitlines()), len(error.problems))
            else:
                self.assertIsInstance(found.configuration.policies, object)
                self.assertIsNotNone(found.configuration.sessionSettings)

    @settings(deadline=None)  # many values are made for each
    @given(valuesOf(ROOT))
    def test_noConfigurationRaisesAnythingElse(self, data: dict[str, object]) -> None:
        self.check("".join(f"{inline(k)} = {inline(v)}\n" for k, v in data.items()).encode())

    @given(st.text(st.sampled_from("[]{}=.,\"'\n\\#ab1 \x00é\r"), max_size=60))
    def test_noTextRaisesAnythingElse(self, text: str) -> None:
        self.check(text.encode())

    @given(st.binary(max_size=30))
    def test_noBytesRaiseAnythingElse(self, content: bytes) -> None:
        self.check(content)
