"""A relay in a process of its own: ``python -m tests.real.relaying PORT``, the port to dial.

It prints the port that it listens on, and reads commands from its standard input, names of methods
of `epnet.testing.Relay`; it ends with it.
"""

from __future__ import annotations

import sys
import threading

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint

from epnet.testing import Relay


def main(port: str) -> None:
    relay = Relay(TCP4ClientEndpoint(reactor, "127.0.0.1", int(port)), reactor)
    listening = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(relay)
    listening.addCallback(lambda it: print(it.getHost().port, flush=True))

    def read() -> None:
        for line in sys.stdin:
            reactor.callFromThread(getattr(relay, line.strip()))
        reactor.callFromThread(reactor.stop)

    threading.Thread(target=read, daemon=True).start()
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
