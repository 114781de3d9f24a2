"""What a message in and one out cost a server: the whole stack, against Twisted's TLS alone.

Measured on the server's own processor clock: a slow client cannot flatter it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from epnet.bench import program
from epnet.bench.frame import Row, inTurn
from epnet.bench.processes import ALONE, Worker, WorkerFailed, household
from epnet.bench.program import Program
from epnet.bench.watch import HERTZ, ROOMY

DEVICES: Final = 1500
"""How many devices there are unless told otherwise."""
FEWER: Final = 20
"""How many times fewer devices the other measurement has."""
PROGRAM: Final = "Program"
"""The role of a program that is named by the environment."""
WARM_SECONDS: Final = 2.0
SECONDS: Final = 4.0
LEAST_ANSWERED: Final = 0.9
"""The part of their messages that devices must get back: else other programs held them up, and a
server that does less at a time, or more in one go, would look cheap."""


def run(rounds: int, devices: int) -> Iterator[Row]:
    """Measure with many devices, and with few."""
    with household(devices) as folder:
        few = max(1, devices // FEWER)
        measures = [
            lambda: _cost(folder, "Ports", devices),
            lambda: _cost(folder, "Echo", devices),
            lambda: _cost(folder, "PromptEcho", devices),
            lambda: _cost(folder, "Ports", few),
        ]
        if program.given():
            measures.append(lambda: _cost(folder, PROGRAM, devices))
        ours, bare, prompt, oursFew, *others = inTurn(rounds, *measures)
    what = f"server time for a message in and one out, {devices} devices"
    yield Row(what, "µs", ours, "TLS echo", bare, 1.25)
    for theirs in others:
        yield Row("the same, against the program given", "µs", ours, "given", theirs, 2.5)
    yield Row("our transport alone: an echo", "µs", prompt, "TLS echo", bare)
    yield Row(f"the whole stack, against {few} devices", "µs", ours, f"{few} devices", oursFew, 1.0)


def _cost(folder: Path, role: str, devices: int) -> float:
    """µs of the server's processor time for a message in and one out."""
    with _server(role, folder) as server, Worker("Crowd", folder) as crowd:
        port = server.ask("listen", ROOMY)
        crowd.ask("connect", port, 0, devices, 64, role == "Ports")
        crowd.ask("run", WARM_SECONDS, HERTZ)
        before: float = server.ask("cpuSeconds")
        done: dict[str, int] = crowd.ask("run", SECONDS, HERTZ)
        after: float = server.ask("cpuSeconds")
    if done["lost"]:
        raise WorkerFailed(f"{done['lost']} devices lost their connection")
    if min(done["sent"], done["received"]) < LEAST_ANSWERED * devices * HERTZ * SECONDS:
        raise WorkerFailed(f"this machine is too busy to serve {devices} devices")
    return (after - before) / (done["sent"] + done["received"]) * 2e6


def _server(role: str, folder: Path) -> Worker | Program:
    path = program.given()
    return Program(path, folder) if path and role == PROGRAM else Worker(role, folder, cores=ALONE)
