"""What figures were taken on: the machine, the programs, and how busy it was."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from OpenSSL import SSL

PACKAGES = ("epnet", "twisted", "cryptography", "cbor2")


def machine() -> dict[str, object]:
    """The machine, its system, and the programs that count, for JSON."""
    return {
        "system": f"{sys.platform} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "openssl": SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode().split()[1],
        **{name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    """Its name where Linux tells, else what Python knows."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
