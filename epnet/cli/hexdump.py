"""Bytes out of what people have at hand: hex in many spellings, dumps, or the bytes themselves.

A stream is taken as it is if its beginning is no text.  Otherwise each line is one of

* hex: ``9A 00 00``, ``9a0000``, ``9a:00:00``, ``0x9a, 0x00``, ``\\x9a\\x00``; what follows after
  two spaces and is no hex is a remark, as in the examples of the specs;
* a line of a dump, which starts with an offset: of ``xxd``, ``hexdump -C``, ``od -A x -t x1z``,
  ``tcpdump -X`` or Wireshark; a ``*`` stands for repetitions of the line before;
* to be left out: empty, a remark after ``#``, a heading such as ``Payload:``, or what tcpdump
  prints before the bytes of a packet.

Whatever else there is, is an error that names the line.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from io import BufferedReader
from typing import Final

from epnet.errors import UsageError

CHUNK: Final = 65536
"""How much is read at once, in bytes."""

_CONTROL: Final = re.compile(r"[^\t\n\r\x20-\U0010ffff]")
_LEFT_OUT: Final = re.compile(r"(#.*|[A-Z][a-z]+:|(\d\d:\d\d:\d\d\.\d+ )?(IP6?|ARP) .*)?")
_SPELLING: Final = re.compile(r"0x|\\x|[\s,:;\"'{}]+", re.IGNORECASE)
_HEX: Final = re.compile(r"([0-9a-f]{2})*", re.IGNORECASE)
_REMARK: Final = re.compile(r"\s{2,}")
_STARTS_WITH_HEX: Final = re.compile(r"([0-9a-f]{2})+(\s|\Z)", re.IGNORECASE)
_LAST_DIGITS: Final = re.compile(r"[0-9a-f]*\Z", re.IGNORECASE)
_ROW: Final = re.compile(r"(?:0x)?([0-9a-f]{4,16})(:?)(?:\s+(.*))?", re.IGNORECASE)
_PAIRS: Final = re.compile(r"((?:[0-9a-f]{2}(?:\s{1,2}|\Z))*)(?:[\s|>].*)?", re.IGNORECASE)
_WORDS: Final = re.compile(r"0{6,}\s+([0-9a-f]{3,})\b.*", re.IGNORECASE)


def bytesOf(text: str) -> bytes:
    """The bytes of hex in any spelling.  Raises `UsageError` for a text that is none."""
    digits = _SPELLING.sub("", text)
    if _HEX.fullmatch(digits) is None:
        odd = re.sub("[0-9a-fA-F]+", "", digits)
        reason = f"{odd[:20]!r} is no hex digit" if odd else "an odd number of hex digits"
        raise UsageError(f"{text.strip()[:40]!r} is not hex: {reason}")
    return bytes.fromhex(digits)


def chunksOf(stream: BufferedReader) -> Iterator[bytes]:
    """The bytes that are in a stream, in pieces, as soon as they are there.

    Raises `UsageError`, with the line, for a text that is neither hex nor a dump.
    """
    if _isText(stream.peek()):
        yield from _textChunks(stream)
        return
    while piece := stream.read1(CHUNK):
        yield piece


def _isText(start: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return _CONTROL.search(text) is None


def _textChunks(stream: BufferedReader) -> Iterator[bytes]:
    """The bytes that a text says."""
    dump = _Dump()
    for number, part, whole in _lineParts(stream):
        try:
            if whole:
                yield from dump.line(part.strip())
            else:
                yield bytesOf(part)
        except UsageError as error:
            raise UsageError(f"line {number}: {error}") from None


def _lineParts(stream: BufferedReader) -> Iterator[tuple[int, str, bool]]:
    """The lines of a stream, those that are too long for memory in parts.

    Each with its number, and whether it is all of the line.
    """
    number, rest, whole = 1, "", True
    while raw := stream.readline(CHUNK):
        text = rest + raw.decode(errors="replace")
        if len(raw) == CHUNK and not raw.endswith(b"\n"):
            text, rest = _cut(text)
            whole = False
            yield number, text, whole
        else:
            yield number, text, whole
            number, rest, whole = number + 1, "", True
    if rest:
        yield number, rest, whole


def _cut(text: str) -> tuple[str, str]:
    """Part of a long line, and its end that has to wait: half a byte, or a backslash."""
    digits = _LAST_DIGITS.search(text)
    assert digits is not None
    at = len(text) - (len(digits[0]) % 2 or text.endswith("\\"))
    return text[:at], text[at:]


class _Dump:
    """Lines of hex, or of dumps, of which it knows what came before."""

    def __init__(self) -> None:
        self._position: int | None = None
        """The offset that comes next, inside a dump."""
        self._last = b""
        self._repeats = False

    def line(self, line: str) -> Iterator[bytes]:
        """The bytes of a line.  Raises `UsageError`."""
        row = _ROW.fullmatch(line)
        if line == "*" and self._position is not None:
            self._repeats = True
        elif _LEFT_OUT.fullmatch(line):
            self._position = None
        elif row is not None and self._isRow(row):
            offset, colon, rest = int(row[1], 16), row[2], row[3] or ""
            yield from self._before(offset)
            self._last = _grouped(rest) if colon else _pairs(rest)
            self._position = offset + len(self._last)
            yield self._last
        elif _WORDS.fullmatch(line):
            raise UsageError(
                "a dump in words, which may be swapped or octal; use 'hexdump -C' or 'xxd'"
            )
        else:
            self._position = None
            yield _withoutRemark(line)

    def _isRow(self, row: re.Match[str]) -> bool:
        """Whether it is a line of a dump, and not hex whose first byte looks like an offset."""
        if row[2] or self._position is not None or row[0].endswith("|"):
            return True
        rest = row[3]
        return int(row[1], 16) == 0 and bool(rest) and _PAIRS.fullmatch(rest) is not None

    def _before(self, offset: int) -> Iterator[bytes]:
        """What a `*` stood for in front of the line with that offset."""
        if self._position in (None, offset) or (offset == 0 and not self._repeats):
            return
        missing = offset - self._position
        if not self._repeats or not self._last or missing < 0:
            raise UsageError(f"offset {offset:#x} where {self._position:#x} belongs")
        self._repeats = False
        for _ in range(missing // len(self._last)):
            yield self._last


def _grouped(rest: str) -> bytes:
    """The bytes of a line with a colon after its offset; two spaces come before the characters."""
    return bytesOf(_REMARK.split(rest, maxsplit=1)[0])


def _pairs(rest: str) -> bytes:
    """The bytes of a line without one: in pairs of digits, with a wider space before the rest."""
    match = _PAIRS.fullmatch(rest)
    if match is None:
        raise UsageError(f"{rest[:40]!r} is no line of a dump")
    return bytesOf(match[1])


def _withoutRemark(line: str) -> bytes:
    """The bytes of a line of hex; a remark may come after two spaces."""
    content, *remark = _REMARK.split(line, maxsplit=1)
    if not remark or _STARTS_WITH_HEX.match(remark[0]):
        return bytesOf(line)
    return bytesOf(content)
