"""The ``epnet`` command: one module a subcommand, imported only when it is used.

Each module has ``addArguments(parser)``, which fills an `argparse.ArgumentParser`, and
``run(options)``, which does the work and returns the exit status.  Mistakes it finds raise
`epnet.errors.UsageError`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from epnet.errors import EPError, UsageError

COMMANDS: Final = {
    "bench": "Benchmarks, each with a baseline from the same run.",
    "config": "Checks a configuration file.",
    "decode": "Frames, in hex, dumps or raw, to text or JSON lines.",
    "encode": "JSON lines, as decode prints them, to frames.",
    "explain": "Why a device's grant is what it is, and what more would take.",
    "monitor": "The running router, live.",
    "status": "The running router, once.",
    "dissector": "The dissector for Wireshark, printed or installed.",
    "pki": "A private authority and the certificates of devices.",
}
"""Subcommands, named as their modules in this package, with what each does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 done, 1 failed, 2 wrong usage.

    argv: the arguments after the program's name; None for those of the process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = _parser(arguments[:1]).parse_args(arguments)
    try:
        status: int = options.run(options)
    except UsageError as error:
        return _fail(error, 2)
    except BrokenPipeError:  # who read the output has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except (EPError, OSError) as error:
        return _fail(error, 1)
    return status


def _parser(chosen: Sequence[str]) -> argparse.ArgumentParser:
    """Make the parser with the arguments of the chosen command alone."""
    parser = argparse.ArgumentParser(prog="epnet", description="Tools for the Energy Protocol.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name in chosen:
            module = import_module(f"{__name__}.{name}")
            module.addArguments(command)
            command.set_defaults(run=module.run)
    return parser


def _fail(error: Exception, status: int) -> int:
    print(f"epnet: {error}", file=sys.stderr)
    return status
