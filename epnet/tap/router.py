"""``twistd ep-router``: an energy router, with ``--demo`` and a household to route for."""

from __future__ import annotations

from importlib.metadata import version

from twisted.application.service import IService

from epnet.clock import steadyReactor
from epnet.connections import Connections
from epnet.demo import DEMO_PORTS, Household
from epnet.endpoints import Listener, defaultListen
from epnet.errors import UsageError
from epnet.factory import EPServerFactory
from epnet.observe.web import makeSite
from epnet.pki import ensureCertificate
from epnet.router.ports import PortMaker
from epnet.router.router import Router
from epnet.tap.common import (
    CommonOptions,
    QuietStop,
    clearErrors,
    hostIdentity,
    keepTrust,
    keepUpstream,
    loadTrust,
)
from epnet.wire import SessionParameters

DEFAULT_HTTP = "tcp:56541:interface=127.0.0.1"
VERSION = ".".join(version("epnet").split(".")[:2])


class Options(CommonOptions):
    """The options of ep-router."""

    synopsis = "[options]"
    optFlags = [
        ["demo", None, "Route for a simulated household: five real EP clients in this process"]
    ]
    optParameters = [
        ["http", None, DEFAULT_HTTP, "Endpoint for the live page, state and metrics"],
    ]

    def opt_listen(self, endpoint: str) -> None:
        """Endpoint to listen on, with TLS on top; may be given several times."""
        self.collect("listen", endpoint)

    def opt_upstream(self, place: str) -> None:
        """A router to dial, [IDENTITY@]HOST[:PORT][,HOST[:PORT]]...; may be given several times."""
        self.collect("upstream", place)


@clearErrors
def makeService(options: Options) -> IService:
    """The service of a router; makes its authority and certificate where there are none."""
    reactor = steadyReactor()

    given = options["certificate"] or options["key"] or options["authority"]
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
        name="epnet energy router",
    )
    makePort = PortMaker(reactor, DEMO_PORTS if options["demo"] else {})
    router = Router(parameters, makePort, reactor)
    connections = Connections(router, reactor)

    top = QuietStop(reactor)
    connections.setServiceParent(top)
    keepTrust(top, trust, sources, connections)
    listening = [
        Listener(reactor, text, EPServerFactory(connections, trust).door())
        for text in options.many("listen") or [defaultListen()]
    ]
    page = Listener(
        reactor,
        options["http"],
        makeSite(router, connections, reactor),
        "the live page is at http://{address}/",
    )
    for listener in (*listening, page):
        listener.setServiceParent(top)
    for text in options.many("upstream"):
        keepUpstream(top, connections, trust, text)
    if options["demo"]:
        household = Household(reactor, options.stateDir, identity, listening[0].dialled)
        household.setServiceParent(top)
    return top
