"""``twistd ep-client``: a device that dials its upstream device."""

from __future__ import annotations

from twisted.application.service import IService

from epnet.clock import steadyReactor
from epnet.errors import UsageError
from epnet.tap.common import clearErrors
from epnet.tap.device import DeviceOptions, listeners, makeDeviceService


class Options(DeviceOptions):
    """The options of ep-client."""

    synopsis = "[options] --device KIND[:key=value,...] --upstream [IDENTITY@]HOST[:PORT]"
    optFlags = [["no-listen", None, "Do not listen: for devices behind another on one host"]]

    def opt_upstream(self, place: str) -> None:
        """[IDENTITY@]HOST[:PORT] of an upstream device; may be given several times."""
        self.collect("upstream", place)


@clearErrors
def makeService(options: Options) -> IService:
    """The service of a device that dials."""
    reactor = steadyReactor()

    upstreams = options.many("upstream")
    if not upstreams:
        raise UsageError("connect to whom? Say --upstream HOST, for example --upstream 192.0.2.1")
    listen = [] if options["no-listen"] else listeners(options)
    return makeDeviceService(options, reactor, upstreams=upstreams, listen=listen)
