"""Many devices in one process, for routers in others: ``python -m tests.real.gadgets STATE_DIR``.

It reads commands from its standard input, each a JSON list in a line, and ends with it::

    ["plug", "load-1", "house-1", 56540, {"wish_w": 3000}]
    ["set", "load-1", {"wish_w": 4000}]

It prints what happens, each a JSON object in a line with `at`, s of the machine's monotonic clock:
``{"may": "load-1", "draw_w": …, "supply_w": …}`` whenever a device may do something else by more
than 2 W, ``{"shut": "load-1"}`` when it was shut down, ``{"set": "load-1"}`` after a command.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint

from epnet.clock import steadyReactor
from epnet.connections import Connections
from epnet.dialler import Dialler
from epnet.factory import EPClientFactory
from epnet.interfaces import Limits
from epnet.node import DeviceNode, parametersOf
from epnet.pki import ensureCertificate
from epnet.trust.sources import TrustSources
from tests.street.street import Gadget

NEAR_W = 2.0


def tell(**what: object) -> None:
    print(json.dumps({"at": time.monotonic(), **what}), flush=True)


class ToldGadget(Gadget):
    """A gadget that tells what it may do."""

    identity = ""
    told: tuple[float, float] = (0.0, 0.0)

    def setLimits(self, limits: Limits) -> None:
        super().setLimits(limits)
        self._tell(limits.draw_w, limits.supply_w)

    def shutDown(self, reason: str) -> None:
        super().shutDown(reason)
        if any(self.told):
            tell(shut=self.identity, reason=reason)
        self._tell(0.0, 0.0)

    def _tell(self, draw_w: float, supply_w: float) -> None:
        now = draw_w, supply_w
        if max(abs(a - b) for a, b in zip(now, self.told, strict=True)) > NEAR_W:
            self.told = now
            tell(may=self.identity, draw_w=draw_w, supply_w=supply_w)


class Gadgets:
    """The devices of this process."""

    def __init__(self, reactor: Any, stateDir: Path) -> None:
        self._reactor = reactor
        self._stateDir = stateDir
        self._gadgets: dict[str, ToldGadget] = {}

    def plug(self, identity: str, router: str, port: int, options: dict[str, Any]) -> None:
        """A device is connected to a router on loopback."""
        gadget = self._gadgets[identity] = ToldGadget(self._reactor, **options)
        gadget.identity = identity
        trust = TrustSources.ofAuthority(
            identity, ensureCertificate(self._stateDir, identity)
        ).load()
        node = DeviceNode(gadget, parametersOf(gadget, identity), self._reactor)
        connections = Connections(node, self._reactor)
        connections.startService()
        factory = EPClientFactory(connections, trust, identity=router)
        plain = TCP4ClientEndpoint(self._reactor, "127.0.0.1", port)
        Dialler(trust.clientEndpoint(plain, None), factory, self._reactor).startService()

    def set(self, identity: str, options: dict[str, Any]) -> None:
        """A device offers or wants something else."""
        for name, value in options.items():
            setattr(self._gadgets[identity], name, value)
        tell(set=identity)

    def command(self, line: str) -> None:
        name, *arguments = json.loads(line)
        getattr(self, name)(*arguments)


def main(stateDir: str) -> None:
    reactor = steadyReactor()
    gadgets = Gadgets(reactor, Path(stateDir))

    def read() -> None:
        for line in sys.stdin:
            reactor.callFromThread(gadgets.command, line)
        reactor.callFromThread(reactor.stop)

    threading.Thread(target=read, daemon=True).start()
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
