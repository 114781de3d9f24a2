"""From a TOML text to a `Configuration`, or to everything that is wrong with it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from epnet.config import positions
from epnet.config.checks import contradictions, oddities
from epnet.config.keys import PLACES, ROOT
from epnet.config.kinds import Reading, Spot, pathText
from epnet.config.model import ROUTER, Configuration
from epnet.errors import UsageError

LARGEST: Final = 2**20
"""The largest file that is read, in bytes."""

_AT_LINE: Final = re.compile(r" \(at line (\d+), column (\d+)\)$")
_AT_END: Final = " (at end of document)"


@attrs.frozen
class Problem:
    """Something wrong in a configuration, or odd.

    key: the path of the key; empty where the text is no TOML.
    reason: what is wrong, and what it must be.
    line: where, from 1; None where that is not known.
    column: the same, for text that is no TOML.
    """

    key: str
    reason: str
    line: int | None = None
    column: int | None = None

    def text(self, file: object) -> str:
        """One line for people, with the name of the file."""
        place = ":".join(str(each) for each in (file, self.line, self.column) if each is not None)
        return f"{place}: {self.key}{' ' * bool(self.key)}{self.reason}"


class ConfigurationError(UsageError):
    """A configuration cannot be used.

    problems: all that is wrong with it.
    """

    def __init__(self, file: object, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.text(file) for problem in self.problems))


@attrs.frozen
class Found:
    """What was found in a file.

    configuration: what it says.
    warnings: what is legal, and yet odd.
    """

    configuration: Configuration
    warnings: tuple[Problem, ...]


def readBytes(file: Path) -> bytes:
    """The content of a configuration file; raises `ConfigurationError` where there is none."""
    try:
        with file.open("rb") as stream:
            return stream.read(LARGEST + 1)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        raise ConfigurationError(file, [Problem("", reason)]) from error


def parseConfiguration(content: bytes, file: Path, role: str = ROUTER) -> Found:
    """Read a configuration.

    content: the bytes of a TOML file.
    file: where they are from: named in problems, and relative paths start in its folder.
    role: the twistd plugin that it is for, one of `ROLES`.

    Raises `ConfigurationError` with everything that is wrong, and nothing else.
    """
    try:
        text, data = _parseToml(content)
    except _NoToml as error:
        raise ConfigurationError(file, [error.problem]) from error
    lines = positions.linesOf(text, data)

    def located(path: positions.Path, reason: str) -> Problem:
        line = next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), None)
        return Problem(pathText(path), reason, line)

    reading = Reading(role, file.absolute().parent, PLACES)
    configuration = ROOT.read(data, Spot(reading))
    wrong = [*reading.problems, *contradictions(data)]
    if wrong:
        problems = [located(*each) for each in wrong]
        raise ConfigurationError(file, sorted(problems, key=lambda each: each.line or 0))
    assert isinstance(configuration, Configuration)
    return Found(configuration, tuple(located(*each) for each in oddities(configuration)))


class _NoToml(Exception):
    """The text is no TOML."""

    def __init__(self, reason: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(reason)
        self.problem = Problem("", reason, line, column)


def _parseToml(content: bytes) -> tuple[str, Mapping[str, Any]]:
    if len(content) > LARGEST:
        raise _NoToml(f"is larger than {LARGEST:,} bytes: this is no configuration")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise _NoToml("is not UTF-8: save it as such", line, column) from error
    try:
        return text, tomllib.loads(text)
    except RecursionError:
        raise _NoToml("nests far too deeply") from None
    except ValueError as error:  # mostly a TOMLDecodeError, but Python has a limit on digits, too
        raise _syntaxError(str(error), text) from error


def _syntaxError(reason: str, text: str) -> _NoToml:
    found = _AT_LINE.search(reason)
    if found:
        line, column = map(int, found.groups())
        return _NoToml(f"is no TOML: {reason[: found.start()]}", line, column)
    if reason.endswith(_AT_END):
        reason = reason.removesuffix(_AT_END) + " at the end of the file"
        return _NoToml(f"is no TOML: {reason}", text.rstrip().count("\n") + 1)
    return _NoToml(f"is no TOML: {reason}")
