"""A router in a process of its own: as it is started, talked to, hurt, and stopped."""

from __future__ import annotations

import json
import re
import signal
import ssl
import time
from pathlib import Path
from socket import create_connection
from urllib.request import urlopen

from twisted.trial.unittest import SynchronousTestCase

from epnet.pki import CertificatePaths, initAuthority, issueCertificate, loadAuthority
from epnet.router.meterstore import MeterStore
from epnet.wire import Message, SessionParameters, SoftDisconnect, Source, SupplyParameters
from tests.real.processes import RawPeer, Twistd, until

# By hand, from the messages spec.
SESSION = bytes.fromhex("9a00000003 f6 1ababa5e55 4d a1 00 a100 68 72617773696e6b31")
DEMAND = bytes.fromhex("9a00000003 f6 1adcdcfeed 4c a2 00 a110 18e6 04 a112 190bb8")


class RouterTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.state = self.folder / "state"

    def start(self, *arguments: str) -> Twistd:
        process = Twistd(self.folder, [*arguments, "--state-dir", str(self.state)])
        self.addCleanup(process.end)
        return process

    def startRouter(self, *arguments: str) -> tuple[Twistd, int, int]:
        """A router on ports of the system's choice: the process, the EP port, the HTTP port."""
        router = self.start(
            "ep-router",
            "--identity=router",
            "--listen=tcp:0:interface=127.0.0.1",
            "--http=tcp:0:interface=127.0.0.1",
            *arguments,
        )
        found: list[str] = []

        def listening() -> bool:
            found[:] = re.findall(
                r"(?:listening on |https?://)(?:127\.0\.0\.1|0\.0\.0\.0):(\d+)", router.text
            )
            return len(found) == 2

        until(lambda: listening() or router.ended, "listening")
        self.assertEqual(len(found), 2, router.text)
        return router, int(found[0]), int(found[1])

    def issue(self, identity: str) -> CertificatePaths:
        return issueCertificate(
            loadAuthority(self.state), identity, out=self.state / "certificates"
        )

    def startDevice(self, identity: str, device: str, port: int) -> Twistd:
        self.issue(identity)
        return self.start(
            "ep-client",
            f"--identity={identity}",
            f"--device={device}",
            f"--upstream=router@127.0.0.1:{port}",
            "--no-listen",
        )

    def connectRaw(self, port: int) -> RawPeer:
        peer = RawPeer(port, self.issue("rawsink1"))
        self.addCleanup(peer.end)
        return peer


def granted(message: Message | None) -> float:
    return (message.power_limit or 0.0) if isinstance(message, SupplyParameters) else 0.0


class RawClientTests(RouterTestCase):
    def test_bytesMadeByHandGetAGrant(self) -> None:
        _, port, _ = self.startRouter()
        self.startDevice("sun", "grid:fuse_a=16", port)
        peer = self.connectRaw(port)
        peer.send(SESSION)
        peer.repeat(DEMAND)
        until(lambda: granted(peer.newest(SupplyParameters)) > 0, "a grant")
        until(lambda: granted(peer.newest(SupplyParameters)) == 3000, "the whole request")
        [first, *_] = [message for _, message in peer.heard]
        assert isinstance(first, SessionParameters)
        self.assertEqual((first.identity, first.type), ("router", "router"))

    def test_aForeignIdentityIsRefusedWithAReason(self) -> None:
        router, port, _ = self.startRouter()
        peer = self.connectRaw(port)
        peer.send(SESSION.replace(b"rawsink1", b"somebody"))
        until(lambda: peer.newest(SoftDisconnect), "a refusal")
        refusal = peer.newest(SoftDisconnect)
        assert isinstance(refusal, SoftDisconnect)
        self.assertIn("somebody", refusal.reason or "")
        router.says("somebody")

    def test_whoIsNotTrustedIsRefusedAndLoggedWithAddressAndReason(self) -> None:
        router, port, _ = self.startRouter()
        files = self.issue("rawsink1")
        stranger = initAuthority(self.folder / "elsewhere")
        foreign = issueCertificate(stranger, "rawsink1", out=self.folder / "elsewhere")
        cases = [
            ("not from a trusted authority", foreign, ssl.TLSVersion.TLSv1_3),
            ("no certificate", None, ssl.TLSVersion.TLSv1_3),
            ("TLS 1.2", files, ssl.TLSVersion.TLSv1_2),
        ]
        for words, presented, version in cases:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.maximum_version = version
            context.load_verify_locations(files.authority)
            if presented is not None:
                context.load_cert_chain(presented.certificate, presented.key)
            with create_connection(("127.0.0.1", port), 30) as plain:
                address = "{}:{}".format(*plain.getsockname())
                with self.assertRaises(OSError), context.wrap_socket(plain) as tls:
                    tls.sendall(SESSION)
                    while tls.recv(1000):
                        pass
            router.says(address)
            router.says(words)


class LossTests(RouterTestCase):
    def measure(self, number: signal.Signals) -> float:
        """Seconds from a signal to the source until the sink's grant fits what is left."""
        _, port, _ = self.startRouter()
        source = self.startDevice("big", "grid:fuse_a=12", port)  # 2760 W
        self.startDevice("small", "grid:fuse_a=2", port)  # 460 W
        sink = self.connectRaw(port)
        sink.send(SESSION)
        sink.repeat(DEMAND)
        until(lambda: granted(sink.newest(SupplyParameters)) > 2900, "power from both")
        start = time.monotonic()
        source.kill(number)
        until(lambda: granted(sink.newest(SupplyParameters)) <= 460, "power from one")
        at = next(t for t, m in sink.heard if t > start and 0 < granted(m) <= 460)
        return at - start

    def test_killedSource(self) -> None:
        self.assertLess(self.measure(signal.SIGKILL), 0.3)

    def test_frozenSource(self) -> None:
        self.assertLess(self.measure(signal.SIGSTOP), 0.3)


class AccountTests(RouterTestCase):
    def test_aSinkIsToldWhatItReceivesAndTheMetersAreKept(self) -> None:
        router, port, http = self.startRouter()
        self.startDevice("big", "grid:fuse_a=16", port)
        sink = self.connectRaw(port)
        sink.send(SESSION)
        sink.repeat(DEMAND)

        def told() -> bool:
            supply = sink.newest(SupplyParameters)
            return isinstance(supply, SupplyParameters) and supply.power_mix is not None

        until(told, "a mix")
        supply = sink.newest(SupplyParameters)
        assert isinstance(supply, SupplyParameters)
        self.assertEqual(supply.power_mix, {Source.UNKNOWN: 100})
        self.assertIsNone(supply.energy_prices)

        def shown() -> bool:
            """A look may be a moment old."""
            with urlopen(f"http://127.0.0.1:{http}/api/v1/state", timeout=30) as answer:
                return bool(json.load(answer)["network"]["mix"] == {"Unknown": 100})

        until(shown, "the mix on the page")
        router.kill(signal.SIGTERM)
        self.assertEqual(router.wait(), 0, router.text)
        saved = MeterStore(self.state / "meters/router").open()
        assert saved is not None
        self.assertGreater(saved.kept.records["big"].imported, 0)
        self.assertGreater(saved.kept.records["rawsink1"].exported, 0)

    def test_twoRoutersDoNotWriteTheSameMeters(self) -> None:
        self.startRouter()
        second = self.start(
            "ep-router",
            "--identity=router",
            "--listen=tcp:0:interface=127.0.0.1",
            "--http=tcp:0:interface=127.0.0.1",
        )
        self.assertEqual(second.wait(), 1, second.text)
        self.assertIn("another router keeps its meters", second.text)
        self.assertNotIn("Traceback", second.text)


class StartAndStopTests(RouterTestCase):
    def test_sigtermEndsInOrderWithStatusZero(self) -> None:
        router, port, _ = self.startRouter()
        peer = self.connectRaw(port)
        peer.send(SESSION)
        until(lambda: peer.heard, "a greeting")
        start = time.monotonic()
        router.kill(signal.SIGTERM)
        self.assertEqual(router.wait(), 0, router.text)
        self.assertLess(time.monotonic() - start, 5.0)
        farewell = peer.newest(SoftDisconnect)
        self.assertEqual(farewell, SoftDisconnect(reconnect=True, reason="shutting down"))
        self.assertNotIn("Traceback", router.text)

    def test_aSecondStartReusesTheState(self) -> None:
        certificates = []
        for _ in range(2):
            router, _, http = self.startRouter()
            # It listens a moment before it takes signals; who answers takes them.
            urlopen(f"http://127.0.0.1:{http}/healthz").close()
            certificates.append((self.state / "certificates/router.cert.pem").read_bytes())
            router.kill(signal.SIGINT)
            self.assertEqual(router.wait(), 0)
        self.assertEqual(*certificates)

    def test_aTakenPortIsOneClearLine(self) -> None:
        _, port, _ = self.startRouter()
        second = self.start(
            "ep-router",
            "--identity=router",
            f"--listen=tcp:{port}:interface=127.0.0.1",
            "--http=tcp:0:interface=127.0.0.1",
        )
        self.assertEqual(second.wait(), 1)
        [line] = [line for line in second.text.splitlines() if "cannot listen" in line]
        self.assertIn(str(port), line)
        self.assertNotIn("Traceback", second.text)

    def test_mistakesInOptionsAreOneLine(self) -> None:
        cases = [
            (["ep-client", "--device=solar"], "--upstream"),
            (["ep-client", "--upstream=x"], "--device"),
            (["ep-client", "--device=sollar", "--upstream=x"], "solar"),
            (["ep-server", "--device=solar"], "epnet pki issue"),
            (["ep-router", "--listen=nonsense"], "nonsense"),
            (["ep-router", "--demo", "--certificate=mine.pem"], "without --certificate"),
        ]
        for arguments, words in cases:
            process = self.start(*arguments)
            self.assertEqual(process.wait(), 1, process.text)
            self.assertIn(words, process.text)
            self.assertEqual(len(process.text.splitlines()), 1, process.text)


class DemoTests(RouterTestCase):
    def test_theHouseholdSharesPowerAndThePageTells(self) -> None:
        router, _, http = self.startRouter("--demo")

        def devices() -> list[dict[str, object]]:
            with urlopen(f"http://127.0.0.1:{http}/api/v1/state", timeout=30) as answer:
                found: list[dict[str, object]] = json.load(answer)["devices"]
                return found

        def flowing() -> bool:
            return len(devices()) == 5 and any(device["granted_w"] for device in devices())

        until(flowing, "five devices and power")
        for path in ("/", "/healthz", "/readyz", "/metrics"):
            with urlopen(f"http://127.0.0.1:{http}{path}", timeout=30) as answer:
                self.assertEqual(answer.status, 200)
        start = time.monotonic()
        router.kill(signal.SIGTERM)
        self.assertEqual(router.wait(), 0, router.text)
        self.assertLess(time.monotonic() - start, 5.0)
        self.assertNotIn("Traceback", router.text)


class DeviceToDeviceTests(RouterTestCase):
    def test_serverAndClientWithoutARouter(self) -> None:
        initAuthority(self.state)
        self.issue("grid-1")
        server = self.start(
            "ep-server",
            "--identity=grid-1",
            "--device=grid:fuse_a=16",
            "--listen=tcp:0:interface=127.0.0.1",
        )
        until(lambda: "listening on" in server.text, "listening")
        [port] = re.findall(r"listening on 127\.0\.0\.1:(\d+)", server.text)
        client = self.startDeviceTo("grid-1", "home-1", "load:base_w=500,peak_w=500", port)
        client.says("session with grid-1")
        server.says("session with home-1")
        client.kill(signal.SIGTERM)
        self.assertEqual(client.wait(), 0, client.text)
        server.says("shutting down")

    def startDeviceTo(self, upstream: str, identity: str, device: str, port: str) -> Twistd:
        self.issue(identity)
        return self.start(
            "ep-peer",
            f"--identity={identity}",
            f"--device={device}",
            f"--peer={upstream}@127.0.0.1:{port}",
            "--listen=tcp:0:interface=127.0.0.1",
        )
