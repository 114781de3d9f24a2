"""The tables of `epnet.wire`, as the text of the reference.

Sphinx's autodoc shows the docstring of a module; that of this one is made of the tables when it is
imported, so that the documentation cannot differ from the code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from epnet.wire import Code, IsolationState, Message, Severity, Source, registeredMessages
from epnet.wire import compounds as compoundsModule
from epnet.wire import kinds as kindsModule
from epnet.wire.kinds import Kind

Row = Sequence[str]


def tableOf(heads: Row, rows: Iterable[Row]) -> Iterator[str]:
    """A list-table, line by line."""
    yield from (".. list-table::", "   :header-rows: 1", "   :widths: auto", "")
    for row in (heads, *rows):
        for position, cell in enumerate(row):
            yield f"   {'*' if position == 0 else ' '} - {cell}".rstrip()
    yield ""


def section(title: str, underline: str) -> Iterator[str]:
    yield from (title, underline * len(title), "")


def valueTypes() -> Iterator[str]:
    """The value types that the fields of the spec can have."""
    found = [
        value
        for module in (kindsModule, compoundsModule)
        for value in vars(module).values()
        if isinstance(value, Kind)
    ]
    kinds = {kind.name: kind for kind in found}
    rows = [
        (f"``0x{kind.id:02x}``", kind.name, kind.unit, kind.data, kind.description)
        for kind in sorted(kinds.values(), key=lambda kind: kind.id)
    ]
    yield from section("Value types", "-")
    yield from tableOf(("Id", "Value type", "Unit", "CBOR", "Description"), rows)


def sources() -> Iterator[str]:
    yield from section("Sources and isolation states", "-")
    yield from tableOf(
        ("Id", "Source", "Name in Python", "Typical g CO\\ :sub:`2`\\ eq/kWh"),
        (
            (f"``0x{each:02x}``", each.title, f"`Source.{each.name}`", str(each.carbon))
            for each in Source
        ),
    )
    yield from tableOf(
        ("Code", "Isolation state", "Name in Python"),
        (
            (f"``0x{each:02x}``", each.title, f"`IsolationState.{each.name}`")
            for each in IsolationState
        ),
    )


def messageTable(cls: type[Message]) -> Iterator[str]:
    """One message: what it is for, and its fields."""
    yield from section(f"{cls.__name__} (0x{cls.typeId:08x})", "~")
    summary, *_ = str(cls.__doc__).split("\n\n")
    yield from (summary, "", f"Paths in diagnostics start with ``{cls.label}``.", "")
    rows = [
        (
            f"``0x{row.id:02x}``",
            f"`{row.name}`",
            row.kind.name,
            row.kind.unit,
            row.description + (" (required)" if row.required else ""),
            "yes" if row.consent else "",
        )
        for row in cls.table()
    ]
    if rows:
        heads = ("Id", "Field", "Value type", "Unit", "Description", "Voids consent")
        yield from tableOf(heads, rows)


def messages() -> Iterator[str]:
    yield from section("Messages", "-")
    yield "Where *voids consent* says yes, an invalid value of the field makes the message"
    yield from ("worthless as consent to transfer power.", "")
    for cls in registeredMessages():
        yield from messageTable(cls)


def diagnostics() -> Iterator[str]:
    """All codes, errors first."""
    yield from section("Diagnostics", "-")
    for severity in Severity:
        rows = [
            (f"``{code.value}``", code.description) for code in Code if code.severity == severity
        ]
        yield from section(f"{severity.name.capitalize()}s", "~")
        yield from tableOf(("Code", "Meaning"), rows)


__doc__ = "\n".join([*messages(), *valueTypes(), *sources(), *diagnostics()])
