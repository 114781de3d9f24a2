"""A configuration once it has been read: plain data, handed on to those who act on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs

from epnet.limits import ConnectionLimits, SessionSettings, between
from epnet.router.bus import BusSettings
from epnet.router.policy import DevicePolicy, NetworkPolicy, Policies, RemotePolicy
from epnet.router.settings import AC_VOLTAGE, DC_VOLTAGE, PortSettings
from epnet.router.terms import Group

ROUTER: Final = "ep-router"
CLIENT: Final = "ep-client"
SERVER: Final = "ep-server"
PEER: Final = "ep-peer"
ROLES: Final = (ROUTER, CLIENT, SERVER, PEER)
"""The twistd plugins, each of which takes a configuration."""

DEFAULT: Final = "default"
"""In place of a device's identity: the ports of those that are not named."""


@attrs.frozen
class Ourselves:
    """[router]: who we are and where we listen; None or empty for what the file does not say.

    publish_hz: how often what we have to say goes out outside transfers, Hz, 1 to 100.
    """

    identity: str | None = None
    name: str | None = None
    tenant: str | None = None
    provider: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    listen: tuple[str, ...] = ()
    publish_hz: float = attrs.field(default=10.0, validator=between(1, 100))


@attrs.frozen
class Believed:
    """[trust]: whom we believe; None or empty for what the file does not say."""

    policy: str | None = None
    authorities: tuple[Path, ...] = ()
    devices: Path | None = None
    crl: Path | None = None


@attrs.frozen
class Page:
    """[http]: where the live page is, and for whom; None for what the file does not say."""

    listen: str | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    token_file: Path | None = None


@attrs.frozen
class Recorded:
    """[history]: where history is kept, and for how long, days; None for what it does not say."""

    url: str | None = None
    keep_days: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(between(0.01, 36525))
    )


@attrs.frozen
class Dialled:
    """[upstream]: whom to dial, and who dials us though it is above us."""

    hosts: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()


@attrs.frozen
class Called:
    """[downstream]: whom to dial though it is below us."""

    hosts: tuple[str, ...] = ()


@attrs.frozen
class Policing:
    """[policy]: the policies, and where others may come from.

    policies: those of the file.
    source: the name of an `epnet.interfaces.IPolicySource`, or None.
    """

    policies: Policies = attrs.field(factory=Policies)
    source: str | None = None


@attrs.frozen
class Bounding:
    """[limits]: how many may connect, and the times and limits of a session.

    session: all but `publish` and `loss`.
    """

    connections: ConnectionLimits = attrs.field(factory=ConnectionLimits)
    session: SessionSettings = attrs.field(factory=SessionSettings)


@attrs.frozen
class Configuration:
    """All that a file says.

    ports: by identity.
    defaultPort: of trusted devices that `ports` does not name; None to refuse them, or, where no
        port is described at all, to give every device one by its type.
    bus: the bus that the ports on side C hang on, or None.
    """

    router: Ourselves = attrs.field(factory=Ourselves)
    trust: Believed = attrs.field(factory=Believed)
    ports: Mapping[str, PortSettings] = attrs.field(factory=dict)
    defaultPort: PortSettings | None = None
    policy: Policing = attrs.field(factory=Policing)
    upstream: Dialled = attrs.field(factory=Dialled)
    downstream: Called = attrs.field(factory=Called)
    bus: BusSettings | None = None
    http: Page = attrs.field(factory=Page)
    history: Recorded = attrs.field(factory=Recorded)
    limits: Bounding = attrs.field(factory=Bounding)

    @property
    def sessionSettings(self) -> SessionSettings:
        """The times and limits of each session, but for what `patience` says."""
        return attrs.evolve(
            self.limits.session,
            publish=1.0 / self.router.publish_hz,
            loss=self._loss_ms / 1000.0,
        )

    @property
    def patience(self) -> dict[str, float]:
        """How long single devices may be silent in a transfer, in ms, by identity."""
        return {
            name: port.loss_ms for name, port in self.ports.items() if port.loss_ms != self._loss_ms
        }

    @property
    def _loss_ms(self) -> float:
        return (self.defaultPort or PortSettings()).loss_ms

    @property
    def policies(self) -> Policies:
        """The policies, with the ports that name a group among its members."""
        policies, ports = self.policy.policies, self.ports
        groups = (
            attrs.evolve(
                group,
                members=group.members
                | {name for name, port in ports.items() if port.group == group.name},
            )
            for group in policies.groups
        )
        return attrs.evolve(policies, groups=tuple(groups))


# What the tables of the file make


def makePort(**values: object) -> PortSettings:
    """A port; its voltages are those of its kind unless they are given."""
    values.setdefault("voltage", DC_VOLTAGE if values.get("kind") == "DC" else AC_VOLTAGE)
    return PortSettings(**values)  # type: ignore[arg-type]


def makePolicing(
    network: NetworkPolicy | None = None,
    device: Mapping[str, DevicePolicy] | None = None,
    group: tuple[Group, ...] = (),
    remote: tuple[RemotePolicy, ...] = (),
    source: str | None = None,
) -> Policing:
    """The policies, from the tables of the file."""
    policies = Policies(
        network=network or NetworkPolicy(),
        devices=device or {},
        groups=group,
        remotes={each.tenant: each for each in remote},
    )
    return Policing(policies, source)


def makeBounding(**values: object) -> Bounding:
    """The limits, each to the class that has it."""
    several = attrs.fields_dict(ConnectionLimits)
    return Bounding(
        ConnectionLimits(**{k: v for k, v in values.items() if k in several}),  # type: ignore[arg-type]
        SessionSettings(**{k: v for k, v in values.items() if k not in several}),  # type: ignore[arg-type]
    )


def makeConfiguration(
    ports: Mapping[str, PortSettings] | None = None, **tables: object
) -> Configuration:
    """The whole, with the port for devices that are not named apart from the others."""
    named = dict(ports or {})
    default = named.pop(DEFAULT, None)
    return Configuration(ports=named, defaultPort=default, **tables)  # type: ignore[arg-type]
