"""What no single key shows: what contradicts what, and what is legal and yet odd."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from epnet.config.kinds import nearest, numberText, shown
from epnet.config.model import DEFAULT, Configuration
from epnet.config.positions import Path
from epnet.router.policy import DevicePolicy
from epnet.router.settings import PortSettings

Remark = tuple[Path, str]
"""Where something is wrong or odd, and what."""


# Contradictions, in the data as they were written: they are told of together with all other
# mistakes, and so have to do with data of any form.


def contradictions(data: Mapping[str, Any]) -> Iterator[Remark]:
    """What in the data of a file cannot be together."""
    policy = data.get("policy")
    groups = _tables(policy, "group")
    yield from _twins(("policy", "group"), "name", groups)
    yield from _twins(("policy", "remote"), "tenant", _tables(policy, "remote"))
    yield from _cycles(groups)
    yield from _lostPorts(data.get("ports"), groups)
    trust = data.get("trust")
    if isinstance(trust, dict) and "crl" in trust:
        believed = trust.get("policy", "authority")
        if believed in ("devices", "open"):
            yield (
                ("trust", "crl"),
                f'is for policy "authority"; with {shown(believed)} leave it out',
            )


def _tables(table: object, name: str) -> list[tuple[int, dict[str, Any]]]:
    """The tables of an array of tables, as far as they are such, with their numbers."""
    found = table.get(name) if isinstance(table, dict) else None
    numbered = enumerate(found if isinstance(found, list) else [])
    return [(number, each) for number, each in numbered if isinstance(each, dict)]


def _twins(path: Path, key: str, tables: Iterable[tuple[int, dict[str, Any]]]) -> Iterator[Remark]:
    seen: set[str] = set()
    for number, table in tables:
        name = table.get(key)
        if isinstance(name, str):
            if name in seen:
                yield (*path, number, key), f"is {shown(name)}, as another one before it"
            seen.add(name)


def _cycles(groups: Iterable[tuple[int, dict[str, Any]]]) -> Iterator[Remark]:
    inside, numbers = dict[str, list[str]](), dict[str, int]()
    for number, group in groups:
        name, members = group.get("name"), group.get("members")
        if isinstance(name, str) and isinstance(members, list):
            inside[name] = [member for member in members if isinstance(member, str)]
            numbers[name] = number
    try:
        TopologicalSorter(inside).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        path: Path = ("policy", "group", numbers[circle[0]], "members")
        yield path, f"lead back to the group itself: {' in '.join(map(shown, circle))}"


def _lostPorts(ports: object, groups: Iterable[tuple[int, dict[str, Any]]]) -> Iterator[Remark]:
    names = [group["name"] for _, group in groups if isinstance(group.get("name"), str)]
    for identity, port in ports.items() if isinstance(ports, dict) else ():
        group = port.get("group") if isinstance(port, dict) else None
        if isinstance(group, str) and group not in names:
            hint = nearest(group, names)
            yield ("ports", identity, "group"), f"is {shown(group)}; no group has that name{hint}"


# Oddities, in a configuration that is good


def oddities(configuration: Configuration) -> Iterator[Remark]:
    """What is legal, and yet seldom meant."""
    ports = dict(configuration.ports)
    if configuration.defaultPort is not None:
        ports[DEFAULT] = configuration.defaultPort
    for identity, port in ports.items():
        for key, odd in _oddPort(port):
            yield ("ports", identity, key), odd
    yield from _sharedConverters(ports)
    if configuration.router.identity in ports:
        yield (
            ("ports", str(configuration.router.identity)),
            "is the router itself: no device can come as that",
        )
    for identity, policy in configuration.policy.policies.devices.items():
        path = ("policy", "device", identity)
        if configuration.ports and configuration.defaultPort is None and identity not in ports:
            yield path, f"is for a device that has no port{nearest(identity, ports)}"
        for key, odd in _oddDevice(policy, ports.get(identity)):
            yield (*path, key), odd
    yield from _oddGroups(configuration, ports)


def _sharedConverters(ports: Mapping[str, PortSettings]) -> Iterator[Remark]:
    """Two drivers of one piece of equipment undo what the other one does."""
    owners: dict[str, str] = {}
    for identity, port in ports.items():
        if port.converter is None:
            continue
        path: Path = ("ports", identity, "converter")
        if identity == DEFAULT:
            yield path, "is driven anew for each device that comes: describe a port for each"
        owner = owners.setdefault(port.converter, identity)
        if owner != identity:
            yield path, f"is that of {shown(owner)}, too: each port needs its own"


def _oddPort(port: PortSettings) -> Iterator[tuple[str, str]]:
    most = min(port.max_power, port.voltage.max * port.current_limit * port.phases)
    if port.min_w > most:
        yield (
            "min_w",
            f"is {numberText(port.min_w)} W, and the port carries {numberText(most)} W at most: "
            "its device will never get anything",
        )
    if port.cable_current < port.max_current:
        yield (
            "cable_current",
            f"is {numberText(port.cable_current)} A, less than the port's "
            f"{numberText(port.max_current)} A: the cable rules",
        )
    if port.current_limit == 0.0:
        yield "max_current", "or the cable's is 0 A: nothing can flow"
    if port.kind == "DC" and port.phases != 1:
        yield "phases", "is for AC: a DC port has none"
    if port.loss_ms > 200.0:
        yield "loss_ms", f"is {numberText(port.loss_ms)} ms; Framing §5.1 says 200 ms"


def _oddDevice(policy: DevicePolicy, port: PortSettings | None) -> Iterator[tuple[str, str]]:
    if policy.derating == 0.0 or policy.max_w == 0.0:
        yield (
            "derating" if policy.derating == 0.0 else "max_w",
            "is 0: its device neither takes nor gives anything",
        )
    elif port is not None and min(policy.max_w, policy.derating * port.max_power) < port.min_w:
        yield (
            "max_w" if policy.max_w < port.min_w else "derating",
            f"leaves less than the port's min_w of {numberText(port.min_w)} W: its device will "
            "never get anything",
        )


def _oddGroups(configuration: Configuration, ports: Mapping[str, PortSettings]) -> Iterator[Remark]:
    groups = configuration.policies.groups
    known = {*ports, *(group.name for group in groups)}
    for number, (group, written) in enumerate(
        zip(groups, configuration.policy.policies.groups, strict=True)
    ):
        path = ("policy", "group", number)
        if not group.members:
            yield (*path, "members"), "is empty, and no port names the group: it caps nothing"
        everyoneNamed = configuration.ports and configuration.defaultPort is None
        lost = sorted(written.members - known) if everyoneNamed else []
        for name in lost:
            yield (*path, "members"), f"names {shown(name)}, which no port is{nearest(name, known)}"
        for name in sorted(group.members & ports.keys()):
            if ports[name].min_w > group.max_w:
                yield (
                    (*path, "max_w"),
                    f"is less than the min_w of its member {shown(name)}, which will never get "
                    "anything",
                )
