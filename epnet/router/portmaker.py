"""Who gets a port, and which: what installers say, brought to devices that connect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from epnet.errors import PeerError
from epnet.identity import Peer
from epnet.interfaces import IPort
from epnet.router.converter import SimulatedConverter
from epnet.router.drivers import GuardedConverter, makeConverter
from epnet.router.ports import Port
from epnet.router.routerport import RouterPort
from epnet.router.settings import DEFAULT_PORTS, PortSettings


class PortRefused(PeerError):
    """A device has no port here: it is not listed, and unlisted devices are refused."""


class IPortMaker(Protocol):
    """Makes the port for a device that has none yet."""

    def __call__(self, peer: Peer, /) -> Port:
        """The port.  Raises `PortRefused` if the device is to have none."""


@runtime_checkable
class IDescribable(IPortMaker, Protocol):
    """A maker of ports that takes what installers say, as `PortMaker` does."""

    def describe(self, described: Mapping[str, PortSettings], default: PortSettings | None) -> None:
        """Replace what installers say."""

    def settingsOf(self, peer: Peer) -> PortSettings:
        """What is said of the port of a device.  Raises `PortRefused` if it has none."""


@runtime_checkable
class IForgetting(IPortMaker, Protocol):
    """A maker of ports that keeps something of each device, as `PortMaker` does."""

    def forget(self, identity: str) -> None:
        """The port of a device has been forgotten."""


def portFor(identity: str, settings: PortSettings, converter: IPort) -> Port:
    """A port of the kind that its side needs: on side C there are other routers."""
    return _kindFor(settings)(identity, settings, converter)


def misfit(port: Port, settings: PortSettings) -> str | None:
    """Why a port cannot take these settings, so that its device needs another one; else None."""
    if isinstance(port, RouterPort) != (_kindFor(settings) is RouterPort):
        return f"its port is on side {settings.side} now"
    if port.settings.converter != settings.converter:
        return "its port has another converter now"
    return None


def describeAnew(port: Port, settings: PortSettings) -> None:
    """Give a port other settings that fit it, and its converter, if simulated, their rating."""
    port.describe(settings)
    if isinstance(port.converter, SimulatedConverter):
        port.converter.rate(settings.max_power)


def _kindFor(settings: PortSettings) -> type[Port]:
    return RouterPort if settings.side == "C" else Port


class PortMaker:
    """Makes the port of a device that connects for the first time.

    clock: the one clock, for the converters.
    described: settings by identity.
    default: for devices that are not described.  None with descriptions: they are refused; None
        without any: they get the settings of their type.
    meters: whether the simulated converters have meters: where the devices are simulated, too.

    Converters that are not simulated are made once for each device and description, and kept.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        described: Mapping[str, PortSettings],
        default: PortSettings | None = None,
        meters: bool = True,
    ) -> None:
        self._clock = clock
        self._meters = meters
        self._driven: dict[tuple[str, str], GuardedConverter] = {}
        self.describe(described, default, refuse=False)

    def describe(
        self,
        described: Mapping[str, PortSettings],
        default: PortSettings | None,
        refuse: bool = True,
    ) -> None:
        """Replace what installers say; `refuse`: whether devices not described are refused."""
        self._described = dict(described)
        self._default = default
        self._refuses = refuse and default is None and bool(described)

    def __call__(self, peer: Peer) -> Port:
        """The port of that device.  Raises `PortRefused` if there is none for it."""
        settings = self.settingsOf(peer)
        if settings.converter is not None:
            driven = self._drivenBy(settings.converter, peer.identity)
            port = portFor(peer.identity, settings, driven)
            driven.failed = port.converterFailed
            return port
        converter = SimulatedConverter(self._clock, settings.max_power, meters=self._meters)
        port = portFor(peer.identity, settings, converter)
        converter.voltage = port.wireVoltage
        if isinstance(port, RouterPort):
            converter.beyond = port.beyond
        return port

    def _drivenBy(self, description: str, identity: str) -> GuardedConverter:
        """The converter of a device that an installer describes, made when it is first needed."""
        found = self._driven.get((identity, description))
        if found is None:
            try:
                converter = makeConverter(description, self._clock)
            except Exception as error:
                self.log.failure("{identity}: its converter cannot be made", identity=identity)
                raise PortRefused("the converter of its port cannot be made") from error
            found = GuardedConverter(converter, identity, self._clock)
            self._driven[identity, description] = found
        return found

    def forget(self, identity: str) -> None:
        """The port of a device has been forgotten; what drove it is let go of."""
        for key in [key for key in self._driven if key[0] == identity]:
            del self._driven[key]

    def settingsOf(self, peer: Peer) -> PortSettings:
        """What is said of the port of that device; of one that only says its name, the default.

        Raises `PortRefused` if unlisted devices are refused.
        """
        if peer.authenticated and peer.identity in self._described:
            return self._described[peer.identity]
        if self._refuses:
            raise PortRefused(f"no port is configured for {peer.identity!r}")
        if self._default is not None:
            return self._default
        return DEFAULT_PORTS.get(peer.parameters.type or "", PortSettings())
