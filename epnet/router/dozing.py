"""Ports that are left alone: nothing flows, and their devices neither offer nor ask for power.

That is most of many devices, most of the time, and to plan for them again and again would cost more
than all the rest.  Their meters are read at each plan; all else is looked at when their devices say
something else or go, when anybody sets something for them, and now and then.
"""

from __future__ import annotations

from math import inf
from typing import Final
from zlib import crc32

from epnet.wire import DemandParameters, Message, SupplyParameters

LOOK_SECONDS: Final = 2.0
"""After so long at the latest a port is looked at again: then it is seen that its device is silent,
or what it says of its price."""


class Dozing:
    """Until when one port is left alone.

    identity: its device; by it the looks at many ports are spread over time.
    """

    __slots__ = ("_each", "_until")

    def __init__(self, identity: str) -> None:
        self._each = LOOK_SECONDS * (0.5 + crc32(identity.encode()) / 2**33)
        self._until = -inf

    def begin(self, now: float) -> None:
        """There is nothing to do from now on."""
        self._until = now + self._each

    def end(self) -> None:
        """Something has changed."""
        self._until = -inf

    def lasts(self, now: float) -> bool:
        """Whether the port need not be looked at."""
        # A clock that jumped back ends it, too.
        return self._until - self._each <= now < self._until


def isNothing(message: Message) -> bool:
    """Whether a message neither offers nor asks for power, whatever else it says."""
    if isinstance(message, SupplyParameters):
        amps = message.current_limit
        return message.power_limit == 0 or (amps is not None and amps.max == 0)
    if isinstance(message, DemandParameters):
        return message.power_limit == 0 and not (message.current or 0) < 0
    return True
