"""``epnet encode``: JSON lines as `epnet decode --json` prints them to frames."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from epnet.cli.decode import openedFile
from epnet.errors import UsageError
from epnet.wire.frameform import encodeForm
from epnet.wire.jsonform import JSON


def addArguments(parser: argparse.ArgumentParser) -> None:
    """Add where to read and what to write."""
    parser.add_argument(
        "--file", type=Path, metavar="F", help="a file of JSON lines (default: standard input)"
    )
    parser.add_argument("--hex", action="store_true", help="write hex, one line a frame")
    parser.add_argument("stdin", nargs="?", choices=["-"], help="read standard input")


def run(options: argparse.Namespace) -> int:
    """Encode; return 0.  Raises `UsageError`, with line and key, for what is no frame."""
    if options.file is None:
        _encode(sys.stdin.buffer, options.hex)
    elif options.stdin:
        raise UsageError("give either - or --file")
    else:
        with openedFile(options.file) as lines:
            _encode(lines, options.hex)
    return 0


def _encode(lines: Iterable[bytes], asHex: bool) -> None:
    for data in _frames(lines):
        if asHex:
            print(data.hex(), flush=True)
        else:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


def _frames(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The frames that JSON lines say."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            form = _parsed(line)
            if "skipped" in form:
                text = f"a gap of {form['skipped']} bytes, of which nothing is known, is left out"
                print(f"epnet: line {number}: {text}", file=sys.stderr)
            else:
                yield encodeForm(form)
        except UsageError as error:
            raise UsageError(f"line {number}: {error}") from None


def _parsed(line: bytes) -> Mapping[str, JSON]:
    """The object in a line.  Raises `UsageError`."""
    try:
        form = json.loads(line, object_pairs_hook=_unique, parse_constant=_refuse)
    except UsageError:
        raise
    except json.JSONDecodeError as error:
        raise UsageError(f"no JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:  # no UTF-8, thousands of digits, or of brackets
        raise UsageError(f"no JSON: {error}") from None
    if not isinstance(form, dict):
        raise UsageError('an object belongs here, such as {"type": "Ping"}')
    return form


def _unique(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    """An object, in which no key may be twice."""
    found: dict[str, JSON] = {}
    for key, value in pairs:
        if key in found:
            raise UsageError(f"{key!r} is there twice in an object")
        found[key] = value
    return found


def _refuse(name: str) -> NoReturn:
    raise UsageError(f"{name} is no number that EP can say")
