"""Routers among routers as processes: three houses in a street, and a tree of seven.

docs/howto/street.rst tells of the first.  How fast they settle is measured in virtual time, where
nothing else needs the processor (`tests.street`); here it is told, and only bounded.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from epnet.pki import ensureCertificate
from tests.real.neighbours import Gadgets, Relaying
from tests.real.processes import ROOT, Twistd, until
from tests.real.test_commands import RUN
from tests.real.test_topologies import LOOPBACK, TopologyTestCase, freePort

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

HOUSE = """
[router]
identity = "{identity}"
listen = ["tcp:{port}:interface=127.0.0.1"]
[http]
listen = "tcp:0:interface=127.0.0.1"
[history]
url = ""
[ports.default]
side = "D"
kind = "DC"
max_power = 50_000
max_current = 200
cable_current = 200
"""

CABLE = """
[ports.{identity}]
side = "C"
kind = "DC"
max_power = 20_000
max_current = 100
cable_current = 100
"""

UPSTREAM = """
[upstream]
hosts = [{hosts}]
"""


class StreetTestCase(TopologyTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.ports: dict[str, int] = {}
        self.routers: dict[str, Twistd] = {}
        self.gadgets = Gadgets(self.state)
        self.addCleanup(self.gadgets.end)

    def startHouse(self, identity: str, text: str) -> Twistd:
        """Start a router with a configuration."""
        file = self.folder / f"{identity}.toml"
        file.write_text(text)
        ensureCertificate(self.state, identity)
        router = self.routers[identity] = self.start("ep-router", f"--config={file}")
        # One after the other: a machine that has much to do starts few at once.
        router.says("the live page is at")
        return router

    def look(self, identity: str) -> dict[str, Any]:
        """What a router shows."""
        text = self.routers[identity].text
        found = re.search(r"http://127\.0\.0\.1:\d+", text)
        assert found is not None, text
        with urlopen(found[0] + "/api/v1/state", timeout=30) as answer:
            return dict(json.load(answer))

    def plug(self, identity: str, house: str, **options: object) -> None:
        self.gadgets.plug(identity, house, self.ports[house], **options)

    def assertMay(self, identity: str, draw_w: float = 0.0, supply_w: float = 0.0) -> None:
        """Wait until a gadget may do that, to 1 % and 2 W."""

        def near() -> bool:
            may = self.gadgets.may(identity)
            return all(
                abs(now - wanted) <= 2.0 + 0.01 * wanted
                for now, wanted in zip(may, (draw_w, supply_w), strict=True)
            )

        until(near, f"{identity}: {draw_w} W, {supply_w} W; it may {self.gadgets.may(identity)}")


class ThreeHousesTests(StreetTestCase):
    """docs/howto/street.rst, with gadgets for its devices."""

    def setUp(self) -> None:
        super().setUp()
        for number in (1, 2, 3):
            self.ports[f"house-{number}"] = freePort()
        self.reached = dict(self.ports)
        for number in (1, 2, 3):
            self.startNumber(number)

    def startNumber(self, number: int) -> Twistd:
        """Start a house as its file says, on ports that are free here."""
        text = (EXAMPLES / f"street-{number}.toml").read_text()
        for other in (1, 2, 3):
            ours = self.ports if other == number else self.reached
            identity = f"house-{other}"
            text = text.replace(f":{56530 + 10 * other}", f":{ours[identity]}")
            text = text.replace(f"tcp:{56531 + 10 * other}", "tcp:0")
        return self.startHouse(f"house-{number}", text + '\n[history]\nurl = ""\n')

    def plugAll(self) -> None:
        """A sunny day, and a car that wants more than the sun gives."""
        self.plug("grid-1", "house-1", offer_w=24_000, volts=230)
        self.plug("home-1", "house-1", wish_w=2500, volts=230)
        self.plug("solar-2", "house-2", offer_w=9000)
        self.plug("battery-2", "house-2", offer_w=3000, wish_w=3000, soc=60)
        self.plug("home-2", "house-2", wish_w=400, volts=230)
        self.plug("home-3", "house-3", wish_w=400, volts=230)

    def status(self, identity: str) -> str:
        """What ``epnet status`` prints."""
        found = re.search(r"http://127\.0\.0\.1:\d+", self.routers[identity].text)
        assert found is not None
        command = [*RUN, "status", f"--http={found[0]}"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_asThePageTells(self) -> None:
        self.plugAll()
        # 1 % is lost in each port on the way.
        self.assertMay("home-3", draw_w=400)
        self.assertMay("home-1", draw_w=2500)
        self.assertMay("battery-2", draw_w=3000)
        self.gadgets.settle()
        self.assertMay("grid-1")
        self.plug("car-3", "house-3", wish_w=11_000)
        self.assertMay("car-3", draw_w=9500)
        self.assertMay("battery-2", supply_w=3000)
        self.gadgets.settle()
        self.assertRegex(self.status("house-1"), r"House 2 \(house-2\) +C DC")
        self.assertRegex(self.status("house-2"), r"House 3 \(house-3\) +C DC +~10.00 kW out")
        self.assertRegex(self.status("house-3"), r"House 2 \(house-2\) +C DC +~10.00 kW in")
        self.endInOrder(*self.routers.values())


class GrownTestCase(StreetTestCase):
    """Houses in a tree, each with a file that is made here.

    under: by the number of a house, that of the one above it.
    beside: the same for those that have another one above them, which they prefer less.
    relayed: houses that those below reach through a relay.
    """

    under: Mapping[int, int]
    beside: Mapping[int, int] = {}
    relayed: tuple[str, ...] = ()

    def setUp(self) -> None:
        super().setUp()
        numbers = sorted({1, *self.under})
        self.ports = {f"house-{number}": freePort() for number in numbers}
        self.relays = {name: Relaying(self.ports[name]) for name in self.relayed}
        for relay in self.relays.values():
            self.addCleanup(relay.end)
        for number in numbers:
            self.startNumber(number)

    def startNumber(self, number: int) -> Twistd:
        identity = f"house-{number}"
        text = HOUSE.format(identity=identity, port=self.ports[identity])
        links = [*self.under.items(), *self.beside.items()]
        uppers = [f"house-{above}" for below, above in links if below == number]
        if uppers:
            hosts = ", ".join(f'"{upper}@{LOOPBACK}:{self.reach(upper)}"' for upper in uppers)
            text = UPSTREAM.format(hosts=hosts) + text
        for name in (*uppers, *(f"house-{below}" for below, above in links if above == number)):
            text += CABLE.format(identity=name)
        return self.startHouse(identity, text)

    def reach(self, upper: str) -> int:
        """The port at which those below reach a house."""
        return self.relays[upper].port if upper in self.relays else self.ports[upper]


class TakeoverTests(GrownTestCase):
    """The third house hangs on the second, and has a link to the first that stands by."""

    under: Mapping[int, int] = {2: 1, 3: 2}
    beside: Mapping[int, int] = {3: 1}
    relayed = ("house-2",)

    def test_theOtherLinkTakesOver(self) -> None:
        self.plug("grid", "house-1", offer_w=20_000)
        self.plug("lamp-3", "house-3", wish_w=1000)
        self.assertMay("lamp-3", draw_w=1000)
        self.gadgets.settle()
        granted = {each["identity"]: each["granted_w"] for each in self.look("house-3")["devices"]}
        self.assertEqual(round(granted["house-1"]), 0, granted)
        mark, began = len(self.gadgets.told), time.monotonic()
        self.relays["house-2"].order("stall")
        until(lambda: len(self.gadgets.told) > mark, "the lamp goes out")
        self.assertMay("lamp-3", draw_w=1000)
        took = self.gadgets.told[-1]["at"] - began
        print(f"\nthe other link had taken over after {took:.2f} s")
        self.assertLess(took, 10.0)


class FaultTests(GrownTestCase):
    """Three houses in a row; what happens between the second and the third is the third's alone."""

    under: Mapping[int, int] = {2: 1, 3: 2}
    relayed = ("house-2",)

    def setUp(self) -> None:
        super().setUp()
        self.plug("grid", "house-1", offer_w=20_000)
        self.plug("lamp-1", "house-1", wish_w=700)
        self.plug("lamp-2", "house-2", wish_w=500)
        self.plug("sun-3", "house-3", offer_w=300)
        self.plug("lamp-3", "house-3", wish_w=1000)
        self.assertAllIsWell()

    def assertAllIsWell(self) -> None:
        for identity, watts in (("lamp-1", 700), ("lamp-2", 500), ("lamp-3", 1000)):
            self.assertMay(identity, draw_w=watts)

    def falls(self, fault: Callable[[], object]) -> float:
        """Do harm; how long, s, until the third house has no more than its own."""
        mark, began = len(self.gadgets.told), time.monotonic()
        fault()
        self.assertMay("lamp-3", draw_w=300)
        fallen = next(
            each["at"]
            for each in self.gadgets.told[mark:]
            if each.get("may") == "lamp-3" and each["draw_w"] < 302
        )
        return float(fallen - began)

    def test_theHouseBetweenIsKilled(self) -> None:
        middle = self.routers["house-2"]
        took = self.falls(lambda: middle.kill(signal.SIGKILL))
        middle.wait()
        self.startNumber(2)
        self.assertAllIsWell()
        self.tell("SIGKILL", took)

    def test_theHouseBetweenHangs(self) -> None:
        middle = self.routers["house-2"]
        took = self.falls(lambda: middle.kill(signal.SIGSTOP))
        middle.kill(signal.SIGCONT)
        self.assertAllIsWell()
        self.tell("SIGSTOP", took)

    def test_theLineIsDead(self) -> None:
        relay = self.relays["house-2"]
        took = self.falls(lambda: relay.order("stall"))
        self.assertMay("lamp-2", draw_w=500)
        relay.order("cut")
        self.assertAllIsWell()
        self.tell("a line that is dead", took)

    def test_theConnectionIsReset(self) -> None:
        took = self.falls(lambda: self.relays["house-2"].order("cut"))
        self.assertAllIsWell()
        self.tell("a reset", took)

    def tell(self, fault: str, took: float) -> None:
        """Say how long it took: on a busy machine anything may, but not for ever."""
        print(f"\nislanded {took * 1000:.0f} ms after {fault}")
        self.assertLess(took, 5.0)


class TreeTests(GrownTestCase):
    """Seven houses: one, two under it, two under each of these."""

    under: Mapping[int, int] = {2: 1, 3: 1, 4: 2, 5: 2, 6: 3, 7: 3}

    def test_itSettlesAfterEachStepAndDoesNotOscillate(self) -> None:
        self.plug("grid", "house-1", offer_w=20_000)
        for number in range(2, 8):
            self.plug(f"load-{number}", f"house-{number}", wish_w=1000)
        self.plug("sun", "house-4", offer_w=0)
        for number in range(2, 8):
            self.assertMay(f"load-{number}", draw_w=1000)
        self.assertMay("grid", supply_w=6000)
        self.gadgets.settle()
        figures = []
        for identity, change, expected in (
            ("load-7", {"wish_w": 4000}, {"load-7": (4000, 0), "grid": (0, 9000)}),
            ("load-7", {"wish_w": 500}, {"load-7": (500, 0), "grid": (0, 5500)}),
            ("sun", {"offer_w": 3000}, {"sun": (0, 3000), "grid": (0, 2500)}),
            ("sun", {"offer_w": 1000}, {"sun": (0, 1000), "grid": (0, 4500)}),
            ("grid", {"offer_w": 3000}, {"grid": (0, 3000)}),
            ("grid", {"offer_w": 20_000}, {"grid": (0, 4500)}),
        ):
            mark = self.gadgets.set(identity, **change)
            for name, (draw_w, supply_w) in expected.items():
                self.assertMay(name, draw_w, supply_w)
            self.gadgets.settle()
            last, turns = self.gadgets.response(mark)
            figures.append(f"{identity} {change}: {last * 1000:.0f} ms, {turns} turns")
            self.assertLess(last, 5.0, figures)
            self.assertLessEqual(turns, 2, figures)
        print("\n".join(["", *figures]))
        self.endInOrder(*self.routers.values())
