"""Router Path, epnet's own message between routers."""

from __future__ import annotations

from epnet.wire import decode, encode
from epnet.wire.routerpath import MOST_NAMES, RouterPath
from tests.wire.helpers import ValueCase, codes, messageOf, received

PATH = 0x4550524F
START = "a2 00 a1 02 00 01 a1 19 4550"
"""A payload up to the data of its path."""


class PathTests(ValueCase):
    def test_roundTrip(self) -> None:
        full = tuple(f"router {i}" for i in range(MOST_NAMES))
        for path in ((), ("a",), full):
            message = RouterPath(rank=0, path=path, drivers=reversed(path))
            self.assertEqual(messageOf(decode(encode(message), strict=True)), message)

    def test_whatIsNoPath(self) -> None:
        self.assertRefused("a sequence of identities", RouterPath, rank=0, path="router")
        self.assertRefused("a sequence of identities", RouterPath, rank=0, path=7)
        self.assertRefused("not a text", RouterPath, rank=0, path=["a", 7])
        self.assertRefused("at most 16", RouterPath, rank=0, path=["a"] * 17)

    def test_whatComesAsNoPath(self) -> None:
        for data in ("60", "00", "f6", "a0"):
            self.assertDropped(data, "value.shape", "path.path")
        self.assertDropped("82 61 61 07", "value.data", "path.path[1]")

    def test_aPathTooLong(self) -> None:
        self.assertEqual(len(self.pathOf("90" + 16 * "61 61")), 16)
        self.assertDropped("91" + 17 * "61 61", "field.length", "path.path")

    def pathOf(self, data: str) -> tuple[str, ...]:
        message = messageOf(received(PATH, START + data, strict=True))
        assert isinstance(message, RouterPath)
        return message.path

    def assertDropped(self, data: str, code: str, path: str) -> None:
        """There is no message without its path."""
        decoded = received(PATH, START + data)
        self.assertIsNone(decoded.message)
        self.assertEqual(codes(decoded.diagnostics)[0], code)
        self.assertEqual(decoded.diagnostics[0].path, path)
