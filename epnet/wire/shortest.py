"""CBOR items in the shortest form that keeps the value exact (RFC 8949 §4.1, wire-profile V1)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, TypeGuard

UNSIGNED = 0x00
NEGATIVE = 0x20
BINARY = 0x40
TEXT = 0x60
ARRAY = 0x80
MAP = 0xA0

NULL = b"\xf6"
TRUE = b"\xf5"
FALSE = b"\xf4"

_BYTES: Final = tuple(bytes((number,)) for number in range(256))
_HALF, _SINGLE, _DOUBLE = b"\xf9", b"\xfa", b"\xfb"
_half = struct.Struct(">e")
_single = struct.Struct(">f")
_double = struct.Struct(">d")


def fits(value: int) -> bool:
    """Whether CBOR can say the integer without a bignum tag, which EP refuses (V1)."""
    return -(2**64) <= value < 2**64


def isUnsigned(value: object, bits: int) -> TypeGuard[int]:
    """Whether it is an unsigned integer of so many bits; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << bits


def head(major: int, argument: int) -> bytes:
    """An item's first bytes: its major type, as in the constants above, and 0 to 2^64 - 1."""
    if argument < 24:
        return _BYTES[major | argument]
    if argument < 0x100:
        return bytes((major | 24, argument))
    if argument < 0x10000:
        return bytes((major | 25,)) + argument.to_bytes(2, "big")
    if argument < 0x100000000:
        return bytes((major | 26,)) + argument.to_bytes(4, "big")
    return bytes((major | 27,)) + argument.to_bytes(8, "big")


def plainNumber(value: float) -> bytes:
    """An integer that `fits`, or a finite float; integers stay integers and floats floats."""
    return _integer(value) if isinstance(value, int) else _float(value)


def _integer(value: int) -> bytes:
    return head(UNSIGNED, value) if value >= 0 else head(NEGATIVE, -1 - value)


def _float(value: float) -> bytes:
    try:
        single = _single.pack(value)
        if _single.unpack(single)[0] != value:  # then no half is exact either
            return _DOUBLE + _double.pack(value)
    except OverflowError:
        return _DOUBLE + _double.pack(value)
    try:
        half = _half.pack(value)
        return _HALF + half if _half.unpack(half)[0] == value else _SINGLE + single
    except OverflowError:
        return _SINGLE + single


class _Memo(dict[Any, bytes]):
    """How the numbers that were written of late are written; all of one type.

    Most numbers of a message are those of the one before: limits, shares, resistances.
    """

    LIMIT: Final = 4096
    """How many numbers are kept; they take less than a megabyte."""

    def __init__(self, write: Callable[[Any], bytes]) -> None:
        self._write = write

    def __missing__(self, value: float) -> bytes:
        data = self._write(value)
        if value:  # 0.0 and -0.0 are equal, and not the same
            if len(self) >= self.LIMIT:
                self.clear()
            self[value] = data
        return data


integers: Final = _Memo(_integer)
floats: Final = _Memo(_float)
"""The same as `plainNumber`, and faster: for integers, and for floats, as 1 and 1.0 are equal."""


def number(value: float) -> bytes:
    """The same as `plainNumber`, and faster."""
    if type(value) is float:
        return floats[value]
    return integers[value] if isinstance(value, int) else plainNumber(value)


def text(value: str) -> bytes:
    """A text; the value must be encodable as UTF-8."""
    data = value.encode()
    return head(TEXT, len(data)) + data


def binary(value: bytes) -> bytes:
    """A byte string."""
    return head(BINARY, len(value)) + value
