"""Bytes that were made to hurt: read in a process with little memory and little time."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import epnet

ROOT = Path(epnet.__file__).parent.parent
MEMORY = 600 * 2**20
"""Address space of the process, in bytes; Python and our modules take a tenth of it."""
CPU = 20
"""Seconds of processor time of the process."""

PROLOGUE = """
from epnet.wire import FrameReader, Frame, Gap, decode, decodeFrame, encode, encodeFrame, Ping
SUPPLY = 0xDCDCF00D
START = bytes.fromhex("9a00000003f61adcdcf00d")

def codesOf(payload):
    return [str(each.code) for each in decode(encodeFrame(SUPPLY, payload)).diagnostics]

def within(field):
    return b"\\xa1\\x05\\xa1\\x10" + field

def codeOf(data):
    reader = FrameReader()
    [gap] = reader.feed(data) + reader.finish()
    return gap.diagnostics[0].code
"""


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU))


class HostileTests(SynchronousTestCase):
    def assertSurvives(self, script: str) -> None:
        run = subprocess.run(
            [sys.executable, "-c", PROLOGUE + script],
            cwd=ROOT,
            preexec_fn=limit,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual((run.returncode, run.stderr), (0, ""))

    def test_F6_claimsOfAHugePayload(self) -> None:
        self.assertSurvives("""
for claim in ("5affffffff", "5b0000000100000000", "5bffffffffffffffff"):
    assert codeOf(START + bytes.fromhex(claim) + bytes(1000)) == "frame.size", claim
""")

    def test_V11_claimsOfHugeItemsInside(self) -> None:
        self.assertSurvives("""
for head in ("9b", "bb", "5b", "7b"):
    for field in (head + "ffffffffffffffff", head + "0000000100000000"):
        assert codesOf(bytes.fromhex(field)) == ["payload.truncated"], field
        assert codesOf(within(bytes.fromhex(field))) == ["payload.truncated"], field
""")

    def test_F6_nesting(self) -> None:
        self.assertSurvives("""
for opening in (b"\\x81", b"\\xa1\\x00", b"\\xc1", b"\\x9f", b"\\xbf\\x00", b"\\xd8\\x1c\\x81"):
    assert codesOf(opening * 1000 + b"\\x00") == ["payload.depth"], opening
    assert codesOf(within(opening * 20000)) == ["payload.depth"], opening
""")

    def test_F9_duplicateKeys(self) -> None:
        self.assertSurvives("""
assert codesOf(b"\\xb9\\x40\\x00" + b"\\x05\\xf6" * 0x4000) == ["payload.duplicate"]
""")

    def test_V1_hugeBignum(self) -> None:
        self.assertSurvives("""
assert codesOf(within(b"\\xc2\\x59\\xf0\\x00" + b"\\xff" * 0xF000)) == ["value.tag"]
megabyte = within(b"\\xc2\\x5a\\x00\\x10\\x00\\x00" + b"\\xff" * 0x100000)
assert codeOf(encodeFrame(SUPPLY, megabyte)) == "frame.size"
""")

    def test_F9_cyclicReferences(self) -> None:
        self.assertSurvives("""
for field in ("d81c81d81d00", "d81ca100d81d00", "d90100d81900"):
    assert codesOf(within(bytes.fromhex(field))) == ["value.tag"], field
""")

    def test_manyDiagnostics(self) -> None:
        """A payload full of deviations yields one diagnostic each, and takes time accordingly."""
        self.assertSurvives("""
mix = b"\\xa1\\x03\\xa1\\x18\\x40\\x99\\x60\\x00" + b"\\xa0" * 0x6000
assert set(codesOf(mix)) == {"mix.form", "mix.sum"}
# In one map instead of an array; each share is outside 0 to 100.
shares = b"".join(b"\\x19" + at.to_bytes(2, "big") + b"\\xa1\\x14\\x18\\xff"
                  for at in range(256, 256 + 0x2000))
assert "percentage.range" in codesOf(b"\\xa1\\x03\\xa1\\x18\\x40\\xb9\\x20\\x00" + shares)
tags = b"\\xa1\\x18\\x4d\\x99\\x60\\x00" + b"\\xc1\\x00" * 0x6000
assert set(codesOf(tags)) == {"value.tag"}
prices = b"\\xa1\\x04\\xa1\\x18\\x30\\x99\\x07\\x00" + (
    b"\\x83\\xa1\\x03\\x6a2025-02-01\\xa1\\x02\\x00\\xa1\\x05\\x63SEK") * 0x700
assert set(codesOf(prices)) == {"timestamp.form", "timestamp.zone"}
""")

    def test_longTextsInDiagnostics(self) -> None:
        """What a peer sends is quoted in part only."""
        self.assertSurvives("""
long = b"\\x79\\xf0\\x00" + b"2025-02-01T12:00:00." + b"1" * (0xF000 - 20)
price = b"\\xa1\\x04\\xa1\\x18\\x30\\x81\\x83\\xa1\\x03" + long
price += b"\\xa1\\x02\\x00\\xa1\\x05\\x63SEK"
ids = b"\\xa1\\x05\\xb9\\x40\\x00" + b"".join(
    b"\\x19" + at.to_bytes(2, "big") + b"\\x00" for at in range(256, 256 + 0x4000))
key = b"\\xa1" + long + b"\\x00"
for payload in (price, ids, key, within(long)):
    diagnostics = decode(encodeFrame(SUPPLY, payload)).diagnostics
    assert diagnostics and all(len(each.text) < 300 for each in diagnostics), diagnostics
""")

    def test_collidingHashes(self) -> None:
        """Map keys whose hashes are equal in Python do not make reading slow."""
        self.assertSurvives("""
from itertools import islice, product
equal = [(7 + i * (2**61 - 1)).to_bytes(8, "big") for i in range(8)]
keys = (b"\\x84" + b"".join(b"\\x1b" + each for each in key) for key in product(equal, repeat=4))
entries = b"".join(key + b"\\xf6" for key in islice(keys, 1600))
for _ in range(20):
    assert codesOf(b"\\xa1\\x18\\x4d\\xb9\\x06\\x40" + entries) == []
    codes = codesOf(b"\\xb9\\x06\\x40" + entries)
    assert len(codes) == 1600 and set(codes) == {"field.id"}
""")

    def test_F7_tenMillionBytesWithoutAFrameStart(self) -> None:
        self.assertSurvives("""
reader = FrameReader(giveUp=None)
for _ in range(1000):
    assert reader.feed(b"\\x9a\\x00\\x00\\x00\\x04" * 2000) == []
    assert len(reader._buffer) < 100
[gap, frame] = reader.feed(encode(Ping()))
assert gap.skipped == 10_000_000 and isinstance(frame, Frame)
""")

    def test_F8_framesWithinHeadersOfFrames(self) -> None:
        """Frame starts inside bad headers are not all tried: the cost stays linear."""
        self.assertSurvives("""
inner = b"\\x46\\x9a\\x00\\x00\\x00\\x03\\xbf"
for body in (inner, b"\\x46\\x9a\\x00\\x00\\x00\\x03\\x83", b"\\x9a\\x00\\x00\\x00\\x03\\xbf"):
    reader = FrameReader(giveUp=None)
    for _ in range(100):
        reader.feed((b"\\x9a\\x00\\x00\\x00\\x03\\xbf" + body * 2000))
""")

    def test_F8_headersByteByByte(self) -> None:
        self.assertSurvives("""
reader = FrameReader()
header = b"\\x9a\\x00\\x00\\x00\\x03\\xa1\\x19\\x01\\x00\\x99\\x0f\\x00" + bytes(0xF00)
data = (header + b"\\x1a\\xff\\xff\\xff\\xff\\xf6") * 3
found = [item for at in range(len(data)) for item in reader.feed(data[at:at + 1])]
assert [type(item) for item in found] == [Frame] * 3
""")

    def test_F8_largePayloadsByteByByte(self) -> None:
        self.assertSurvives("""
reader = FrameReader()
data = encodeFrame(SUPPLY, bytes(65536))
found = [item for at in range(len(data)) for item in reader.feed(data[at:at + 1])]
assert [item.length for item in found] == [65536 + 16]
""")
