"""What ``epnet bench`` runs: one module a benchmark, each with ``run(rounds)``.

They need nothing but the installed package, use loopback only, and take a minute at most.  A figure
says little by itself on a machine that does other things, too: each one stands beside a baseline
measured in the same run, round by round in turn, and what counts is the ratio.
"""

from __future__ import annotations

from typing import Final

BENCHMARKS: Final = {
    "allocation": "Who gets how much, against a bare merit order and max-min fill.",
    "wire": "Bytes to checked messages and back, against plain CBOR.",
}
"""Benchmarks, named as their modules in this package, with what each measures."""
