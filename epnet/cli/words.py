"""Numbers and tables for people who look at a router in a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

HEADS: Final = ("device", "port", "flows", "granted", "charge", "why")


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
    """The router and its sums in two lines."""
    router, totals = state["router"], state["totals"]
    count = state["sessions"].get("open", 0)
    who = nameOf(router)
    return (
        f"{who}, epnet {plain(router['version'])}, up {span(router['uptime_s'])}, "
        f"{count} open session{'' if count == 1 else 's'}\n"
        f"{watts(totals['import_w'])} in, {watts(totals['export_w'])} out, "
        f"{watts(totals['losses_w'])} lost in conversion"
    )


def table(devices: Sequence[Mapping[str, Any]], width: int | None = None) -> Iterator[str]:
    """The devices, a line each; cut to `width` columns where one is given."""
    rows = [HEADS, *(_row(device) for device in devices)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        *cells, why = row
        padded = "  ".join(cell.ljust(wide) for cell, wide in zip(cells, widths, strict=False))
        yield cut(f"{padded}  {why}".rstrip(), width)


def cut(line: str, width: int | None) -> str:
    """A line of at most `width` columns; an ellipsis stands for what does not fit."""
    return line if width is None or len(line) <= width else line[: max(0, width - 1)] + "…"


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
