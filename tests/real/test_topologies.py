"""Every topology of Ethernet/TCP §2 with processes and sockets; docs/howto/topologies.rst."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.request import urlopen

from epnet.pki import ensureCertificate, initAuthority
from epnet.wire import SupplyParameters
from tests.real.processes import RawPeer, Twistd, until
from tests.real.test_router import DEMAND, SESSION, RouterTestCase, granted

TELLING = "tests.real.telling.Telling"
LOOPBACK = "127.0.0.1"


def freePort(family: socket.AddressFamily = socket.AF_INET) -> int:
    """A port that is free now: who is dialled has to be known before it listens."""
    with socket.socket(family) as found:
        found.bind(("::1" if family == socket.AF_INET6 else LOOPBACK, 0))
        number: int = found.getsockname()[1]
        return number


def portOf(process: Twistd) -> int:
    """The EP port that a process says it listens on."""
    pattern = r"listening on (?:127\.0\.0\.1|\[::1\]):(\d+)"
    until(lambda: re.search(pattern, process.text) or process.ended, "listening")
    found = re.search(pattern, process.text)
    assert found is not None, process.text
    return int(found[1])


class TopologyTestCase(RouterTestCase):
    def setUp(self) -> None:
        super().setUp()
        initAuthority(self.state)

    def startEP(self, plugin: str, identity: str, *arguments: str) -> Twistd:
        """A device or router that listens on loopback, on a port of the system's choice if not
        said otherwise."""
        ensureCertificate(self.state, identity)
        if not any(argument.startswith("--listen") for argument in arguments):
            arguments += (f"--listen=tcp:0:interface={LOOPBACK}",)
        return self.start(plugin, f"--identity={identity}", *arguments)

    def startRouterNamed(self, identity: str, *arguments: str) -> Twistd:
        http = f"--http=tcp:0:interface={LOOPBACK}"
        return self.startEP("ep-router", identity, http, *arguments)

    def devices(self, router: Twistd) -> dict[str, dict[str, Any]]:
        """The devices of a router, by identity."""
        found = re.search(r"http://127\.0\.0\.1:\d+", router.text)
        assert found is not None, router.text
        with urlopen(found[0] + "/api/v1/state", timeout=30) as answer:
            return {each["identity"]: each for each in json.load(answer)["devices"]}

    def endInOrder(self, *processes: Twistd) -> None:
        """Stop them: all end with status 0 and nothing went wrong."""
        for process in processes:
            process.kill(signal.SIGTERM)
            self.assertEqual(process.wait(), 0, process.text)
            self.assertNotIn("Traceback", process.text)


class DeviceTests(TopologyTestCase):
    def test_deviceToRouter(self) -> None:
        router = self.startRouterNamed("router")
        to = f"--upstream=router@{LOOPBACK}:{portOf(router)}"
        sun = self.startEP("ep-client", "sun", "--device=grid:fuse_a=16", to)
        load = self.startEP("ep-client", "load", f"--device={TELLING}", to)
        load.says("MAY DRAW 3000 W")
        self.endInOrder(sun, load, router)

    def test_deviceToDeviceWithoutARouter(self) -> None:
        server = self.startEP("ep-server", "sun", "--device=grid:fuse_a=10,feed_in=no")
        to = f"--upstream=sun@{LOOPBACK}:{portOf(server)}"
        load = self.startEP("ep-client", "load", f"--device={TELLING}", to)
        load.says("MAY DRAW 2300 W")
        server.kill(signal.SIGSTOP)
        load.says("SHUT DOWN: silent for 2")
        server.kill(signal.SIGCONT)
        until(lambda: load.text.count("MAY DRAW 2300 W") == 2, "power again")
        self.endInOrder(load, server)

    def test_whoDialsADeviceThatDialsGetsNothing(self) -> None:
        """Without --through nobody is connected through it, whoever was first."""
        server = self.startEP("ep-server", "sun", "--device=grid:fuse_a=16")
        nowhere = freePort()
        to = f"--upstream=router@{LOOPBACK}:{nowhere}"
        middle = self.startEP("ep-client", "middle", "--device=grid", to)
        to = f"--upstream=middle@{LOOPBACK}:{portOf(middle)}"
        load = self.startEP("ep-client", "load", f"--device={TELLING}", to)
        load.says("session with middle")
        to = f"--upstream=sun@{LOOPBACK}:{portOf(server)}"
        load2 = self.startEP("ep-client", "load-2", f"--device={TELLING}", to)
        load2.says("MAY DRAW")
        self.assertNotIn("MAY DRAW", load.text)


class MiddleTests(TopologyTestCase):
    """device → device → router"""

    def setUp(self) -> None:
        super().setUp()
        self.port = freePort()
        self.router = self.startTheRouter()
        to = f"--upstream=router@{LOOPBACK}:{self.port}"
        portOf(self.router)
        self.startEP("ep-client", "sun", "--device=grid:fuse_a=16", to)
        self.middle = self.startEP(
            "ep-client", "middle", f"--device={TELLING}", "--through=4000", to
        )
        self.behind = RawPeer(portOf(self.middle), self.issue("rawsink1"))
        self.addCleanup(self.behind.end)
        self.behind.send(SESSION)
        self.behind.repeat(DEMAND)  # 3000 W
        # Both want 3000 W; the sun gives 3680 W.
        until(lambda: granted(self.behind.newest(SupplyParameters)) > 1800, "power through it")

    def startTheRouter(self) -> Twistd:
        listen = f"--listen=tcp:{self.port}:interface={LOOPBACK}"
        return self.startRouterNamed("router", listen)

    def test_bothGetAShareAndTheRouterSeesOneDevice(self) -> None:
        self.middle.says("MAY DRAW 1840 W")
        self.assertEqual(granted(self.behind.newest(SupplyParameters)), 1840)
        # What is shown may be a quarter of a second old.
        until(lambda: set(self.devices(self.router)) == {"sun", "middle"}, "both are shown")
        until(lambda: self.devices(self.router)["middle"]["granted_w"] > 3679, "its grant is shown")
        devices = self.devices(self.router)
        self.assertAlmostEqual(devices["middle"]["granted_w"], 3680)

    def test_lossOfTheUpstreamEndsTheTransferBehind(self) -> None:
        for number, again in ((signal.SIGSTOP, signal.SIGCONT), (signal.SIGKILL, None)):
            at = time.monotonic()
            self.router.kill(number)
            until(lambda: granted(self.behind.newest(SupplyParameters)) == 0, "the end of it")
            zero = next(t for t, m in self.behind.heard if t > at and granted(m) == 0 and power(m))
            # What was granted last is worth nothing 200 ms after the router's last word.
            self.assertLess(zero - at, 0.3)
            if again is None:
                self.router = self.startTheRouter()
            else:
                self.router.kill(again)
            until(lambda: granted(self.behind.newest(SupplyParameters)) > 1800, "power again")
        self.assertGreaterEqual(self.middle.text.count("SHUT DOWN"), 2)
        # The session behind went on all the while.
        self.assertEqual(self.middle.text.count("session with rawsink1"), 1)

    def test_whoIsBehindMayGo(self) -> None:
        self.behind.end()
        self.middle.says("MAY DRAW 3000 W")
        self.assertNotIn("SHUT DOWN", self.middle.text)


def power(message: object) -> bool:
    return isinstance(message, SupplyParameters)


class RouterToRouterTests(TopologyTestCase):
    def test_eitherMayDial(self) -> None:
        for server, client in (("east", "west"), ("west", "east")):
            listening = self.startRouterNamed(server)
            to = f"--upstream={server}@{LOOPBACK}:{portOf(listening)}"
            dialling = self.startRouterNamed(client, to)
            self.checkRouters((server, listening), (client, dialling))

    def test_bothMayDialEachOther(self) -> None:
        ports = {"east": freePort(), "west": freePort()}
        routers = {
            us: self.startRouterNamed(
                us,
                f"--listen=tcp:{ports[us]}:interface={LOOPBACK}",
                f"--upstream={them}@{LOOPBACK}:{ports[them]}",
            )
            for us, them in (("east", "west"), ("west", "east"))
        }
        self.checkRouters(*routers.items())

    def checkRouters(self, one: tuple[str, Twistd], other: tuple[str, Twistd]) -> None:
        """Each has the other on side C, on one session; and nothing flows between them."""
        for (us, router), (them, _) in ((one, other), (other, one)):
            router.says(f"{us}: session with {them}")
            until(lambda r=router, t=them: t in self.devices(r), f"{them} at {us}")  # type: ignore[misc]
        sun = self.startEP(
            "ep-client",
            "sun",
            "--device=grid:fuse_a=16",
            f"--upstream={one[0]}@{LOOPBACK}:{portOf(one[1])}",
        )
        until(lambda: "sun" in self.devices(one[1]), "the sun")
        load = RawPeer(portOf(other[1]), ensureCertificate(self.state, "rawsink1"))
        self.addCleanup(load.end)
        load.send(SESSION)
        load.repeat(DEMAND)
        until(lambda: load.newest(SupplyParameters), "a grant")
        for (_, router), (them, _) in ((one, other), (other, one)):
            found = self.devices(router)[them]
            self.assertEqual((found["side"], found["session"]["state"]), ("C", "open"))
            self.assertEqual(found["granted_w"], 0)
        self.assertEqual({granted(message) for _, message in load.heard}, {0.0})
        load.end()
        self.endInOrder(sun, other[1], one[1])


class PeerTests(TopologyTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.ports = {"left": freePort(), "right": freePort()}
        self.peers = {
            "left": self.startPeer("left", "grid:fuse_a=10,feed_in=no"),
            "right": self.startPeer("right", TELLING),
        }

    def startPeer(self, us: str, device: str) -> Twistd:
        them = "right" if us == "left" else "left"
        return self.startEP(
            "ep-peer",
            us,
            f"--device={device}",
            f"--listen=tcp:{self.ports[us]}:interface={LOOPBACK}",
            f"--peer={them}@{LOOPBACK}:{self.ports[them]}",
        )

    def test_bothDialBothListenOneConnectionStays(self) -> None:
        left, right = self.peers["left"], self.peers["right"]
        right.says("MAY DRAW 2300 W")
        # Whatever came about at first, one session stays and carries power without interruption.
        steady = self.steady(
            lambda: (left.text.count(" over after "), right.text.count("SHUT DOWN"))
        )
        self.assertEqual(self.opened(left) - steady[0], 1)
        self.endInOrder(left, right)

    def test_eitherMayRestart(self) -> None:
        self.peers["right"].says("MAY DRAW 2300 W")
        self.peers["left"].kill(signal.SIGKILL)
        self.peers["left"].wait()
        self.peers["right"].says("SHUT DOWN")
        self.peers["left"] = self.startPeer("left", "grid:fuse_a=10,feed_in=no")
        until(lambda: self.peers["right"].text.count("MAY DRAW 2300 W") >= 2, "power again")
        self.peers["right"].kill(signal.SIGKILL)
        self.peers["right"].wait()
        self.peers["right"] = self.startPeer("right", TELLING)
        self.peers["right"].says("MAY DRAW 2300 W")

    def opened(self, process: Twistd) -> int:
        return len(re.findall(r"session with \w+ \(.*?\) at \S+ open", process.text))

    def steady(self, look: Callable[[], Any]) -> Any:
        """What a look shows once it has shown the same for 3 s."""
        seen, since = look(), time.monotonic()

        def settled() -> bool:
            nonlocal seen, since
            now = look()
            if now != seen:
                seen, since = now, time.monotonic()
            return time.monotonic() - since > 3.0

        until(settled, "it settles")
        return seen


class AddressTests(TopologyTestCase):
    """Upstream devices with several addresses, of both families."""

    def connects(self, listen: str, upstream: str) -> Twistd:
        """A device whose --upstream has {port} where the router's is gets through."""
        router = self.startRouterNamed("router", f"--listen={listen}")
        to = upstream.format(port=portOf(router), closed=freePort())
        load = self.startEP("ep-client", "load", f"--device={TELLING}", f"--upstream={to}")
        load.says("session with router")
        self.endInOrder(load, router)
        return load

    def test_theNextAddressIsTried(self) -> None:
        self.connects(
            f"tcp:0:interface={LOOPBACK}", f"router@{LOOPBACK}:{{closed}},{LOOPBACK}:{{port}}"
        )

    def test_theNextAddressIsTriedWhereOneAcceptsAndSaysNothing(self) -> None:
        with socket.create_server((LOOPBACK, 0)) as silent:
            port = silent.getsockname()[1]
            load = self.connects(
                f"tcp:0:interface={LOOPBACK}", f"router@{LOOPBACK}:{port},{LOOPBACK}:{{port}}"
            )
        self.assertIn("no session within 2.5 s", load.text)

    def test_ipv6(self) -> None:
        self.connects("tcp6:0:interface=\\:\\:1", "router@[::1]:{port}")

    def test_aNameWhateverFamilyItIs(self) -> None:
        """The certificate carries the name; no identity is said."""
        self.connects(f"tcp:0:interface={LOOPBACK}", "localhost:{port}")

    def test_fromOneFamilyToTheOther(self) -> None:
        self.connects("tcp6:0:interface=\\:\\:1", f"router@{LOOPBACK}:{{closed}},[::1]:{{port}}")

    def test_severalUpstreamDevicesOneHoldsThePowerConnection(self) -> None:
        routers = [self.startRouterNamed(name) for name in ("first", "second")]
        places = [
            f"{name}@{LOOPBACK}:{portOf(router)}"
            for name, router in zip(("first", "second"), routers, strict=True)
        ]
        for name, place in zip(("sun-1", "sun-2"), places, strict=True):
            self.startEP("ep-client", name, "--device=grid:fuse_a=16", f"--upstream={place}")
        load = self.startEP(
            "ep-client", "load", f"--device={TELLING}", *(f"--upstream={p}" for p in places)
        )
        load.says("session with first")
        load.says("session with second")
        load.says("MAY DRAW 3000 W")
        until(lambda: all("load" in self.devices(r) for r in routers), "both know it")
        wanted = [self.devices(router)["load"]["demand"]["power_limit"] for router in routers]
        self.assertEqual(sorted(wanted), [0, 3000])
        holder = routers[wanted.index(3000)]
        holder.kill(signal.SIGKILL)
        load.says("SHUT DOWN")
        until(lambda: load.text.count("MAY DRAW 3000 W") == 2, "power from the other one")
