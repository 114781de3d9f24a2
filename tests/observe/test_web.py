"""The site, asked over real HTTP in memory: what it shows, and whom it refuses."""

from __future__ import annotations

import json
import re
from importlib.resources import files

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from epnet.wire import DemandParameters
from tests.observe.house import hear
from tests.observe.sitecase import Response, SiteTestCase

SCRIPTS = ["app", "charts", "dom", "events", "picture"]
SCRIPTS += ["plot", "table", "totals", "why", "words"]
PAGE = {
    "index.html": "text/html; charset=utf-8",
    **{f"{name}.js": "text/javascript; charset=utf-8" for name in SCRIPTS},
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
PATHS = ["/", "/api/v1/state", "/metrics", "/healthz"] + [f"/static/{name}" for name in PAGE]


class PageTests(SiteTestCase):
    def test_thePageAndItsFiles(self) -> None:
        static = files("epnet.observe") / "static"
        self.assertEqual({path.name for path in static.iterdir()}, set(PAGE))
        for name, mediaType in PAGE.items():
            response = self.ask(f"/static/{name}")
            self.assertEqual(response.code, 200)
            self.assertEqual(response.headers["content-type"], mediaType)
            self.assertEqual(response.body, (static / name).read_bytes())
        self.assertEqual(self.ask("/").body, self.ask("/static/index.html").body)

    def test_thePageUsesNothingFromElsewhere(self) -> None:
        for name in PAGE:
            text = self.ask(f"/static/{name}").body.decode()
            foreign = re.sub(r"http://www\.w3\.org/2000/svg", "", text)
            self.assertNotRegex(foreign, r"https?://|@import|//[a-z]+\.[a-z]")

    def test_everythingThePageRefersToIsThere(self) -> None:
        page = self.ask("/").body.decode()
        for path in re.findall(r'(?:src|href)="([^"#]+)"', page):
            self.assertEqual(self.ask("/" + path).code, 200, path)
        for name in PAGE:
            for path in re.findall(r'from "\./([^"]+)"', self.ask(f"/static/{name}").body.decode()):
                self.assertEqual(self.ask(f"/static/{path}").code, 200, path)

    def test_thePolicyForbidsNothingThatThePageNeeds(self) -> None:
        page = self.ask("/").body.decode()
        self.assertNotRegex(page, r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]* src=)")

    def test_textFromDevicesNeverBecomesMarkup(self) -> None:
        names = [name for name in PAGE if name.endswith(".js")]
        script = "".join(self.ask(f"/static/{name}").body.decode() for name in names)
        self.assertNotRegex(script, r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval")


class StateTests(SiteTestCase):
    def test_theStateIsTheSnapshotAsJson(self) -> None:
        wish = DemandParameters(voltage=400, power_limit=3000)
        hear(self.house.plugIn("car", "vehicle", "Car <b>"), wish)
        response = self.ask("/api/v1/state")
        self.assertEqual(response.headers["content-type"], "application/json")
        state = json.loads(response.body)
        self.assertEqual(state["devices"], self.house.look()["devices"])
        self.assertEqual(state["router"]["identity"], "house-router")

    def test_viewersShareASnapshot(self) -> None:
        self.ask("/api/v1/state")
        self.house.plugIn("car", "vehicle")
        self.assertEqual(json.loads(self.ask("/api/v1/state").body)["devices"], [])
        self.house.clock.advance(0.3)
        self.assertEqual(len(json.loads(self.ask("/api/v1/state").body)["devices"]), 1)

    def test_metrics(self) -> None:
        response = self.ask("/metrics")
        self.assertRegex(response.headers["content-type"], r"^text/plain; version=0\.0\.4")
        self.assertIn(b"epnet_router_info{", response.body)

    def test_health(self) -> None:
        response = self.ask("/healthz")
        self.assertEqual((response.code, response.body), (200, b"ok\n"))


class ReadinessTests(SiteTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.house.connections.startService()

    def ready(self, seconds: float) -> bytes:
        """What has been answered after so many seconds of the router's life."""
        transport = self.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual(transport.value(), b"")
        self.house.clock.pump([0.01] * round(seconds * 100))
        return transport.value()

    def test_aRouterThatDecidesIsReady(self) -> None:
        response = Response(self.ready(0.2))
        self.assertEqual((response.code, response.body), (200, b"ready\n"))

    def test_aRouterThatDecidesNoMoreIsNotReady(self) -> None:
        self.patch(self.house.router, "advance", lambda now: None)
        self.assertEqual(self.ready(0.9), b"")
        response = Response(self.ready(1.1))
        self.assertEqual(response.code, 503)
        self.assertEqual(response.body, b"503: no decision within 1 s\n")

    def test_aRouterThatStopsIsNotReady(self) -> None:
        self.successResultOf(self.house.connections.stopService())
        response = self.ask("/readyz")
        self.assertEqual(response.code, 503)
        self.assertIn(b"shutting down", response.body)

    def test_nobodyWaitingIsNoMistake(self) -> None:
        transport = StringTransport(hostAddress=self.listening)
        channel = self.site.buildProtocol(None)
        channel.makeConnection(transport)
        channel.dataReceived(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        channel.connectionLost(Failure(ConnectionDone()))
        before = len(self.house.clock.getDelayedCalls())
        self.house.clock.pump([0.1] * 20)
        self.assertLessEqual(len(self.house.clock.getDelayedCalls()), before)
        self.assertEqual(self.flushLoggedErrors(), [])


class MethodTests(SiteTestCase):
    def test_headHasTheHeadersAndNoBody(self) -> None:
        for path in PATHS:
            get, head = self.ask(path), self.ask(path, "HEAD")
            self.assertEqual(head.code, 200)
            self.assertEqual(head.body, b"")
            self.assertEqual(head.headers["content-length"], str(len(get.body)))
            self.assertEqual(head.headers["content-type"], get.headers["content-type"])

    def test_nothingElseIsAllowedAnywhere(self) -> None:
        for path in [*PATHS, "/readyz"]:
            for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"):
                response = self.ask(path, method)
                self.assertEqual(response.code, 405, f"{method} {path}")
                self.assertEqual(response.headers["allow"], "GET, HEAD")
                self.assertIn(b"only GET and HEAD", response.body)

    def test_whatIsNotThereIs404(self) -> None:
        for path in ("/nothing", "/healthz/x", "/static", "/static/", "/static/../web.py", "/x/y"):
            response = self.ask(path)
            self.assertEqual(response.code, 404, path)
            self.assertRegex(response.headers["content-type"], "^text/plain")
            self.assertEqual(response.body, b"404: there is nothing at this address\n")
        self.assertEqual(self.ask("*", "OPTIONS").code, 404)

    def test_belowApiErrorsAreJson(self) -> None:
        for path in ("/api/v1/nothing", "/api/v1/", "/api/v2/state", "/api/v1/state/x"):
            response = self.ask(path)
            self.assertEqual(response.headers["content-type"], "application/json")
            self.assertEqual(
                json.loads(response.body),
                {"error": "there is nothing at this address", "status": 404},
            )
        refused = self.ask("/api/v1/state", "POST")
        self.assertEqual(json.loads(refused.body)["status"], 405)


class GuardTests(SiteTestCase):
    def test_ourOwnNamesAreAnswered(self) -> None:
        for host in ("localhost", "LocalHost:1", "127.0.0.1:56541", "127.5.5.5", "[::1]:56541"):
            self.assertEqual(self.ask("/healthz", host=host).code, 200, host)

    def test_foreignHostsAreRefusedEverywhere(self) -> None:
        for path in [*PATHS, "/readyz", "/nothing"]:
            response = self.ask(path, host="rebound.example:56541")
            self.assertEqual(response.code, 403)
            self.assertIn(b"Host header", response.body)

    def test_hostsThatOnlyLookLikeOursAreRefused(self) -> None:
        for host in (
            "",
            "localhost.evil.example",
            "evil.example#localhost",
            "user@localhost",
            "localhost:x",
            "localhost:99999",
            "[::1",
            "192.0.2.9",
            "localhost/x",
        ):
            self.assertEqual(self.ask("/healthz", host=host).code, 403, host)

    def test_exactlyOneHostIsNeeded(self) -> None:
        self.assertEqual(self.ask("/healthz", more="Host: localhost\r\n").code, 400)
        bare = self.send(b"GET /healthz HTTP/1.1\r\n\r\n").value()
        self.assertEqual(Response(bare).code, 400)

    def test_pagesOfOtherSitesAreRefused(self) -> None:
        for origin in ("http://evil.example", "null", "http://localhost:9", "file://"):
            response = self.ask("/api/v1/state", more=f"Origin: {origin}\r\n")
            self.assertEqual(response.code, 403, origin)
            self.assertIn("other sites", json.loads(response.body)["error"])

    def test_ourOwnPagesAreAnswered(self) -> None:
        for origin in ("http://localhost:56541", "https://LOCALHOST:56541"):
            self.assertEqual(self.ask("/api/v1/state", more=f"Origin: {origin}\r\n").code, 200)

    def test_everyAnswerCarriesTheSecurityHeaders(self) -> None:
        answers = [self.ask(path) for path in [*PATHS, "/nothing"]]
        answers += [self.ask("/", "POST"), self.ask("/", host="evil.example"), self.ask("*")]
        for answer in answers:
            policy = answer.headers["content-security-policy"]
            self.assertIn("default-src 'none'; script-src 'self'; style-src 'self'", policy)
            self.assertIn("frame-ancestors 'none'", policy)
            self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
            self.assertEqual(answer.headers["referrer-policy"], "no-referrer")
            self.assertEqual(answer.headers["cache-control"], "no-store")
            self.assertNotIn("server", answer.headers)

    def test_aBodyIsRefused(self) -> None:
        for body in (
            "Content-Length: 2\r\n\r\nhi",
            "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n",
        ):
            request = f"GET /healthz HTTP/1.1\r\nHost: localhost\r\n{body}\r\n"
            self.assertEqual(Response(self.send(request.encode()).value()).code, 413)

    def test_anEndlessBodyIsCutOff(self) -> None:
        head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n"
        self.assertFalse(self.send(head + bytes(60_000)).disconnecting)
        self.assertTrue(self.send(head + bytes(70_000)).disconnecting)

    def test_anEndlessHeadIsCutOff(self) -> None:
        self.assertTrue(self.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000).disconnecting)


class LogTests(SiteTestCase):
    def test_viewersLeaveNoTraceInTheLog(self) -> None:
        with capturedLogs() as events:
            self.site.doStart()
            self.ask("/healthz")
            self.ask("/healthz", "HEAD")
            self.ask("/nothing")
            self.site.doStop()
        self.assertEqual(events, [])


class ListeningElsewhereTests(SiteTestCase):
    listening = IPv4Address("TCP", "192.0.2.9", 56541)

    def test_theAddressWeListenOnIsOurs(self) -> None:
        self.assertEqual(self.ask("/healthz", host="192.0.2.9:56541").code, 200)
        self.assertEqual(self.ask("/healthz", host="192.0.2.10:56541").code, 403)


class ListeningOnIPv6Tests(SiteTestCase):
    listening = IPv6Address("TCP", "2001:db8::9", 56541)

    def test_theAddressWeListenOnIsOurs(self) -> None:
        self.assertEqual(self.ask("/healthz", host="[2001:db8::9]:56541").code, 200)
        self.assertEqual(self.ask("/healthz", host="[2001:db8::a]").code, 403)
