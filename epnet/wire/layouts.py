"""Learned layouts: of a frame that is built like one before, only the numbers need reading.

The plain path, `epnet.wire.codec.decodeFrame`, says what a frame means.  Of one that it accepted
without anything to report, all bits but those of the numbers become a *mask*: another frame that
has the same bits there is made of the same items at the same places.  Nothing in it but the
numbers can be wrong, and `Layout.read` looks at these; where one is not plainly good, the frame
goes the plain path.  So a layout gives the message that the plain path gives, or none.

What a layout does depends on the bytes that it was learned from, and not on who sent them.  Still
each connection has its own (`Layouts`), and few: what one peer sends neither grows nor displaces
what another's frames are read with.  Equal layouts are one object, so that they cost memory once,
and who sends what another one has just sent costs no lesson.

`Layout.read` is a function written for its layout, which takes half the time of one that goes
through a table.  Its text is made of what is in this file and of counts; values are only named.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import CodeType, MappingProxyType
from typing import Any, Final, NamedTuple
from weakref import WeakValueDictionary

import attrs

from epnet.wire.compounds import BoundsKind, IsolationKind, MixKind, PricesKind, SharesKind
from epnet.wire.kinds import (
    RESISTANCE,
    Binary,
    Currency,
    Flag,
    Kind,
    Percentage,
    Quantity,
    Text,
    Timestamp,
)
from epnet.wire.schema import Message
from epnet.wire.values import Bounds, Isolation, Mix
from epnet.wire.walk import Item, parse

START: Final = 14
"""By so many of its first bytes the layouts of a frame are found; they tell type and length."""
MAX_LENGTH: Final = 512
"""The longest frame whose layout is learned, in bytes."""


@attrs.frozen(eq=False)
class Layout:
    """How frames are built that differ in their numbers alone.

    length: of the frame, in bytes.
    contentAt: where the content of the payload starts.
    read: makes the message of a frame of that length, or None where only the plain path can tell.
    """

    length: int
    contentAt: int
    read: Callable[[bytes], Message | None]


class Layouts:
    """The layouts of what one connection receives."""

    __slots__ = ("_missed", "byStart")

    STARTS: Final = 16
    EACH: Final = 4
    """The most starts, and the most layouts of each: what is more displaces the oldest."""
    EAGER: Final = 16
    """The first so many frames are learned from, and then one in so many: to learn takes longer
    than the plain path, and a peer whose frames are all different must not cost that each time."""

    def __init__(self) -> None:
        self.byStart: dict[bytes, tuple[Layout, ...]] = {}
        self._missed = 0

    def learn(self, frame: bytes, contentAt: int, message: Message) -> None:
        """Learn from a frame as `layoutOf` does."""
        self._missed += 1
        if self._missed > self.EAGER and self._missed % self.EAGER:
            return
        start = frame[:START]
        # Most devices of a house speak alike: that takes a tenth of the time to find out.
        layout = _newest.get(start)
        if layout is None or layout.read(frame) is None:
            layout = layoutOf(frame, contentAt, message)
        if layout is None:
            return
        _newest[start] = layout
        known = self.byStart.pop(start, ())
        if len(self.byStart) == self.STARTS:
            del self.byStart[next(iter(self.byStart))]
        self.byStart[start] = (layout, *known)[: self.EACH]


_shared: Final = WeakValueDictionary[tuple[type[Message], int, int], Layout]()
_newest: Final = WeakValueDictionary[bytes, Layout]()
"""By start, what any connection has learned last."""


def layoutOf(frame: bytes, contentAt: int, message: Message) -> Layout | None:
    """The layout of a frame without headers, or None if none can be told, or would gain nothing.

    contentAt: where the content of its payload starts.
    message: what the plain path made of it, with nothing to report.
    """
    if len(frame) > MAX_LENGTH or message.unknown or message.extensions:
        return None
    lesson = _Lesson(frame, contentAt, message)
    if not lesson.understood or not lesson.numbers:
        return None
    mask = int.from_bytes(lesson.mask, "big")
    fixed = int.from_bytes(frame, "big") & mask
    key = type(message), mask, fixed
    layout = _shared.get(key)
    if layout is None:
        layout = Layout(len(frame), contentAt, lesson.reader(mask, fixed))
        _shared[key] = layout
    return layout


class _Lesson:
    """What one frame teaches.

    understood: whether all its values are of kinds whose meaning is known here.
    mask: the bits that do not belong to a number.
    numbers: where each number is, and what it is in terms of `struct`.
    """

    def __init__(self, frame: bytes, contentAt: int, message: Message) -> None:
        self.understood = True
        self.mask = bytearray(b"\xff" * len(frame))
        self.numbers: list[tuple[int, str]] = []
        self._frame = frame
        self._contentAt = contentAt
        self._make = message.unchecked
        self._values = {name: getattr(message, name) for name in message.names}
        self._texts = dict.fromkeys(self._values, "")
        self._conditions: list[str] = []
        self._names: dict[str, Any] = {}
        tree, _ = parse(frame[contentAt:])
        for id, item in tree.parts:
            row = message.fieldOf(id)  # type: ignore[arg-type]  # or there was something to report
            assert row is not None
            self._learnField(row.name, row.kind, item)

    def _learnField(self, name: str, kind: Kind[Any], item: Item) -> None:
        """Learn how to make a field's value, unless it is the same each time."""
        if type(kind) in _FIXED:
            return
        write = _WRITERS.get(type(kind))
        single = RESISTANCE if type(kind) is IsolationKind else getattr(kind, "of", kind)
        if write is None or type(single) not in (Quantity, Percentage):
            self.understood = False
            return
        items = list(_numbersIn(item))
        if type(kind) is IsolationKind:
            del items[0]  # the state
        numbers = [f"n{len(self.numbers) + place}" for place in range(len(items))]
        text = write(name, self._values[name], numbers)
        starts = [self._contentAt + each.start for each in items]
        if text is None or any(self._frame[at] not in _FORMS for at in starts):
            return
        self._texts[name] = text.value
        self._conditions += text.conditions
        self._names |= text.names
        for number, at in zip(numbers, starts, strict=True):
            self._vary(number, at, type(single) is Percentage)

    def _vary(self, number: str, at: int, percentage: bool) -> None:
        """Have the number there not be part of what is fixed."""
        form = _FORMS[self._frame[at]]
        size = struct.calcsize(form)
        if self._frame[at] <= _SMALL:
            self._conditions.append(f"{number} <= {_SMALL}")
        else:
            at += 1
        self.mask[at : at + size] = bytes(size)
        self.numbers.append((at, form))
        if percentage:
            self._conditions.append(f"0 <= {number} <= 100")

    def reader(self, mask: int, fixed: int) -> Callable[[bytes], Message | None]:
        """The function `Layout.read` of frames with that in common."""
        numbers = [f"n{place}" for place in range(len(self.numbers))]
        values = [text or f"the_{name}" for name, text in self._texts.items()]
        text = _FUNCTION.format(
            numbers=", ".join(numbers),
            conditions=" and ".join([f"isfinite({' + '.join(numbers)})", *self._conditions]),
            values=", ".join(values),
        )
        names: dict[str, Any] = {
            **{f"the_{name}": value for name, value in self._values.items()},
            **self._names,
            "mask": mask,
            "fixed": fixed,
            "numbers": struct.Struct(self._format()).unpack,
            "make": self._make,
            **_TOOLS,
        }
        exec(_compiled(text), names)
        return names.pop("read")  # type: ignore[no-any-return]

    def _format(self) -> str:
        """What `struct` calls the numbers with what is between them."""
        parts, end = [">"], 0
        for at, form in self.numbers:
            parts.append(f"{at - end}x{form}")
            end = at + struct.calcsize(form)
        return "".join([*parts, f"{len(self._frame) - end}x"])


_FUNCTION: Final = """
def read(frame):
    if toInteger(frame, "big") & mask != fixed:
        return None
    {numbers}, = numbers(frame)
    if not ({conditions}):
        return None
    return make({values})
"""
_TOOLS: Final = {
    "toInteger": int.from_bytes,
    "isfinite": math.isfinite,  # of a sum: it is not, with a NaN or an infinity in it
    "new": tuple.__new__,
    "Bounds": Bounds,
    "Isolation": Isolation,
    "Mapping": MappingProxyType,
}


@lru_cache(maxsize=64)
def _compiled(text: str) -> CodeType:
    return compile(text, "<layout>", "exec")


_SMALL: Final = 0x17
"""The greatest number that is its own first byte."""
_FORMS: Final = {
    **dict.fromkeys(range(_SMALL + 1), "B"),
    0x18: "B",
    0x19: "H",
    0x1A: "I",
    0x1B: "Q",
    0xF9: "e",
    0xFA: "f",
    0xFB: "d",
}
"""By the first byte of a number, what it is in terms of `struct`; negative integers are nothing."""


def _numbersIn(item: Item) -> Iterator[Item]:
    """The numbers in a value, in order; keys of maps are none."""
    if type(item.value) in (int, float):
        yield item
    for _, part in item.parts:
        yield from _numbersIn(part)


class _Text(NamedTuple):
    """How to make a value of numbers that have names.

    value: the expression.
    conditions: what must hold for there to be nothing to report.
    names: what else is named.
    """

    value: str
    conditions: Sequence[str] = ()
    names: Mapping[str, Any] = {}


def _quantity(name: str, value: float, numbers: Sequence[str]) -> _Text:
    return _Text(numbers[0])


def _bounds(name: str, value: Bounds, numbers: Sequence[str]) -> _Text:
    low, high = numbers
    return _Text(f"new(Bounds, ({low}, {high}))", [f"{low} <= {high}"])


def _mix(name: str, value: Mix, numbers: Sequence[str]) -> _Text | None:
    if len(value) < len(numbers):
        return None  # a source is there twice, and its entries were added up
    names = {f"{name}_{number}": source for number, source in zip(numbers, value, strict=True)}
    entries = [f"{key}: {number}" for key, number in zip(names, numbers, strict=True)]
    return _Text(f"Mapping({{{', '.join(entries)}}})", (), names)


def _shares(name: str, value: Mix, numbers: Sequence[str]) -> _Text | None:
    text = _mix(name, value, numbers)
    total = f"sum(({''.join(f'{number}, ' for number in numbers)}))"
    condition = f"{SharesKind.LEAST} <= {total} <= {SharesKind.MOST}"
    return text and text._replace(conditions=[condition])


def _isolation(name: str, value: Isolation, numbers: Sequence[str]) -> _Text | None:
    if len(numbers) < 2:
        return None  # a resistance is not given
    state = f"{name}_state"
    return _Text(f"new(Isolation, ({state}, {', '.join(numbers)}))", (), {state: value.state})


_WRITERS: Final[dict[type, Callable[[str, Any, Sequence[str]], _Text | None]]] = {
    Quantity: _quantity,
    Percentage: _quantity,
    BoundsKind: _bounds,
    MixKind: _mix,
    SharesKind: _shares,
    IsolationKind: _isolation,
}
"""What makes values of numbers, by the kind itself: one derived from it may differ."""
_FIXED: Final = frozenset({Binary, Currency, Flag, PricesKind, Text, Timestamp})
"""The kinds whose values are taken as they were: without numbers, or with such as seldom change."""
