"""A router, a source that feeds it, and devices that draw, each on a way that can fail."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from socket import create_server

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import IListeningPort

from epnet.endpoints import EP_PORT
from epnet.pki import initAuthority, issueCertificate
from epnet.testing import Relay
from tests.faults.lateness import watchLateness
from tests.faults.network import ROUTER_ADDRESS, Cable, Network
from tests.faults.processes import Event, Program, State
from tests.faults.waiting import pause, until

DEVICE = "tests.faults.witness.Witness"
SOURCE = "grid:fuse_a=32,feed_in=no"
LOOPBACK = "127.0.0.1"

SIDES = ("router", "device")


@attrs.frozen
class Loss:
    """What one side made of a fault.

    silence: from the last frame of the peer to the call that begins the controlled shutdown, s.
    at: when that call was, s.
    inTransfer: whether power was flowing for all that this side knew.
    """

    silence: float
    at: float
    inTransfer: bool


@attrs.define
class Lane:
    """A device, and its way to the router: a cable, a relay, or nothing that could be broken."""

    identity: str
    device: Program
    house: House
    cable: Cable | None = None
    relay: Relay | None = None

    @property
    def router(self) -> Program:
        return self.house.router

    async def flowing(self) -> None:
        """Wait until power flows."""

        def flows() -> bool:
            powers = [e["draw_w"] for e in self.device.look() if e["what"] == "power"]
            return bool(powers) and powers[-1] > 0

        await until(flows, f"power flows to {self.identity}")

    def marks(self) -> dict[str, int]:
        """How much each side has noted by now."""
        return {side: len(self.program(side).look()) for side in SIDES}

    def program(self, side: str) -> Program:
        """The router, or the device."""
        return self.router if side == "router" else self.device

    async def loss(self, side: str, since: int) -> Loss:
        """Wait until a side has shut down, and hold it to the order of the two events."""
        program = self.program(side)
        over = await program.event(since, "session over", peer=self._peerOf(side))
        index = program.events.index(over) + 1
        shut = await program.event(index, "shut down")
        assert program.events[index] is shut, f"{side}: told of a loss, and did something else"
        return Loss(shut["at"] - over["heardAt"], shut["at"], over["inTransfer"])

    def endings(self, marks: dict[str, int]) -> list[Event]:
        """The sessions that have ended since, on either side."""
        return [e for e in self._since(marks) if e["what"] == "session over"]

    def late(self, since: float) -> bool:
        """Whether the machine kept anybody waiting since, so that nobody can be blamed."""
        return any(at >= since for at in self.house.lateAt) or any(
            event["what"] == "late" and event["at"] >= since
            for side in SIDES
            for event in self.program(side).look()
        )

    def longestGap(self, marks: dict[str, int]) -> float:
        """The longest time between two frames since, in either direction, s; 0 if unremarkable."""
        return max((e["seconds"] for e in self._since(marks) if e["what"] == "gap"), default=0.0)

    def _since(self, marks: dict[str, int]) -> list[Event]:
        return [
            event
            for side in SIDES
            for event in self.program(side).look()[marks[side] :]
            if event.get("peer") == self._peerOf(side)
        ]

    def _peerOf(self, side: str) -> str:
        return self.identity if side == "router" else "router"


class House:
    """All of it; `start` it, and `close` it whatever happened.

    folder: for certificates, journals and logs; made where missing.
    devices: how many.
    network: with cables for as many; without, everything is on loopback.
    relays: whether there is a relay before each device; not together with a network.
    output: where all programs print; by default each to a file in the folder.
    """

    def __init__(
        self,
        folder: Path,
        devices: int,
        *,
        network: Network | None = None,
        relays: bool = False,
        output: Path | None = None,
    ) -> None:
        self.lanes: list[Lane] = []
        self.lateAt: list[float] = []
        """When this process, with relays and wires in it, got its turn late."""
        self._folder = folder
        self._state = folder / "state"
        self._devices = devices
        self._network = network
        self._relays = relays
        self._output = output
        self._address = ROUTER_ADDRESS if network else LOOPBACK
        self._port = EP_PORT if network else _freePort()
        self._programs: list[Program] = []
        self._listening: list[IListeningPort] = []
        self._held: dict[Program, State] = {}
        self._watch = watchLateness(lambda _: self.lateAt.append(time.monotonic()))

    async def start(self) -> None:
        """Start everything, wait until power flows everywhere, and note what each program holds."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._authority = initAuthority(self._state)
        inside = self._network.prefix if self._network else ()
        self.router = self._run(
            "router",
            inside,
            "ep-router",
            f"--listen=tcp:{self._port}:interface={self._address}",
            f"--http=tcp:0:interface={LOOPBACK}",
            "--history=",  # it opens its files whenever it comes to it: they would look like leaks
        )
        self._source = self._runDevice("source", inside, SOURCE, self._port)
        for number in range(1, self._devices + 1):
            await self._addLane(number)
        for lane in self.lanes:
            await lane.flowing()
        held = await gatherResults([_settling(program) for program in self._programs])
        self._held = dict(zip(self._programs, held, strict=True))

    async def _addLane(self, number: int) -> None:
        identity, port = f"witness-{number}", self._port
        cable = self._network.cables[number - 1] if self._network else None
        relay = None
        if self._relays:
            relay = Relay(TCP4ClientEndpoint(reactor, LOOPBACK, port), reactor)
            listening = await TCP4ServerEndpoint(reactor, 0, interface=LOOPBACK).listen(relay)
            self._listening.append(listening)
            port = listening.getHost().port
        device = self._runDevice(identity, cable.prefix if cable else (), DEVICE, port)
        self.lanes.append(Lane(identity, device, self, cable, relay))

    def _runDevice(self, identity: str, prefix: Sequence[str], device: str, port: int) -> Program:
        return self._run(
            identity,
            prefix,
            "ep-client",
            f"--device={device}",
            f"--upstream=router@{self._address}:{port}",
            "--no-listen",
        )

    def _run(self, identity: str, prefix: Sequence[str], *arguments: str) -> Program:
        issueCertificate(self._authority, identity, out=self._state / "certificates")
        program = Program(
            [*arguments, f"--identity={identity}", f"--state-dir={self._state}"],
            self._folder,
            prefix,
            self._output,
        )
        self._programs.append(program)
        return program

    def killAll(self) -> None:
        """End every program on the spot."""
        for program in self._programs:
            program.end()

    def restartAll(self) -> None:
        """Start every program once more."""
        for program in self._programs:
            program.start()

    async def leaks(self) -> list[str]:
        """What any program holds now and did not hold at the start, in words."""
        states = await gatherResults([_settling(*each) for each in self._held.items()])
        return [
            f"{program.identity}: {held} has become {now}"
            for (program, held), now in zip(self._held.items(), states, strict=True)
            if now != held
        ]

    async def close(self) -> None:
        """End everything."""
        self._watch.stop()
        self.killAll()
        for lane in self.lanes:
            if lane.relay is not None:
                lane.relay.cut()
        for listening in self._listening:
            await listening.stopListening()
        await until(lambda: not any(_busy(lane.relay) for lane in self.lanes), "relays are empty")
        if self._network is not None:
            self._network.close()


def _busy(relay: Relay | None) -> bool:
    return relay is not None and bool(relay.ends)


def _settling(program: Program, held: State | None = None) -> Deferred[State]:
    return Deferred.fromCoroutine(_settled(program, held))


async def _settled(program: Program, held: State | None = None) -> State:
    """What a program holds when nothing is under way.

    held: wait until it is this again, up to 10 s.
    """
    looks = []
    for _ in range(100 if held else 7):
        looks.append(await program.state())
        if looks[-1] == held:
            return held
        await pause(0.1)
    return statistics.mode(looks[-7:])


def _freePort() -> int:
    """A port that is free now; the router's has to be the same after a restart."""
    with create_server((LOOPBACK, 0)) as server:
        number: int = server.getsockname()[1]
        return number
