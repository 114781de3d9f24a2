"""An Automat machine as a picture and a table, made from its transitions.

The picture is an SVG of our own making: no Graphviz is needed.  States stand one below the other,
each after those that lead to it.  From each, one line for all inputs that lead to the same next
state: straight down to the state right below, otherwise to a trunk on the right that leads to its
target.  Inputs that change nothing are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby
from typing import Any

import attrs


@attrs.frozen(order=True)
class Transition:
    """From a state, upon an input, to a state."""

    state: str
    input: str
    target: str


def transitions(machine: Any) -> set[Transition]:
    """All transitions of a machine that `automat.TypeMachineBuilder` built."""
    automaton = machine.__automat_automaton__
    return {
        Transition(state.name, name, target.name)
        for state, name, target, _ in automaton.allTransitions()
    }


def statesInOrder(machine: Any) -> list[str]:
    """The states, from the first one on, each right after those that lead to it."""
    found = transitions(machine)
    order = [machine.__automat_automaton__.initialState.name]
    left = {step.state for step in found} - set(order)
    while left:
        # Next is who is led to by nobody that is still to come.
        ready = [
            state
            for state in sorted(left)
            if not any(s.target == state and s.state in left - {state} for s in found)
        ] or sorted(left)
        order.append(ready[0])
        left.discard(ready[0])
    return order


@attrs.frozen
class Edge:
    """All the inputs that lead from one state to another one."""

    source: str
    target: str
    inputs: Sequence[str]


def edges(machine: Any) -> list[Edge]:
    """What changes the state."""
    steps = sorted((s for s in transitions(machine) if s.state != s.target), key=_ends)
    return [
        Edge(source, target, sorted(step.input for step in group))
        for (source, target), group in groupby(steps, _ends)
    ]


def _ends(step: Transition) -> tuple[str, str]:
    return step.state, step.target


WIDTH, HEIGHT, GAP = 130, 36, 74
LEFT, TOP = 20, 14
LANE = 46
LABEL = 300
STYLE = (
    "text{font:14px sans-serif;fill:#222}"
    ".s{fill:#eef4fb;stroke:#33608f;stroke-width:1.5}"
    ".n{font-weight:bold;text-anchor:middle}"
    ".l{fill:none;stroke:#555;stroke-width:1.3}"
    ".a{fill:#555}"
)


def picture(machine: Any) -> str:
    """The machine as an SVG element."""
    order = statesInOrder(machine)
    tops = {state: TOP + number * (HEIGHT + GAP) for number, state in enumerate(order)}
    found = edges(machine)
    far = [edge for edge in found if not _isNext(order, edge)]
    targets = sorted({edge.target for edge in far}, key=order.index)
    trunks = {target: LEFT + WIDTH + LABEL + n * LANE for n, target in enumerate(targets)}
    width = LEFT + WIDTH + LABEL + max(1, len(targets)) * LANE
    height = TOP + len(order) * (HEIGHT + GAP) - GAP + TOP
    parts = [
        *(_box(state, top) for state, top in tops.items()),
        *(_down(edge, tops) for edge in found if _isNext(order, edge)),
        *_trunkLines(far, trunks, tops),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'style="max-width:{width}px;width:100%" role="img" '
        f'aria-label="the states and what leads from one to the next">'
        f"<style>{STYLE}</style>{''.join(parts)}</svg>"
    )


def _isNext(order: list[str], edge: Edge) -> bool:
    return order.index(edge.target) == order.index(edge.source) + 1


def _box(state: str, top: int) -> str:
    middle, line = LEFT + WIDTH // 2, top + HEIGHT // 2 + 5
    return (
        f'<rect class="s" x="{LEFT}" y="{top}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>'
        f'<text class="n" x="{middle}" y="{line}">{escape(state)}</text>'
    )


def _text(x: int, y: int, inputs: Sequence[str]) -> str:
    return f'<text x="{x}" y="{y}">{escape(", ".join(inputs))}</text>'


def _down(edge: Edge, tops: dict[str, int]) -> str:
    x, start, end = LEFT + WIDTH // 2, tops[edge.source] + HEIGHT, tops[edge.target]
    return (
        f'<path class="l" d="M{x} {start}V{end - 8}"/>'
        f'<path class="a" d="M{x - 5} {end - 9}h10l-5 9z"/>'
        + _text(x + 8, (start + end) // 2 + 4, edge.inputs)
    )


def _trunkLines(
    found: Sequence[Edge], trunks: dict[str, int], tops: dict[str, int]
) -> Iterator[str]:
    """From each state to the right, down along the trunk, and into the target from the right."""
    right = LEFT + WIDTH
    lines = {target: number for number, target in enumerate(trunks)}
    for edge in found:
        y = tops[edge.source] + 9 + 18 * lines[edge.target]
        yield f'<path class="l" d="M{right} {y}H{trunks[edge.target]}"/>'
        yield _text(right + 10, y - 3, edge.inputs)
    for target, x in trunks.items():
        starts = [tops[e.source] + 9 + 18 * lines[target] for e in found if e.target == target]
        end = tops[target] + HEIGHT // 2 + (9 if target in {e.source for e in found} else 0)
        yield f'<path class="l" d="M{x} {min(starts)}V{end}H{right + 8}"/>'
        yield f'<path class="a" d="M{right + 9} {end - 5}v10l-9 -5z"/>'


def table(machine: Any) -> Iterator[str]:
    """Every input and every state that is left at all, as a list-table, line by line."""
    left = {edge.source for edge in edges(machine)}
    order = [state for state in statesInOrder(machine) if state in left]
    steps = {(step.state, step.input): step.target for step in transitions(machine)}
    inputs = sorted({name for _, name in steps}, key=lambda name: _firstUse(order, steps, name))
    yield from (".. list-table::", "   :header-rows: 1", "   :stub-columns: 1", "")
    yield from _row(["", *order])
    for name in inputs:
        row = (steps[state, name] for state in order)
        yield from _row(
            [f"`{name}`", *("" if t == s else t for s, t in zip(order, row, strict=True))]
        )


def _firstUse(
    order: Sequence[str], steps: dict[tuple[str, str], str], name: str
) -> tuple[int, str]:
    """Inputs in the order in which they first change anything."""
    used = [n for n, state in enumerate(order) if steps[state, name] != state]
    return min(used, default=len(order)), name


def _row(cells: Iterable[str]) -> Iterator[str]:
    for position, cell in enumerate(cells):
        yield f"   {'*' if position == 0 else ' '} - {cell}".rstrip()
