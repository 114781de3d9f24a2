"""``twistd ep-server``: a device that waits for downstream devices."""

from __future__ import annotations

from twisted.application.service import IService

from epnet.clock import steadyReactor
from epnet.config.model import SERVER
from epnet.tap.common import clearErrors
from epnet.tap.device import DeviceOptions, listeners, makeDeviceService


class Options(DeviceOptions):
    """The options of ep-server."""

    role = SERVER
    synopsis = "[options] --device KIND[:key=value,...]"


@clearErrors
def makeService(options: Options) -> IService:
    """The service of a device that listens."""
    reactor = steadyReactor()
    options.readConfiguration(reactor)
    return makeDeviceService(options, reactor, upstreams=[], listen=listeners(options))
