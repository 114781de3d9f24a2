"""A network in namespaces of its own: a router, a switch, and a cable to each device.

Every device has a namespace, and so have the router and the switch, which forwards between them::

    device 1 --- cable 1 --- switch --- router
    device 2 --- cable 2 -----'

A cable is a pair of the kernel's virtual Ethernet interfaces, or a `Wire` of our own.  Nothing of
this has a name on the machine: each namespace is held by a process that ends when its standard
input does, and with the last process the namespace and all its interfaces are gone.

Needs root, and iproute2 and util-linux: `whyNot` says what is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from tests.faults.wire import Wire

ROUTER_ADDRESS = "10.77.0.2"
_TOOLS = ("ip", "tc", "nsenter", "unshare")


def whyNot() -> str | None:
    """Why there can be no such network on this machine; None if there can."""
    if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        return f"there is no {', no '.join(missing)}"
    if os.geteuid() != 0:
        return "it takes root"
    tried = subprocess.run(
        ["unshare", "--net", "ip", "link", "add", "v0", "type", "veth"], capture_output=True
    )
    return None if tried.returncode == 0 else "the kernel or a sandbox does not allow it"


class Namespace:
    """A network namespace; it is gone when the process that made it is.

    prefix: the command that runs another one inside.
    """

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo made; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"made\n"
        self.prefix = ("nsenter", f"--net=/proc/{self._holder.pid}/ns/net")
        self.ip("link set lo up")

    def run(self, *command: str) -> None:
        """Run a command inside; raises `subprocess.CalledProcessError` with what it says."""
        subprocess.run([*self.prefix, *command], check=True)

    def ip(self, words: str) -> None:
        """Run ``ip``."""
        self.run("ip", *words.split())

    def adopt(self, interface: str) -> None:
        """Take an interface of the machine's own namespace."""
        subprocess.run(["ip", "link", "set", interface, "netns", str(self._holder.pid)], check=True)

    def connect(self, interface: str, other: Namespace, itsInterface: str) -> None:
        """Put a cable between two namespaces."""
        peer = f"peer name {itsInterface} netns {other._holder.pid}"
        self.ip(f"link add {interface} type veth {peer}")

    def address(self, interface: str, address: str) -> None:
        """Give an interface an address, and switch it on."""
        self.ip(f"address add {address}/30 dev {interface}")
        self.ip(f"link set {interface} up")

    def close(self) -> None:
        """Let go of it."""
        assert self._holder.stdin is not None and self._holder.stdout is not None
        self._holder.stdin.close()
        self._holder.stdout.close()
        self._holder.wait()


class Cable:
    """The way of one device to the switch, and how to break it.

    number: which one, from 1.
    prefix: the command that runs another one at the device's end.
    wire: where it is a `Wire` and not the kernel's.
    """

    def __init__(self, switch: Namespace, number: int, wire: Wire | None) -> None:
        self.number = number
        self.wire = wire
        self._switch = switch
        self._device = Namespace()
        self._interface = f"d{number}"
        self._address = f"10.77.{number}.2"
        if wire is None:
            self._device.connect("eth0", switch, self._interface)
        else:
            for namespace, name in zip((self._device, switch), wire.interfaces, strict=True):
                namespace.adopt(name)
            self._device.ip(f"link set {wire.interfaces[0]} name eth0")
            switch.ip(f"link set {wire.interfaces[1]} name {self._interface}")
        self._device.address("eth0", self._address)
        switch.address(self._interface, f"10.77.{number}.1")
        self._device.ip(f"route add default via 10.77.{number}.1")

    @property
    def prefix(self) -> Sequence[str]:
        return self._device.prefix

    def unplug(self) -> None:
        """Take the link down at the switch: the device has no carrier, the router sees nothing."""
        self._switch.ip(f"link set {self._interface} down")

    def plug(self) -> None:
        """Put it back."""
        self._switch.ip(f"link set {self._interface} up")

    def swallow(self) -> None:
        """Let the switch drop every packet from and to the device, and tell nobody."""
        self._switch.ip(f"rule add from {self._address} blackhole")
        self._switch.ip(f"rule add to {self._address} blackhole")

    def spit(self) -> None:
        """Let the switch forward again."""
        self._switch.ip(f"rule del from {self._address} blackhole")
        self._switch.ip(f"rule del to {self._address} blackhole")

    def throttle(self) -> None:
        """Let through 2 kbit/s each way, about one message in a second, and queue 5 s of it."""
        for namespace, interface in ((self._switch, self._interface), (self._device, "eth0")):
            limit = "rate 2kbit burst 1600 latency 5s"
            namespace.run("tc", *f"qdisc add dev {interface} root tbf {limit}".split())

    def unthrottle(self) -> None:
        """Let everything through, and forget what was queued."""
        for namespace, interface in ((self._switch, self._interface), (self._device, "eth0")):
            namespace.run("tc", *f"qdisc del dev {interface} root".split())

    def close(self) -> None:
        """Let go of it."""
        if self.wire is not None:
            self.wire.close()
        self._device.close()


class Network:
    """The whole of it.

    cables: one for each device.
    prefix: the command that runs another one at the router's end.
    """

    def __init__(self, devices: int, *, wires: bool) -> None:
        self._switch = Namespace()
        self._router = Namespace()
        self._router.connect("eth0", self._switch, "router")
        self._router.address("eth0", ROUTER_ADDRESS)
        self._switch.address("router", "10.77.0.1")
        self._switch.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self._router.ip("route add default via 10.77.0.1")
        self.prefix: Sequence[str] = self._router.prefix
        self.cables = [
            Cable(self._switch, number, Wire() if wires else None)
            for number in range(1, devices + 1)
        ]

    def close(self) -> None:
        """Let go of it; what still runs in it keeps it up."""
        for cable in self.cables:
            cable.close()
        self._router.close()
        self._switch.close()
