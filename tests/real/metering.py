"""A process that only meters, to be killed: ``python -m tests.real.metering FOLDER SPEED``.

The real accounts, keeper and store, on a clock that runs SPEED times as fast as it should.  One
port takes in 1 kW without end.  At every tick it prints what has been counted and what is shown,
in mJ; it ends when its standard input does.

``python -m tests.real.metering --kill TIMES [SPEED]`` kills so many of them, and prints figures.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs

from epnet.clock import steadyReactor
from epnet.router.accounts import Accounts
from epnet.router.meterkeeper import SAVE_SECONDS, MeterKeeper
from epnet.router.meterstore import MeterStore
from tests.router.plant import Plant

ROOT = Path(__file__).parents[2]
WATTS = 1000.0


class FastClock:
    """The reactor's clock, only faster."""

    def __init__(self, reactor: Any, speed: float) -> None:
        self._reactor = reactor
        self._speed = speed

    def seconds(self) -> float:
        return self._reactor.seconds() * self._speed

    def callLater(self, delay: float, call: Any, *arguments: Any, **named: Any) -> Any:
        return self._reactor.callLater(delay / self._speed, call, *arguments, **named)


def meter(folder: Path, speed: float) -> None:
    """Meter until somebody ends it."""
    from twisted.internet.task import LoopingCall

    reactor = steadyReactor()
    clock: Any = FastClock(reactor, speed)
    plant, accounts = Plant(), Accounts()
    plant.add("sun", "solar")
    plant.flow("sun", import_w=WATTS)
    keeper = MeterKeeper(accounts, MeterStore(folder), clock)
    keeper.startService()

    def tick() -> None:
        accounts.advance(clock.seconds(), plant.ports.values())
        counted = accounts.byPort["sun"].meter.imported.millijoules
        print(counted, accounts.shown("sun").imported, flush=True)

    loop = LoopingCall(tick)
    loop.clock = clock
    loop.start(0.1)
    threading.Thread(
        target=lambda: (sys.stdin.read(), reactor.callFromThread(reactor.stop)), daemon=True
    ).start()
    reactor.run()


@attrs.define
class Life:
    """What one process printed before it was killed: pairs of what was counted and shown, mJ."""

    printed: list[tuple[int, int]]

    @classmethod
    def live(cls, folder: Path, speed: float, seconds: float, told: bool) -> Life:
        """Start a process and kill it after so long, wherever it is.

        told: count the time from the first thing that it prints, and not from its start.
        """
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.real.metering", str(folder), str(speed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        timer = threading.Timer(seconds, process.send_signal, [signal.SIGKILL])
        with process:
            assert process.stdout is not None
            first = [process.stdout.readline()] if told else []
            timer.start()
            lines = [line for line in (*first, *process.stdout) if line.endswith("\n")]
        assert process.returncode == -signal.SIGKILL, "it ended by itself"
        return cls([(int(counted), int(shown)) for counted, shown in map(str.split, lines)])


@attrs.define
class Campaign:
    """What came of many kills.

    kills: how many there were.
    lost: seconds of counting that each cost whose successor came to tell.
    backwards: how often a number was lower than one that had been shown before.
    """

    kills: int = 0
    lost: list[float] = attrs.field(factory=list)
    backwards: int = 0


def chain(folder: Path, speed: float, lives: int, seed: int) -> Campaign:
    """Kill one process after the other, each going on where the last one was."""
    campaign, chance = Campaign(), random.Random(seed)
    counted = shown = 0
    for _ in range(lives):
        # Up to three writes; one in five may be still on its way to the first tick.
        seconds = chance.uniform(0.0, 3 * SAVE_SECONDS / speed)
        life = Life.live(folder, speed, seconds, told=chance.random() < 0.8)
        campaign.kills += 1
        if life.printed:
            campaign.lost.append((counted - life.printed[0][0]) / (1000 * WATTS))
        for newly in life.printed:
            campaign.backwards += newly[1] < shown
            counted, shown = newly
    return campaign


def kill(times: int, speed: float, chains: int = 4) -> Campaign:
    """Kill so many processes, in so many chains at once."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(chains) as pool:
        works = [
            pool.submit(chain, Path(folder) / str(number), speed, times // chains, number)
            for number in range(chains)
        ]
        done = [work.result() for work in works]
    return Campaign(
        sum(each.kills for each in done),
        [lost for each in done for lost in each.lost],
        sum(each.backwards for each in done),
    )


def main(first: str, *rest: str) -> None:
    """The command line."""
    if first != "--kill":
        meter(Path(first), float(rest[0]))
        return
    times, speed = int(rest[0]), float(rest[1]) if rest[1:] else 1.0
    campaign = kill(times, speed, chains=20)
    lost = sorted(campaign.lost)
    print(f"kills: {campaign.kills}, seen to go on: {len(lost)}, backwards: {campaign.backwards}")
    print(f"lost s: median {lost[len(lost) // 2]:.2f}, most {lost[-1]:.2f}, least {lost[0]:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
