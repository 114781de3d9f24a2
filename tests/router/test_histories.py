"""Invariants 1, 2, 8 and 10 over random histories, with everything that can happen to devices."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TypeVar

import attrs
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.router.losses import Loss
from epnet.router.policy import DevicePolicy, NetworkPolicy, Policies
from epnet.router.settings import PortSettings
from epnet.router.terms import Group
from tests.router.histories import WINDOW, Device, World

W = TypeVar("W", bound=World)

QUICKLY = (Phase.explicit, Phase.reuse, Phase.generate)
"""Without shrinking, which takes up to five minutes where an example takes a second; who has a
failure to look into shrinks it with `Phase.shrink` added here, from the example that was kept."""

HISTORIES = settings(max_examples=60, deadline=None, phases=QUICKLY)

NAMES = [f"device {number}" for number in range(6)]

watts = st.one_of(
    st.sampled_from([0.0, 60.0, 1380.0, 5000.0, 5000.0, 9000.0]), st.floats(0.0, 20_000.0)
)
losses = st.builds(Loss, st.sampled_from([0.0, 0.0109, 0.1]), st.sampled_from([0.0, 1e-6]))
ports = st.builds(
    PortSettings,
    side=st.sampled_from("ABCD"),
    kind=st.just("DC"),
    direction=st.sampled_from(["both"] * 8 + ["import", "export"]),
    voltage=st.just(WINDOW),
    max_current=st.sampled_from([10.0, 32.0, 63.0]),
    cable_current=st.sampled_from([25.0, 63.0]),
    min_w=st.sampled_from([0.0, 0.0, 1380.0]),
    priority=st.integers(0, 2),
    weight=st.sampled_from([1.0, 2.5]),
    bid=st.sampled_from([inf, inf, 0.0, 1.5]),
    price=st.sampled_from([None, None, 0.2]),
    ramp_w_s=st.sampled_from([None, None, 3000.0]),
    group=st.sampled_from([None, None, "feeder"]),
    loss=losses,
)
policies = st.builds(
    Policies,
    st.builds(
        NetworkPolicy,
        max_import_w=st.sampled_from([inf, 4000.0]),
        min_soc=st.sampled_from([0.0, 40.0]),
        reserve=st.sampled_from([0.0, 0.5]),
    ),
    st.dictionaries(
        st.sampled_from(NAMES),
        st.builds(
            DevicePolicy,
            min_soc=st.sampled_from([0.0, 20.0]),
            max_w=st.sampled_from([inf, 2000.0]),
            derating=st.sampled_from([1.0, 0.5]),
        ),
        max_size=2,
    ),
    st.lists(st.builds(Group, st.just("feeder"), watts, st.just(())), max_size=1).map(tuple),
)


@attrs.frozen
class Happening:
    """An event: what, to whom, with what number; then some time passes."""

    what: str
    whom: str
    port: PortSettings
    offer: float
    wish: float
    role: str
    number: float
    rules: Policies
    steps: int


happenings = st.builds(
    Happening,
    st.sampled_from(
        [
            "plug",
            "plug",
            "plug",
            "change",
            "change",
            "change",
            "unplug",
            "silence",
            "lie",
            "lag",
            "price",
            "charge",
            "policies",
            "limit",
            "describe",
            "jump",
        ]
    ),
    st.sampled_from(NAMES),
    ports,
    watts,
    watts,
    st.sampled_from(["source", "sink", "sink", "both"]),
    st.floats(0.0, 1.0),
    policies,
    st.integers(1, 30),
)


def happen(world: World, event: Happening) -> None:
    """Let an event happen; one that makes no sense now does nothing."""
    device = world.devices.get(event.whom)
    if event.what == "plug" and (device is None or device.link is None):
        offer = None if event.role == "sink" else event.offer
        wish = None if event.role == "source" else event.wish
        world.plug(Device(event.whom, offer, wish), event.port)
    elif event.what == "policies":
        world.router.setPolicies(event.rules)
    elif event.what == "jump":
        world.clock.rightNow += event.number * 2.0
    elif device is not None and device.link is not None:
        _happenTo(world, device, event)


def _happenTo(world: World, device: Device, event: Happening) -> None:
    now = world.clock.seconds()
    wire = world.wires[device.identity]
    if event.what == "change":
        device.offer_w = None if device.offer_w is None else event.offer
        device.wish_w = None if device.wish_w is None else event.wish
    elif event.what == "unplug":
        world.unplug(device.identity)
    elif event.what == "silence":
        device.silent = now + event.number
    elif event.what == "lie":
        wire.lie = 0.5 + event.number
    elif event.what == "lag":
        wire.lag = 0.05 + event.number * 0.95
    elif event.what == "price":
        device.price, device.currency = event.number - 0.2, "EUR" if event.steps % 3 else "SEK"
    elif event.what == "charge":
        device.soc = event.number * 100.0
    elif event.what == "limit":
        world.router.limit(device.identity, event.number * 5000.0, now + 1.0)
    elif event.what == "describe":
        # What Router.describe does with a port whose settings are new.
        world.router.ports[device.identity].describe(event.port)
        world.router.setPolicies(world.router.policies)


@st.composite
def houses(draw: st.DrawFn, makeWorld: Callable[[], W]) -> W:
    """A router with a source, two sinks and a storage that have been there for a while."""
    world = makeWorld()
    for name, role in zip(NAMES, ("source", "sink", "sink", "both"), strict=False):
        event = draw(happenings)
        happen(world, attrs.evolve(event, what="plug", whom=name, role=role))
    world.run(draw(st.sampled_from([0.5, 2.0])))
    return world


class HistoryTests(SynchronousTestCase):
    @HISTORIES
    @given(houses(World), st.lists(happenings, min_size=4, max_size=25))
    def test_1_2_8_whateverHappens(self, world: World, events: list[Happening]) -> None:
        for event in events:
            happen(world, event)
            for _ in range(event.steps):
                world.step()

    @HISTORIES
    @given(houses(World), st.lists(happenings, min_size=4, max_size=12))
    def test_10_constantInputsSettle(self, world: World, events: list[Happening]) -> None:
        for event in events:
            if event.what != "lie":
                happen(world, event)
            world.step()
        for wire in world.wires.values():
            wire.lag = 1.0
        world.run(15.0)
        settled = self.setPoints(world)
        world.run(5.0)
        for name, (imports, exports) in self.setPoints(world).items():
            self.assertApproximates(imports, settled[name][0], 0.01)
            self.assertApproximates(exports, settled[name][1], 0.01)

    def setPoints(self, world: World) -> dict[str, tuple[float, float]]:
        return {name: (p.import_w, p.export_w) for name, p in world.router.ports.items()}
