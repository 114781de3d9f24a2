"""What the four twistd plugins share: options, credentials, signals, how start-up errors look."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from twisted.application.service import IService, MultiService
from twisted.internet.interfaces import IReactorTime
from twisted.python import usage

from epnet.config.keeper import ConfigurationKeeper
from epnet.config.model import Configuration
from epnet.connections import Connections
from epnet.dialler import Dialler
from epnet.errors import UsageError
from epnet.factory import EPClientFactory
from epnet.identity import readCertificate
from epnet.memory import settle
from epnet.pem import readCertificates
from epnet.pki import certificatePaths
from epnet.state import defaultStateDir
from epnet.tap.files import makeRoom
from epnet.tls import Trust
from epnet.trust.devicelist import devicesPath
from epnet.trust.keeper import TrustKeeper
from epnet.trust.keylog import KeyLog
from epnet.trust.revocation import revocationPaths
from epnet.trust.sources import AUTHORITY, POLICIES, TrustSources
from epnet.upstream import Upstream, UpstreamEndpoint

O = TypeVar("O", bound="CommonOptions")  # noqa: E741  # the options of one plugin


class CommonOptions(usage.Options):
    """The options of all four plugins.

    An option not given is taken from the environment: ``--state-dir`` from ``EPNET_STATE_DIR``;
    one that may be given several times is split there at white space.  What neither says is taken
    from the configuration file, if there is one.

    role: the plugin, one of `epnet.config.model.ROLES`.
    configuration: what the configuration file says.
    keeper: who keeps it, if there is one.
    """

    role: str
    optParameters = [
        ["config", None, None, "The configuration, a TOML file"],
        ["state-dir", None, None, "Where certificates are kept [default: the user's state folder]"],
        ["identity", None, None, "Our identity [default: from --certificate, or the host's name]"],
        ["certificate", None, None, "Our certificate, PEM [default: the state folder's]"],
        ["key", None, None, "Its private key, PEM [default: the state folder's]"],
        ["authority", None, None, "The authority to trust, PEM [default: the state folder's]"],
        [
            "trust",
            None,
            None,
            "Whom to trust: authority, devices (listed ones), or open (all) [default: authority]",
        ],
        ["crl", None, None, "Revocation lists, PEM [default: the state folder's, if any]"],
        ["devices", None, None, "The list of trusted devices [default: the state folder's]"],
    ]

    def __init__(self) -> None:
        super().__init__()
        self.configuration = Configuration()
        self.keeper: ConfigurationKeeper | None = None
        for name in list(self.defaults):
            self[name] = _fromEnvironment(name) or self[name]

    def collect(self, name: str, value: str) -> None:
        """Add a value to an option that may be given several times."""
        self.setdefault(name, []).append(value)

    def many(self, name: str, configured: Iterable[str] = ()) -> list[str]:
        """The values of an option that may be given several times, or those in the file."""
        return self.get(name) or (_fromEnvironment(name) or "").split() or list(configured)

    def readConfiguration(self, clock: IReactorTime) -> None:
        """Read the configuration file, if there is one.

        Raises `UsageError` with everything that is wrong with it, where no earlier one is kept.
        """
        if self["config"]:
            file = Path(self["config"])
            self.keeper = ConfigurationKeeper(file, self.role, self.stateDir, clock)
            self.configuration = self.keeper.configuration

    @property
    def stateDir(self) -> Path:
        """The state directory."""
        return Path(self["state-dir"]) if self["state-dir"] else defaultStateDir()

    @property
    def certificate(self) -> Path | None:
        """Our certificate, where it is not the state directory's."""
        return _path(self["certificate"]) or self.configuration.router.certificate

    def identity(self, default: str) -> str:
        """Our identity: as given, else the one in the certificate given, else the default."""
        given: str | None = self["identity"] or self.configuration.router.identity
        if given is None and self.certificate is not None:
            [certificate, *_] = readCertificates(self.certificate, "certificate")
            given = readCertificate(certificate).commonName
        return given or default

    def trustSources(self, identity: str) -> TrustSources:
        """Where what we present and whom we trust are; raises `UsageError` for no such policy."""
        ours, believed = self.configuration.router, self.configuration.trust
        own = certificatePaths(self.stateDir, identity)
        policy = self["trust"] or believed.policy or AUTHORITY
        crl = _path(self["crl"]) or believed.crl
        if policy not in POLICIES:
            raise UsageError(f"--trust {policy!r} is no policy: say {', '.join(POLICIES)}")
        if crl and policy != AUTHORITY:
            raise UsageError(f"--crl is for --trust authority; with --trust {policy} leave it out")
        return TrustSources(
            identity,
            self.certificate or own.certificate,
            _path(self["key"]) or ours.key or own.key,
            policy,
            authorities=[Path(self["authority"])]
            if self["authority"]
            else believed.authorities or [own.authority],
            devices=_path(self["devices"]) or believed.devices or devicesPath(self.stateDir),
            crl=crl,
            optionalCrl=revocationPaths(self.stateDir)[1],
        )


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _fromEnvironment(name: str) -> str | None:
    return os.environ.get("EPNET_" + name.upper().replace("-", "_"))


def hostIdentity(suffix: str) -> str:
    """An identity for this host: its name and what it is."""
    return f"{socket.gethostname().split('.')[0].lower() or 'host'}-{suffix}"


def loadTrust(sources: TrustSources) -> Trust:
    """The trust; says how to get a certificate where there is none.  Raises UsageError."""
    if not sources.certificate.exists():
        raise UsageError(
            f"no certificate for {sources.identity!r} at {sources.certificate}: issue one with "
            f"'epnet pki issue {sources.identity}', or name yours with --certificate, --key and "
            "--authority"
        )
    return sources.load(KeyLog.fromEnvironment())


class QuietStop(MultiService):
    """The top service: SIGTERM and SIGINT end the program in order and with exit status 0.

    twistd by itself repeats the signal after the reactor has stopped, which ends with 143 or 130.

    onHangup: each is called on SIGHUP: to read anew what may have changed, to wait no longer.
    """

    def __init__(self, reactor: Any) -> None:
        super().__init__()
        self.onHangup: list[Callable[[], object]] = []
        self._reactor = reactor
        self._stopping = False

    def startService(self) -> None:
        """Start, and take the signals over once the reactor has installed its own handlers."""
        super().startService()
        self._reactor.callWhenRunning(self._takeSignals)
        self._reactor.callWhenRunning(settle)

    def _takeSignals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._hangUp)

    def _hangUp(self, number: int, frame: FrameType | None) -> None:
        for call in self.onHangup:
            self._reactor.callFromThread(self._unlessStopping, call)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(self._unlessStopping, self._stopOnce)

    def _unlessStopping(self, call: Callable[[], object]) -> None:
        if self.running and not self._stopping:
            call()

    def _stopOnce(self) -> None:
        self._stopping = True
        self._reactor.stop()


def keepTrust(
    top: QuietStop, trust: Trust, sources: TrustSources, connections: Connections
) -> TrustKeeper:
    """Follow the files that a trust was made of, by their times and on SIGHUP."""
    keeper = TrustKeeper(trust, sources, connections, connections.clock)
    keeper.setServiceParent(top)
    top.onHangup.append(keeper.reload)
    return keeper


def keepConfiguration(
    top: QuietStop,
    options: CommonOptions,
    trustKeeper: TrustKeeper,
    connections: Connections,
    apply: Callable[[Configuration], None] = lambda _: None,
) -> None:
    """Put the configuration file in force, and anew when it changes and on SIGHUP.

    apply: puts in force what is for this plugin alone.
    """
    keeper = options.keeper
    if keeper is None:
        makeRoom(connections.limits)
        return

    def put(configuration: Configuration) -> None:
        before, options.configuration = options.configuration, configuration
        try:
            trustKeeper.follow(options.trustSources(connections.node.parameters.identity))
        except UsageError:
            options.configuration = before
            raise
        putLimits(configuration)

    def putLimits(configuration: Configuration) -> None:
        connections.setSessions(configuration.sessionSettings, configuration.patience)
        connections.setLimits(configuration.limits.connections)
        makeRoom(connections.limits)
        apply(configuration)

    def told(problems: tuple[str, ...]) -> None:
        connections.misconfigured = problems

    putLimits(keeper.configuration)
    keeper.apply, keeper.told = put, told
    keeper.setServiceParent(top)
    top.onHangup.insert(0, keeper.reload)


def keepUpstream(
    top: QuietStop,
    connections: Connections,
    trust: Trust,
    text: str,
    dialling: type[EPClientFactory] = EPClientFactory,
) -> EPClientFactory:
    """Keep a connection to an upstream device up; on SIGHUP, dial at once if it is not.

    text: where it is, ``[IDENTITY@]HOST[:PORT][,HOST[:PORT]]...``.
    Gives what dials it, which knows who it is.  Raises `UsageError` for what is no such thing.
    """
    upstream = Upstream.parse(text)
    factory = dialling(connections, trust, identity=upstream.identity)
    clock = connections.clock
    dialler = Dialler(UpstreamEndpoint(clock, upstream, trust), factory, clock)
    dialler.setServiceParent(top)
    top.onHangup.append(dialler.dialNow)
    return factory


def clearErrors(makeService: Callable[[O], IService]) -> Callable[[O], IService]:
    """Let a `makeService` end with one line on stderr and status 1 for a `UsageError`."""

    @wraps(makeService)
    def wrapped(options: O) -> IService:
        try:
            return makeService(options)
        except UsageError as error:
            raise SystemExit(str(error)) from error

    return wrapped
