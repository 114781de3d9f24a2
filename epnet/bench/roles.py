"""The roles that the processes of a benchmark play: the servers.

Each public method is a command of `epnet.bench.processes.Worker`; arguments and answers are JSON.
"""

from __future__ import annotations

import gc
import resource
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from epnet.bench.frame import quantile
from epnet.bench.processes import LOOPBACK, ROUTER
from epnet.bench.waits import Waits
from epnet.connections import Connections
from epnet.factory import EPServerFactory
from epnet.interfaces import ILink, INode
from epnet.lifecycle import Ending
from epnet.limits import ConnectionLimits, SessionSettings
from epnet.pki import certificatePaths
from epnet.router.portmaker import PortMaker
from epnet.router.router import Router
from epnet.trust.sources import TrustSources
from epnet.wire import DemandParameters, Message, SessionParameters, SupplyParameters

NOTED = 7
"""Of how many messages one is looked at: looking at all would be a tenth of the work."""
PARAMETERS = SessionParameters(identity=ROUTER, type="router")


class _Server:
    """A process that listens, and knows what it takes."""

    def __init__(self, reactor: Any, folder: Path) -> None:
        self._reactor = reactor
        self._trust = TrustSources.ofAuthority(ROUTER, certificatePaths(folder, ROUTER)).load()

    def _listen(self, factory: IProtocolFactory) -> int:
        listening = self._reactor.listenTCP(0, factory, backlog=512, interface=LOOPBACK)
        port: int = listening.getHost().port
        return port

    def cpuSeconds(self) -> float:
        """The time of the processor that this process has taken."""
        return time.process_time()

    def usage(self) -> list[float]:
        """The same, and the time, in s."""
        return [time.process_time(), time.monotonic()]

    def memory(self) -> int:
        """The memory that this process holds, in bytes."""
        gc.collect()
        statm = Path("/proc/self/statm")
        if statm.exists():
            return int(statm.read_text().split()[1]) * resource.getpagesize()
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


class _Echo(Protocol):
    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class PromptEcho(_Server):
    """The TLS of sessions, with the bytes sent back and nothing else."""

    def listen(self, limits: dict[str, int]) -> int:
        """Listen on a free port; there are no limits."""
        return self._listen(self._trust.serverFactory(Factory.forProtocol(_Echo)))


class Echo(PromptEcho):
    """The same with Twisted's TLS as it comes."""

    def __init__(self, reactor: Any, folder: Path) -> None:
        super().__init__(reactor, folder)
        self._trust.tlsFactory = TLSMemoryBIOFactory


class _EPServer(_Server):
    node: INode
    settings = SessionSettings()

    def listen(self, limits: dict[str, int]) -> int:
        """Listen on a free port, with those of the limits that differ from the usual ones."""
        self._connections = Connections(self.node, self._reactor, ConnectionLimits(**limits))
        self._connections.startService()
        return self._listen(EPServerFactory(self._connections, self._trust, self.settings).door())

    def sessions(self) -> int:
        """How many connections there are."""
        return sum(1 for _ in self._connections)


@implementer(INode)
class _Listener:
    """Publishes a Demand, and notes how old the Supplies of others are when they get here."""

    parameters = PARAMETERS

    def __init__(self, clock: Any) -> None:
        self.ages: list[float] = []
        self.waits: list[float] = []
        self.noise = self._heard = 0
        self._clock = clock
        self._waits = Waits(clock)

    def sessionOpened(self, link: ILink) -> None:
        """One more."""

    def messageReceived(self, link: ILink, message: Message) -> None:
        """Note how old it is: all processes of a machine share the monotonic clock."""
        assert isinstance(message, SupplyParameters)
        if message.current is None:  # of one that floods
            self.noise += 1
            return
        self._heard += 1
        if self._heard % NOTED:
            return
        self.ages.append(self._clock.seconds() - message.current)
        self.waits.append(self._waits.since(message.current))

    def publications(self, link: ILink) -> Iterable[Message]:
        """A message that changes."""
        yield DemandParameters(voltage=400, power_limit=self._clock.seconds())

    def advance(self, now: float) -> None:
        """Nothing ever expires."""

    def draining(self, link: ILink) -> None:
        """No power flows."""

    def sessionClosed(self, link: ILink, ending: Ending) -> None:
        """One less."""


class Listening(_EPServer):
    """Sessions of a node that does nothing but note how old messages are."""

    def __init__(self, reactor: Any, folder: Path) -> None:
        super().__init__(reactor, folder)
        self.node: _Listener = _Listener(reactor)

    def ages(self) -> list[float]:
        """The 99th percentile of the ages of messages since last asked, and of their waits, in ms.

        Waits are what the server did meanwhile, on its own processor clock.
        """
        ages, self.node.ages = self.node.ages, []
        waits, self.node.waits = self.node.waits, []
        return [quantile(each, 0.99) * 1000 for each in (ages, waits)]

    def noise(self) -> int:
        """How many messages have been taken of those that flood."""
        return self.node.noise


class Eager(Listening):
    """The same, publishing ten times as often as usual."""

    settings = SessionSettings(publish=0.01)


class _Undecided(Router):
    """A router with the state of its ports, that never allocates."""

    def allocate(self) -> None:
        """Leave every set-point at zero."""
        self._ticked = self._clock.seconds()


class Ports(_EPServer):
    """The whole stack but the allocation: sessions, codec, watchdog, the state of the ports."""

    def __init__(self, reactor: Any, folder: Path) -> None:
        super().__init__(reactor, folder)
        self.node = _Undecided(PARAMETERS, PortMaker(reactor, {}, meters=False), reactor)


class Routing(_EPServer):
    """A whole router."""

    def __init__(self, reactor: Any, folder: Path) -> None:
        super().__init__(reactor, folder)
        self.node: Router = Router(PARAMETERS, PortMaker(reactor, {}, meters=False), reactor)

    def transfers(self) -> int:
        """How many ports have a set-point above zero."""
        return sum(1 for p in self.node.ports.values() if p.import_w or p.export_w)
