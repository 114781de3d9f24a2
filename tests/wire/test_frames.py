"""Frames in a stream: wire-profile F1 to F8."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epnet.errors import UsageError
from epnet.wire import (
    Frame,
    FrameReader,
    Gap,
    Ping,
    SoftDisconnect,
    UnknownMessage,
    decode,
    encode,
    encodeFrame,
)
from tests.wire.helpers import codes, frameIn, framesIn, gapIn

PING = encode(Ping())
BYE = encode(SoftDisconnect(reconnect=True))
START = "9a 00 00 00 03"


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


class StartTests(SynchronousTestCase):
    """F1."""

    def test_F1_sentWithTheMagicSequence(self) -> None:
        self.assertEqual(PING[:5], unhex(START))

    def test_F1_canonicalStartIsTakenLeniently(self) -> None:
        frame = frameIn(unhex("83 f6 1a ffffffff f6"))
        self.assertEqual(frame.typeId, 0xFFFFFFFF)
        self.assertEqual(codes(frame.diagnostics), ["frame.start-short"])
        self.assertEqual(frame.diagnostics[0].severity, "warning")

    def test_F1_canonicalStartIsAnErrorWhenStrict(self) -> None:
        frame = frameIn(unhex("83 f6 1a ffffffff f6"), strict=True)
        self.assertEqual(frame.diagnostics[0].severity, "error")
        self.assertIsNone(decode(unhex("83 f6 1a ffffffff f6"), strict=True).message)

    def test_F1_draftOfApril2025IsNamed(self) -> None:
        self.assertEqual(FrameReader().feed(unhex("9a 00 00 00")), [])
        gap = gapIn(unhex("9a 00 00 00 04 f6 1a dcdcf00d 01 a0"))
        self.assertEqual(codes(gap.diagnostics), ["frame.draft"])
        self.assertIn("April 2025", gap.diagnostics[0].text)

    def test_F1_otherArraysAreNoFrame(self) -> None:
        for start in ("84", "98 03", "99 00 03", "9b 00 00 00 00 00 00 00 03", "9f", "9a 00 00 01"):
            gap = gapIn(unhex(start + "f6 1a ffffffff f6"))
            self.assertEqual(codes(gap.diagnostics), ["frame.start"])
            self.assertEqual(gap.diagnostics[0].severity, "error")


class PayloadTests(SynchronousTestCase):
    """F2, F5, F6."""

    def test_F2_tagBeforeThePayloadIsTakenLeniently(self) -> None:
        frame = frameIn(unhex(START + "f6 1a ffffffff c2 41 f6"))
        self.assertEqual(frame.payload, b"\xf6")
        self.assertEqual(frame.payloadOffset, 13)
        [tag] = frame.diagnostics
        self.assertEqual((tag.code, tag.offset), ("frame.payload-tag", 11))

    def test_F2_tagIsNeverSent(self) -> None:
        self.assertEqual(encodeFrame(0xFFFFFFFF, b"\xf6"), unhex(START + "f6 1a ffffffff 41 f6"))

    def test_F2_tagBeforeNullIsNoFrame(self) -> None:
        gap = gapIn(unhex(START + "f6 1a ffffffff c2 f6"))
        self.assertEqual(codes(gap.diagnostics), ["frame.payload"])

    def test_F2_anyOtherTagIsNoFrame(self) -> None:
        gap = gapIn(unhex(START + "f6 1a ffffffff c3 41 f6"))
        self.assertEqual(codes(gap.diagnostics), ["frame.payload"])

    def test_F5_noPayloadInThreeForms(self) -> None:
        for form, payload in (("f6", None), ("40", b""), ("41 f6", b"\xf6")):
            data = unhex(START + "f6 1a ffffffff" + form)
            self.assertEqual(frameIn(data).payload, payload)
            decoded = decode(data, strict=True)
            self.assertEqual((decoded.message, decoded.diagnostics), (Ping(), ()))

    def test_F5_pingIsSentWithABareNull(self) -> None:
        self.assertEqual(PING[-1:], b"\xf6")

    def test_F5_indefinitePayloadIsAnErrorInBothModes(self) -> None:
        data = unhex(START + "f6 1a ffffffff 5f 41 a0 ff")
        for strict in (False, True):
            [gap] = framesIn(data, strict=strict)
            self.assertIsInstance(gap, Gap)
            self.assertEqual(codes(gap.diagnostics), ["frame.payload"])

    def test_F5_payloadOfAnotherTypeIsNoFrame(self) -> None:
        for payload in ("a0", "00", "60", "f7", "f4", "5c", "ff"):
            gap = gapIn(unhex(START + "f6 1a ffffffff" + payload))
            self.assertEqual(codes(gap.diagnostics), ["frame.payload"])
            self.assertEqual(gap.diagnostics[0].offset, 11)

    def test_F6_everyLengthOfLength(self) -> None:
        for head, length in (("41", 1), ("58 18", 24), ("59 0100", 256), ("5a 00010000", 65536)):
            payload = bytes(length)
            data = unhex(START + "f6 1a 01000000" + head) + payload
            self.assertEqual(frameIn(data).payload, payload)
            self.assertEqual(encodeFrame(0x01000000, payload), data)

    def test_F6_longestPayload(self) -> None:
        self.assertEqual(len(frameIn(encodeFrame(0x01000000, bytes(65536))).payload or b""), 65536)
        gap = gapIn(encodeFrame(0x01000000, bytes(65537)))
        self.assertEqual(codes(gap.diagnostics), ["frame.size", "frame.lost"])

    def test_F6_limitIsConfigurable(self) -> None:
        data = encodeFrame(0x01000000, bytes(11))
        gap = gapIn(data, maxPayload=10)
        self.assertEqual(codes(gap.diagnostics), ["frame.size"])
        self.assertEqual(gap.skipped, len(data))

    def test_F6_refusedAsSoonAsTheLengthIsKnown(self) -> None:
        for length in ("5a 00010001", "5a ffffffff", "5b ffffffffffffffff"):
            reader = FrameReader()
            reader.feed(unhex(START + "f6 1a ffffffff" + length))
            self.assertTrue(reader.skipping)
            [gap] = reader.finish()
            self.assertEqual(codes(gap.diagnostics), ["frame.size"])


class HeaderTests(SynchronousTestCase):
    """F3, F6."""

    def test_F3_noHeaders(self) -> None:
        self.assertEqual(PING[5:6], b"\xf6")
        self.assertIsNone(frameIn(PING).headers)

    def test_F3_headersAreKeptAsTheyCame(self) -> None:
        data = unhex(START + "a2 19 0100 fb 4059000000000000 19 0101 82 18 01 c1 00 1a ffffffff f6")
        frame = frameIn(data)
        headers = {0x100: unhex("fb 4059000000000000"), 0x101: unhex("82 18 01 c1 00")}
        self.assertEqual(frame.headers, headers)
        self.assertEqual(frame.diagnostics, ())
        self.assertEqual(encode(Ping(), frame.headers), data)

    def test_F3_headersCannotBeChanged(self) -> None:
        headers = frameIn(encode(Ping(), {0x100: b"\x01"})).headers
        with self.assertRaises(TypeError):
            headers[0x100] = b"\x02"  # type: ignore[index]

    def test_F3_emptyMapIsTakenLeniently(self) -> None:
        frame = frameIn(unhex(START + "a0 1a ffffffff f6"))
        self.assertEqual(frame.headers, {})
        self.assertEqual(codes(frame.diagnostics), ["frame.headers-empty"])

    def test_F3_indefiniteMapIsTakenLeniently(self) -> None:
        frame = frameIn(unhex(START + "bf 19 0100 01 ff 1a ffffffff f6"))
        self.assertEqual(frame.headers, {0x100: b"\x01"})
        self.assertEqual(codes(frame.diagnostics), ["frame.headers-indefinite"])

    def test_F3_reservedKeysAreReported(self) -> None:
        data = unhex(START + "a1 18 ff 01 1a ffffffff f6")
        frame = frameIn(data)
        self.assertEqual(frame.headers, {0xFF: b"\x01"})
        self.assertEqual(codes(frame.diagnostics), ["frame.headers-reserved"])
        self.assertEqual(encodeFrame(frame.typeId, frame.payload, frame.headers), data)

    def test_F3_reservedKeysAreNotSent(self) -> None:
        error = self.assertRaises(UsageError, encode, Ping(), {0xFF: b"\x01"})
        self.assertIn("0xff is reserved", str(error))

    def test_F3_keysThatAreNoUnsignedIntegers(self) -> None:
        for key in ("20", "61 61", "f9 0000", "f5", "80"):
            gap = gapIn(unhex(START + "a1" + key + "01 1a ffffffff f6"))
            self.assertEqual(codes(gap.diagnostics), ["frame.headers"])

    def test_F3_brokenHeaders(self) -> None:
        for headers in ("a2 190100 01 190100 02", "a1 190100 1c", "a1 190100 ff", "bf 190100 ff"):
            gap = gapIn(unhex(START + headers + "1a ffffffff f6"))
            self.assertEqual(codes(gap.diagnostics), ["frame.headers"])

    def test_F3_headersOfAnotherType(self) -> None:
        for headers in ("80", "f7", "00", "5c", "ff"):
            gap = gapIn(unhex(START + headers + "1a ffffffff f6"))
            self.assertEqual(codes(gap.diagnostics), ["frame.headers"])
            self.assertEqual(gap.diagnostics[0].offset, 5)

    def test_F3_payloadInAnotherSerialization(self) -> None:
        """With headers, a payload that does not parse is no bad frame, but no consent either."""
        data = encodeFrame(0xDCDCF00D, b'{"voltage": 744}', {0x100: b"\x01"})
        decoded = decode(data)
        self.assertIsNone(decoded.message)
        self.assertTrue(decoded.voidsConsent)
        [diagnostic] = decoded.diagnostics
        self.assertEqual(
            (diagnostic.severity, diagnostic.code), ("warning", "payload.not-understood")
        )

    def test_F3_unusableHeadersAreRefusedFromTheUser(self) -> None:
        for headers, text in (
            ({-1: b"\x01"}, "header key -1"),
            ({2**64: b"\x01"}, "header key 18446744073709551616"),
            ({"a": b"\x01"}, "header key 'a'"),
            ({0x100: b""}, "is not one CBOR item"),
            ({0x100: b"\x01\x02"}, "1 bytes after the item"),
            ({0x100: unhex("59 0ffa") + bytes(0xFFA)}, "take 4097 bytes, the most is 4096"),
        ):
            error = self.assertRaises(UsageError, encode, Ping(), headers)
            self.assertIn(text, str(error))

    def test_F6_largestHeaders(self) -> None:
        headers = {0x100: unhex("59 0ff9") + bytes(0xFF9)}
        frame = frameIn(encode(Ping(), headers))
        self.assertEqual(frame.headers, headers)
        self.assertEqual(frame.length, len(PING) - 1 + 4096)

    def test_F6_tooLargeHeaders(self) -> None:
        for headers in (
            unhex("a1 190100 59 0ffa") + bytes(0xFFA),
            unhex("a1 190100 99 1000") + bytes(0x1000),
            unhex("bf") + unhex("191000 80") * 1024,
        ):
            gap = gapIn(unhex(START) + headers + unhex("1a ffffffff f6"))
            self.assertEqual(codes(gap.diagnostics), ["frame.headers-size"])

    def test_F6_hostileHeadersAreRefusedBeforeTheyAreHere(self) -> None:
        for headers in ("a1 190100 5b ffffffffffffffff", "a1 190100 7a 00001000"):
            reader = FrameReader()
            reader.feed(unhex(START + headers))
            self.assertTrue(reader.skipping)

    def test_F6_headersNestedTooDeep(self) -> None:
        deep = unhex(START + "a1 190100") + b"\x81" * 16 + unhex("00 1a ffffffff f6")
        self.assertEqual(codes(gapIn(deep).diagnostics), ["frame.headers"])
        allowed = unhex(START + "a1 190100") + b"\x81" * 15 + unhex("00 1a ffffffff f6")
        self.assertEqual(frameIn(allowed).diagnostics, ())


class TypeTests(SynchronousTestCase):
    """F4."""

    def test_F4_sentInFiveBytes(self) -> None:
        self.assertEqual(encodeFrame(5, None), unhex(START + "f6 1a 00000005 f6"))

    def test_F4_shorterFormsAreTakenLeniently(self) -> None:
        for form, typeId in (("17", 0x17), ("18 18", 0x18), ("19 0100", 0x100)):
            frame = frameIn(unhex(START + "f6" + form + "f6"))
            self.assertEqual(frame.typeId, typeId)
            self.assertEqual(codes(frame.diagnostics), ["frame.type-short", "frame.type-reserved"])

    def test_F4_reservedTypesAreReported(self) -> None:
        decoded = decode(encodeFrame(0x00FFFFFF, None))
        self.assertEqual(codes(decoded.diagnostics), ["frame.type-reserved"])
        self.assertEqual(decoded.message, UnknownMessage(typeId=0x00FFFFFF))
        self.assertEqual(decode(encodeFrame(0x01000000, None)).diagnostics, ())

    def test_F4_whatIsNoTypeIsNoFrame(self) -> None:
        for form in ("1b 00000000dcdcf00d", "20", "f6", "41 00", "1c", "1f", "fa 00000000"):
            gap = gapIn(unhex(START + "f6" + form + "f6"))
            self.assertEqual(codes(gap.diagnostics), ["frame.type"])
            self.assertEqual(gap.diagnostics[0].offset, 6)

    def test_F4_typesThatCannotBeSent(self) -> None:
        for typeId in (-1, 2**32):
            self.assertRaises(UsageError, encodeFrame, typeId, None)


class RecoveryTests(SynchronousTestCase):
    """F7."""

    def test_F7_goesOnWithTheNextFrame(self) -> None:
        before, gap, after = framesIn(PING + b"garbage" + BYE)
        assert isinstance(before, Frame) and isinstance(gap, Gap) and isinstance(after, Frame)
        self.assertEqual((gap.offset, gap.skipped), (len(PING), 7))
        self.assertEqual(codes(gap.diagnostics), ["frame.start"])
        self.assertEqual(gap.diagnostics[0].path, "frame")
        self.assertEqual(after.offset, len(PING) + 7)

    def test_F7_frameWithinABadFrame(self) -> None:
        """Where bytes are lost, the next frame starts within what looked like the last."""
        for length in range(1, len(PING)):
            [gap, frame] = framesIn(PING[:length] + BYE)
            assert isinstance(gap, Gap) and isinstance(frame, Frame)
            self.assertEqual((gap.offset, gap.skipped), (0, length))
            self.assertEqual((frame.offset, frame.length), (length, len(BYE)))

    def test_F7_noFramesWithinHeaders(self) -> None:
        """To try every frame start in what was read as headers would not be linear (F8)."""
        for count, rest in (("a1", "20"), ("a2", "1c"), ("a2", "190100 01")):
            bad = unhex(START + count + "190100 4c") + PING + unhex(rest)
            [gap, frame] = framesIn(bad + BYE)
            assert isinstance(gap, Gap) and isinstance(frame, Frame)
            self.assertEqual((gap.skipped, frame.length), (len(bad), len(BYE)))

    def test_F7_severalGaps(self) -> None:
        items = framesIn(b"x" + PING + b"yy" + PING + b"zzz")
        self.assertEqual([type(item) for item in items], [Gap, Frame, Gap, Frame, Gap])
        self.assertEqual([g.skipped for g in items if isinstance(g, Gap)], [1, 2, 3])

    def test_F7_skippingIsKnownAtOnce(self) -> None:
        reader = FrameReader()
        self.assertEqual(reader.feed(PING[:3]), [])
        self.assertFalse(reader.skipping)
        self.assertEqual(reader.feed(b"x"), [])
        self.assertTrue(reader.skipping)
        self.assertEqual(len(reader.feed(PING)), 2)
        self.assertFalse(reader.skipping)

    def test_F7_givesUpAfter64KiB(self) -> None:
        reader = FrameReader()
        self.assertEqual(reader.feed(bytes(65536)), [])
        self.assertFalse(reader.lost)
        [gap] = reader.feed(bytes(65536))
        self.assertTrue(reader.lost)
        assert isinstance(gap, Gap)
        self.assertEqual((gap.offset, gap.skipped), (0, 65536))
        self.assertEqual(codes(gap.diagnostics), ["frame.start", "frame.lost"])
        self.assertEqual(reader.feed(PING), [])
        self.assertEqual(reader.finish(), [])

    def test_F7_frameStartAfterExactly64KiB(self) -> None:
        gap, frame = framesIn(bytes(65536) + PING)
        assert isinstance(gap, Gap)
        self.assertEqual(gap.skipped, 65536)
        self.assertIsInstance(frame, Frame)
        [gap] = framesIn(bytes(65537) + PING)
        self.assertEqual(codes(gap.diagnostics), ["frame.start", "frame.lost"])

    def test_F7_toolsGoOnForEver(self) -> None:
        reader = FrameReader(giveUp=None)
        found = reader.feed(bytes(200_000)) + reader.feed(PING)
        self.assertEqual([type(item) for item in found], [Gap, Frame])
        self.assertFalse(reader.lost)

    def test_F7_badPayloadLeavesTheStreamAligned(self) -> None:
        bad = encodeFrame(0xDCDCF00D, b"\xff\xff")
        found = framesIn(bad + PING)
        self.assertEqual([type(item) for item in found], [Frame, Frame])
        self.assertEqual(codes(found[0].diagnostics), [])

    def test_incompleteLastFrame(self) -> None:
        for length in range(1, len(BYE)):
            reader = FrameReader()
            self.assertEqual(reader.feed(BYE[:length]), [])
            [gap] = reader.finish()
            assert isinstance(gap, Gap)
            self.assertEqual((gap.offset, gap.skipped), (0, length))
            self.assertEqual(codes(gap.diagnostics), ["frame.truncated"])
            self.assertEqual(gap.diagnostics[0].offset, length)

    def test_nothingIsLeftAtTheEnd(self) -> None:
        reader = FrameReader()
        reader.feed(PING)
        self.assertEqual(reader.finish(), [])

    def test_finishAgain(self) -> None:
        reader = FrameReader()
        reader.feed(b"x")
        self.assertEqual(len(reader.finish()), 1)
        self.assertEqual(reader.finish(), [])


class PieceTests(SynchronousTestCase):
    """F8; for any stream and split, see test_properties."""

    def test_F8_byteByByte(self) -> None:
        headers = {0x100: b"\x82\x01\x63abc"}
        stream = BYE + encode(Ping(), headers) + b"junk" + PING
        reader = FrameReader()
        found = [item for at in range(len(stream)) for item in reader.feed(stream[at : at + 1])]
        self.assertEqual(found, framesIn(stream))
        self.assertEqual([type(item) for item in found], [Frame, Frame, Gap, Frame])

    def test_F8_deviationsInPieces(self) -> None:
        """Whatever can be wrong with a frame is reported alike however it arrives."""
        for text in (
            "83 f6 1a ffffffff f6",
            START + "f6 1a ffffffff c2 41 f6",
            START + "f6 1a ffffffff c2 c2 41 f6",
            START + "bf 18 ff 01 ff 19 0100 f6",
            START + "a2 190100 01 190100 01 1a ffffffff f6",
            START + "a1 190100 1c 1a ffffffff f6",
            START + "f6 1b 00000000ffffffff f6",
            START + "f6 1a ffffffff 5f 40 ff",
            START + "f6 1a ffffffff 5b ffffffffffffffff",
            "9a 00 00 00 04 f6",
            "9a 00 00 9a 00 00 00 03",
        ):
            stream = unhex(text) + PING
            for cut in range(1, len(stream)):
                reader = FrameReader()
                found = reader.feed(stream[:cut]) + reader.feed(stream[cut:]) + reader.finish()
                self.assertEqual(found, framesIn(stream), (text, cut))

    def test_F8_manyFramesInOnePiece(self) -> None:
        self.assertEqual(len(framesIn((PING + BYE) * 5000)), 10_000)

    def test_payloadMayContainTheMagicSequence(self) -> None:
        frame = frameIn(encodeFrame(0x01000000, PING + PING))
        self.assertEqual(frame.payload, PING + PING)


class DecodeTests(SynchronousTestCase):
    """The bytes of exactly one frame."""

    def test_trailingBytes(self) -> None:
        decoded = decode(PING + b"xy")
        self.assertIsNone(decoded.message)
        self.assertIsNotNone(decoded.frame)
        [diagnostic] = decoded.diagnostics
        self.assertEqual((diagnostic.code, diagnostic.offset), ("frame.trailing", len(PING)))

    def test_twoFrames(self) -> None:
        self.assertEqual(codes(decode(PING + PING).diagnostics), ["frame.trailing"])

    def test_noBytes(self) -> None:
        decoded = decode(b"")
        self.assertEqual((decoded.message, decoded.frame), (None, None))
        self.assertEqual(codes(decoded.diagnostics), ["frame.truncated"])
        self.assertTrue(decoded.voidsConsent)

    def test_noFrame(self) -> None:
        decoded = decode(b"what")
        self.assertEqual((decoded.message, decoded.frame), (None, None))
        self.assertEqual(codes(decoded.diagnostics), ["frame.start"])
        self.assertEqual(
            str(decoded.diagnostics[0]),
            "error: frame: 77 where 9a 00 00 00 03 belongs (frame.start, byte 0)",
        )
