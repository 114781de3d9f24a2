"""``epnet decode``: what it reads, what it prints, how it ends."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.cli.hexdump import CHUNK, bytesOf, chunksOf
from epnet.errors import UsageError
from epnet.wire import (
    Isolation,
    IsolationState,
    Ping,
    SoftDisconnect,
    Source,
    SupplyParameters,
    UnknownMessage,
    encode,
    encodeFrame,
)
from tests.clicase import run
from tests.wire.helpers import SUPPLY

PING = encode(Ping())
DISCONNECT = encode(SoftDisconnect(reconnect=False, reason="normal"))
STREAM = PING + DISCONNECT + encode(SupplyParameters(power_limit=5000))
INVALID = encodeFrame(SUPPLY, bytes.fromhex("a102a1120302"))
DEVIATING = encodeFrame(SUPPLY, bytes.fromhex("a102a11101"))

SPEC = b"""
  Header:
    9A 00 00 00 03                          EP Frame start
    F6                                      No extra headers
    1A BA BA DE AD                          Message type
    4F                                      Message payload (15 bytes)

  Payload:
    A2                                      Disconnect (2 props)
    00 A1 01                                Reconnect (Flag)
    F4                                      false
    01 A1 00                                Reason (Text)
    66 6E 6F 72 6D 61 6C                    "normal"
"""
TCPDUMP = b"""\
12:00:01.123456 IP6 ::1.40000 > ::1.56540: Flags [P.], seq 1:13, ack 1, length 12
\t0x0000:  9a00 0000 03f6 1aff ffff fff6            ............
12:00:01.223456 IP6 ::1.40000 > ::1.56540: Flags [P.], seq 13:25, ack 1, length 12
\t0x0000:  9a00 0000 03f6 1aff ffff fff6
"""
XXD = b"""\
00000000: 9a00 0000 03f6 1aff ffff fff6 9a00 0000  ................
00000010: 03f6 1aba bade ad4f a200 a101 f401 a100  .......O........
00000020: 666e 6f72 6d61 6c                        fnormal
"""
HEXDUMP = b"""\
00000000  9a 00 00 00 03 f6 1a ff  ff ff ff f6 9a 00 00 00  |................|
00000010  03 f6 1a ba ba de ad 4f  a2 00 a1 01 f4 01 a1 00  |.......O........|
00000020  66 6e 6f 72 6d 61 6c                              |fnormal|
00000027
"""
OD = b"""\
000000 9a 00 00 00 03 f6 1a ff ff ff ff f6 9a 00 00 00  >................<
000010 03 f6 1a ba ba de ad 4f a2 00 a1 01 f4 01 a1 00  >.......O........<
000020 66 6e 6f 72 6d 61 6c                             >fnormal<
000027
"""
WIRESHARK = b"""\
0000  9a 00 00 00 03 f6 1a ff ff ff ff f6 9a 00 00 00   ................
0010  03 f6 1a ba ba de ad 4f a2 00 a1 01 f4 01 a1 00   .......O........
0020  66 6e 6f 72 6d 61 6c                              fnormal
"""


def bytesIn(data: bytes) -> bytes:
    """What is found in a file with those contents."""
    return b"".join(chunksOf(io.BufferedReader(io.BytesIO(data))))  # type: ignore[arg-type]


class InputTests(SynchronousTestCase):
    """Bytes in whatever spelling."""

    def test_rawBytes(self) -> None:
        self.assertEqual(bytesIn(STREAM), STREAM)

    def test_spellingsOfHex(self) -> None:
        for text in (
            "9A 00 0F",
            "9a000f",
            "9a:00:0f",
            "0x9a, 0x00, 0x0F",
            "0x9a000f",
            "\\x9a\\x00\\x0f",
            'b"\\x9a\\x00\\x0f"'[1:],
            "{0x9A,0x00,0x0f};",
            "9a\n00\r\n0f\n\n",
            "# a remark\n9a 00   # another\n0f",
            "9a00  0f",
        ):
            self.assertEqual(bytesIn(text.encode()), b"\x9a\x00\x0f", text)

    def test_theSpecsOwnExamples(self) -> None:
        self.assertEqual(bytesIn(SPEC), DISCONNECT)

    def test_dumps(self) -> None:
        for dump in (XXD, HEXDUMP, OD, WIRESHARK):
            self.assertEqual(bytesIn(dump), PING + DISCONNECT, dump)

    def test_tcpdump(self) -> None:
        self.assertEqual(bytesIn(TCPDUMP), PING + PING)

    def test_repetitionsInADump(self) -> None:
        dump = (
            b"00000000  9a 9a 9a 9a 9a 9a 9a 9a  9a 9a 9a 9a 9a 9a 9a 9a  |................|\n"
            b"*\n"
            b"00000040  01                                                |.|\n"
            b"00000041\n"
        )
        self.assertEqual(bytesIn(dump), b"\x9a" * 64 + b"\x01")
        self.assertEqual(bytesIn(dump[:81] + b"00000040\n"), b"\x9a" * 64)

    def test_aDumpThatStartsLater(self) -> None:
        self.assertEqual(bytesIn(XXD[XXD.index(b"00000010") :]), (PING + DISCONNECT)[16:])

    def test_wrongText(self) -> None:
        for text, line, part in (
            (b"9a 0g", 1, "'g' is no hex digit"),
            (b"9a\n0", 2, "odd number"),
            (b"9a 00  00 0g", 1, "'g' is no hex digit"),
            (b"hello", 1, "no hex digit"),
            (b"9a 00\nhello there\n", 2, "no hex digit"),
            (XXD.replace(b"bade", b"bxde"), 2, "'x' is no hex digit"),
            (HEXDUMP.replace(b"ba de", b"bx de"), 2, "no line of a dump"),
            (HEXDUMP.replace(b"00000020", b"00000030"), 3, "0x30 where 0x20 belongs"),
            (b"0000000 009a 0000 f603 ff1a\n0000008\n", 1, "hexdump -C"),
            (b"0000000 000232 000000\n", 1, "hexdump -C"),
        ):
            error = self.assertRaises(UsageError, bytesIn, text)
            self.assertIn(f"line {line}: ", str(error))
            self.assertIn(part, str(error))

    def test_aLineOfAnyLength(self) -> None:
        data = bytes(range(256)) * 1024
        escapes = "".join(f"\\x{byte:02x}" for byte in data)
        array = ", ".join(f"0x{byte:02x}" for byte in data)
        for text in (data.hex(), data.hex(" "), data.hex(":"), escapes, array):
            for shift in range(4):
                self.assertEqual(bytesIn(b" " * shift + text.encode()), data)
        for text in (b"9a" * CHUNK + b"0", b"9" * (CHUNK + 1), b"9a" * CHUNK + b" zz"):
            self.assertRaises(UsageError, bytesIn, text)

    @given(st.binary(max_size=200), st.sampled_from(["", " ", ":", "\n"]))
    def test_anyHex(self, data: bytes, separator: str) -> None:
        text = separator.join(f"{byte:02x}" for byte in data)
        self.assertEqual(bytesOf(text), data)

    @given(st.binary(max_size=200))
    def test_anyDump(self, data: bytes) -> None:
        rows = [(at, data[at : at + 16]) for at in range(0, len(data), 16)]
        shown = [
            "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row) for _, row in rows
        ]
        xxd = [
            f"{at:08x}: {row.hex(' ', 2):<40} {text}"
            for (at, row), text in zip(rows, shown, strict=True)
        ]
        hexdump = [
            f"{at:08x}  {row[:8].hex(' '):<23}  {row[8:].hex(' '):<24} |{text}|"
            for (at, row), text in zip(rows, shown, strict=True)
        ]
        for lines in (xxd, hexdump):
            self.assertEqual(bytesIn("\n".join(lines).encode()), data)


class JsonTests(SynchronousTestCase):
    """``--json``."""

    def lines(self, *arguments: str, stdin: bytes = b"", status: int = 0) -> list[Any]:
        result = run("decode", "--json", *arguments, stdin=stdin)
        self.assertEqual((result.status, result.err), (status, ""))
        return [json.loads(line) for line in result.text.splitlines()]

    def test_theExampleOfTheContract(self) -> None:
        result = run("decode", "--json", DISCONNECT.hex())
        self.assertEqual(
            result.text,
            '{"offset": 0, "length": 27, "type": "SoftDisconnect", "type_id": "0xbabadead", '
            '"headers": null, "fields": {"reconnect": false, "reason": "normal"}, '
            '"unknown": {}, "diagnostics": []}\n',
        )

    def test_oneLineAFrame(self) -> None:
        types = [line["type"] for line in self.lines(stdin=STREAM)]
        self.assertEqual(types, ["Ping", "SoftDisconnect", "SupplyParameters"])

    def test_gapsAndAnIncompleteLastFrame(self) -> None:
        lines = self.lines("-", stdin=b"abc\x9a" + STREAM[:-1], status=1)
        self.assertEqual(lines[0], {"skipped": 4, "offset": 0})
        self.assertEqual(lines[3], {"skipped": len(STREAM) - 40, "offset": 43})

    def test_framesAfterAnyGap(self) -> None:
        """However far away: a file is no session that could be given up."""
        lines = self.lines(stdin=b"\xff" * 300_001 + PING, status=1)
        self.assertEqual(lines[0], {"skipped": 300_001, "offset": 0})
        self.assertEqual((lines[1]["offset"], lines[1]["type"]), (300_001, "Ping"))

    def test_warningsAreNoErrorsUnlessStrict(self) -> None:
        [line] = self.lines(DEVIATING.hex())
        self.assertEqual(line["diagnostics"][0]["severity"], "warning")
        [line] = self.lines("--strict", DEVIATING.hex(), status=1)
        self.assertEqual(line["diagnostics"][0]["severity"], "error")

    def test_itIsPlainAscii(self) -> None:
        data = encode(SoftDisconnect(reason="å\x1b[31m\x9b"))
        self.assertTrue(run("decode", "--json", data.hex()).out.isascii())


class TextTests(SynchronousTestCase):
    """For people, not on a terminal."""

    def test_aLineAValueWithItsUnit(self) -> None:
        supply = SupplyParameters(
            voltage_limit=(200, 1000.5),
            power_mix={Source.WIND: 70, Source.SOLAR: 30},
            isolation=Isolation(IsolationState.OK, 5000),
            unknown={0x4D: b"\x01"},
        )
        out = run("decode", encode(supply).hex()).text
        self.assertEqual(
            out.splitlines()[0], f"0: SupplyParameters 0xdcdcf00d, {len(encode(supply))} bytes"
        )
        for name, value in (
            ("voltage_limit.min", "200 V"),
            ("voltage_limit.max", "1000.5 V"),
            ("power_mix.Wind", "70 %"),
            ("isolation.state", "'Ok'"),
            ("isolation.negative", "5000 Ω"),
            ("isolation.positive", "not given"),
            ("0x4d", "01 (not understood)"),
        ):
            self.assertIn(f"  {name:<28} {value}\n", out)

    def test_diagnosticsAreShown(self) -> None:
        result = run("decode", INVALID.hex(), PING.hex())
        self.assertEqual(result.status, 1)
        self.assertIn("error: supply: ", result.text)
        self.assertIn("(payload.trailing, byte 17)", result.text)
        self.assertIn("3 bytes that are no frame", run("decode", "616263").text)

    def test_messagesThatAreNotKnown(self) -> None:
        data = encode(UnknownMessage(typeId=0x01234567, payload=b"\xff"))
        self.assertIn("a message that is not known 0x01234567", run("decode", data.hex()).text)

    def test_aPeerCannotControlTheTerminal(self) -> None:
        data = encode(SoftDisconnect(reason="\x1b[2J\x9b\u202e")) + encodeFrame(
            SUPPLY, b"\xa1\x02\xa1\x12\x64\x1b[2J"
        )
        for terminal in (False, True):
            with patch.dict("os.environ", NO_COLOR="1"):
                out = run("decode", data.hex(), terminal=terminal).text
            self.assertTrue(out.replace("\n", "").isprintable())


class TerminalTests(SynchronousTestCase):
    """For a person who looks."""

    def test_theBytesWithTheirMeaning(self) -> None:
        with patch.dict("os.environ", NO_COLOR="1"):
            out = run("decode", DISCONNECT.hex(), terminal=True).text
        lines = [
            "# 0: SoftDisconnect 0xbabadead, 27 bytes",
            "9A 00 00 00 03                                  frame start",
            "F6                                              no headers",
            f"{'1A BA BA DE AD':<46}  message type 0xbabadead: SoftDisconnect",
            "4F                                              payload of 15 bytes",
            "A2                                              SoftDisconnect, fields: 2",
            "   00 A1 01 F4                                  reconnect: false",
            "   01 A1 00 66 6E 6F 72 6D 61 6C                reason: 'normal'",
            "",
        ]
        self.assertEqual(out.splitlines(), lines)

    def test_theBytesOfAFrameAfterAGap(self) -> None:
        with patch.dict("os.environ", NO_COLOR="1"):
            for length in range(8180, 8196):  # around the end of what is read at first
                data = b"\xff" * length + DISCONNECT
                out = run("decode", stdin=data, terminal=True).out
                self.assertEqual(bytesIn(out), DISCONNECT)

    def test_itCanBeDecodedAgain(self) -> None:
        with patch.dict("os.environ", NO_COLOR="1"):
            out = run("decode", (STREAM + INVALID + DEVIATING).hex(), terminal=True).out
        self.assertEqual(bytesIn(out), STREAM + INVALID + DEVIATING)

    def test_colour(self) -> None:
        with patch.dict("os.environ", NO_COLOR="", TERM="xterm"):
            out = run("decode", INVALID.hex(), terminal=True).text
            self.assertIn("\x1b[31m# error: ", out)
            self.assertNotIn("\x1b", run("decode", INVALID.hex()).text)
        for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            with patch.dict("os.environ", {"NO_COLOR": "", **variables}):
                out = run("decode", INVALID.hex(), terminal=True).text
                self.assertNotIn("\x1b", out)

    def test_jsonStaysJson(self) -> None:
        out = run("decode", "--json", PING.hex(), terminal=True).text
        self.assertEqual(json.loads(out)["type"], "Ping")


class UsageTests(SynchronousTestCase):
    """How it ends."""

    def test_noErrorsInTheFramesIsZero(self) -> None:
        self.assertEqual(run("decode", STREAM.hex()).status, 0)
        self.assertEqual(run("decode", DEVIATING.hex()).status, 0)
        self.assertEqual(run("decode", stdin=b"").status, 0)

    def test_errorsInTheFramesAreOne(self) -> None:
        for data in (INVALID, b"abc", PING[:-1]):
            self.assertEqual(run("decode", data.hex()).status, 1)

    def test_wrongUsageIsTwo(self) -> None:
        file = Path(self.mktemp())
        file.write_bytes(PING)
        for arguments, part in (
            (["zz"], "no hex digit"),
            ([""], "nothing to decode"),
            (["--file", "/nonexistent/file"], "/nonexistent/file"),
            (["--file", str(file), "9a"], "either"),
            (["--file", str(file), "-"], "either"),
            (["--nonsense"], "--nonsense"),
        ):
            status, out, err = run("decode", *arguments)
            self.assertEqual((status, out), (2, b""))
            self.assertIn(part, err)

    def test_aFile(self) -> None:
        file = Path(self.mktemp())
        file.write_bytes(STREAM)
        self.assertEqual(run("decode", "--file", str(file)), run("decode", STREAM.hex()))

    def test_hexInSeveralArguments(self) -> None:
        self.assertEqual(run("decode", *STREAM.hex(" ").split()), run("decode", STREAM.hex()))


class MemoryTests(SynchronousTestCase):
    """A stream of any length takes as much memory as a short one."""

    def decoded(self, data: bytes, times: int) -> int:
        """How many bytes decoding takes at most, if the data comes so many times."""
        code = (
            "import sys, tracemalloc; from epnet.cli import main; tracemalloc.start();"
            "main(['decode', '--json', '-']);"
            "print(tracemalloc.get_traced_memory()[1], file=sys.stderr)"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdin and process.stderr
            for _ in range(times):
                process.stdin.write(data)
            process.stdin.close()
            return int(process.stderr.read())

    def test_inConstantMemory(self) -> None:
        for block in (
            b"\xff" * 2**20,
            b"ff" * 2**19,
            UnknownMessage(typeId=2**24, payload=b"x" * 60000),
        ):
            data = block if isinstance(block, bytes) else encode(block)
            short = self.decoded(data, 1)
            self.assertLess(self.decoded(data, 24), short + 2**20)
