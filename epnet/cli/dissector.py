"""``epnet dissector``: the Wireshark dissector, printed or installed."""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from epnet.dissector import MARK, dissector
from epnet.endpoints import EP_PORT
from epnet.errors import UsageError

FILE: Final = "epnet-ep.lua"
"""The name under which it is installed."""

_FOLDER: Final = "Personal Lua Plugins:"


def addArguments(parser: argparse.ArgumentParser) -> None:
    """Add whether and where to install."""
    parser.add_argument(
        "--install",
        nargs="?",
        type=Path,
        const=Path(),
        metavar="DIR",
        help="install it for Wireshark instead of printing it (default: your plugin folder)",
    )


def run(options: argparse.Namespace) -> int:
    """Print or install the dissector; return 0.  Raises `UsageError` if a file is in the way."""
    code = dissector(EP_PORT)
    if options.install is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")
        print(code, end="")
        return 0
    path = _install(code, pluginFolder() if options.install == Path() else options.install)
    print(f"installed {path}")
    print("restart Wireshark, or reload its Lua plugins with Ctrl+Shift+L")
    return 0


def pluginFolder() -> Path:
    """The user's folder for Wireshark plugins: what tshark says, or else where it is by default."""
    tshark = shutil.which("tshark")
    if tshark is not None:
        said = subprocess.run(
            [tshark, "-G", "folders"], capture_output=True, text=True, check=False
        )
        for line in said.stdout.splitlines():
            if line.startswith(_FOLDER):
                return Path(line.removeprefix(_FOLDER).strip())
    return Path.home() / ".local/lib/wireshark/plugins"


def _install(code: str, folder: Path) -> Path:
    path = folder / FILE
    if path.exists() and not path.read_text("utf-8", errors="replace").startswith(MARK):
        raise UsageError(f"{path} was not made by epnet; move it away, or install elsewhere")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(code, "utf-8")
    return path
