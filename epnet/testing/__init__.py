"""What integrators test their own devices with: no network, no waiting, real TLS.

`VirtualClock` is time that moves when it is told to.  `issueTrusts` makes an authority and
certificates in a folder.  `MemoryPair` connects a dialling and a listening factory in memory, over
real TLS 1.3::

    clock = VirtualClock()
    trusts = issueTrusts(Path(self.mktemp()), "my-device", "router")
    pair = MemoryPair(clientFactory, serverFactory, clock)
    pair.advance(1.0)
    pair.cut()

`DeviceContract` tests whether a device keeps the contract of `epnet.interfaces.IDevice`, and
`ConverterContract` whether a converter keeps that of `epnet.interfaces.IPort`.

`Relay` stands between two programs on real sockets and misbehaves when told to: it delays, stalls,
drops and cuts::

    relay = Relay(HostnameEndpoint(reactor, "127.0.0.1", 56540), reactor)
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(relay)
    relay.stall()
"""

from epnet.testing.clock import VirtualClock
from epnet.testing.contract import DeviceContract
from epnet.testing.converters import ConverterContract
from epnet.testing.memory import MemoryPair, issueTrusts
from epnet.testing.relay import Relay

__all__ = [
    "ConverterContract",
    "DeviceContract",
    "MemoryPair",
    "Relay",
    "VirtualClock",
    "issueTrusts",
]
