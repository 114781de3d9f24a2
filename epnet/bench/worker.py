"""The main program of a process of a benchmark: plays a role, does as standard input says."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import connectionDone
from twisted.internet.stdio import StandardIO
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from epnet.bench.attackers import Attackers
from epnet.bench.crowd import Crowd
from epnet.bench.deaf import Deaf
from epnet.bench.exchange import Exchange
from epnet.bench.observed import Observed, Viewers
from epnet.bench.roles import Eager, Echo, Listening, Ports, PromptEcho, Routing
from epnet.clock import steadyReactor
from epnet.memory import settle

_SERVERS = (Eager, Echo, Listening, Observed, Ports, PromptEcho, Routing)
_CLIENTS = (Attackers, Crowd, Deaf, Exchange, Viewers)
ROLES: Final[dict[str, Callable[[Any, Path], object]]] = {
    role.__name__: role for role in (*_SERVERS, *_CLIENTS)
}


class Obedience(LineOnlyReceiver):
    """Calls the method of a role that each line names, and answers with what it returns.

    A line is a JSON array of the name and the arguments; it ends with standard input.
    """

    delimiter = b"\n"

    def __init__(self, role: object, reactor: Any) -> None:
        self._role = role
        self._reactor = reactor

    def lineReceived(self, line: bytes) -> None:
        """Do as told."""
        command, *arguments = json.loads(line)
        done = maybeDeferred(getattr(self._role, command), *arguments)
        done.addCallbacks(self._done, self._failed)

    def _done(self, answer: object) -> None:
        self.sendLine(json.dumps({"answer": answer}).encode())

    def _failed(self, failure: Failure) -> None:
        self.sendLine(json.dumps({"error": failure.getErrorMessage()}).encode())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Nobody is interested any more."""
        if self._reactor.running:
            self._reactor.stop()


def main(role: str, folder: str, niceness: str) -> None:
    """Play a role until standard input ends."""
    os.nice(int(niceness))
    reactor = steadyReactor()
    with open(os.devnull, "w") as nowhere:
        # Formats all that twistd would write, since that is part of the cost.
        globalLogBeginner.beginLoggingTo([textFileLogObserver(nowhere)], redirectStandardIO=False)
        player = ROLES[role](reactor, Path(folder))
        StandardIO(Obedience(player, reactor))
        reactor.callWhenRunning(settle)
        reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
