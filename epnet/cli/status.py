"""``epnet status``: the running router, once."""

from __future__ import annotations

import argparse
import json
import shutil
import sys

from epnet.cli import remote
from epnet.cli.words import headline, table


def addArguments(parser: argparse.ArgumentParser) -> None:
    """Add where the router is, and ``--json``."""
    remote.addArguments(parser)
    parser.add_argument("--json", action="store_true", help="its state as it gives it")


def run(options: argparse.Namespace) -> int:
    """Print the state; raises `epnet.cli.remote.RouterError` where there is none."""
    state = remote.RunningRouter.of(options).state()
    if options.json:
        print(json.dumps(state))
        return 0
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(headline(state), end="\n\n")
    for line in table(state["devices"], width):
        print(line)
    if not state["devices"]:
        print("no device has connected yet")
    return 0
