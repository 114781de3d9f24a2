"""Policies brought to the ports that are here: which of them hold for whom (EnergyNet §2.4)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import inf

from epnet.router.bounds import NO_POLICY
from epnet.router.fairness import Groups
from epnet.router.policy import NetworkPolicy, Policies, RemotePolicy
from epnet.router.ports import Port
from epnet.router.terms import MOST, Group

OUTSIDE = ("B", "C")
"""The sides that lead out of the local network."""


def govern(ports: Iterable[Port], policies: Policies) -> None:
    """Give each port the policies of its device and, on side C, of its device's tenant."""
    for port in ports:
        port.govern(policies.devices.get(port.identity, NO_POLICY), _remote(port, policies))


def _remote(port: Port, policies: Policies) -> RemotePolicy | None:
    if port.settings.side != "C" or port.peer is None:
        return None
    # A tenant is one that a certificate vouches for: others are everybody.
    tenant = port.peer.tenant if port.peer.authenticated else None
    everybody = policies.remotes.get("*")
    return everybody if tenant is None else policies.remotes.get(tenant, everybody)


def groupsOf(policies: Policies, ports: Collection[Port]) -> Groups:
    """The groups that hold for these ports: those of the policies, and the network's own limits.

    A port whose settings name a group is a member of it.  A device may call itself what it likes:
    a group with the name of a device goes by another one here.
    """
    groups = {group.name for group in policies.groups}
    taken = {port.identity for port in ports}
    # Those who are not here yet, too: else who comes could put a group within itself.
    taken.update(name for group in policies.groups for name in group.members if name not in groups)
    names = {}
    for group in policies.groups:
        name = group.name
        while name in taken:
            name = f"{name} (group)"
        taken.add(name)
        names[group.name] = name
    joining: dict[str, set[str]] = {}
    for port in ports:
        if port.settings.group is not None:
            joining.setdefault(port.settings.group, set()).add(port.identity)
    renamed = [
        Group(
            names[group.name],
            group.max_w,
            {names.get(member, member) for member in group.members}
            | joining.get(group.name, set()),
            group.direction,
        )
        for group in policies.groups
    ]
    return Groups(renamed + _limits(policies.network, ports, taken))


def _limits(network: NetworkPolicy, ports: Collection[Port], taken: set[str]) -> list[Group]:
    outside = {port.identity for port in ports if port.settings.side in OUTSIDE}
    limits = []
    for direction, most in (("import", network.max_import_w), ("export", network.max_export_w)):
        if most < inf:
            name = f"the network's {direction}"
            while name in taken:
                name += " limit"
            limits.append(Group(name, min(most, MOST), outside, direction))
    return limits
