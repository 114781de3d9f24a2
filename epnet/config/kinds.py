"""What the values of configuration keys can be, how each is read, and how it is described.

Reading never stops at a mistake: what is wrong is noted where it stands, and reading goes on, so
that one look tells the user of everything.  A kind gives back `INVALID` for what it refused.
"""

from __future__ import annotations

import difflib
import json
import pathlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from math import inf
from typing import Any, Final

import attrs

from epnet.config.positions import Path
from epnet.endpoints import serverEndpoint
from epnet.errors import UsageError
from epnet.upstream import Upstream
from epnet.wire import Bounds

INVALID: Final = object()
"""In place of a value that was refused."""

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN: Final = 60


@attrs.define
class Reading:
    """One reading of a configuration: what it needs to know, and what it finds wrong.

    role: the twistd plugin that it is for.
    folder: where relative paths start.
    places: in which tables each key that there is may stand.
    problems: where something is wrong, and what.
    """

    role: str
    folder: pathlib.Path
    places: Mapping[str, Iterable[str]]
    problems: list[tuple[Path, str]] = attrs.field(factory=list)


@attrs.frozen
class Spot:
    """A place in a configuration that is being read."""

    reading: Reading
    path: Path = ()

    def at(self, name: str | int) -> Spot:
        """A place within this one."""
        return Spot(self.reading, (*self.path, name))

    def refuse(self, reason: str) -> object:
        """Note what is wrong here; gives `INVALID`."""
        self.reading.problems.append((self.path, reason))
        return INVALID


def pathText(path: Path) -> str:
    """A path as TOML has it: ``ports."car 1".voltage[0]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += "." * bool(text) + (part if _BARE.fullmatch(part) else _quoted(part))
    return text


def shown(value: object) -> str:
    """A value for people, as TOML has it, and not too long."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and value.bit_length() > 64:
        return "a number far too large"
    text = _quoted(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _quoted(text: str) -> str:
    """A text on one line, whatever is in it."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def numberText(value: float) -> str:
    """A number for people: ``10,000``, ``0.0109``, ``1e12``."""
    if abs(value) < 1e7:
        return f"{value:,.0f}" if value == int(value) else f"{value:,g}"
    return f"{value:g}".replace("e+", "e")


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at what may have been meant, or nothing."""
    found = difflib.get_close_matches(name, list(known), 1, 0.6)
    return f"; did you mean {found[0]}?" if found else ""


class Kind(ABC):
    """What the values of a key can be.

    expected: that, in words.
    """

    expected: str

    @abstractmethod
    def read(self, value: object, spot: Spot) -> object:
        """The value as the program uses it, or `INVALID` once what is wrong has been noted."""

    def within(self, validator: Any) -> Kind:
        """The same, within what an attrs validator demands."""
        return self

    def describe(self, value: object) -> str:
        """A default for people."""
        return shown(value)

    def unfit(self, value: object) -> ValueError:
        """What to raise for a value that is not as expected."""
        return ValueError(f"is {shown(value)}; it must be {self.expected}")


class Single(Kind):
    """One value, with nothing in it that is read by itself."""

    def read(self, value: object, spot: Spot) -> object:
        """Convert it, or note why that cannot be."""
        try:
            return self.convert(value, spot.reading)
        except ValueError as error:
            return spot.refuse(str(error))

    @abstractmethod
    def convert(self, value: object, reading: Reading) -> object:
        """The value as the program uses it; raises ValueError with what is wrong."""


@attrs.frozen
class Number(Single):
    """A number; true and false are none, and NaN is in no range.

    unit: what it counts.
    low, high: its range.
    whole: whether it has no fraction.
    """

    unit: str = ""
    low: float = -inf
    high: float = inf
    whole: bool = False

    @property
    def expected(self) -> str:  # type: ignore[override]
        """The range in words."""
        what = "a whole number" if self.whole else "a number"
        unit = f" {self.unit}" if self.unit else ""
        if self.low == -inf and self.high == inf:
            return what + (f" of {self.unit}" if self.unit else "")
        if self.high == inf:
            return f"{what} from {numberText(self.low)}{unit} up"
        return f"{what} from {numberText(self.low)} to {numberText(self.high)}{unit}"

    def convert(self, value: object, reading: Reading) -> object:
        """Check type and range."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            raise self.unfit(value)
        if not self.low <= value <= self.high:
            raise self.unfit(value)
        try:
            return value if self.whole else float(value)
        except OverflowError:
            raise self.unfit(value) from None

    def within(self, validator: Any) -> Number:
        """The range of an `epnet.limits.between`."""
        return attrs.evolve(self, low=validator.low, high=validator.high)

    def describe(self, value: object) -> str:
        """With its unit."""
        assert isinstance(value, int | float)
        if value == inf:
            return "no limit" if self.unit else "inf"
        return f"{numberText(value)} {self.unit}".rstrip()


@attrs.frozen
class Choice(Single):
    """One of some words or numbers."""

    words: tuple[object, ...] = ()

    @property
    def expected(self) -> str:  # type: ignore[override]
        """The words."""
        *some, last = map(shown, self.words)
        return f"{', '.join(some)} or {last}"

    def convert(self, value: object, reading: Reading) -> object:
        """Check that it is one of them."""
        if isinstance(value, bool) or value not in self.words:
            hint = nearest(value, map(str, self.words)) if isinstance(value, str) else ""
            raise ValueError(f"{self.unfit(value)}{hint}")
        return self.words[self.words.index(value)]

    def within(self, validator: Any) -> Choice:
        """The words of an `epnet.limits.oneOf`."""
        return Choice(validator.words)


class Flag(Single):
    """Whether something is so."""

    expected = "true or false"

    def convert(self, value: object, reading: Reading) -> object:
        """Check that it is one of them."""
        if not isinstance(value, bool):
            raise self.unfit(value)
        return value

    def describe(self, value: object) -> str:
        """As TOML has it."""
        return shown(value)


@attrs.frozen
class Text(Single):
    """A text that is not empty, without control characters."""

    expected: str = "a text"

    def convert(self, value: object, reading: Reading) -> object:
        """Check that it can be shown."""
        if not isinstance(value, str):
            raise self.unfit(value)
        if not value or not value.isprintable():
            raise ValueError(f"is {shown(value)}; it must not be empty, and all on one line")
        return value


class Store(Text):
    """Where something is kept, as text; an empty one is nowhere."""

    def convert(self, value: object, reading: Reading) -> object:
        """Check that it can be shown."""
        return value if value == "" else super().convert(value, reading)


class File(Text):
    """A file; a relative path starts where the configuration is."""

    def __init__(self) -> None:
        super().__init__("a path, as text")

    def convert(self, value: object, reading: Reading) -> object:
        """Make the path absolute."""
        return reading.folder / str(super().convert(value, reading))


class Endpoint(Text):
    """Where to listen; TLS is put on top of it."""

    def __init__(self) -> None:
        super().__init__("a Twisted endpoint to listen on, as text")

    def convert(self, value: object, reading: Reading) -> object:
        """Check that there is such an endpoint."""
        text = str(super().convert(value, reading))
        if text.startswith(("ssl:", "tls:")):
            raise ValueError(f"is {shown(text)}; TLS is put on top by itself: write tcp:PORT")
        unused: Any = object()
        try:
            serverEndpoint(unused, text)
        except UsageError:
            raise
        except Exception as error:  # whatever the parser of an endpoint, a plugin, may do
            raise ValueError(f"is {shown(text)}, which cannot be: {error}") from error
        return text


class Place(Text):
    """Whom to dial."""

    def __init__(self) -> None:
        super().__init__("[IDENTITY@]HOST[:PORT][,HOST[:PORT]]..., as text")

    def convert(self, value: object, reading: Reading) -> object:
        """Check that it can be read."""
        text = str(super().convert(value, reading))
        Upstream.parse(text)
        return text


@attrs.frozen
class Several(Kind):
    """A list of values of one kind."""

    each: Kind

    @property
    def expected(self) -> str:  # type: ignore[override]
        """A list of what."""
        return f"a list; each must be {self.each.expected}"

    def read(self, value: object, spot: Spot) -> object:
        """Read each of them."""
        if not isinstance(value, list):
            return spot.refuse(str(self.unfit(value)))
        found = tuple(self.each.read(item, spot.at(n)) for n, item in enumerate(value))
        return INVALID if INVALID in found else found


class Window(Single):
    """Two voltages, the lower one first."""

    expected = "two numbers of V, [MIN, MAX], that rise, from above 0 to 100,000"

    def convert(self, value: object, reading: Reading) -> object:
        """Check both, and their order."""
        if not isinstance(value, list) or len(value) != 2:
            raise self.unfit(value)
        low, high = (Number("V", 0, 1e5).convert(each, reading) for each in value)
        assert isinstance(low, float)
        assert isinstance(high, float)
        if not 0.0 < low <= high:
            raise ValueError(f"is [{low:g}, {high:g}]; it must be {self.expected}")
        return Bounds(low, high)
