"""The calls below /api/v1: what they answer, what they change, what they refuse."""

from __future__ import annotations

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from epnet.observe.fields import BadField, Choice, Field, Flag, Number, Text, readBody, readQuery
from epnet.router.bus import LIFETIME_SECONDS, BusSettings, Claim
from epnet.wire import DemandParameters, Isolation, IsolationState, SupplyParameters
from tests.observe.house import hear
from tests.observe.sitecase import SiteTestCase

SUN = SupplyParameters(voltage_limit=(200, 1000), power_limit=5000, voltage=400)
WISH = DemandParameters(voltage=400, power_limit=3000)
LIMIT = "/api/v1/devices/car/limit"
DISCONNECT = "/api/v1/devices/car/disconnect"


class DecisionTests(SiteTestCase):
    def setUp(self) -> None:
        super().setUp()
        hear(self.house.plugIn("solar", "solar"), SUN)
        hear(self.house.plugIn("car", "vehicle", "Car"), WISH)
        self.house.settle()

    def test_whatHoldsAndWhy(self) -> None:
        [car] = self.ask("/api/v1/decisions?device=car").json()["devices"]
        self.assertEqual((car["device"], car["name"], car["connected"]), ("car", "Car", True))
        [export] = [each for each in car["decisions"] if each["direction"] == "export"]
        self.assertEqual(export["power_w"], 3000)
        self.assertEqual(export["reason"], "request")
        self.assertEqual(export["text"], "its own request or limit, 3000 W")
        self.assertEqual(export["more"], "the device has to ask for more, or bear more")
        self.assertEqual(export["time"], "2026-06-21T11:59:57.400+00:00")  # noon ends the settling

    def test_theLastChangesWithTheirCauses(self) -> None:
        self.house.clock.advance(0.1)
        self.house.router.limit("car", 1000, self.house.clock.seconds() + 60)
        [car] = self.ask("/api/v1/decisions?device=car").json()["devices"]
        change = car["changes"][-1]
        self.assertEqual(change["before_w"], 3000)
        self.assertEqual(change["after"]["power_w"], 1000)

    def test_withoutADeviceAllOfThem(self) -> None:
        devices = self.ask("/api/v1/decisions").json()["devices"]
        self.assertEqual([each["device"] for each in devices], ["car", "solar"])

    def test_nobodyOfThatNameIs404(self) -> None:
        response = self.ask("/api/v1/decisions?device=nobody")
        self.assertEqual(response.code, 404)
        self.assertEqual(response.json()["error"], "no port belongs to 'nobody'")


class ChangeTests(SiteTestCase):
    def setUp(self) -> None:
        super().setUp()
        hear(self.house.plugIn("solar", "solar"), SUN)
        self.car = self.house.plugIn("car", "vehicle")
        hear(self.car, WISH)
        self.house.settle()

    def live(self, seconds: float) -> None:
        """Let time pass in which everybody goes on saying the same."""
        if not self.house.connections.running:
            self.house.connections.startService()
        for _ in range(round(seconds / 0.02)):
            self.house.clock.advance(0.02)
            for protocol in self.house.connections:
                hear(protocol, WISH if protocol is self.car else SUN)

    def granted(self) -> float:
        [car] = [each for each in self.house.look()["devices"] if each["identity"] == "car"]
        return car["granted_export_w"]

    def test_aLimitHoldsForItsTime(self) -> None:
        answer = self.post(LIMIT, {"max_w": 1000, "seconds": 2})
        self.assertEqual(
            answer.json(), {"device": "car", "max_w": 1000, "until": "2026-06-21T12:00:02+00:00"}
        )
        self.live(1.9)
        self.assertEqual(self.granted(), 1000)
        self.live(5)
        self.assertEqual(self.granted(), 3000)

    def test_nullLiftsIt(self) -> None:
        self.post(LIMIT, {"max_w": 1000})
        with capturedLogs() as events:
            answer = self.post(LIMIT, {"max_w": None})
        self.assertEqual(answer.json(), {"device": "car", "max_w": None, "until": None})
        self.house.settle()
        self.assertEqual(self.granted(), 3000)
        self.assertIn("lifts the limit of car", formatEvent(events[0]))

    def test_clearingEndsAFault(self) -> None:
        clear = "/api/v1/devices/car/clear"
        port = self.house.router.ports["car"]
        port.isolation.blocked = True
        self.live(1.0)
        self.assertEqual(self.granted(), 0)
        with capturedLogs() as events:
            answer = self.post(clear, {})
        self.assertEqual(answer.json(), {"device": "car", "cleared": True})
        self.assertIn("clears car", formatEvent(events[0]))
        self.house.settle()
        self.assertEqual(self.granted(), 3000)
        self.assertEqual(self.post("/api/v1/devices/nobody/clear", {}).code, 404)
        faulty = SUN.replace(isolation=Isolation(IsolationState.FAULT, 10, 10))
        hear(self.car, faulty)
        self.assertEqual(self.post(clear, {}).code, 409)

    def test_disconnectingTellsTheDeviceWhy(self) -> None:
        with capturedLogs() as events:
            answer = self.post(DISCONNECT, {"reason": "works on the line", "reconnect": False})
        self.assertEqual(answer.json(), {"device": "car", "disconnecting": True})
        text = "disconnects car: 'works on the line', reconnect False"
        self.assertIn(text, formatEvent(events[0]))
        self.live(1.3)
        self.assertIn(b"works on the line", self.car.transport.value())

    def test_whoIsNotConnectedCannotBeDisconnected(self) -> None:
        self.post(DISCONNECT, {})
        self.car.connectionLost(None)
        self.assertEqual(self.post(DISCONNECT, {}).code, 409)
        self.assertEqual(self.post("/api/v1/devices/nobody/disconnect", {}).code, 404)

    def test_anIdentityMayHoldAnything(self) -> None:
        hear(self.house.plugIn("a/b c?ü", "vehicle"), WISH)
        self.assertEqual(
            self.post("/api/v1/devices/a%2Fb%20c%3F%C3%BC/limit", {"max_w": 5}).code, 200
        )
        for path in ("%ff", "%00", "x" * 300, ""):
            self.assertEqual(self.post(f"/api/v1/devices/{path}/limit", {"max_w": 5}).code, 404)

    def test_badBodiesChangeNothing(self) -> None:
        for body in (
            b"",
            b"x",
            b"\xff",
            b"[]",
            b"[" * 4000,
            b'{"max_w": NaN}',
            b'{"max_w": 1e999}',
            {},
            {"max_w": -1},
            {"max_w": True},
            {"max_w": "5"},
            {"max_w": 5, "seconds": 0},
            {"max_w": 5, "seconds": 1e9},
            {"max_w": 5, "other": 1},
            b'{"max_w": 5, "\\ud800": 1}',
        ):
            response = self.post(LIMIT, body)
            self.assertEqual(response.code, 400, body)
            self.assertEqual(response.json()["status"], 400)
        self.assertEqual(self.granted(), 3000)

    def test_whatTheDeviceCouldNotBeToldIsRefused(self) -> None:
        for reason in ("", "x" * 201, "a\nb", "\x7f", "\ud800"):
            self.assertEqual(self.post(DISCONNECT, {"reason": reason}).code, 400, repr(reason))
        self.assertEqual(self.post(DISCONNECT, {"reason": "Arbeit an der Leitung ⚡"}).code, 200)

    def test_onlyJsonIsTaken(self) -> None:
        """A page from elsewhere can have a browser send a form, but not JSON."""
        for mediaType in ("text/plain", "application/x-www-form-urlencoded", ""):
            response = self.post(LIMIT, {"max_w": 5}, mediaType)
            self.assertEqual(response.code, 415, mediaType)
        self.assertEqual(self.post(LIMIT, {"max_w": 5}, "Application/JSON; charset=x").code, 200)

    def test_otherSitesChangeNothing(self) -> None:
        response = self.post(LIMIT, {"max_w": 5}, more="Origin: http://evil.example\r\n")
        self.assertEqual(response.code, 403)
        self.assertEqual(self.granted(), 3000)

    def test_aLargeBodyIsRefused(self) -> None:
        self.assertEqual(self.post(LIMIT, b" " * 5000).code, 413)

    def test_toReadIsNotToChange(self) -> None:
        for path in (LIMIT, DISCONNECT):
            response = self.ask(path)
            self.assertEqual((response.code, response.headers["allow"]), (405, "POST"))
        self.assertEqual(self.post("/api/v1/state", {}).code, 405)


class BusTests(SiteTestCase):
    CLEAR = "/api/v1/clear-bus"

    def test_onNoBusThereIsNothingToClear(self) -> None:
        self.assertEqual(self.post(self.CLEAR, {}).code, 404)

    def test_theAlarmIsClearedOnceThereIsOneDriver(self) -> None:
        bus, clock = self.house.router.neighbours.bus, self.house.clock
        bus.describe(BusSettings("row", driver=True))
        bus.heard(Claim("row", ("other",), 0.0), clock.seconds())
        self.house.router.allocate()
        refused = self.post(self.CLEAR, {})
        self.assertEqual(refused.code, 409)
        self.assertIn("still has the drivers", refused.json()["error"])
        clock.advance(LIFETIME_SECONDS)
        with capturedLogs() as events:
            self.assertEqual(self.post(self.CLEAR, {}).json(), {"bus": "row", "alarm": False})
        self.assertIn("ends the alarm of bus row", formatEvent(events[0]))
        self.assertFalse(bus.alarm)


class QueryTests(SiteTestCase):
    def test_badQueriesAreRefused(self) -> None:
        for query in ("x=1", "device=", "device=a&device=b", "device=%ff", "device=a%00b", "%ff=1"):
            self.assertEqual(self.ask(f"/api/v1/decisions?{query}").code, 400, query)
        self.assertIn("known are: device", self.ask("/api/v1/decisions?x=1").json()["error"])

    def test_withoutAHistoryThereIsNone(self) -> None:
        self.assertEqual(self.ask("/api/v1/history").code, 404)


class FieldTests(SynchronousTestCase):
    def test_whatAQueryGives(self) -> None:
        fields = (
            Field("number", "", Number(0, 10)),
            Field("word", "", Choice(("a", "b")), default="a"),
            Field("flag", "", Flag()),
        )
        given = {b"number": [b"2.5"], b"flag": [b"true"]}
        self.assertEqual(readQuery(fields, given), {"number": 2.5, "word": "a", "flag": True})

    def test_whatANumberIsNot(self) -> None:
        kind = Number(0, 10)
        for text in ("", "x", "nan", "inf", "1_0", "11", "-1", "٣", "1e999"):
            self.assertRaises(BadField, kind.parse, text)
        for value in (True, None, "1", [], 10.5, float("nan")):
            self.assertRaises(BadField, kind.check, value)
        self.assertEqual(kind.parse(" 1e1"), 10)
        self.assertIsNone(Number(0, 1, nullable=True).check(None))

    def test_aRequiredFieldIsNamed(self) -> None:
        fields = (Field("why", "the reason", Text(5), required=True),)
        error = self.assertRaises(BadField, readBody, fields, b"{}")
        self.assertEqual(str(error), "why is missing: the reason")
        error = self.assertRaises(BadField, readBody, fields, b'{"why": "too long"}')
        self.assertEqual(str(error), "why must be text of 1 to 5 characters")

    def test_everyKindDescribesItself(self) -> None:
        self.assertEqual(
            Number(0, 1, nullable=True).schema(),
            {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        )
        self.assertEqual(Choice(("a",)).schema(), {"type": "string", "enum": ["a"]})
