"""``epnet decode``: frames to text for people, or to JSON lines."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any, Final, cast

import attrs

from epnet.cli.hexdump import bytesOf, chunksOf
from epnet.errors import UsageError
from epnet.wire import Decoded, Diagnostic, Frame, FrameReader, Gap, Severity, decodeFrame
from epnet.wire.annotate import annotate, shownValue
from epnet.wire.frameform import frameForm, gapForm
from epnet.wire.frames import MAGIC
from epnet.wire.jsonform import JSON, fieldsOf, unknownOf
from epnet.wire.kinds import Kind
from epnet.wire.registry import messageClass
from epnet.wire.shape import Layout, Shape, shapeOf

_COLUMN: Final = 46
"""Where the meaning of bytes starts in the annotated view."""
_BOLD, _CYAN, _RED, _YELLOW = "\x1b[1m", "\x1b[36m", "\x1b[31m", "\x1b[33m"


def addArguments(parser: argparse.ArgumentParser) -> None:
    """Add the bytes to decode, and how."""
    parser.add_argument(
        "--strict", action="store_true", help="every deviation from the specs is an error"
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object a line for each frame and gap"
    )
    parser.add_argument(
        "--file", type=Path, metavar="F", help="a file of hex, of a hex dump, or of raw bytes"
    )
    parser.add_argument(
        "hex",
        nargs="*",
        metavar="HEX",
        help="frames in hex; without any, or with -, standard input is read as a file",
    )


def run(options: argparse.Namespace) -> int:
    """Decode; return 0 if there was no error in the frames, and 1 if there was.

    Raises `UsageError` for what is neither hex nor a file.
    """
    if options.hex not in ([], ["-"]):
        if options.file:
            raise UsageError("give either hex or --file")
        data = bytesOf(" ".join(options.hex))
        if not data:
            raise UsageError("there is nothing to decode")
        return _decode([data], options)
    if options.hex and options.file:
        raise UsageError("give either - or --file")
    if options.file is None:
        return _decode(chunksOf(cast(BufferedReader, sys.stdin.buffer)), options)
    with openedFile(options.file) as stream:
        return _decode(chunksOf(stream), options)


def openedFile(path: Path) -> BufferedReader:
    """The file, opened for reading.  Raises `UsageError` if that cannot be."""
    try:
        return path.open("rb")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def _decode(chunks: Iterable[bytes], options: argparse.Namespace) -> int:
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper):
        out.reconfigure(errors="backslashreplace")
    show = _showJson if options.json else _Annotated().show if out.isatty() else _showText
    splitter = _Splitter(options.strict)
    good = True
    for chunk in chunks:
        for item in splitter.feed(chunk):
            show(item)
            good = good and item.good
        out.flush()
    for item in splitter.finish():
        show(item)
        good = good and item.good
    return 0 if good else 1


@attrs.frozen
class Found:
    """A frame or a gap in the stream.

    decoded: what became of the frame, or None for a gap.
    data: the bytes of the frame.
    """

    what: Frame | Gap
    decoded: Decoded | None = None
    data: bytes = b""

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """All that there is to report."""
        return self.what.diagnostics if self.decoded is None else self.decoded.diagnostics

    @property
    def good(self) -> bool:
        """Whether there is no error in it; a gap is one."""
        return all(each.severity is not Severity.ERROR for each in self.diagnostics)


class _Splitter:
    """Finds the frames in a stream, with their bytes, never holding more than one of them."""

    def __init__(self, strict: bool) -> None:
        self._reader = FrameReader(strict=strict, giveUp=None)
        self._strict = strict
        self._kept = bytearray()
        self._offset = 0  # of what is kept in the stream

    def feed(self, data: bytes) -> Iterator[Found]:
        """Take more bytes of the stream; yield what they complete, in order."""
        self._kept += data
        yield from self._found(self._reader.feed(data))
        if self._reader.skipping:
            # The last bytes may be the first ones of a frame.
            self._drop(max(0, len(self._kept) - len(MAGIC) + 1))

    def finish(self) -> Iterator[Found]:
        """Say that the stream is over; yield what is left of it."""
        yield from self._found(self._reader.finish())

    def _found(self, items: Iterable[Frame | Gap]) -> Iterator[Found]:
        for item in items:
            if isinstance(item, Gap):
                self._drop(item.offset + item.skipped - self._offset)
                yield Found(item)
                continue
            data = bytes(self._kept[: item.length])
            self._drop(item.length)
            yield Found(item, decodeFrame(item, strict=self._strict), data)

    def _drop(self, count: int) -> None:
        del self._kept[:count]
        self._offset += count


def _showJson(found: Found) -> None:
    """One line of JSON."""
    if isinstance(found.what, Gap):
        print(json.dumps(gapForm(found.what)))
    else:
        assert found.decoded is not None
        print(json.dumps(frameForm(found.what, found.decoded)))


def _showText(found: Found) -> None:
    """The message, a line a value."""
    print(_title(found))
    if found.decoded is not None and found.decoded.message is not None:
        message = found.decoded.message
        shown = fieldsOf(message)
        for row, _ in message.present():
            for name, text in _flattened(row.name, shown[row.name], row.kind):
                print(f"  {name:<28} {text}")
        for key, raw in unknownOf(message).items():
            print(f"  {key:<28} {raw} (not understood)")
    for diagnostic in found.diagnostics:
        print(f"  {diagnostic}")


def _title(found: Found) -> str:
    what = found.what
    if isinstance(what, Gap):
        return f"{what.offset}: {what.skipped} bytes that are no frame"
    cls = messageClass(what.typeId)
    name = cls.__name__ if cls else "a message that is not known"
    return f"{what.offset}: {name} 0x{what.typeId:08x}, {what.length} bytes"


def _flattened(name: str, value: JSON, kind: Kind[Any] | None) -> Iterator[tuple[str, str]]:
    """The single values in a value, each with its path and as text with its unit."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flattened(f"{name}.{key}", each, _partKind(kind, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _flattened(f"{name}[{index}]", each, kind)
    else:
        unit = f" {kind.unit}" if kind and kind.unit and value is not None else ""
        yield name, "not given" if value is None else f"{shownValue(value)}{unit}"


def _partKind(kind: Kind[Any] | None, name: str) -> Kind[Any] | None:
    shape = shapeOf(kind) if kind else Shape(Layout.SINGLE)
    if shape.layout is Layout.BY_SOURCE:
        return shape.parts[0].kind
    return next((part.kind for part in shape.parts if part.name == name), None)


class _Annotated:
    """For a person who looks: the bytes with their meaning, in colour unless NO_COLOR is set."""

    def __init__(self) -> None:
        self._plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"

    def _painted(self, text: str, colour: str) -> str:
        return text if self._plain else f"{colour}{text}\x1b[0m"

    def show(self, found: Found) -> None:
        """The title, the bytes of a frame, the diagnostics."""
        print(self._painted(f"# {_title(found)}", _BOLD))
        if isinstance(found.what, Frame):
            for line in annotate(found.what, found.data):
                data = "   " * line.depth + line.data.hex(" ").upper()
                print(f"{self._painted(data.ljust(_COLUMN), _CYAN)}  {line.text}".rstrip())
        for each in found.diagnostics:
            colour = _RED if each.severity is Severity.ERROR else _YELLOW
            print(self._painted(f"# {each}", colour))
        print()
