"""``twistd ep-server``: a device that waits for downstream devices."""

from __future__ import annotations

from twisted.application.service import IService

from epnet.clock import steadyReactor
from epnet.tap.common import clearErrors
from epnet.tap.device import DeviceOptions, listeners, makeDeviceService


class Options(DeviceOptions):
    """The options of ep-server."""

    synopsis = "[options] --device KIND[:key=value,...]"


@clearErrors
def makeService(options: Options) -> IService:
    """The service of a device that listens."""
    reactor = steadyReactor()

    return makeDeviceService(options, reactor, upstreams=[], listen=listeners(options))
