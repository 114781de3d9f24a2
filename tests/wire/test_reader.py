"""`MessageReader`: its fast paths find what the plain one finds, and are taken where they may."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from epnet.wire import (
    Decoded,
    DemandParameters,
    Frame,
    FrameReader,
    Gap,
    Isolation,
    IsolationState,
    Message,
    MessageReader,
    Ping,
    Price,
    SessionParameters,
    SoftDisconnect,
    Source,
    StorageParameters,
    SupplyParameters,
    UnknownMessage,
    decodeFrame,
    encode,
    encodeFrame,
    field,
    message,
    reader,
    register,
    registerField,
)
from epnet.wire import layouts as layoutsModule
from epnet.wire.compounds import BoundsKind, SharesKind
from epnet.wire.kinds import FLAG, POWER, TEXT, Kind, Percentage, Quantity
from epnet.wire.layouts import MAX_LENGTH, Layouts
from tests.wire.helpers import SUPPLY
from tests.wire.test_extensions import ExtensionCase
from tests.wire.test_properties import deviant, frames, many, valuesOf

PRICE = Price(datetime(2026, 1, 1, tzinfo=UTC), 0.25, "EUR")
FULL = (
    SupplyParameters(
        voltage_limit=(200, 1000.5),
        current_limit=(0, 32),
        power_limit=11000,
        power_mix={Source.WIND: 70.5, Source.LOCAL_SOLAR: 29.5},
        energy_prices=[PRICE],
        voltage=750.1,
        current=5,
        isolation=Isolation(IsolationState.OK, 1e6, 70000),
    ),
    DemandParameters(voltage=400, current=-0.0, power_limit=2**40, duration=3600),
    StorageParameters(soc=55.5, soc_target=80, energy_mix={Source.WIND: 70, 0x4D: 30.1}),
)


def plainly(pieces: Iterable[bytes]) -> list[list[Decoded | Gap]]:
    """What a `MessageReader` should find, piece by piece."""
    plain = FrameReader(relative=True)
    return [
        [decodeFrame(item) if isinstance(item, Frame) else item for item in plain.feed(piece)]
        for piece in pieces
    ]


def goodValuesOf(kind: Kind[Any]) -> st.SearchStrategy[Any]:
    """Values of which there is nothing to report."""
    if isinstance(kind, SharesKind):
        shares = st.floats(0, 100) | st.integers(0, 100)
        return shares.map(lambda share: {Source.WIND: share, Source.SOLAR: 100 - share})
    if isinstance(kind, Percentage):
        return st.floats(0, 100) | st.integers(0, 100)
    return valuesOf(kind)


def goodMessagesOf(cls: type[Message]) -> st.SearchStrategy[Message]:
    values = {row.name: st.none() | goodValuesOf(row.kind) for row in cls.fields}
    return st.fixed_dictionaries(values).map(lambda values: cls(**values))


goodFrames = st.one_of(
    *map(goodMessagesOf, (SupplyParameters, DemandParameters, StorageParameters))
).map(encode)
changes = st.binary(min_size=1, max_size=4) | st.sampled_from(
    [bytes.fromhex(each) for each in ("f97e00", "f97c00", "7ff0000000000000", "17", "18", "ff")]
)


@st.composite
def alike(draw: st.DrawFn) -> list[bytes]:
    """A frame, and others of its length: itself, or with some bytes changed anywhere."""
    first = draw(goodFrames)
    found = [first]
    for _ in range(draw(st.integers(1, 6))):
        data = bytearray(first)
        for _ in range(draw(st.integers(0, 3))):
            at, change = draw(st.integers(0, len(first) - 1)), draw(changes)
            data[at : at + len(change)] = change
        found.append(bytes(data[: len(first)]))
    return found


@st.composite
def pieces(draw: st.DrawFn) -> list[bytes]:
    """A stream in which much is alike, mostly in whole frames."""
    whole = [
        frame
        for part in draw(st.lists(alike() | st.tuples(frames | deviant), max_size=4))
        for frame in part
    ]
    found = [b""]
    for frame in draw(st.permutations(whole)) if draw(st.booleans()) else whole:
        how = draw(st.sampled_from(("alone", "alone", "alone", "joined", "cut")))
        if how == "joined":
            found[-1] += frame
        elif how == "cut":
            at = draw(st.integers(0, len(frame)))
            found += [frame[:at], frame[at:]]
        else:
            found.append(frame)
    return found


class SameTests(ExtensionCase):
    def assertSame(self, pieces: Sequence[bytes]) -> None:
        fast = MessageReader()
        found = [list(fast.feed(piece)) for piece in pieces]
        expected = plainly(pieces)
        self.assertEqual(found, expected)
        # Also the types of the numbers, and the sign of zero.
        self.assertEqual(repr(found), repr(expected))
        short = MessageReader()
        for piece, plain in zip(pieces, expected, strict=True):
            message = short.alone(piece)
            if message is None:
                self.assertEqual(list(short.feed(piece)), plain)
            else:
                [only] = plain
                self.assertEqual((repr(message), ()), (repr(only.message), only.diagnostics))

    @given(pieces())
    @many
    def test_anyPieces(self, pieces: list[bytes]) -> None:
        self.assertSame(pieces)

    @given(alike())
    @many
    def test_anyFramesThatAreAlike(self, whole: list[bytes]) -> None:
        self.assertSame(whole)

    def test_everyByteOfAFrameChanged(self) -> None:
        """By every bit, and to what starts other items or numbers that are not finite."""
        for first in map(encode, FULL):
            changed = []
            for at in range(len(first)):
                others = {first[at] ^ 1 << bit for bit in range(8)} | {0x7C, 0x7E, 0x17, 0x18, 0xFF}
                changed += [first[:at] + bytes([other]) + first[at + 1 :] for other in others]
            # Each after the frame itself, whose layout is then the newest.
            self.assertSame([piece for each in changed for piece in (first, each)])


class CountingCase(ExtensionCase):
    """Counts the frames that go the plain path."""

    def setUp(self) -> None:
        super().setUp()
        self.plain = 0

        def counted(frame: Frame) -> Decoded:
            self.plain += 1
            return decodeFrame(frame)

        self.patch(reader, "decodeFrame", counted)
        self.reader = MessageReader()

    def assertPlain(self, count: int, *pieces: bytes) -> None:
        """What is right is found, and so many of the frames go the plain path."""
        self.plain = 0
        found = [list(self.reader.feed(piece)) for piece in pieces]
        self.assertEqual(repr(found), repr(plainly(pieces)))
        self.assertEqual(self.plain, count)


def supply(**values: Any) -> bytes:
    return encode(SupplyParameters(**values))


class AlikeTests(CountingCase):
    """Which frames are read by a learned layout."""

    def assertAlike(self, *messages: Message) -> None:
        self.assertPlain(1, *map(encode, messages))

    def test_allFieldsWithOtherNumbers(self) -> None:
        self.assertAlike(
            FULL[0],
            FULL[0].replace(
                voltage_limit=(201, 999.5),
                current_limit=(3, 31),
                power_limit=12000,
                power_mix={Source.WIND: 60.5, Source.LOCAL_SOLAR: 39.5},
                voltage=749.3,
                current=7,
                isolation=Isolation(IsolationState.OK, 2e6, 80000),
            ),
        )
        self.reader = MessageReader()
        self.assertAlike(FULL[1], FULL[1].replace(current=1.0, power_limit=2**50))
        self.reader = MessageReader()
        changed = {Source.WIND: 17, 0x4D: 1234.1}
        self.assertPlain(2, encode(FULL[2]), encode(FULL[2].replace(soc=44.5, energy_mix=changed)))

    def test_numbersOfEachSize(self) -> None:
        for first, other in [
            (0, 23),
            (24, 255),
            (256, 65535),
            (65536, 2**32 - 1),
            (2**32, 2**64 - 1),
            (1.5, -65504.0),
            (0.0, -0.0),
            (100000.5, -(2.0**100)),
            (0.1, -1.7e308),
        ]:
            self.reader = MessageReader()
            self.assertAlike(DemandParameters(current=first), DemandParameters(current=other))

    def test_severalLayoutsOfOneLength(self) -> None:
        first, other = supply(voltage=400.1, current=1.5), supply(voltage=400.5, current=1.1)
        self.assertEqual(len(first), len(other))
        self.assertPlain(2, first, other, supply(voltage=1.1, current=2.5), first, other)

    def test_framesInOnePiece(self) -> None:
        frames = list(map(encode, FULL))
        self.assertPlain(3, b"".join(frames))
        self.assertPlain(0, b"".join(reversed(frames)))
        self.assertPlain(2, frames[0] + encode(Ping()) + frames[1])

    def test_aPieceThatEndsInAFrame(self) -> None:
        first = encode(FULL[0])
        self.assertPlain(1, first)
        self.assertPlain(1, first + first[:20], first[20:])
        self.assertPlain(0, encode(FULL[0].replace(current=6)))

    def test_goneAfterWhatIsNoFrame(self) -> None:
        first, other = encode(FULL[0]), encode(FULL[0].replace(current=6))
        self.assertPlain(2, first, b"garbage" + other)
        self.assertPlain(0, first)

    def test_oneWhoseNumbersAreNotPlainlyGood(self) -> None:
        for typeId, good, bad in [
            (SUPPLY, "a105a110f93c00", "a105a110f97e00"),  # NaN
            (SUPPLY, "a105a110f93c00", "a105a110f97c00"),
            (SUPPLY, "a105a11005", "a105a11018"),  # the head of a longer number
            (SUPPLY, "a100a1182082a11001a11002", "a100a1182082a11003a11002"),  # V7
            (SUPPLY, "a103a1184081a101a1141864", "a103a1184081a101a1141863"),  # V5
            (StorageParameters.typeId, "a100a114185a", "a100a114186e"),  # V8
            (StorageParameters.typeId, "a100a114f95640", "a100a114f9bc00"),
        ]:
            self.reader = MessageReader()
            pieces = [encodeFrame(typeId, bytes.fromhex(each)) for each in (good, bad, good)]
            self.assertPlain(2, *pieces)
            self.assertTrue(plainly([pieces[1]])[0][0].diagnostics, bad)

    def test_numbersWhoseSumIsNotFinite(self) -> None:
        most = 1.7e308
        self.assertPlain(2, supply(voltage=1.1, current=1.1), supply(voltage=most, current=most))

    def test_pricesAndNegativeIntegersAreTakenAsTheyWere(self) -> None:
        prices = [PRICE]
        self.assertPlain(1, *(supply(energy_prices=prices, voltage=each) for each in (24, 25)))
        dearer = [PRICE._replace(amount=0.5)]
        self.assertPlain(1, supply(energy_prices=dearer, voltage=25))
        self.assertPlain(1, supply(current=-24, voltage=24), supply(current=-24, voltage=25))
        self.assertPlain(1, supply(current=-25, voltage=24))

    def test_isolationWithoutAResistance(self) -> None:
        isolation = Isolation(IsolationState.OK, None, 1000)
        self.assertPlain(
            1, supply(isolation=isolation, voltage=24), supply(isolation=isolation, voltage=25)
        )
        self.assertPlain(1, supply(isolation=isolation._replace(positive=1001), voltage=24))

    def test_aSourceThatIsThereTwice(self) -> None:
        twice = "a203a1184082a101a1141832a101a114183205a110"
        frames = [encodeFrame(SUPPLY, bytes.fromhex(twice + each)) for each in ("1818", "1819")]
        self.assertPlain(1, *frames)
        less = twice.replace("a1141832", "a1141831", 1)
        self.assertPlain(1, encodeFrame(SUPPLY, bytes.fromhex(less + "1819")))


class UnlearnedTests(CountingCase):
    """Which frames are never read by a layout, as what they mean may change, or nothing is won."""

    def assertUnlearned(self, *frames: bytes) -> None:
        self.assertPlain(len(frames), *frames)

    def test_withoutNumbers(self) -> None:
        frames = [encode(SessionParameters(identity=each)) for each in ("a", "b", "a")]
        self.assertUnlearned(*frames, encode(Ping()), frames[0], encode(Ping()))

    def test_withoutAPayload(self) -> None:
        for payload in (None, b"", b"\xf6", b"\xa0"):
            piece = encodeFrame(SUPPLY, payload)
            self.assertUnlearned(piece, encode(Ping()), piece)

    def test_withSomethingToReport(self) -> None:
        self.assertUnlearned(
            *(encodeFrame(SUPPLY, bytes.fromhex(f"bf05a110{each}ff")) for each in ("01", "02"))
        )
        self.assertUnlearned(*(b"\x83" + supply(voltage=each)[5:] for each in (1, 2)))

    def test_withHeaders(self) -> None:
        for headers in ({0x100: b"\x01"}, {0x100: b"\x02"}):
            self.assertUnlearned(encode(SupplyParameters(voltage=1), headers))

    def test_withALongFormOfTheLength(self) -> None:
        for whole in (supply(voltage=1), supply(voltage=2)):
            size = len(whole) - 12
            self.assertUnlearned(whole[:11] + bytes([0x58, size]) + whole[12:])

    def test_withFieldsThatAreNotKnown(self) -> None:
        for value in (1, 2):
            self.assertUnlearned(supply(voltage=value, unknown={0x1000: b"\x01"}))

    def test_withFieldsOfAnExtension(self) -> None:
        registerField(SupplyParameters, 0x1000, "extra", POWER, "More")
        for value in (1, 2):
            self.assertUnlearned(supply(voltage=value, extensions={"extra": 1}))

    def test_withKindsOfAnExtension(self) -> None:
        class Odd(Quantity):
            pass

        odd = Odd(0x2000, "Odd", "", "numeric", "Odd")
        bounds = BoundsKind(0x20, "Bounds(Odd)", "", "array", "Odd", odd)

        @register
        @message(0x01000043, "odd")
        class OddMessage(Message):
            single: Any = field(0x00, odd, "Odd", default=None)
            both: Any = field(0x01, bounds, "Odd", default=None)
            power: Any = field(0x02, POWER, "Power", default=None)

        for value in (1, 2):
            self.assertUnlearned(encode(OddMessage(single=1, power=value)))
            self.assertUnlearned(encode(OddMessage(both=(1, 2), power=value)))
        self.assertPlain(1, encode(OddMessage(power=3)), encode(OddMessage(power=4)))

    def test_long(self) -> None:
        @register
        @message(0x01000043, "long")
        class Long(Message):
            text: Any = field(0x00, TEXT, "Text", default=None)
            flag: Any = field(0x01, FLAG, "Flag", default=None)
            power: Any = field(0x02, POWER, "Power", default=None)

        long = Long(text="x" * (MAX_LENGTH - 30), flag=True)
        self.assertPlain(1, *(encode(long.replace(power=each)) for each in (1, 2)))
        for power in (1, 2):
            self.assertUnlearned(encode(long.replace(text="x" * MAX_LENGTH, power=power)))


class BoundTests(CountingCase):
    """What a peer can make a connection keep, and for whom."""

    @property
    def layouts(self) -> dict[bytes, Any]:
        return self.reader._layouts.byStart

    def test_fewStarts(self) -> None:
        names = [row.name for row in DemandParameters.fields]
        for first in range(len(names)):
            for end in range(first + 1, len(names) + 1):
                self.reader._layouts._missed = 0
                last = DemandParameters(**dict.fromkeys(names[first:end], 1))
                self.reader.feed(encode(last))
                self.assertLessEqual(len(self.layouts), Layouts.STARTS)
        self.assertEqual(len(self.layouts), Layouts.STARTS)
        self.assertPlain(0, encode(last.replace(**{names[-1]: 2})))

    def test_fewLayoutsOfAStart(self) -> None:
        for number in range(25, 25 + 3 * Layouts.EACH):
            self.reader.feed(supply(current=-number, voltage=1))
        [known] = self.layouts.values()
        self.assertEqual(len(known), Layouts.EACH)
        self.assertPlain(0, supply(current=-number, voltage=2))

    def test_learningIsRareWhereNothingIsAlike(self) -> None:
        learned = []
        gc.collect()  # what other tests have learned
        self.patch(layoutsModule, "layoutOf", lambda *arguments: learned.append(arguments))
        for number in range(25, 25 + 10 * Layouts.EAGER):
            self.reader.feed(supply(current=-number, voltage=1))
        self.assertEqual(len(learned), Layouts.EAGER + 9)

    def test_whatOneConnectionHasLearnedCostsAnotherNoLesson(self) -> None:
        first = MessageReader()
        first.feed(supply(voltage=77.1, power_limit=7))
        self.patch(layoutsModule, "layoutOf", lambda *arguments: self.fail("a lesson"))
        self.reader.feed(supply(voltage=78.1, power_limit=8))
        self.assertPlain(0, supply(voltage=79.1, power_limit=9))

    def test_whatIsAlikeInItsStartOnlyIsLearned(self) -> None:
        for number in (25, 26):
            self.reader.feed(supply(current=-number, voltage=1))
            self.assertPlain(0, supply(current=-number, voltage=2))
        [known] = self.layouts.values()
        self.assertEqual(len(known), 2)

    def test_nothingIsLearnedFromWhatComesOnce(self) -> None:
        self.patch(layoutsModule, "layoutOf", lambda *arguments: self.fail("a lesson"))
        self.reader.feed(encode(SessionParameters(identity="one.example", type="router")))
        self.reader.feed(encode(SoftDisconnect(reason="over")))

    def test_equalLayoutsOfTwoConnectionsAreOne(self) -> None:
        gc.collect()  # what other tests left behind
        before = len(layoutsModule._shared)
        first, other = MessageReader(), MessageReader()
        first.feed(supply(voltage=77.1, power_limit=7))
        other.feed(supply(voltage=78.1, power_limit=8))
        [[one]], [[same]] = (each._layouts.byStart.values() for each in (first, other))
        self.assertIs(one, same)
        self.assertEqual(len(layoutsModule._shared), before + 1)
        del first, other, one, same
        self.assertEqual(len(layoutsModule._shared), before)

    def test_whatOnePeerSendsDisplacesNothingOfAnother(self) -> None:
        self.assertPlain(1, encode(FULL[0]))
        hostile = MessageReader()
        for number in range(25, 1025):
            hostile.feed(supply(current=-number, voltage=1))
        self.assertPlain(0, encode(FULL[0].replace(current=6)))


class LastPieceTests(CountingCase):
    """The piece that comes again."""

    def test_isNotReadAgain(self) -> None:
        piece = encode(SessionParameters(identity="a")) + encode(Ping())
        self.assertPlain(2, piece, piece, piece)
        self.assertIs(self.reader.feed(piece), self.reader.feed(piece))

    def test_onlyTheLastOne(self) -> None:
        first, other = encode(Ping()), encode(SessionParameters(identity="a"))
        self.assertPlain(4, first, other, first, first, other)

    def test_whereTheBytesBeforeAreInAFrame(self) -> None:
        """The same bytes are another thing there."""
        inner = encode(Ping())
        outer = encodeFrame(0x01000042, inner)
        self.assertPlain(2, inner, outer[: -len(inner)], inner)
        self.assertPlain(1, inner, inner)

    def test_whereItEndsInAFrame(self) -> None:
        """The first bytes end the frame there, and so nothing starts with them."""
        piece = encode(Ping()) + encode(Ping())[:4]
        self.assertPlain(2, piece, piece)

    def test_notWithSomethingToReport(self) -> None:
        piece = b"\x83" + encode(Ping())[5:]
        self.assertPlain(2, piece, piece)

    def test_notWithoutAMessage(self) -> None:
        piece = encodeFrame(SUPPLY, b"\xff")
        self.assertPlain(2, piece, piece)

    def test_notWithAGap(self) -> None:
        piece = b"garbage" + encode(Ping())
        self.assertPlain(2, piece, piece)

    def test_notWhatALaterExtensionMayChange(self) -> None:
        @message(0x01000043, "power")
        class Power(Message):
            power: Any = field(0x00, POWER, "Power", default=None)

        power = encode(Power(power=1))
        extended = supply(voltage=1, unknown={0x1000: bytes.fromhex("a11201")})
        for piece in (power, extended):
            self.assertPlain(2, piece, piece)
        [before] = self.reader.feed(power)
        assert isinstance(before, Decoded)
        self.assertIsInstance(before.message, UnknownMessage)
        register(Power)
        registerField(SupplyParameters, 0x1000, "extra", POWER, "More")
        self.assertPlain(2, power, extended)

    def test_notALongOne(self) -> None:
        piece = encode(Ping()) * 200
        self.assertPlain(400, piece, piece)

    def test_whatIsGivenCannotBeChanged(self) -> None:
        piece = encode(Ping())
        found = self.reader.feed(piece)
        assert isinstance(found, list)
        found.clear()
        self.assertEqual(len(self.reader.feed(piece)), 1)

    def test_nothingAtAll(self) -> None:
        piece = encode(Ping())
        self.assertPlain(1, b"", piece, b"")
        self.assertPlain(1, piece[:3], b"", piece[3:], b"")


class StateTests(ExtensionCase):
    def test_skippingAndLost(self) -> None:
        stream = MessageReader()
        self.assertEqual((stream.skipping, stream.lost), (False, False))
        stream.feed(b"garbage")
        self.assertEqual((stream.skipping, stream.lost), (True, False))
        [gap] = stream.feed(bytes(70000))
        self.assertIsInstance(gap, Gap)
        self.assertEqual((stream.skipping, stream.lost), (False, True))
        self.assertEqual(list(stream.feed(encode(Ping()))), [])

    def test_offsetsCountFromEachFrameAndGap(self) -> None:
        frame = encodeFrame(SUPPLY, bytes.fromhex("a105a110f97e00"))
        piece = b"abc" + frame + frame
        for found in (MessageReader().feed(piece), plainly([piece])[0]):
            gap, first, other = found
            assert isinstance(gap, Gap) and isinstance(first, Decoded)
            self.assertEqual((gap.offset, gap.skipped, gap.diagnostics[0].offset), (0, 3, 0))
            self.assertEqual(first.diagnostics[0].offset, 16)
            self.assertEqual(first, other)

    def test_F6_payloadsAboveALimit(self) -> None:
        [*_, gap] = MessageReader(maxPayload=3).feed(supply(voltage=1) * 2)
        assert isinstance(gap, Gap)
        self.assertEqual(gap.diagnostics[0].code, "frame.size")
