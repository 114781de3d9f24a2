"""Numbers and tables for people who look at a router in a terminal."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

HEADS: Final = ("device", "port", "flows", "granted", "charge", "why")
SPARED: Final = ("port", "granted", "charge")
"""What is left out of a table where there is little room, what is missed least first."""
LEAST_WHY: Final = 12
"""Columns that are kept for the reason."""


def watts(power: float | None) -> str:
    """A power: ``350 W``, ``4.20 kW``; a dash where there is none."""
    if power is None:
        return "-"
    if abs(power) < 999.5:
        return f"{power:.0f} W"
    if abs(power) < 999_500:
        return f"{power / 1e3:.2f} kW"
    return f"{power / 1e6:.2f} MW"


def span(seconds: float) -> str:
    """A time: ``12 s``, ``5 min``, ``3 h 20 min``, ``4 days``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = math.floor(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} days"


def plain(text: object) -> str:
    """Text of a device with nothing in it that a terminal would obey."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text)
    )


def nameOf(device: Mapping[str, Any]) -> str:
    """What a device is called, with its identity where that differs."""
    name, identity = device.get("name"), device.get("identity", device.get("device"))
    return plain(identity if name in (None, identity) else f"{name} ({identity})")


def headline(state: Mapping[str, Any]) -> str:
    """The router and its sums in two lines; a third where its bus has two drivers."""
    router, totals, bus = state["router"], state["totals"], state.get("bus")
    count = state["sessions"].get("open", 0)
    who = nameOf(router)
    alarm = ""
    if bus is not None and bus["alarm"]:
        alarm = f"\nBUS {plain(bus['name'])} HAS OR HAD TWO DRIVERS: nothing flows on it"
    return (
        f"{who}, epnet {plain(router['version'])}, up {span(router['uptime_s'])}, "
        f"{count} open session{'' if count == 1 else 's'}\n"
        f"{watts(totals['import_w'])} in, {watts(totals['export_w'])} out, "
        f"{watts(totals['losses_w'])} lost in conversion{alarm}"
    )


def table(devices: Sequence[Mapping[str, Any]], width: int | None = None) -> Iterator[str]:
    """The devices, a line each, and what marks them; in `width` columns where one is given."""
    rows = [HEADS, *(_row(device) for device in devices)]
    columns = dict(zip(HEADS, zip(*rows, strict=True), strict=True))
    reasons = columns.pop("why")
    for name in SPARED:
        taken = sum(max(map(wide, column)) + 2 for column in columns.values())
        if width is not None and taken + LEAST_WHY > width:
            del columns[name]
    padded = [_padded(column) for column in columns.values()]
    for *cells, why in zip(*padded, reasons, strict=True):
        yield cut("  ".join([*cells, why]).rstrip(), width)
    if any(device["estimated"] for device in devices):
        yield cut("~ an estimate, for want of a meter", width)


def wide(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(map(_columns, text))


def cut(line: str, width: int | None) -> str:
    """A line of at most `width` columns; an ellipsis stands for what does not fit."""
    if width is None or wide(line) <= width:
        return line
    taken = 0
    for number, letter in enumerate(line):
        taken += _columns(letter)
        if taken > width - 1:
            return line[:number] + "…"
    return line


def _columns(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _padded(column: Sequence[str]) -> list[str]:
    most = max(map(wide, column))
    return [cell + " " * (most - wide(cell)) for cell in column]


def _row(device: Mapping[str, Any]) -> tuple[str, ...]:
    soc = (device["storage"] or {}).get("soc")
    return (
        nameOf(device),
        f"{device['side']} {device['kind']}",
        ("~" if device["estimated"] else "") + flow(device["import_w"], device["export_w"]),
        flow(device["granted_import_w"], device["granted_export_w"]),
        "" if soc is None else f"{soc:.1f} %",
        plain(device["why"]),
    )


def flow(import_w: float | None, export_w: float | None) -> str:
    """A power with its direction, as seen from the router."""
    if import_w:
        return f"{watts(import_w)} in"
    if export_w:
        return f"{watts(export_w)} out"
    return "-" if import_w is None and export_w is None else "0 W"
