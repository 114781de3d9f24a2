"""``twistd ep-client``: a device that dials its upstream device."""

from __future__ import annotations

from functools import partial

from twisted.application.service import IService
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from epnet.clock import steadyReactor
from epnet.config.model import CLIENT
from epnet.errors import UsageError
from epnet.interfaces import ILink
from epnet.middle import MiddleNode
from epnet.node import DeviceNode
from epnet.router.plainport import PlainPortMaker
from epnet.tap.common import clearErrors
from epnet.tap.device import DeviceOptions, MakeNode, listeners, makeDeviceService
from epnet.upstream import Upstream

log = Logger()


class Options(DeviceOptions):
    """The options of ep-client."""

    role = CLIENT
    synopsis = "[options] --device KIND[:key=value,...] --upstream [IDENTITY@]HOST[:PORT][,...]"
    optFlags = [["no-listen", None, "Do not listen: for devices behind another on one host"]]
    optParameters = [
        [
            "through",
            None,
            None,
            "Others are connected through this device: the watts its upstream connection carries",
        ],
    ]

    def opt_upstream(self, place: str) -> None:
        """An upstream device, [IDENTITY@]HOST[:PORT][,HOST[:PORT]]...; may be given many times."""
        self.collect("upstream", place)


@clearErrors
def makeService(options: Options) -> IService:
    """The service of a device that dials."""
    reactor = steadyReactor()
    options.readConfiguration(reactor)
    upstreams = options.many("upstream", options.configuration.upstream.hosts)
    if not upstreams:
        raise UsageError("connect to whom? Say --upstream HOST, for example --upstream 192.0.2.1")
    return makeDeviceService(
        options,
        reactor,
        upstreams=upstreams,
        listen=_listen(options),
        makeNode=_nodeMaker(options, upstreams, reactor),
    )


def _listen(options: Options) -> list[str]:
    """Where to listen: nowhere only if told so."""
    if not options["no-listen"]:
        return listeners(options)
    if options["through"] is not None:
        raise UsageError("--through is for devices that connect to this one: leave out --no-listen")
    log.warn(
        "not listening, as told: a deviation from Ethernet/TCP 2, which asks it of all devices"
    )
    return []


def _nodeMaker(options: Options, upstreams: list[str], clock: IReactorTime) -> MakeNode:
    """Makes the device alone, or with those connected through it."""
    named = {Upstream.parse(text).identity for text in upstreams}

    def upstream(link: ILink) -> bool:
        # It may have dialled us before we could dial it.
        return link.dialled or (link.peer.authenticated and link.peer.identity in named)

    if options["through"] is None:
        return partial(DeviceNode, upstream=upstream)
    return partial(
        MiddleNode,
        rating_w=_watts(options["through"]),
        makePort=PlainPortMaker(clock),
        upstream=upstream,
    )


def _watts(text: str) -> float:
    try:
        watts = float(text)
    except ValueError:
        watts = 0.0
    if not 0.0 < watts < 1e12:
        raise UsageError(f"--through {text!r} is no power: say the watts, for example 11000")
    return watts
