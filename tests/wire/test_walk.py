"""CBOR byte by byte, held against cbor2."""

from __future__ import annotations

import cbor2
from twisted.trial.unittest import SynchronousTestCase

from epnet.wire import decode, encodeFrame
from epnet.wire.walk import BadText, Fault, Item, RawKey, Simple, Skimmer, Tagged, parse, readHead

# RFC 8949 appendix F: what is not well-formed.
MALFORMED = """
    18 19 1a 1b 1901 1a0102 1b01020304050607 38 58 78 98 9a01ff00 b8 d8 f8 f900 fa0000 fb000000
    41 61 5affffffff00 5bffffffffffffffff010203 7affffffff00 7b7fffffffffffffff010203
    81 818181818181818181 8200 a1 a20102 a100 a2000000 c0
    5f4100 7f6100 9f 9f0102 bf bf01020102 819f 9f8000 9f9f9f9f9fffffffff 9f819f819f9fffffff
    1c 1d 1e 3c 3d 3e 5c 5d 5e 7c 7d 7e 9c 9d 9e bc bd be dc dd de fc fd fe
    f800 f801 f818 f81f
    5f00ff 5f21ff 5f6100ff 5f80ff 5fa0ff 5fc000ff 5fe0ff 7f4100ff 5f5f4100ffff 7f7f6100ffff
    ff 81ff 8200ff a1ff a1ff00 a100ff a20000ff 9f81ff 9f829f819f9fffffffff
    bf00ff bf000000ff 1f 3f df
""".split()  # noqa: SIM905 (as the RFC prints it)


class ParseTests(SynchronousTestCase):
    def test_whatIsNotWellFormed(self) -> None:
        for text in MALFORMED:
            with self.assertRaises(Fault, msg=text) as caught:
                parse(bytes.fromhex(text))
            self.assertIn(caught.exception.code, ("payload.cbor", "payload.truncated"), text)

    def test_values(self) -> None:
        for text, value in (
            ("1b ffffffffffffffff", 2**64 - 1),
            ("3b ffffffffffffffff", -(2**64)),
            ("f9 3e00", 1.5),
            ("fa 47c35000", 100000.0),
            ("fb 7e37e43c8800759c", 1e300),
            ("f4", False),
            ("f5", True),
            ("f6", None),
            ("f7", Simple(23)),
            ("e0", Simple(0)),
            ("f8 ff", Simple(255)),
            ("43 010203", b"\1\2\3"),
            ("5f 42 0102 40 41 03 ff", b"\1\2\3"),
            ("62 c3a9", "é"),
            ("7f 61 61 60 61 62 ff", "ab"),
            ("61 ff", BadText(b"\xff")),
            ("7f 61 61 61 ff ff", BadText(bytes.fromhex("7f616161ffff"))),
            ("82 01 9f 02 ff", [1, [2]]),
            ("a2 01 02 61 61 03", {1: 2, RawKey(b"aa"): 3}),
            ("bf 01 02 ff", {1: 2}),
            ("c1 d8 2a 00", Tagged(1, Tagged(42, 0))),
        ):
            item, _ = parse(bytes.fromhex(text))
            self.assertEqual((item.value, type(item.value)), (value, type(value)), text)
            self.assertEqual((item.start, item.end), (0, len(bytes.fromhex(text))))

    def test_whereTheFirstIndefiniteLengthIs(self) -> None:
        self.assertEqual(parse(bytes.fromhex("82 01 02"))[1], None)
        self.assertEqual(parse(bytes.fromhex("83 01 9f ff 9f ff"))[1], 2)

    def test_cbor2RefusesOrAgreesAboutEveryTag(self) -> None:
        """No tag that some version of cbor2 gives a meaning gets past us."""
        for tag in [*range(0x100), 256, 258, 260, 261, 1004, 43000, 55799, 2**32, 2**64 - 1]:
            for content in (b"\x00", b"\x41\x05", b"\x80", b"\xa0", b"\x61a", b"\x82\x00\x01"):
                item = cbor2.dumps(cbor2.CBORTag(tag, 0))[:-1] + content
                decoded = decode(encodeFrame(0xDCDCF00D, b"\xa1\x05\xa1\x10" + item))
                codes = [str(each.code) for each in decoded.diagnostics]
                self.assertEqual(codes, ["value.tag"], tag)


class LocateTests(SynchronousTestCase):
    def locate(self, text: str, *steps: int) -> tuple[int, int]:
        item: Item = parse(bytes.fromhex(text))[0].locate(steps)
        return item.start, item.end

    def test_keysAndPositions(self) -> None:
        text = "a2 00 01 05 a1 18 20 82 a1 10 00 a1 10 01"
        self.assertEqual(self.locate(text), (0, 14))
        self.assertEqual(self.locate(text, 5), (4, 14))
        self.assertEqual(self.locate(text, 5, 0x20, 1, 0x10), (13, 14))

    def test_asFarAsTheStepsLead(self) -> None:
        self.assertEqual(self.locate("a1 05 80", 5, 3, 4), (2, 3))
        self.assertEqual(self.locate("a1 61 61 80", 5), (0, 4))

    def test_throughTags(self) -> None:
        self.assertEqual(self.locate("a1 05 c1 c2 81 00", 5, 0), (5, 6))


class SkimmerTests(SynchronousTestCase):
    def test_anyPieces(self) -> None:
        data = bytes.fromhex("a2 01 9f 7f 61 61 ff 43 010203 ff 19 0100 bf 01 c1 00 ff 55 66")
        skimmer = Skimmer()
        ends = [length for length in range(len(data) + 1) if skimmer.advance(data[:length])]
        self.assertEqual(ends[0], len(data) - 2)
        self.assertEqual(skimmer.at, len(data) - 2)

    def test_fromTheMiddle(self) -> None:
        skimmer = Skimmer(2)
        self.assertTrue(skimmer.advance(b"\xff\xff\x81\x00\xff"))
        self.assertEqual(skimmer.at, 4)

    def test_limit(self) -> None:
        for text in ("84 00 00 00 00", "44 01 02", "81 81 81 19"):
            skimmer = Skimmer(0, 4)
            with self.assertRaises(Fault, msg=text) as caught:
                skimmer.advance(bytes.fromhex(text))
            self.assertEqual(caught.exception.code, "frame.headers-size")
        self.assertTrue(Skimmer(0, 4).advance(bytes.fromhex("83 00 00 00")))
        self.assertTrue(Skimmer(0, 4).advance(bytes.fromhex("43 00 00 00")))

    def test_headCutShort(self) -> None:
        self.assertIsNone(readHead(b"", 0))
        self.assertIsNone(readHead(b"\x19\x01", 0))
        self.assertEqual(readHead(b"\x19\x01\x02", 0), (0, 25, 0x102, 3))
