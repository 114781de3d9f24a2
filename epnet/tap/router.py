"""``twistd ep-router``: an energy router, with ``--demo`` and a household to route for."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from twisted.application.service import IService

from epnet.clock import steadyReactor
from epnet.config.model import ROUTER, Configuration
from epnet.config.policies import PolicyKeeper, policiesPath, policySource
from epnet.connections import Connections
from epnet.demo import DEMO_PORTS, Household
from epnet.endpoints import Listener, defaultListen
from epnet.errors import UsageError
from epnet.factory import EPServerFactory
from epnet.observe.service import (
    DEFAULT_HISTORY,
    DEFAULT_HTTP,
    HistorySettings,
    Observers,
    PageSettings,
)
from epnet.pki import ensureCertificate
from epnet.router.meterkeeper import MeterKeeper
from epnet.router.meterstore import MeterStore
from epnet.router.portmaker import PortMaker
from epnet.router.router import Router
from epnet.router.settings import PortSettings
from epnet.router.upstreams import Upstreams
from epnet.tap.common import (
    CommonOptions,
    QuietStop,
    clearErrors,
    hostIdentity,
    keepConfiguration,
    keepTrust,
    keepUpstream,
    loadTrust,
)
from epnet.wire import SessionParameters

VERSION = ".".join(version("epnet").split(".")[:2])


class Options(CommonOptions):
    """The options of ep-router."""

    role = ROUTER
    synopsis = "[options]"
    optFlags = [
        ["demo", None, "Route for a simulated household: five real EP clients in this process"]
    ]
    optParameters = [
        [
            "http",
            None,
            None,
            f"Endpoint for the live page, state and metrics [default: {DEFAULT_HTTP}]",
        ],
        ["http-certificate", None, None, "Certificate for HTTP, PEM [default: no TLS]"],
        ["http-key", None, None, "Its private key, PEM"],
        ["http-tokens", None, None, "File of those who may use HTTP: lines 'NAME TOKEN'"],
        [
            "history",
            None,
            None,
            f"Where history is kept; empty for nowhere [default: {DEFAULT_HISTORY}]",
        ],
        ["history-days", None, None, "How long it is kept, days [default: 3650]"],
    ]

    def opt_listen(self, endpoint: str) -> None:
        """Endpoint to listen on, with TLS on top; may be given several times."""
        self.collect("listen", endpoint)

    def opt_upstream(self, place: str) -> None:
        """A router above us, [IDENTITY@]HOST[:PORT][,HOST[:PORT]]...; the most preferred first."""
        self.collect("upstream", place)

    def page(self) -> PageSettings:
        """Where the HTTP interface is and who may use it: options, then the file, then defaults."""
        file = self.configuration.http

        def path(name: str, otherwise: Path | None) -> Path | None:
            return Path(self[name]) if self[name] else otherwise

        return PageSettings(
            self["http"] or file.listen or DEFAULT_HTTP,
            path("http-certificate", file.tls_certificate),
            path("http-key", file.tls_key),
            path("http-tokens", file.token_file),
        )

    def history(self) -> HistorySettings:
        """Where history is kept, and for how long: options, then the file, then defaults."""
        file, usual = self.configuration.history, HistorySettings()
        urls = (self["history"], file.url, usual.url)
        days = (self["history-days"], file.keep_days, usual.keepDays)
        try:
            return HistorySettings(
                next(url for url in urls if url is not None),
                float(next(number for number in days if number is not None)),
            )
        except ValueError as error:
            raise UsageError(f"--history-days: {error}") from error


@clearErrors
def makeService(options: Options) -> IService:
    """The service of a router; makes its authority and certificate where there are none."""
    reactor = steadyReactor()
    options.readConfiguration(reactor)
    ours, believed = options.configuration.router, options.configuration.trust
    given = (
        options.certificate
        or (options["key"] or ours.key)
        or (options["authority"] or believed.authorities)
    )
    if given and options["demo"]:
        raise UsageError(
            "--demo issues certificates from an authority of its own: start it without "
            "--certificate, --key and --authority"
        )
    identity = options.identity(hostIdentity("router"))
    if not given:
        ensureCertificate(options.stateDir, identity)
    sources = options.trustSources(identity)
    trust = loadTrust(sources)
    parameters = SessionParameters(
        identity=identity,
        type="router",
        version=VERSION,
        name=ours.name or "epnet energy router",
        tenant=ours.tenant,
        provider=ours.provider,
    )
    demonstrated = DEMO_PORTS if options["demo"] else {}
    # Beside real devices the meters of simulated converters would be a fiction.
    makePort = PortMaker(reactor, demonstrated, meters=bool(demonstrated))
    upstreams = Upstreams(options.configuration.upstream.identities)
    router = Router(parameters, makePort, reactor, upstreams=upstreams)
    connections = Connections(router, reactor)

    top = QuietStop(reactor)
    store = MeterStore(options.stateDir / "meters" / identity)
    meters = MeterKeeper(router.accounts, store, reactor)
    connections.setServiceParent(meters)
    meters.setServiceParent(top)
    trustKeeper = keepTrust(top, trust, sources, connections)
    listening = [
        Listener(reactor, text, EPServerFactory(connections, trust).door())
        for text in options.many("listen", ours.listen) or [defaultListen()]
    ]
    for listener in listening:
        listener.setServiceParent(top)
    for text in options.many("upstream", options.configuration.upstream.hosts):
        upstreams.dialled.append(keepUpstream(top, connections, trust, text))
    for text in options.configuration.downstream.hosts:
        keepUpstream(top, connections, trust, text)
    policies = _policyKeeper(options, identity, router)
    if policies is not None:
        policies.setServiceParent(top)

    def apply(configuration: Configuration) -> None:
        ports, default = configuration.ports, configuration.defaultPort
        if demonstrated:  # a demonstration takes everybody
            ports, default = {**demonstrated, **ports}, default or PortSettings()
        router.mostUnvouched = configuration.limits.connections.unvouched
        router.describe(ports, default)
        router.neighbours.bus.describe(configuration.bus)
        (policies.configured if policies else router.setPolicies)(configuration.policies)

    keepConfiguration(top, options, trustKeeper, connections, apply)
    observers = Observers(
        router, connections, reactor, options.page(), options.history(), options.stateDir
    )
    observers.setServiceParent(top)
    if options["demo"]:
        household = Household(reactor, options.stateDir, identity, listening[0].dialled)
        household.setServiceParent(top)
    return top


def _policyKeeper(options: Options, identity: str, router: Router) -> PolicyKeeper | None:
    """Who keeps the policies where the configuration names a source of them."""
    name = options.configuration.policy.source
    if name is None:
        return None
    file = policiesPath(options.stateDir, identity)
    return PolicyKeeper(policySource(name), router.setPolicies, file, steadyReactor())
