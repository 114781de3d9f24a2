"""``twistd ep-peer``: a device that both dials its peers and listens for them."""

from __future__ import annotations

from twisted.application.service import IService

from epnet.clock import steadyReactor
from epnet.config.model import PEER
from epnet.tap.common import clearErrors
from epnet.tap.device import DeviceOptions, listeners, makeDeviceService


class Options(DeviceOptions):
    """The options of ep-peer."""

    role = PEER
    synopsis = "[options] --device KIND[:key=value,...] [--peer [IDENTITY@]HOST[:PORT][,...]]"

    def opt_peer(self, place: str) -> None:
        """A peer to dial, [IDENTITY@]HOST[:PORT][,HOST[:PORT]]...; may be given several times."""
        self.collect("peer", place)


@clearErrors
def makeService(options: Options) -> IService:
    """The service of a device that dials and listens."""
    reactor = steadyReactor()
    options.readConfiguration(reactor)
    return makeDeviceService(
        options,
        reactor,
        upstreams=options.many("peer", options.configuration.upstream.hosts),
        listen=listeners(options),
        peer=True,
    )
