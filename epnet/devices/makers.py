"""From ``--device KIND:key=value,…`` to a device.

KIND is the kind of a `DeviceMaker`, or any other `IDeviceMaker`, that Twisted's plugin system
finds, or the dotted name of a class that implements `IDevice`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs
from twisted.plugin import IPlugin, getPlugins
from zope.interface import implementer
from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyObject

from epnet.devices.options import classNamed, described, makeWithOptions, refuseUnknown
from epnet.errors import UsageError
from epnet.interfaces import IDevice, IDeviceMaker

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime


@implementer(IPlugin, IDeviceMaker)
@attrs.frozen
class DeviceMaker:
    """Makes devices of one kind; the class is imported only then.

    kind: the word for KIND on the command line.
    className: the dotted name of the class, called as ``cls(clock, **options)``.
    description: one line for the help text.
    """

    kind: str
    className: str
    description: str

    def makeDevice(self, clock: IReactorTime, options: Mapping[str, str]) -> IDevice:
        """Make a device from the options as written.

        Raises `UsageError` for an option that is unknown or has a bad value, a class that cannot
        be imported, and one that does not make an `IDevice`.
        """
        try:
            device = makeWithOptions(classNamed(self.className), clock, options)
            verifyObject(IDevice, device)
        except UsageError as error:
            raise UsageError(f"device {self.kind}: {error}") from error
        except Invalid as error:
            raise UsageError(f"device {self.kind} is no IDevice: {error}") from error
        made: IDevice = device
        return made


def deviceMakers() -> dict[str, IDeviceMaker]:
    """The makers that are installed, by kind."""
    return {maker.kind: maker for maker in getPlugins(IDeviceMaker)}


def parseDevice(text: str, clock: IReactorTime) -> IDevice:
    """Make the device that ``KIND[:key=value,…]`` says.

    clock: the one clock the device lives by.
    Raises `UsageError` if it cannot be.
    """
    try:
        kind, options = described(text)
    except UsageError as error:
        raise UsageError(f"device {error}") from error
    if "." in kind:
        return DeviceMaker(kind, kind, "").makeDevice(clock, options)
    makers = deviceMakers()
    refuseUnknown([kind], makers, "kind of device")
    return makers[kind].makeDevice(clock, options)
