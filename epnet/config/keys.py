"""The table of all configuration keys: what may stand in a file, declared once.

The reader, its hints, and the reference in the documentation come from here.  Ranges, words and
defaults are those of the classes that the values end up in, which each key names with `of`.
"""

from __future__ import annotations

from typing import Final

from epnet.config.model import CLIENT, PEER, ROUTER, makeConfiguration
from epnet.config.policykeys import POLICY
from epnet.config.portkeys import BUS, PORT
from epnet.config.programkeys import DOWNSTREAM, HISTORY, HTTP, LIMITS, OURSELVES, TRUST, UPSTREAM
from epnet.config.tables import Named, Table, table, tablesIn

ROOT: Final = Table(
    "",
    "The whole file.",
    (
        table("router", OURSELVES),
        table("trust", TRUST),
        table("ports", Named(PORT), roles=[ROUTER]),
        table("policy", POLICY, roles=[ROUTER]),
        table("upstream", UPSTREAM, roles=[ROUTER, CLIENT, PEER]),
        table("downstream", DOWNSTREAM, roles=[ROUTER]),
        table("bus", BUS, roles=[ROUTER]),
        table("http", HTTP, roles=[ROUTER]),
        table("limits", LIMITS),
        table("history", HISTORY, roles=[ROUTER]),
    ),
    makeConfiguration,
)

TABLES: Final = tuple(tablesIn(ROOT))[1:]
"""Every table that there is, in the order of the reference."""


def _places() -> dict[str, list[str]]:
    places: dict[str, list[str]] = {}
    for each in TABLES:
        for row in each.keys:
            places.setdefault(row.name, []).append(each.title)
    return places


PLACES: Final = _places()
"""In which tables each key may stand."""
