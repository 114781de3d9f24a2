"""On which line each key of a TOML text stands; `tomllib` does not say.

This is no second parser: it is for texts that `tomllib` has taken, and only follows where keys
begin and values end.  Should it find other keys than `tomllib` did, it says nothing at all: no line
is better than a wrong one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Final

Path = tuple[str | int, ...]
"""Where a value stands: the keys from the outermost in, and from 0 the number in an array."""

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_WORD: Final = re.compile(r"[A-Za-z0-9_-]+")
_BASIC: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_LITERAL: Final = re.compile(r"'[^']*'")
_LONG_BASIC: Final = re.compile(r'"""(?:[^\\]|\\.)*?"""(?!")', re.DOTALL)
_LONG_LITERAL: Final = re.compile(r"'''.*?'''(?!')", re.DOTALL)
_SCALAR: Final = re.compile(r"[^,\]}#\n]+")


def linesOf(text: str, data: Mapping[str, object]) -> dict[Path, int]:
    """The line, from 1, of each key and array element of a TOML text.

    data: what `tomllib` made of it.

    A table stands where its header does, or else where the first key within it does.
    """
    try:
        lines = _Scanner(text.replace("\r\n", "\n")).scan()
    except (AttributeError, RecursionError):  # something did not match that has to
        return {}
    return lines if lines.keys() == set(_paths(data, ())) else {}


def _paths(value: object, path: Path) -> Iterator[Path]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from _paths(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield (*path, number)
            yield from _paths(inner, (*path, number))


class _Scanner:
    """Goes through a text once, from key to key."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._counted = 0
        self._lines: dict[Path, int] = {}
        self._headed: set[Path] = set()
        self._tables: dict[Path, int] = {}  # how many there are of each array of tables

    def scan(self) -> dict[Path, int]:
        """The line of everything."""
        table: Path = ()
        self._take(_BLANK)
        while self._at < len(self._text):
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)
            self._take(_BLANK)
        return self._lines

    # Where we are

    def _take(self, pattern: re.Pattern[str]) -> str:
        """Step over what matches here; AttributeError if nothing does."""
        found: str = pattern.match(self._text, self._at).group()  # type: ignore[union-attr]
        self._at += len(found)
        return found

    def _skip(self, character: str) -> bool:
        """Step over a character and the blanks around it, if it is the next."""
        self._take(_BLANK)
        if not self._text.startswith(character, self._at):
            return False
        self._at += len(character)
        self._take(_BLANK)
        return True

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _note(self, path: Path, line: int) -> None:
        """Note a path, and the tables around it where they are new."""
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], line)

    # What stands there

    def _header(self) -> Path:
        line = self._here()
        several = self._text.startswith("[[", self._at)
        self._at += 2 if several else 1
        *outer, last = self._dotted()
        self._at += 2 if several else 1
        path: Path = ()
        for name in outer:
            path = self._entered((*path, name))
        path = (*path, last)
        if several:
            self._tables[path] = self._tables.get(path, -1) + 1
            self._note(path, line)
            path = self._entered(path)
        self._note(path, line)
        if path not in self._headed:
            self._lines[path] = line
            self._headed.add(path)
        return path

    def _entered(self, path: Path) -> Path:
        """The newest table of that name, where there are several."""
        return (*path, self._tables[path]) if path in self._tables else path

    def _dotted(self) -> list[str]:
        names = []
        while True:
            self._take(_BLANK)
            names.append(self._name())
            if not self._skip("."):
                return names

    def _name(self) -> str:
        first = self._text[self._at : self._at + 1]
        if first == '"':
            name: str = tomllib.loads("name=" + self._take(_BASIC))["name"]
            return name
        return self._take(_LITERAL)[1:-1] if first == "'" else self._take(_WORD)

    def _pair(self, table: Path) -> None:
        line = self._here()
        path = (*table, *self._dotted())
        self._note(path, line)
        self._skip("=")
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._skip("["):
            number = 0
            while not self._closed("]"):
                self._note((*path, number), self._here())
                self._value((*path, number))
                self._skip(",")
                number += 1
        elif self._skip("{"):
            while not self._closed("}"):
                self._pair(path)
                self._skip(",")
        else:
            self._take(self._scalar())

    def _closed(self, bracket: str) -> bool:
        """Step over a closing bracket, if it is the next, but over nothing after it."""
        closed = self._text.startswith(bracket, self._at)
        self._at += closed
        return closed

    def _scalar(self) -> re.Pattern[str]:
        """What the value that begins here looks like."""
        for opening, pattern in (
            ('"""', _LONG_BASIC),
            ("'''", _LONG_LITERAL),
            ('"', _BASIC),
            ("'", _LITERAL),
        ):
            if self._text.startswith(opening, self._at):
                return pattern
        return _SCALAR
