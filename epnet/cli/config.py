"""``epnet config``: says what is wrong with a configuration file, and what is odd."""

from __future__ import annotations

import argparse
from pathlib import Path

from epnet.config.model import ROLES, ROUTER
from epnet.config.reader import ConfigurationError, parseConfiguration, readBytes
from epnet.errors import UsageError


def addArguments(parser: argparse.ArgumentParser) -> None:
    """Add ``check``."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        help="print every problem, one a line",
        description="Print every problem of a configuration file: FILE:LINE: KEY, what is wrong "
        "and what it must be.  Exit status 0: good, perhaps with warnings; 1: it cannot be used; "
        "2: it cannot be read.",
    )
    check.add_argument("file", metavar="FILE", type=Path, help="the configuration, TOML")
    check.add_argument(
        "--for",
        dest="role",
        choices=ROLES,
        default=ROUTER,
        help="the twistd plugin that it is for (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Check a file; gives 0 if it can be used, 1 if not."""
    try:
        content = readBytes(options.file)
    except ConfigurationError as error:
        raise UsageError(str(error)) from error
    try:
        found = parseConfiguration(content, options.file, options.role)
    except ConfigurationError as error:
        print(error)
        return 1
    for problem in found.warnings:
        print(f"{problem.text(options.file)} (warning)")
    print(f"{options.file}: good for {options.role}")
    return 0
