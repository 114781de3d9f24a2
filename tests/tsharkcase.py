"""What tshark makes of captures that are written here, with the dissector in it."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from epnet.dissector import dissector

PORT = 56540
TSHARK = shutil.which("tshark")
NO_TSHARK = None if TSHARK else "tshark is not installed (apt-get install tshark)"

Field = tuple[str, str]
"""A field's name and what tshark shows of it."""


class Reply(bytes):
    """A segment of the side that listens."""


def capture(conversations: Iterable[Iterable[bytes]]) -> bytes:
    """A pcap file of TCP segments over IPv4, each conversation with a client of its own."""
    packets = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 101)]
    for number, segments in enumerate(conversations):
        client = struct.pack(">IH", 0x0A000000 + number, 40000)
        server = struct.pack(">IH", 0xC0000201, PORT)
        sent = {False: 1000, True: 2000}
        for data in segments:
            back = isinstance(data, Reply)
            source, target = (server, client) if back else (client, server)
            header = (0x45, 0, 40 + len(data), 1, 0x4000, 64, 6, 0, source[:4], target[:4])
            ports = source[4:] + target[4:]
            tcp = struct.pack(">IIBBHHH", sent[back], sent[not back], 0x50, 0x18, 65535, 0, 0)
            packet = struct.pack(">BBHHHBBH4s4s", *header) + ports + tcp + data
            packets += (struct.pack("<IIII", 1700000000, 0, len(packet), len(packet)), packet)
            sent[back] += len(data)
    return b"".join(packets)


class TsharkTestCase(SynchronousTestCase):
    """Runs tshark with the dissector."""

    skip = NO_TSHARK

    def tshark(self, conversations: Iterable[Iterable[bytes]], *options: str) -> str:
        """What tshark prints about a capture; it must not complain about the dissector."""
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        (folder / "ep.lua").write_text(dissector(PORT), "utf-8")
        (folder / "ep.pcap").write_bytes(capture(conversations))
        command = [TSHARK or "", "-X", f"lua_script:{folder / 'ep.lua'}", "-r", folder / "ep.pcap"]
        run = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertNotIn("Lua Error", run.stdout + run.stderr)
        self.assertNotIn("ep.lua", run.stderr)
        return run.stdout

    def fieldsOf(self, *segments: bytes) -> list[Field]:
        """The fields of EP that tshark finds in one side of a conversation, in order."""
        [fields] = self.conversations([segments])
        return fields

    def conversations(self, conversations: list[Iterable[bytes]]) -> list[list[Field]]:
        """The same for many, each from an address of its own."""
        found: dict[str, list[Field]] = {}
        packets = ElementTree.fromstring(self.tshark(conversations, "-T", "pdml")).iter("packet")
        for packet in packets:
            fields = [(each.get("name", ""), each.get("show", "")) for each in packet.iter("field")]
            address = dict(fields)["ip.src"]
            own = [each for each in fields if each[0].startswith("ep.")]
            found.setdefault(address, []).extend(own)
        return list(found.values())
