"""The keys of the configuration file, as the text of the reference.

As with `wiretables`, the text is made of the table in the code when this module is imported, so
that the documentation cannot differ from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from wiretables import section, tableOf

from epnet.config.keys import TABLES
from epnet.config.kinds import Several
from epnet.config.tables import Key, Named, Table


def literal(text: str) -> str:
    """A text with its quoted words as TOML has them, not as prose has."""
    return re.sub(r'"[^"]*"', r"``\g<0>``", text)


def holdsTables(key: Key) -> bool:
    """Whether a key only leads to tables that have a section of their own."""
    kind = key.kind.each if isinstance(key.kind, Named | Several) else key.kind
    return isinstance(kind, Table) and not key.meaning


def keyTable(table: Table) -> Iterator[str]:
    """One table of the file: what it is for, and its keys."""
    title = table.title if table.title.startswith("[") else f"{table.title} = {{…}}"
    yield from section(f"``{title}``", "~")
    yield from (table.meaning, "")
    rows = [
        (
            f"``{key.name}``" + (" †" if key.atStart else ""),
            literal(key.meaning),
            literal(key.kind.expected) if not isinstance(key.kind, Table) else "a table, see below",
            "(required)" if key.required else literal(key.default) or "none",
        )
        for key in table.keys
        if not holdsTables(key)
    ]
    yield from tableOf(("Key", "Meaning", "Value", "Without it"), rows)


__doc__ = "\n".join(line for table in TABLES for line in keyTable(table))
