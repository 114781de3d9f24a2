"""``epnet explain``: why a device's grant is what it is, and what would have to change for more."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from epnet.cli import remote
from epnet.cli.words import nameOf, plain, watts
from epnet.errors import UsageError


def addArguments(parser: argparse.ArgumentParser) -> None:
    """Add the device, and where the router is."""
    parser.add_argument("device", metavar="DEVICE", help="its identity, or the name it says it has")
    remote.addArguments(parser)


def run(options: argparse.Namespace) -> int:
    """Explain; raises `UsageError` for a device that the router does not know."""
    devices = remote.RunningRouter.of(options).decisions()["devices"]
    for line in explained(_chosen(devices, options.device)):
        print(line)
    return 0


def _chosen(devices: Sequence[Mapping[str, Any]], asked: str) -> Mapping[str, Any]:
    """The port of the device with that identity, or else of the only one with that name."""
    for device in devices:
        if device["device"] == asked:
            return device
    named = [each for each in devices if (each["name"] or "").lower() == asked.lower()]
    if len(named) == 1:
        return named[0]
    known = ", ".join(nameOf(device) for device in devices) or "none"
    what = "no device" if not named else f"{len(named)} devices"
    raise UsageError(f"{what} of the router is called {asked!r}; its devices are: {known}")


def explained(port: Mapping[str, Any]) -> Iterator[str]:
    """A port in plain words: what holds in each direction that matters, and the last changes."""
    yield nameOf(port) + ("" if port["connected"] else ", not connected")
    decisions = port["decisions"]
    if not decisions:
        yield "  Nothing has been decided for it yet."
    active = [each for each in decisions if each["power_w"] > 0.0]
    able = [each for each in decisions if each["bound_w"] > 0.0]
    for decision in active or able or decisions:
        yield ""
        yield from _decided(decision)
    if port["changes"]:
        yield ""
        yield "The last changes:"
    yield from map(_changed, reversed(port["changes"]))


def _decided(decision: Mapping[str, Any]) -> Iterator[str]:
    may = f"It may {_verb(decision)} {watts(decision['power_w'])}"
    if decision["target_w"] != decision["power_w"]:
        may += f", going to {watts(decision['target_w'])}"
    yield f"{may} since {_clock(decision['time'])} ({plain(decision['state'])})."
    yield f"  Why:       {plain(decision['text'])}."
    yield f"  For more:  {plain(decision['more'])}."
    yield f"  At most:   {watts(decision['bound_w'])}, by device, port, cable and policies."


def _changed(change: Mapping[str, Any]) -> str:
    after, since, until = change["after"], _clock(change["since"]), _clock(change["until"])
    before, power = change["before_w"], watts(after["power_w"])
    way = power if watts(before) == power else f"{watts(before)} -> {power}"
    when = since if until == since else f"{since} - {until}"
    return f"  {when:19}  {_verb(after)} {way}: {plain(change['cause'])}"


def _verb(decision: Mapping[str, Any]) -> str:
    return "supply" if decision["direction"] == "import" else "draw"


def _clock(time: str) -> str:
    """A time of the router as the clock here shows it."""
    return f"{datetime.fromisoformat(time).astimezone():%H:%M:%S}"
