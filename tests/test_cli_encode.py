"""``epnet encode``: JSON lines to frames."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.wire import Ping, SoftDisconnect, SupplyParameters, encode, encodeFrame
from tests.clicase import run
from tests.wire.helpers import DISCONNECT, SUPPLY
from tests.wire.test_properties import frames

STREAM = encode(Ping()) + encode(SoftDisconnect(reason="å")) + encode(SupplyParameters(voltage=1.5))


class EncodeTests(SynchronousTestCase):
    """What `epnet decode --json` prints becomes bytes again."""

    @given(st.lists(frames, max_size=4))
    def test_theBytesOfAnyFramesComeBack(self, data: list[bytes]) -> None:
        decoded = run("decode", "--json", "-", stdin=b"".join(data))
        self.assertEqual(run("encode", stdin=decoded.out), (0, b"".join(data), ""))

    def test_payloadsThatAreBrokenComeBack(self) -> None:
        data = encodeFrame(SUPPLY, b"\xa1") + encodeFrame(DISCONNECT, None)
        decoded = run("decode", "--json", data.hex())
        self.assertEqual(run("encode", "-", stdin=decoded.out).out, data)

    def test_hex(self) -> None:
        decoded = run("decode", "--json", STREAM.hex())
        result = run("encode", "--hex", stdin=decoded.out)
        lines = result.text.splitlines()
        self.assertEqual((len(lines), bytes.fromhex("".join(lines))), (3, STREAM))

    def test_aFile(self) -> None:
        file = Path(self.mktemp())
        file.write_bytes(run("decode", "--json", STREAM.hex()).out)
        self.assertEqual(run("encode", "--file", str(file)), (0, STREAM, ""))

    def test_whatAPersonWrites(self) -> None:
        line = '\n{"type": "SupplyParameters", "fields": {"power_limit": 5e3}}\n\n'
        data = encode(SupplyParameters(power_limit=5000.0))
        self.assertEqual(run("encode", stdin=line.encode()), (0, data, ""))

    def test_gapsAreLeftOutAndSaidSo(self) -> None:
        decoded = run("decode", "--json", stdin=b"abc" + STREAM)
        status, out, err = run("encode", stdin=decoded.out)
        self.assertEqual((status, out), (0, STREAM))
        self.assertIn("line 1: a gap of 3 bytes", err)


class WrongInputTests(SynchronousTestCase):
    """What is no frame ends with one line that names the line and the key."""

    def assertRefused(self, line: bytes, *parts: str) -> None:
        status, out, err = run("encode", stdin=b'{"type": "Ping"}\n' + line)
        self.assertEqual((status, out), (2, encode(Ping())))
        self.assertEqual(err.count("\n"), 1)
        for part in ("line 2: ", *parts):
            self.assertIn(part, err)

    def test_noJson(self) -> None:
        self.assertRefused(b'{"type": "Ping"', "column 16")
        self.assertRefused(b"\xff", "no JSON")
        self.assertRefused(b"[" * 100_000, "no JSON")
        self.assertRefused(b'{"type": ' + b"1" * 5000 + b"}", "no JSON")
        self.assertRefused(b"[]", "an object")

    def test_wrongKeys(self) -> None:
        self.assertRefused(b'{"typ": "Ping"}', "'typ'", "'type'")
        self.assertRefused(b'{"type": "Ping", "type": "Ping"}', "'type'", "twice")
        self.assertRefused(b'{"type": "Pin"}', "'Pin'", "'Ping'")
        fields = json.dumps({"type": "SupplyParameters", "fields": {"powerlimit": 1}})
        self.assertRefused(fields.encode(), "'powerlimit'", "'power_limit'")

    def test_wrongValues(self) -> None:
        line = b'{"type": "SupplyParameters", "fields": {"power_limit": %s}}'
        for value, part in (
            (b'"5000"', "SupplyParameters.power_limit"),
            (b"NaN", "NaN"),
            (b"-Infinity", "-Infinity"),
            (b"1e999", "SupplyParameters.power_limit"),
            (b"18446744073709551616", "SupplyParameters.power_limit"),
        ):
            self.assertRefused(line % value, part)

    def test_wrongUsage(self) -> None:
        file = Path(self.mktemp())
        file.write_bytes(b"")
        for arguments in (["x"], ["--file", "/nonexistent"], ["--file", str(file), "-"]):
            self.assertEqual(run("encode", *arguments)[:2], (2, b""))
