"""Bytes to checked messages and back, frame included, against plain cbor2 of the same payload."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from time import perf_counter
from typing import Final, TypeVar

import cbor2

from epnet.bench.frame import Row, inTurn
from epnet.wire import (
    DemandParameters,
    Frame,
    FrameReader,
    Isolation,
    IsolationState,
    Message,
    Price,
    Source,
    StorageParameters,
    SupplyParameters,
    decodeFrame,
    encode,
    encodeFrame,
    encodePayload,
)

CALLS: Final = 1000
"""How many messages of each type a round takes."""

T = TypeVar("T")

MESSAGES: Final = (
    (
        SupplyParameters(
            voltage_limit=(200, 1000),
            current_limit=(0, 32.5),
            power_limit=11_000,
            power_mix={Source.WIND: 70, Source.LOCAL_SOLAR: 30},
            energy_prices=[Price(datetime(2026, 1, 1, tzinfo=UTC), 0.25, "EUR")],
            voltage=750.5,
            current=12.25,
            isolation=Isolation(IsolationState.OK, 1000, 1000),
        ),
        "current",
    ),
    (
        DemandParameters(
            voltage=400,
            current=16.5,
            voltage_limit=1000,
            current_limit=32,
            power_limit=22_000,
            duration=3600,
        ),
        "current",
    ),
    (
        StorageParameters(
            soc=55.5,
            soc_target=80,
            soc_target_time=7200,
            capacity=77_000,
            energy_mix={Source.WIND: 70, Source.LOCAL_SOLAR: 30},
        ),
        "capacity",
    ),
)
"""The three parameter messages with every field, and which field differs from one to the next."""


def run(rounds: int) -> Iterator[Row]:
    """Measure each message in both directions."""
    for message, varied in MESSAGES:
        yield from _both(message, varied, rounds)


def _both(message: Message, varied: str, rounds: int) -> Iterator[Row]:
    name = type(message).__name__
    [taken] = inTurn(rounds, lambda: _timed(message, varied))
    for direction, plain in (("decode", "cbor2.loads"), ("encode", "cbor2.dumps")):
        values, baselines = ([times[which] for times in taken] for which in (direction, plain))
        yield Row(f"{name}, {direction}", "µs", values, plain, baselines)


def _timed(message: Message, varied: str) -> dict[str, float]:
    """µs a message, each way; all messages are new and different, as those on a wire are."""
    messages = [message.replace(**{varied: number / 8}) for number in range(CALLS)]
    payloads = [payload for each in messages if (payload := encodePayload(each)) is not None]
    frames = [encodeFrame(message.typeId, payload) for payload in payloads]
    items = [cbor2.loads(payload) for payload in payloads]
    reader = FrameReader()

    def decode(frame: bytes) -> None:
        for found in reader.feed(frame):
            assert isinstance(found, Frame)
            decodeFrame(found)

    fresh = [message.replace(**{varied: number / 8}) for number in range(CALLS)]
    return {
        "cbor2.loads": _each(cbor2.loads, payloads),
        "decode": _each(decode, frames),
        "cbor2.dumps": _each(cbor2.dumps, items),
        "encode": _each(encode, fresh),
    }


def _each(call: Callable[[T], object], arguments: Sequence[T]) -> float:
    began = perf_counter()
    for argument in arguments:
        call(argument)
    return (perf_counter() - began) / len(arguments) * 1e6
