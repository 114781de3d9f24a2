"""What can break, how it is broken and mended, and who has to notice."""

from __future__ import annotations

import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import attrs

from tests.faults.house import House, Lane
from tests.faults.network import Network
from tests.faults.waiting import pause

Lanes = Sequence[Lane]
FULL_DISK: Final = Path("/dev/full")


@attrs.frozen
class Fault:
    """One way to break things.

    name: for the table.
    house: makes the house it happens in, for a folder and a number of devices.
    begin: breaks the lanes it is given, and returns when it began to, s.
    end: mends them.
    notices: the sides that have to shut down while it lasts; none if everybody has to survive it.
    resumes: the sides that are halted by it, and have to shut down once it has ended.
    shared: whether it strikes all devices at once, since it is the router's.
    network: whether it takes a network of namespaces.
    """

    name: str
    house: Callable[[Path, int], House]
    begin: Callable[[Lanes], Awaitable[float]]
    end: Callable[[Lanes], Awaitable[None]]
    notices: tuple[str, ...] = ("router", "device")
    resumes: tuple[str, ...] = ()
    shared: bool = False
    network: bool = False


def _each(act: Callable[[Lane], object]) -> Callable[[Lanes], Awaitable[float]]:
    """Do something to every lane."""

    async def begin(lanes: Lanes) -> float:
        began = time.monotonic()
        for lane in lanes:
            act(lane)
        return began

    return begin


def _mend(act: Callable[[Lane], object]) -> Callable[[Lanes], Awaitable[None]]:
    async def end(lanes: Lanes) -> None:
        for lane in lanes:
            act(lane)

    return end


def _signalled(side: str, number: signal.Signals) -> Callable[[Lane], None]:
    return lambda lane: lane.program(side).kill(number)


# Houses


def _onLoopback(folder: Path, devices: int) -> House:
    return House(folder, devices)


def _withRelays(folder: Path, devices: int) -> House:
    return House(folder, devices, relays=True)


def _withCables(folder: Path, devices: int) -> House:
    return House(folder, devices, network=Network(devices, wires=False))


def _withWires(folder: Path, devices: int) -> House:
    return House(folder, devices, network=Network(devices, wires=True))


def _withoutRoomForLogs(folder: Path, devices: int) -> House:
    return House(folder, devices, output=FULL_DISK)


# What the faults do, where that takes more than a word


def _delayed(seconds: float) -> Callable[[Lane], None]:
    def delay(lane: Lane) -> None:
        assert lane.relay is not None
        lane.relay.delay = seconds

    return delay


def _loseOne(direction: int) -> Callable[[Lane], None]:
    def lose(lane: Lane) -> None:
        assert lane.cable is not None and lane.cable.wire is not None
        lane.cable.wire.loseOne(direction)

    return lose


def _cutRelay(lane: Lane) -> None:
    assert lane.relay is not None
    lane.relay.cut()


def _cable(what: str) -> Callable[[Lane], None]:
    return lambda lane: getattr(lane.cable, what)()


async def _nothing(lanes: Lanes) -> None:
    """It needs no mending."""


async def _checkLost(lanes: Lanes) -> None:
    """It mended itself, if it happened."""
    for lane in lanes:
        assert lane.cable is not None and lane.cable.wire is not None
        assert not lane.cable.wire.losing, f"{lane.identity}: no segment was lost"


async def _restartDevices(lanes: Lanes) -> None:
    for lane in lanes:
        lane.device.end()
        lane.device.start()


async def _restartAll(lanes: Lanes) -> None:
    """Restart the devices too: by their back-off they would wait ever longer, up to 30 s."""
    lanes[0].house.killAll()
    lanes[0].house.restartAll()


async def _jumpThenFreeze(lanes: Lanes) -> float:
    """Nobody may mind the jump itself; the freeze after it must be noticed as ever."""
    for lane in lanes:
        lane.device.kill(signal.SIGUSR1)
        lane.router.kill(signal.SIGUSR1)
    await pause(0.3)
    return await _each(_signalled("device", signal.SIGSTOP))(lanes)


async def _freezeRouter(lanes: Lanes) -> float:
    return await _each(_signalled("router", signal.SIGSTOP))(lanes[:1])


async def _thawRouter(lanes: Lanes) -> None:
    lanes[0].router.kill(signal.SIGCONT)


async def _killRouter(lanes: Lanes) -> float:
    return await _each(_signalled("router", signal.SIGKILL))(lanes[:1])


_thawDevice = _mend(_signalled("device", signal.SIGCONT))

FAULTS: Final = (
    Fault(
        "link down",
        _withCables,
        _each(_cable("unplug")),
        _mend(_cable("plug")),
        network=True,
    ),
    Fault(
        "black hole",
        _withCables,
        _each(_cable("swallow")),
        _mend(_cable("spit")),
        network=True,
    ),
    Fault(
        "throttled to 2 kbit/s",
        _withCables,
        _each(_cable("throttle")),
        _mend(_cable("unthrottle")),
        network=True,
    ),
    Fault(
        "one segment lost, from the device",
        _withWires,
        _each(_loseOne(0)),
        _checkLost,
        notices=(),
        network=True,
    ),
    Fault(
        "one segment lost, to the device",
        _withWires,
        _each(_loseOne(1)),
        _checkLost,
        notices=(),
        network=True,
    ),
    Fault("relay stalls", _withRelays, _each(lambda lane: lane.relay.stall()), _mend(_cutRelay)),
    Fault("relay drops", _withRelays, _each(lambda lane: lane.relay.drop()), _mend(_cutRelay)),
    Fault("relay cuts", _withRelays, _each(_cutRelay), _nothing),
    Fault("relay delays by 300 ms", _withRelays, _each(_delayed(0.3)), _mend(_delayed(0.0))),
    Fault(
        "relay delays by 80 ms",
        _withRelays,
        _each(_delayed(0.08)),
        _mend(_delayed(0.0)),
        notices=(),
    ),
    Fault(
        "device frozen",
        _onLoopback,
        _each(_signalled("device", signal.SIGSTOP)),
        _thawDevice,
        notices=("router",),
        resumes=("device",),
    ),
    Fault(
        "router frozen",
        _onLoopback,
        _freezeRouter,
        _thawRouter,
        notices=("device",),
        resumes=("router",),
        shared=True,
    ),
    Fault(
        "device killed",
        _onLoopback,
        _each(_signalled("device", signal.SIGKILL)),
        _restartDevices,
        notices=("router",),
    ),
    Fault(
        "router killed",
        _onLoopback,
        _killRouter,
        _restartAll,
        notices=("device",),
        shared=True,
    ),
    Fault(
        "device frozen, disk full",
        _withoutRoomForLogs,
        _each(_signalled("device", signal.SIGSTOP)),
        _thawDevice,
        notices=("router",),
        resumes=("device",),
    ),
    Fault(
        "device frozen, clocks jump",
        _onLoopback,
        _jumpThenFreeze,
        _thawDevice,
        notices=("router",),
        resumes=("device",),
    ),
)
