"""Fuzz epnet.wire: ``python -m tests.fuzz TARGET [an option of libFuzzer, an input] …``.

TARGET is one of those in `tests.fuzz.targets`.  Inputs that are worth keeping are kept in
``build/fuzz/TARGET``, where the next run goes on; one that fails is written to
``build/fuzz/TARGET-…``, and fails again when it is named after TARGET.
"""

from __future__ import annotations

import gc
import hashlib
import sys
from pathlib import Path
from typing import Any

import atheris

# Each branch that is watched takes time: not those of the walk where the values are meant.
UNWATCHED = set() if {"stream", "modes"} & set(sys.argv[1:2]) else {"epnet.wire.walk"}
with atheris.import_hook.HookManager({"epnet"}, UNWATCHED, True, trace_dataflow=False):
    from epnet.wire import Message, field, message, register, registerField
    from epnet.wire import SupplyParameters as Extended
    from epnet.wire.kinds import BINARY, FLAG, TIMESTAMP
    from tests.fuzz.seeds import changes, dictionary, payloads, streams
    from tests.fuzz.targets import TARGETS

FOLDER = Path("build/fuzz")
LIMITS = ("-max_len=256", "-timeout=5", "-rss_limit_mb=1024", "-print_final_stats=1")
"""Of an input: bytes and seconds; of the process: memory."""


def extend() -> None:
    """Register what no message of the spec has: other value types, and an extension's field."""

    @register
    @message(0x01000042, "extension")
    class Extension(Message):
        """A message of an extension."""

        raw: Any = field(0x00, BINARY, "Raw", default=None)
        since: Any = field(0x01, TIMESTAMP, "Since", default=None)
        flag: Any = field(0x2A, FLAG, "Flag", consent=True, default=None)

    registerField(Extended, 0x1000, "extra", BINARY, "Raw")


def prepare(target: str) -> list[str]:
    """Write the seeds and the dictionary; return the options that name them."""
    corpus = FOLDER / target
    corpus.mkdir(parents=True, exist_ok=True)
    for data in {"stream": streams, "alike": changes}.get(target, payloads)():
        (corpus / hashlib.sha1(data).hexdigest()).write_bytes(data)
    words = FOLDER / "dictionary"
    escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in dictionary())
    words.write_text("".join(f'"{word}"\n' for word in escaped), "ascii")
    return [f"-dict={words}", f"-artifact_prefix={corpus}-"]


def main(arguments: list[str]) -> None:
    """Run a target until it fails, or a limit among the arguments is reached."""
    if not arguments or arguments[0] not in TARGETS:
        sys.exit(f"usage: python -m tests.fuzz {'|'.join(TARGETS)} [libFuzzer's options] [input]")
    target, *others = arguments
    extend()
    options = [*LIMITS, *prepare(target), *others]
    if not any(Path(each).is_file() for each in others):
        options.append(str(FOLDER / target))
    atheris.Setup([sys.argv[0], *options], TARGETS[target])
    gc.freeze()  # or the collector would go through all modules again and again
    atheris.Fuzz()


main(sys.argv[1:])
