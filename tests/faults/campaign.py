"""Break it over and over, and keep the figures."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Final, NoReturn

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred, TimeoutError, gatherResults

from tests.faults.faults import Fault, Lanes
from tests.faults.waiting import pause

STEADY_SECONDS: Final = (0.2, 0.25)
"""How long power flows before it is struck: any phase of the 50 ms between two messages."""
SURVIVED_SECONDS: Final = 0.5
"""How long nobody may mind a fault that everybody has to survive."""

FROM_MESSAGE: Final = "last message to shutdown"
FROM_FAULT: Final = "fault to shutdown"
FROM_RESUMPTION: Final = "resumption to shutdown"
GAP: Final = "longest gap between messages"

LIMIT_SECONDS: Final = 120
LIMIT_SECONDS_PER_ROUND: Final = 10
"""How long all of a fault may take, several times what it takes on an idle machine."""
ATTEMPTS: Final = 5
"""How often a repetition is tried that a busy machine disturbs."""


class Disturbed(Exception):
    """The machine was too busy: what was seen says nothing about the fault."""


@attrs.define
class Report:
    """What came of one fault.

    figures: by what was measured, and the side: a number of seconds for each repetition.
    wrong: what should not have happened: a session that got stuck, or that ended without need.
    leaks: what a program held in the end and not at the start.
    disturbed: how often a session ended by what a busy machine did and not by the fault.
    """

    fault: str
    figures: dict[tuple[str, str], list[float]] = attrs.field(factory=dict)
    wrong: list[str] = attrs.field(factory=list)
    leaks: list[str] = attrs.field(factory=list)
    disturbed: int = 0

    def add(self, what: str, side: str, seconds: float) -> None:
        """Take a figure."""
        self.figures.setdefault((what, side), []).append(seconds)


async def strikeRepeatedly(fault: Fault, folder: Path, repetitions: int, devices: int) -> Report:
    """Let a fault strike so many times, shared among so many devices at once.

    folder: for all that the programs write.
    """
    report = Report(fault.name)
    house = fault.house(folder, devices)
    try:
        await house.start()
        groups = [house.lanes] if fault.shared else [[lane] for lane in house.lanes]
        rounds = -(-repetitions // devices)
        limit = LIMIT_SECONDS + rounds * LIMIT_SECONDS_PER_ROUND
        await gatherResults(
            [Deferred.fromCoroutine(_repeat(fault, group, rounds, report)) for group in groups]
        ).addTimeout(limit, reactor)  # type: ignore[arg-type]
        report.leaks.extend(await house.leaks())
    except AssertionError as error:
        report.wrong.append(str(error))
    except TimeoutError:
        report.wrong.append(f"not done after {limit:g} s")
    finally:
        await house.close()
    return report


async def _repeat(fault: Fault, lanes: Lanes, rounds: int, report: Report) -> None:
    """Strike the same lanes again and again; the first thing that goes wrong ends it."""
    try:
        for _ in range(rounds):
            await _strikeUndisturbed(fault, lanes, report)
        for lane in lanes:
            await lane.flowing()
    except AssertionError as error:
        report.wrong.append(str(error))


async def _strikeUndisturbed(fault: Fault, lanes: Lanes, report: Report) -> None:
    """Strike once, and again if the machine was too busy meanwhile; give up after a few times."""
    strike = _strike if fault.notices else _survive
    for _ in range(ATTEMPTS):
        for lane in lanes:
            await lane.flowing()
        await pause(random.uniform(*STEADY_SECONDS))
        try:
            await strike(fault, lanes, report)
        except Disturbed:
            report.disturbed += 1
        else:
            break


async def _strike(fault: Fault, lanes: Lanes, report: Report) -> None:
    """Break them, wait until the losses have been noticed, mend them."""
    looked = time.monotonic()
    marks = [lane.marks() for lane in lanes]
    began = await fault.begin(lanes)
    losses = [
        (side, await lane.loss(side, mark[side]))
        for side in fault.notices
        for lane, mark in zip(lanes, marks, strict=True)
    ]
    ended = time.monotonic()
    await fault.end(lanes)
    resumed = [
        (side, await lane.loss(side, mark[side]))
        for side in fault.resumes
        for lane, mark in zip(lanes, marks, strict=True)
    ]
    early = [(side, loss) for side, loss in losses if loss.at < began]
    if early:
        _blame(lanes, looked, f"sessions ended before the fault: {early}")
    for side, loss in losses:
        report.add(FROM_MESSAGE, side, loss.silence)
        report.add(FROM_FAULT, side, loss.at - began)
    for side, loss in resumed:
        report.add(FROM_RESUMPTION, side, loss.at - ended)


async def _survive(fault: Fault, lanes: Lanes, report: Report) -> None:
    """Break them; nobody may mind."""
    marks = [lane.marks() for lane in lanes]
    began = await fault.begin(lanes)
    await pause(SURVIVED_SECONDS)
    endings = [lane.endings(mark) for lane, mark in zip(lanes, marks, strict=True)]
    await fault.end(lanes)
    if any(endings):
        _blame(lanes, began, f"sessions ended without need: {endings}")
    for lane, mark in zip(lanes, marks, strict=True):
        report.add(GAP, "either", lane.longestGap(mark))


def _blame(lanes: Lanes, since: float, text: str) -> NoReturn:
    """Blame the machine, if it was late or just before; else the house."""
    if any(lane.late(since - STEADY_SECONDS[0]) for lane in lanes):
        raise Disturbed
    raise AssertionError(text)
