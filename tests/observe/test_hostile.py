"""Requests that no good program sends, to any address there is: refused, and never our mistake."""

from __future__ import annotations

import json
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from epnet.interfaces import Sample
from epnet.observe.export import HistoryReader
from tests.observe.house import NOON, House, hear
from tests.observe.sitecase import Response, SiteTestCase
from tests.observe.test_calls import SUN, WISH
from tests.observe.test_history import Jobs, MemoryStore

START = int(NOON.timestamp())
ADDRESSES = (
    "/",
    "/static/app.js",
    "/metrics",
    "/healthz",
    "/readyz",
    "/api/v1/state",
    "/api/v1/events",
    "/api/v1/history",
    "/api/v1/decisions",
    "/api/v1/devices/car/limit",
    "/api/v1/devices/car/disconnect",
    "/api/v1/clear-bus",
    "/api/v1/devices/car/clear",
    "/api/v1/openapi.json",
)
UNAVAILABLE = {"/readyz"}
"""What may be 503: the router of this test has not been started."""

NAMES = st.sampled_from(
    ["device", "field", "from", "to", "step", "format", "max_w", "seconds", "reason", "reconnect"]
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
BODIES = st.binary(max_size=200) | st.dictionaries(NAMES | st.text(max_size=5), VALUES).map(
    lambda value: json.dumps(value).encode()
)
QUERIES = st.lists(
    st.tuples(NAMES, st.text(max_size=20) | st.floats().map(str) | st.integers().map(str)),
    max_size=4,
).map(lambda pairs: "&".join(f"{name}={quote(value)}" for name, value in pairs)) | st.binary(
    max_size=20
).map(quote)
HEADERS = st.sampled_from(
    [
        "",
        "Authorization: Basic %%%",
        "Content-Type: application/json; charset=x",
        "Accept: application/xml",
        "Range: bytes=5-1",
        "If-Modified-Since: never",
        "Accept-Encoding: nothing",
        "Expect: 100-continue",
        "Cookie: a=\\xff",
    ]
)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "G@T"])


class HostileTests(SiteTestCase):
    def setUp(self) -> None:
        self.house = House()
        hear(self.house.plugIn("car", "vehicle"), WISH)
        hear(self.house.plugIn("solar", "solar"), SUN)
        store, clock = MemoryStore(), self.house.clock
        store.write([Sample(START + n, "car", {"import_w": 1.0}) for n in range(5)])
        reader = HistoryReader(store, Jobs(), clock, NOON.timestamp)  # type: ignore[arg-type]
        self.site = self.house.makeSite(None, reader)

    def test_theseAreAllTheAddresses(self) -> None:
        described = self.ask("/api/v1/openapi.json").json()["paths"]
        there = {path.replace("{device}", "car") for path in described}
        self.assertEqual(there, {path for path in ADDRESSES if path.startswith("/api/")})
        root = {f"/{name.decode()}" for name in self.site.resource.children}
        rest = {path for path in ADDRESSES if not path.startswith("/api/")}
        self.assertEqual(root - {"/static", "/api"}, rest - {"/static/app.js"})

    @settings(max_examples=300, deadline=None)
    @given(
        st.sampled_from(ADDRESSES) | st.binary(max_size=30).map(lambda path: f"/{quote(path)}"),
        METHODS,
        QUERIES,
        HEADERS,
        BODIES,
    )
    def test_nothingIsOurMistake(
        self, path: str, method: str, query: str, header: str, body: bytes
    ) -> None:
        self.check(path, method, query, header, body)

    @settings(max_examples=200, deadline=None)
    @given(st.sampled_from(["limit", "disconnect", "clear"]), BODIES)
    def test_norWhateverAnOrderHolds(self, order: str, body: bytes) -> None:
        self.check(f"/api/v1/devices/car/{order}", "POST", "", "", body)

    @settings(max_examples=200, deadline=None)
    @given(QUERIES)
    def test_norWhateverIsAskedOfTheHistory(self, query: str) -> None:
        self.check("/api/v1/history", "GET", query, "", b"")

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=300))
    def test_norWhateverBytesCome(self, data: bytes) -> None:
        self.send(data)
        self.assertEqual(self.flushLoggedErrors(), [])

    def check(self, path: str, method: str, query: str, header: str, body: bytes) -> None:
        head = f"{method} {path}?{query} HTTP/1.1\r\nHost: localhost\r\n"
        if "Content-Type" not in header and method == "POST":
            head += "Content-Type: application/json\r\n"
        if body:
            head += f"Content-Length: {len(body)}\r\n"
        head += f"{header}\r\n\r\n" if header else "\r\n"
        answer = self.send(head.encode("latin-1") + body).value()
        self.assertEqual(self.flushLoggedErrors(), [])
        response = Response(answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n"))
        self.assertTrue(response.code < 500 or path in UNAVAILABLE, answer)
        if response.code >= 400 and path.startswith("/api/") and response.body:
            self.assertEqual(response.json()["status"], response.code)
