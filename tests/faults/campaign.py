"""Break it over and over, and keep the figures."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred, TimeoutError, gatherResults

from tests.faults.faults import Fault, Lanes
from tests.faults.house import Lane
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
Marked = Sequence[tuple[Lane, dict[str, int]]]
"""Lanes, and how much each side of them had noted when power was last seen to flow."""

ATTEMPTS: Final = 5
"""How often a repetition is tried that a busy machine disturbs."""


class Unfit(Exception):
    """A session ended, and not by the fault: the machine's doing if it was busy, else a bug."""


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
        ).addTimeout(limit, reactor)
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
        looked = time.monotonic()
        marks = [lane.marks() for lane in lanes]
        await pause(random.uniform(*STEADY_SECONDS))
        try:
            await strike(fault, list(zip(lanes, marks, strict=True)), report)
        except Unfit as error:
            if not any(lane.late(looked - STEADY_SECONDS[0]) for lane in lanes):
                raise AssertionError(str(error)) from error
            report.disturbed += 1
        else:
            break


async def _strike(fault: Fault, marked: Marked, report: Report) -> None:
    """Break them, wait until the losses have been noticed, mend them."""
    lanes = [lane for lane, _ in marked]
    began = await fault.begin(lanes)
    try:
        losses = [
            (side, await lane.loss(side, mark[side]))
            for side in fault.notices
            for lane, mark in marked
        ]
    finally:
        ended = time.monotonic()
        await fault.end(lanes)
    resumed = [
        (side, await lane.loss(side, mark[side])) for side in fault.resumes for lane, mark in marked
    ]
    unfit = [(side, loss) for side, loss in losses if loss.at < began or not loss.inTransfer]
    unfit += [(side, loss) for side, loss in resumed if loss.at < ended]
    if unfit:
        raise Unfit(f"no transfer any more when the fault struck: {unfit}")
    for side, loss in losses:
        report.add(FROM_MESSAGE, side, loss.silence)
        report.add(FROM_FAULT, side, loss.at - began)
    for side, loss in resumed:
        report.add(FROM_RESUMPTION, side, loss.at - ended)


async def _survive(fault: Fault, marked: Marked, report: Report) -> None:
    """Break them; nobody may mind."""
    lanes = [lane for lane, _ in marked]
    await fault.begin(lanes)
    await pause(SURVIVED_SECONDS)
    endings = [ending for lane, mark in marked for ending in lane.endings(mark)]
    try:
        await fault.end(lanes)
    finally:
        if endings:
            raise Unfit(f"sessions ended without need: {endings}")
    for lane, mark in marked:
        report.add(GAP, "either", lane.longestGap(mark))
