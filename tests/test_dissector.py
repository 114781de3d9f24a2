"""The Wireshark dissector, by what tshark makes of captures that are written here."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from epnet.dissector import MARK, dissector
from epnet.pki import initAuthority, issueCertificate
from epnet.wire import (
    Bounds,
    Frame,
    FrameReader,
    Isolation,
    IsolationState,
    Message,
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
    encodePayload,
    field,
    message,
    registeredMessages,
    registry,
)
from epnet.wire.kinds import BINARY, Kind, Quantity
from tests.tsharkcase import PORT, Field, Reply, TsharkTestCase
from tests.wire import helpers

TEMPERATURE = Quantity(0x1000, "Temperature", "°C", "numeric", "Temperature")

SUPPLY = SupplyParameters(
    voltage_limit=(200, 1000.5),
    current_limit=(-3.25, 1e30),
    power_limit=5000,
    power_mix={Source.WIND: 69, Source.LOCAL_SOLAR: 30, 77: 1},
    energy_prices=[Price(datetime(2025, 6, 1, 12, 30, tzinfo=UTC), -0.125, "SEK")],
    voltage=0.1,
    current=6.103515625e-05,
    isolation=Isolation(IsolationState.WARNING, 1e6),
)
SESSION = SessionParameters(identity="ev-1", name="Värmepump ⚡", session="a" * 256)
STORAGE = StorageParameters(soc=80.5, energy_mix={Source.WIND: 1e4}, capacity=2**40)
DISCONNECT = SoftDisconnect(reconnect=True, reason="restart")


def expected(message: Message) -> Iterator[tuple[str, object]]:
    """The fields of a message as they should be found: every single value with its name."""
    for row, value in message.present():
        yield from leaves(f"ep.{message.label}.{row.name}", value)


def leaves(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Bounds | Isolation | Price):
        for name, each in value._asdict().items():
            yield from leaves(f"{path}.{name}", each)
    elif isinstance(value, tuple):
        for each in value:
            yield from leaves(path, each)
    elif isinstance(value, Source | IsolationState):
        yield path, value.title
    elif hasattr(value, "items"):
        for source, share in value.items():
            name = source.name.lower() if isinstance(source, Source) else "other"
            yield f"{path}.{name}", share
    elif isinstance(value, datetime):
        yield path, value.isoformat().replace("+00:00", "Z")
    elif value is not None:
        yield path, value


class ValueTests(TsharkTestCase):
    """The values that were encoded are found again."""

    def assertFound(self, message: Message, fields: list[Field]) -> None:
        wanted = list(expected(message))
        names = {name for name, _ in wanted}
        found = [each for each in fields if each[0] in names]
        self.assertEqual([name for name, _ in found], [name for name, _ in wanted])
        for (name, shown), (_, value) in zip(found, wanted, strict=True):
            if isinstance(value, bool):
                self.assertIn(shown, ("1", "True") if value else ("0", "False"), name)
            elif isinstance(value, int | float):
                self.assertAlmostEqual(float(shown) / value, 1, places=13, msg=name)
            else:
                self.assertEqual(shown, value, name)

    def test_everyValueIsFound(self) -> None:
        for sent in (SUPPLY, SESSION, STORAGE, DISCONNECT):
            self.assertFound(sent, self.fieldsOf(encode(sent)))

    def test_aGoodMessageHasNoDiagnostics(self) -> None:
        data = b"".join(encode(each) for each in (SUPPLY, SESSION, STORAGE, DISCONNECT, Ping()))
        names = {name for name, _ in self.fieldsOf(data)}
        self.assertEqual({name for name in names if "diagnostic" in name}, set())

    def test_valuesHaveTheirUnits(self) -> None:
        text = self.tshark([[encode(SUPPLY), encode(STORAGE)]], "-V", "-O", "ep")
        for line in (
            "Power limit (max): 5000 W",
            "Voltage limit (min-max): 200 to 1000.5 V",
            "max: 1000.5 V",
            "negative: 1000000 Ω",
            "LocalSolar: 30 %",
            "Another source: 1 % (source 77)",
            "Total capacity of storage: 1099511627776 Wh",
        ):
            self.assertIn(line, text)

    def test_filtersFindFrames(self) -> None:
        segments = [encode(SUPPLY), encode(SUPPLY.replace(power_limit=5001)), encode(Ping())]
        for filter, lines in (
            ("ep.supply.power_limit > 5000", 1),
            ('ep.supply.isolation.state == "Warning"', 2),
            ("ep.supply.power_mix.local_solar", 2),
            ("ep.ping", 1),
            ("ep.type == 0xdcdcf00d", 2),
            ("ep.diagnostic.value.type", 0),
        ):
            out = self.tshark([segments], "-Y", filter)
            self.assertEqual(len(out.splitlines()), lines, filter)

    def test_columnsNameTheMessages(self) -> None:
        data = encode(Ping()) + encode(SUPPLY) + encode(DISCONNECT)
        out = self.tshark([[data[:40], data[40:]]], "-T", "fields", "-e", "_ws.col.Info")
        shown = [line.strip() for line in out.splitlines()]
        self.assertEqual(shown, ["Ping", "SupplyParameters SoftDisconnect"])


class StreamTests(TsharkTestCase):
    """Frames and segments are independent of each other."""

    def types(self, *segments: bytes) -> list[str]:
        shown = {f"0x{cls.typeId:08x}": cls.label for cls in registeredMessages()}
        found = self.fieldsOf(*segments)
        return [shown.get(text, text) for name, text in found if name == "ep.type"]

    def test_severalFramesInASegment(self) -> None:
        data = b"".join(encode(each) for each in (Ping(), SUPPLY, DISCONNECT))
        self.assertEqual(self.types(data), ["ping", "supply", "disconnect"])

    def test_aFrameInManySegments(self) -> None:
        data = encode(SUPPLY) + encode(Ping())
        for size in (1, 2, 7, 40):
            pieces = [data[at : at + size] for at in range(0, len(data), size)]
            self.assertEqual(self.types(*pieces), ["supply", "ping"], size)

    def test_framesAfterGarbageAreFound(self) -> None:
        garbage = b"garbage"
        found = self.fieldsOf(garbage + encode(Ping()) + garbage + b"\x9a\0", b"\0\0\3\xf6")
        skipped = [text for name, text in found if name == "ep.skipped"]
        self.assertEqual(skipped[0].replace(":", ""), garbage.hex())
        self.assertEqual([text for name, text in found if name == "ep.type"], ["0xffffffff"])
        self.assertIn("ep.diagnostic.frame.start", dict(found))

    def test_aFrameStartCutBySegmentsAfterGarbage(self) -> None:
        self.assertEqual(self.types(b"garbage\x9a\0", encode(Ping())[2:]), ["ping"])

    def test_aMessageThatIsNotKnown(self) -> None:
        found = dict(self.fieldsOf(encode(UnknownMessage(typeId=0x01234567, payload=b"\xff\x01"))))
        self.assertEqual(found["ep.type"], "0x01234567")
        self.assertEqual(found["ep.payload"], "ff:01")

    def test_headersAreShown(self) -> None:
        found = dict(self.fieldsOf(encode(Ping(), {0x100: b"\x61a"})))
        self.assertEqual(found["ep.headers"], "a1:19:01:00:61:61")

    def test_tlsRecordsGoToTheTlsDissector(self) -> None:
        record = b"\x17\x03\x03\x00\x05hello"
        out = self.tshark([[record]], "-T", "fields", "-e", "frame.protocols")
        self.assertIn("tls", out)


def frame(payload: str, typeId: int = helpers.SUPPLY) -> bytes:
    return encodeFrame(typeId, bytes.fromhex(payload))


class TlsTests(TsharkTestCase):
    """Frames in TLS are found where Wireshark has the keys."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.keys = self.folder / "keys.log"
        paths = issueCertificate(initAuthority(self.folder, "test"), "router-1", out=self.folder)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(paths.certificate, paths.key)
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.client.check_hostname = False
        self.client.verify_mode = ssl.CERT_NONE
        self.client.keylog_filename = str(self.keys)

    def conversation(self, records: Iterable[bytes]) -> list[bytes]:
        """The segments of a TLS connection on which a client sends those records."""
        toServer, toClient, segments = ssl.MemoryBIO(), ssl.MemoryBIO(), list[bytes]()
        client = self.client.wrap_bio(toClient, toServer)
        server = self.server.wrap_bio(toServer, toClient, server_side=True)
        for side, out, kind in 2 * ((client, toServer, bytes), (server, toClient, Reply)):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
            data = out.read()
            out.write(data)
            segments.append(kind(data))
        for record in records:
            toServer.read()
            client.write(record)
            segments.append(toServer.read())
        return segments

    def test_withTheKeys(self) -> None:
        data = encode(Ping()) + encode(SUPPLY) + encode(DISCONNECT)
        segments = self.conversation([data[:40], data[40:90], data[90:]])
        keys = ("-o", f"tls.keylog_file:{self.keys}")
        out = self.tshark([segments], *keys, "-T", "fields", "-e", "ep.type")
        self.assertEqual(out.split(), ["0xffffffff", "0xdcdcf00d,0xbabadead"])
        out = self.tshark([segments], *keys, "-T", "fields", "-e", "ep.supply.power_limit")
        self.assertEqual(out.split(), ["5000"])

    def test_whatLooksLikeTlsInTlsIsNone(self) -> None:
        segments = self.conversation([b"\x17\x03\x03\x00\x05hello" + encode(Ping())])
        keys = ("-o", f"tls.keylog_file:{self.keys}")
        out = self.tshark([segments], *keys, "-T", "fields", "-e", "ep.skipped", "-e", "ep.type")
        self.assertEqual(out.split(), ["17030300056865" + "6c6c6f", "0xffffffff"])

    def test_withoutTheKeys(self) -> None:
        segments = self.conversation([encode(Ping())])
        out = self.tshark([segments], "-T", "fields", "-e", "ep.type")
        self.assertEqual(out.split(), [])
        out = self.tshark([segments], "-T", "fields", "-e", "frame.protocols")
        self.assertIn("tls", out)


DEVIATIONS = {
    "F1: 83": b"\x83" + encode(SUPPLY)[5:],
    "F1: the draft of April 2025": b"\x9a\0\0\0\4" + encode(SUPPLY)[5:],
    "F2: tag 2": bytes.fromhex("9a00000003 f6 1ababadead c2 41a0"),
    "F3: empty headers": bytes.fromhex("9a00000003 a0 1affffffff f6"),
    "F3: indefinite headers": bytes.fromhex("9a00000003 bf19010001ff 1affffffff f6"),
    "F3: reserved header": bytes.fromhex("9a00000003 a1184d01 1affffffff f6"),
    "F3: header key of text": bytes.fromhex("9a00000003 a1616101 1affffffff f6"),
    "F3: another serialization": bytes.fromhex("9a00000003 a119010001 1adcdcf00d 41ff"),
    "F4: short type": bytes.fromhex("9a00000003 f6 19ffff f6"),
    "F4: no type": bytes.fromhex("9a00000003 f6 f6 f6"),
    "F5: indefinite payload": bytes.fromhex("9a00000003 f6 1affffffff 5f41a0ff"),
    "F6: too large": bytes.fromhex("9a00000003 f6 1affffffff 5a00010001"),
    "F6: too deep": frame("a11801" + 16 * "81" + "00"),
    "F9: trailing": frame("a000"),
    "F9: tag in an unknown field": frame("a11840c100"),
    "F9: indefinite": frame("bfff"),
    "V1: NaN": frame("a102a112f97e00"),
    "V1: text for a number": frame("a102a1126131"),
    "V1: bignum": frame("a102a112c24101"),
    "V2: current for power": frame("a102a11101"),
    "V3: extra entry": frame("a102a212011800f6"),
    "V3: field id of text": frame("a1616101"),
    "V4: date only": frame("a104a118308183a1036a323032352d30362d3031a10201a10563534b45"),
    "V4: no date": frame("a104a118308183a1036a323032352d30322d3330a10201a10563534b45"),
    "V5: one map": frame("a103a11840a201a114182802a114183c"),
    "V5: not 100 %": frame("a103a1184081a101a1141828"),
    "V6: unknown state": frame("a107a118508307f6f6"),
    "V7: order": frame("a100a1182082a11002a11001"),
    "V8: percentage": frame("a100a1141865", helpers.STORAGE),
    "V9: currency": frame(
        "a104a118308183a10374323032352d30362d30315431323a30303a30305aa10201a10563736b65"
    ),
    "V10: bad text": frame("a101a10062c328", helpers.DISCONNECT),
    "V10: long text": frame("a100a100790101" + 257 * "61", helpers.SESSION),
    "V11: truncated": frame("a102"),
    "V11: duplicate": frame("a202a1120102a11202"),
    "V11: no map": frame("80"),
    "M7: no identity": frame("a0", helpers.SESSION),
}

TEXTS = [
    *("c080", "c1bf", "c280", "dfbf", "e08080", "e0a080", "ed9fbf", "eda080", "efbfbd", "f0808080"),
    *("f0908080", "f48fbfbf", "f4908080", "f5808080", "ff", "80", "c2", "e282", "f09f98", "c328"),
]
"""Texts in hex at the edges of what UTF-8 is."""

TIMESTAMPS = [
    "2025-06-01T12:30:00Z",
    "2025-06-01t12:30:00z",
    "2025-06-01 12:30:00+02:00",
    "2025-06-01T12:30Z",
    "2025-06-01T12:30:00",
    "2025-06-01T12:30:00.1234567Z",
    "2025-06-01T12:30:00.1234560Z",
    "2025-06-01T12:30:00.Z",
    "2025-06-30T23:59:60Z",
    "2025-06-01T12:30:61Z",
    "2025-06-01T12:60:00Z",
    "2025-06-01T24:00:00Z",
    "2025-06-01T12:30:00+23:59",
    "2025-06-01T12:30:00+24:00",
    "2025-06-01T12:30:00+01:60",
    "2025-06-01T12:30:00+0100",
    "2024-02-29",
    "2025-02-29",
    "1900-02-29",
    "2000-02-29",
    "2025-04-31",
    "2025-13-01",
    "2025-00-01",
    "0000-01-01",
    "2025-6-1",
    "today",
    "",
]

ODD_BYTES = bytes.fromhex(
    "00 01 18 19 1b 3b 40 5f 60 7f 80 82 9f a0 a1 bf c0 c2 d8 f4 f6 f7 f8 f9 ff"
)


def mutated(data: bytes, random: Random) -> bytes:
    """The data with a few bytes changed, put in or taken out."""
    result = bytearray(data)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(result))
        change = random.choice([bytes([random.choice(ODD_BYTES)]), b"", random.randbytes(1)])
        result[at : at + random.randint(0, 1)] = change
    return bytes(result)


class DiagnosticTests(TsharkTestCase):
    """The dissector finds what the decoder finds."""

    def assertSame(self, frames: list[bytes], names: list[str]) -> None:
        # A ping in front, so that what starts no frame is no TLS record either.
        found = self.conversations([[encode(Ping()) + data] for data in frames])
        for data, name, fields in zip(frames, names, found, strict=True):
            codes = {code for code, _ in fields if code.startswith("ep.diagnostic.")}
            wanted = {f"ep.diagnostic.{code}" for code in self.codesOf(data)}
            self.assertEqual(codes, wanted, f"{name}: {data.hex(' ')}")

    def codesOf(self, data: bytes) -> set[str]:
        reader = FrameReader()
        codes: set[str] = set()
        for found in reader.feed(data) + reader.finish():
            isFrame = isinstance(found, Frame)
            codes.update(helpers.codes((decodeFrame(found) if isFrame else found).diagnostics))
        return codes

    def test_everyDeviation(self) -> None:
        self.assertSame(list(DEVIATIONS.values()), list(DEVIATIONS))

    def test_texts(self) -> None:
        frames = [
            frame(f"a101a100{0x60 + len(text) // 2:02x}{text}", helpers.DISCONNECT)
            for text in TEXTS
        ]
        self.assertSame(frames, TEXTS)

    def test_timestamps(self) -> None:
        heads = [
            f"{0x60 + len(text):02x}" if len(text) < 24 else f"78{len(text):02x}"
            for text in TIMESTAMPS
        ]
        frames = [
            frame(f"a104a118308183a103{head}{text.encode().hex()}a10201a10563534b45")
            for head, text in zip(heads, TIMESTAMPS, strict=True)
        ]
        self.assertSame(frames, TIMESTAMPS)

    def test_brokenPayloads(self) -> None:
        random = Random(56540)
        originals = [SUPPLY, SESSION.replace(session="x"), STORAGE, DISCONNECT]
        frames = []
        for number in range(600):
            message = originals[number % len(originals)]
            payload = encodePayload(message)
            assert payload is not None
            frames.append(encodeFrame(message.typeId, mutated(payload, random)))
        self.assertSame(frames, [f"mutation {number}" for number in range(len(frames))])


class Odd(Kind[bytes]):
    """A value type that an extension made from scratch."""

    def check(self, value: object, path: str) -> bytes:
        assert isinstance(value, bytes)
        return value

    def pack(self, value: bytes) -> bytes:
        return value

    def take(self, data: object, trail: Any, notes: Any) -> bytes:
        raise NotImplementedError


class ExtensionTests(TsharkTestCase):
    """Messages and fields of extensions are in it."""

    def setUp(self) -> None:
        @message(0x01000042, "thermal")
        class Thermal(Message):
            """A message."""

            flow: Any = field(0x00, TEMPERATURE, 'Flow "hot" \\ temperature', default=None)
            raw: Any = field(0x01, BINARY, "Raw", default=None)
            odd: Any = field(0x02, Odd(0x1001, "Odd", "", "numeric", "Odd"), "Odd", default=None)

        self.patch(registry, "_classes", dict(registry._classes))
        registry.register(Thermal)
        registry.registerField(Thermal, 0x1000, "back", TEMPERATURE, "Back temperature")
        self.thermal = Thermal(flow=70, raw=b"\1\2", odd=b"\x07", extensions={"back": 40.5})

    def test_itsFields(self) -> None:
        fields = dict(self.fieldsOf(encode(self.thermal)))
        for name, shown in (("flow", "70"), ("raw", "01:02"), ("odd", "07"), ("back", "40.5")):
            self.assertTrue(fields[f"ep.thermal.{name}"].endswith(shown), name)

    def test_itsUnits(self) -> None:
        text = self.tshark([[encode(self.thermal)]], "-V", "-O", "ep")
        self.assertIn('Flow "hot" \\ temperature: 70 °C', text)


class TableTests(SynchronousTestCase):
    """What the tables say is in the dissector."""

    def test_registeredFieldsAndMessagesAreInIt(self) -> None:
        code = dissector(PORT)
        for cls in registeredMessages():
            self.assertIn(f'["label"] = "{cls.label}"', code)
            for row in cls.table():
                self.assertIn(f'["name"] = "{row.name}"', code)

    def test_itStartsWithTheMark(self) -> None:
        self.assertTrue(dissector(PORT).startswith(MARK))
