"""What ``epnet bench`` runs: one module a benchmark, each with ``run(rounds)``.

Those with devices have a usual number of them, ``DEVICES``, and ``run(rounds, devices)``.  All
need nothing but the installed package, use loopback only, and take a minute at most.  A figure
says little by itself on a machine that does other things, too: each one stands beside a baseline
measured in the same run, round by round in turn, and what counts is the ratio.
"""

from __future__ import annotations

from typing import Final

BENCHMARKS: Final = {
    "allocation": "Who gets how much, against a bare merit order and max-min fill.",
    "wire": "Bytes to checked messages and back, against plain CBOR.",
    "session": "Server time for a message in and one out, against Twisted's TLS alone.",
    "router": "How soon grants follow demands in a whole router.",
    "observers": "How late messages and grants are in a router that is watched, against alone.",
    "start": "How soon a router listens, against Twisted's reactor alone.",
    "memory": "Memory of a session, against a connection of Twisted's TLS alone.",
    "handshake": "Age of messages during a storm of handshakes, against quiet.",
    "pressure": "Devices that flood beside quiet ones; devices that do not read.",
    "flood": "Age of messages while strangers try to connect, against quiet.",
    "strangers": "How long a device takes to connect beside silent strangers.",
}
"""Benchmarks, named as their modules in this package, with what each measures."""
