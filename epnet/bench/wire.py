"""Bytes to checked messages and back, frame included, against plain cbor2 of the same payload."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from random import Random
from time import process_time
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
    MessageReader,
    Price,
    Source,
    StorageParameters,
    SupplyParameters,
    decodeFrame,
    encode,
    encodePayload,
)
from epnet.wire.codec import plainPayload

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
        ("voltage", "current", "power_limit"),
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
        ("voltage", "current", "power_limit"),
    ),
    (
        StorageParameters(
            soc=55.5,
            soc_target=80,
            soc_target_time=7200,
            capacity=77_000,
            energy_mix={Source.WIND: 70, Source.LOCAL_SOLAR: 30},
        ),
        ("soc", "capacity"),
    ),
)
"""The three parameter messages with every field, and those of their numbers that are measured."""

Vary = Callable[[Message, Random], Message]


def run(rounds: int) -> Iterator[Row]:
    """Measure each message in both directions, and a Supply in what makes a difference."""
    for message, measured in MESSAGES:
        wanted = 1.0 if isinstance(message, SupplyParameters) else None
        yield from _bothWays(message, partial(_tenths, measured), rounds, "", wanted)
    supply, _ = MESSAGES[0]
    yield from _bothWays(supply, _everyNumber, rounds, ", every number new", None)
    yield from _plainly(*MESSAGES[0], rounds)
    yield from _again(*MESSAGES[0], rounds)


def _tenths(measured: Sequence[str], message: Message, random: Random) -> Message:
    """With other measured numbers, of one decimal as meters give them."""
    numbers = {name: round(getattr(message, name) * random.random(), 1) for name in measured}
    return message.replace(**numbers)


def _everyNumber(message: Message, random: Random) -> Message:
    """With every number another one, of as many digits as there can be."""
    assert isinstance(message, SupplyParameters)
    few, share = random.random, random.uniform(0, 30)
    return message.replace(
        voltage_limit=(200 + few(), 1000 + few()),
        current_limit=(few(), 32 + few()),
        power_limit=11_000 * few(),
        power_mix={Source.WIND: 70 + share, Source.LOCAL_SOLAR: 30 - share},
        voltage=750 + few(),
        current=32 * few(),
        isolation=Isolation(IsolationState.OK, 1e6 * few(), 1e6 * few()),
    )


class _Sample:
    """Messages that differ from one to the next, in all their forms.

    Those in `fresh` were never encoded: a message keeps its bytes.
    """

    def __init__(self, message: Message, vary: Vary, random: Random) -> None:
        varied = [vary(message, random) for _ in range(CALLS)]
        self.frames = list(map(encode, varied))
        self.payloads = [payload for each in varied if (payload := encodePayload(each))]
        self.items = list(map(cbor2.loads, self.payloads))
        self.fresh = [vary(message, random) for _ in range(CALLS)]


def _bothWays(
    message: Message, vary: Vary, rounds: int, what: str, wanted: float | None
) -> Iterator[Row]:
    """Each message as on a connection on which such messages came before."""
    random, reader = Random(1), MessageReader()
    for _ in range(5):
        for frame in _Sample(message, vary, random).frames:
            reader.feed(frame)
    sample = partial(_Sample, message, vary, random)
    yield from _againstCBOR(sample, reader.feed, encode, rounds, what, wanted)


def _plainly(message: Message, measured: Sequence[str], rounds: int) -> Iterator[Row]:
    """By the plain paths, which say what the fast ones have to find."""
    frames = FrameReader()

    def decode(data: bytes) -> None:
        for found in frames.feed(data):
            assert isinstance(found, Frame)
            decodeFrame(found)

    sample = partial(_Sample, message, partial(_tenths, measured), Random(1))
    yield from _againstCBOR(sample, decode, plainPayload, rounds, ", plain path", None)


def _againstCBOR(
    take: Callable[[], _Sample],
    decode: Callable[[bytes], object],
    encode: Callable[[Message], object],
    rounds: int,
    what: str,
    wanted: float | None,
) -> Iterator[Row]:
    """Both ways of a message, each in turn with what cbor2 takes for the same payloads."""
    name = type(take().fresh[0]).__name__

    def measure() -> dict[str, float]:
        sample = take()
        return {
            "cbor2.loads": _each(cbor2.loads, sample.payloads),
            "decode": _each(decode, sample.frames),
            "cbor2.dumps": _each(cbor2.dumps, sample.items),
            "encode": _each(encode, sample.fresh),
        }

    [taken] = inTurn(rounds, measure)
    for way, plain in (("decode", "cbor2.loads"), ("encode", "cbor2.dumps")):
        yield _row(f"{name}, {way}{what}", taken, way, plain, wanted)


def _again(message: Message, measured: Sequence[str], rounds: int) -> Iterator[Row]:
    """What comes again, and what goes to others as well."""
    random, reader = Random(1), MessageReader()

    def measure() -> dict[str, float]:
        sample = _Sample(message, partial(_tenths, measured), random)
        reader.feed(sample.frames[0])  # the one that the others are the same as
        same = [bytes(bytearray(sample.frames[0])) for _ in range(CALLS)]  # not the same object
        return {
            "cbor2.loads": _each(cbor2.loads, sample.payloads),
            "unchanged": _each(reader.feed, same),
            "the first": _each(encode, sample.fresh),
            "others": _each(encode, sample.fresh),
        }

    [taken] = inTurn(rounds, measure)
    name = type(message).__name__
    yield _row(f"{name}, decode, nothing changed", taken, "unchanged", "cbor2.loads", 0.05)
    yield _row(f"{name}, encode, each further recipient", taken, "others", "the first", 0.05)


def _row(
    what: str, taken: list[dict[str, float]], measured: str, against: str, wanted: float | None
) -> Row:
    values, baselines = ([times[which] for times in taken] for which in (measured, against))
    return Row(what, "µs", values, against, baselines, wanted)


def _each(call: Callable[[T], object], arguments: Sequence[T]) -> float:
    """µs of processor time a call: what else the machine does is not in it."""
    began = process_time()
    for argument in arguments:
        call(argument)
    return (process_time() - began) / len(arguments) * 1e6
