"""A site, asked over real HTTP in memory."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from epnet.observe.access import Access
from tests.observe.house import House


class Response:
    """An HTTP response, taken apart."""

    def __init__(self, data: bytes) -> None:
        head, self.body = data.split(b"\r\n\r\n", 1)
        status, *lines = head.decode().split("\r\n")
        self.code = int(status.split()[1])
        self.headers = {name.lower(): value for name, value in (x.split(": ", 1) for x in lines)}

    def json(self) -> Any:
        return json.loads(self.body)


class SiteTestCase(SynchronousTestCase):
    listening: IPv4Address | IPv6Address = IPv4Address("TCP", "127.0.0.1", 56541)
    access: Access | None = None

    def setUp(self) -> None:
        self.house = House()
        self.site = self.house.makeSite(self.access)

    def send(self, data: bytes) -> StringTransport:
        peer = IPv4Address("TCP", "192.0.2.77", 40000)
        transport = StringTransport(hostAddress=self.listening, peerAddress=peer)
        channel = self.site.buildProtocol(None)
        channel.makeConnection(transport)
        channel.dataReceived(data)
        return transport

    def ask(
        self, path: str, method: str = "GET", host: str = "localhost:56541", more: str = ""
    ) -> Response:
        """The response to one request; `more` is further header lines."""
        request = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"
        return Response(self.send(request.encode()).value())

    def post(
        self, path: str, body: object, mediaType: str = "application/json", more: str = ""
    ) -> Response:
        """The response to a POST; bytes are sent as they are, all else as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost:56541\r\nContent-Type: {mediaType}\r\n"
            f"Content-Length: {len(data)}\r\n{more}\r\n"
        )
        return Response(self.send(head.encode() + data).value())
