"""Running the ``epnet`` command in this process, with bytes going in and coming out."""

from __future__ import annotations

import io
from typing import NamedTuple
from unittest.mock import patch

from epnet.cli import main


class Result(NamedTuple):
    """What became of a command."""

    status: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()


class Terminal(io.TextIOWrapper):
    """Standard output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def run(*arguments: str, stdin: bytes = b"", terminal: bool = False) -> Result:
    """Run ``epnet`` with those arguments."""
    raw, err = io.BytesIO(), io.StringIO()
    out = (Terminal if terminal else io.TextIOWrapper)(raw, encoding="utf-8")
    source = io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin)))  # type: ignore[arg-type]
    with patch("sys.stdin", source), patch("sys.stdout", out), patch("sys.stderr", err):
        try:
            status = main(arguments)
        except SystemExit as exit:  # argparse's way out
            assert isinstance(exit.code, int)
            status = exit.code
        out.flush()
    return Result(status, raw.getvalue(), err.getvalue())
