"""What the twistd plugins share."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest.mock import patch

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from epnet import endpoints
from epnet.clock import steadyReactor
from epnet.config.model import Configuration
from epnet.connections import Connections
from epnet.dialler import Dialler
from epnet.endpoints import Listener, defaultListen
from epnet.errors import UsageError
from epnet.factory import EPServerFactory
from epnet.interfaces import INode
from epnet.middle import MiddleNode
from epnet.node import DeviceNode
from epnet.observe.service import Observers
from epnet.pki import ensureCertificate, initAuthority, issueCertificate
from epnet.router.meterkeeper import MeterKeeper
from epnet.router.router import Router
from epnet.tap import client, peer, router, server
from epnet.tap.common import QuietStop, clearErrors, hostIdentity, keepConfiguration, loadTrust
from epnet.trust.sources import TrustSources
from epnet.wire import SessionParameters
from tests.fakes import FakeDevice, FakeLink
from tests.observe.house import BelievingTrust

S = TypeVar("S")


class OptionTests(SynchronousTestCase):
    def options(self, *arguments: str, **environment: str) -> client.Options:
        with patch.dict(os.environ, environment):
            options = client.Options()
            options.parseOptions(arguments)
            self.upstreams = options.many("upstream")
        return options

    def test_optionsWinOverTheEnvironment(self) -> None:
        options = self.options("--identity=a", EPNET_IDENTITY="b", EPNET_STATE_DIR="/s")
        self.assertEqual(options.identity("c"), "a")
        self.assertEqual(options.stateDir, Path("/s"))

    def test_theEnvironmentWinsOverTheDefault(self) -> None:
        self.assertEqual(self.options(EPNET_IDENTITY="b").identity("c"), "b")
        self.assertEqual(self.options().identity("c"), "c")

    def test_theCertificateSaysWhoWeAre(self) -> None:
        folder = Path(self.mktemp()).absolute()
        files = issueCertificate(initAuthority(folder), "me", out=folder)
        self.assertEqual(self.options(f"--certificate={files.certificate}").identity("c"), "me")

    def test_optionsThatMayComeSeveralTimes(self) -> None:
        self.options("--upstream=a", "--upstream=b:1", EPNET_UPSTREAM="c d")
        self.assertEqual(self.upstreams, ["a", "b:1"])
        self.options(EPNET_UPSTREAM="c d")
        self.assertEqual(self.upstreams, ["c", "d"])

    def test_filesAsGivenElseFromTheStateDirectory(self) -> None:
        sources = self.options("--state-dir=/s", "--key=/k").trustSources("me")
        self.assertEqual(sources.key, Path("/k"))
        self.assertEqual(sources.certificate, Path("/s/certificates/me.cert.pem"))

    def test_theHttpEndpointHasADefaultOnLoopback(self) -> None:
        self.assertIn("127.0.0.1", router.Options().page().listen)


class ConfigurationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.file = self.folder / "house.toml"
        self.file.write_text(
            "[router]\nidentity = 'file'\nlisten = ['tcp:1', 'tcp:2']\nkey = 'file.pem'\n"
            "[trust]\npolicy = 'devices'\nauthorities = ['a.pem', 'b.pem']\n"
            "[http]\nlisten = 'tcp:3'\n[upstream]\nhosts = ['street']\n"
        )

    def options(self, *arguments: str, **environment: str) -> router.Options:
        with patch.dict(os.environ, environment):
            options = router.Options()
            options.parseOptions([f"--state-dir={self.folder}", *arguments])
            options.readConfiguration(Clock())
            self.listen = options.many("listen", options.configuration.router.listen)
        return options

    def test_optionsThenTheEnvironmentThenTheFileThenDefaults(self) -> None:
        file = f"--config={self.file}"
        for arguments, environment, expected in [
            (["--identity=option", file], {"EPNET_IDENTITY": "environment"}, "option"),
            ([file], {"EPNET_IDENTITY": "environment"}, "environment"),
            ([file], {}, "file"),
            ([], {"EPNET_CONFIG": str(self.file)}, "file"),
            ([], {}, "default"),
        ]:
            self.assertEqual(self.options(*arguments, **environment).identity("default"), expected)
        for arguments, environment, several in [
            (["--listen=tcp:9", file], {"EPNET_LISTEN": "tcp:8"}, ["tcp:9"]),
            ([file], {"EPNET_LISTEN": "tcp:8"}, ["tcp:8"]),
            ([file], {}, ["tcp:1", "tcp:2"]),
            ([], {}, []),
        ]:
            self.options(*arguments, **environment)
            self.assertEqual(self.listen, several)
        self.assertEqual(self.options("--http=tcp:9", file).page().listen, "tcp:9")
        self.assertEqual(self.options(file).page().listen, "tcp:3")

    def test_trustIsMixedOfBoth(self) -> None:
        sources = self.options(f"--config={self.file}").trustSources("me")
        self.assertEqual((sources.policy, sources.key), ("devices", self.folder / "file.pem"))
        self.assertEqual(list(sources.authorities), [self.folder / "a.pem", self.folder / "b.pem"])
        given = self.options(
            f"--config={self.file}", "--trust=open", "--authority=/x.pem", "--key=k"
        )
        sources = given.trustSources("me")
        self.assertEqual(
            (sources.policy, list(sources.authorities), sources.key),
            ("open", [Path("/x.pem")], Path("k")),
        )

    def test_whatTheFileSaysIsPutInForceAndReplaced(self) -> None:
        options = self.options(f"--config={self.file}")
        keeper = options.keeper
        assert keeper is not None
        node = DeviceNode(FakeDevice(), SessionParameters(identity="file"), Clock())
        connections = Connections(node, Clock())
        followed: list[TrustSources] = []
        applied: list[Configuration] = []
        keeping = SimpleNamespace(follow=followed.append)
        top = QuietStop(None)
        keepConfiguration(top, options, keeping, connections, applied.append)  # type: ignore[arg-type]
        self.assertEqual((len(applied), followed), (1, []))
        self.file.write_text(
            "[router]\nidentity = 'file'\npublish_hz = 50\n[ports.slow]\nloss_ms = 400\n"
            "[limits]\nconnections = 7\nstrangers = 3\nidle_s = 9\n"
        )
        [reload] = top.onHangup
        reload()
        self.assertEqual((len(applied), followed[0].policy), (2, "authority"))
        self.assertEqual((connections.limits.connections, connections.limits.strangers), (7, 3))
        settings = EPServerFactory(connections, BelievingTrust()).sessionSettings
        self.assertEqual((settings.publish, settings.idleLoss), (0.02, 9))
        self.assertEqual(connections.patience, {"slow": 0.4})
        self.assertEqual(connections.misconfigured, ())

        def refuse(sources: TrustSources) -> None:
            raise UsageError("no such authority")

        keeping.follow = refuse
        self.file.write_text("[limits]\nconnections = 9\n")
        reload()
        self.assertEqual(connections.limits.connections, 7)
        self.assertEqual(options.configuration.limits.connections.connections, 7)
        self.assertEqual(connections.misconfigured, ("no such authority",))


class TrustTests(SynchronousTestCase):
    def test_whereThereIsNoCertificateItSaysHowToGetOne(self) -> None:
        with patch.dict(os.environ, {"EPNET_STATE_DIR": "/nowhere"}):
            sources = client.Options().trustSources("me")
        error = self.assertRaises(UsageError, loadTrust, sources)
        self.assertIn("epnet pki issue me", str(error))

    def test_theCertificateIsForTheIdentity(self) -> None:
        folder = Path(self.mktemp()).absolute()
        files = issueCertificate(initAuthority(folder), "me", out=folder / "certificates")
        sources = TrustSources.ofAuthority("me", files)
        self.assertIn("me", loadTrust(sources).ownIdentity.identities)
        error = self.assertRaises(UsageError, loadTrust, evolve(sources, identity="you"))
        self.assertIn("--identity", str(error))

    def test_anIdentityForThisHost(self) -> None:
        self.assertTrue(hostIdentity("router").endswith("-router"))


class SignalTests(SynchronousTestCase):
    """Signals, as the reactor gets to know of them; handlers are not installed."""

    def setUp(self) -> None:
        self.turn: list[partial[object]] = []
        self.told: list[str] = []
        reactor = SimpleNamespace(
            callFromThread=lambda *call: self.turn.append(partial(*call)),
            callWhenRunning=lambda call: None,
            stop=lambda: self.told.append("stop"),
        )
        self.top = QuietStop(reactor)
        self.top.onHangup.append(lambda: self.told.append("read anew"))
        self.top.startService()

    def proceed(self) -> None:
        turn, self.turn[:] = tuple(self.turn), []
        for call in turn:
            call()

    def test_whoeverStopsItAgainChangesNothing(self) -> None:
        self.top._stop(signal.SIGTERM, None)
        self.top._stop(signal.SIGINT, None)
        self.proceed()
        self.top.stopService()
        self.top._stop(signal.SIGTERM, None)
        self.proceed()
        self.assertEqual(self.told, ["stop"])

    def test_nothingIsReadAnewWhileItStops(self) -> None:
        self.top._hangUp(signal.SIGHUP, None)
        self.proceed()
        self.top._hangUp(signal.SIGHUP, None)
        self.top._stop(signal.SIGTERM, None)
        self.top._hangUp(signal.SIGHUP, None)
        self.proceed()
        self.assertEqual(self.told, ["read anew", "read anew", "stop"])


class StartTests(SynchronousTestCase):
    def test_mistakesEndWithOneLine(self) -> None:
        def makeService(options: client.Options) -> None:
            raise UsageError("say it better")

        wrapped = clearErrors(makeService)  # type: ignore[arg-type]
        error = self.assertRaises(SystemExit, wrapped, client.Options())
        self.assertEqual(error.code, "say it better")

    def test_theReactorGoesByMonotonicTime(self) -> None:
        self.patch(reactor, "seconds", reactor.seconds)
        self.assertIs(steadyReactor().seconds, time.monotonic)
        self.assertLess(abs(reactor.seconds() - time.monotonic()), 5)


class ServiceTestCase(SynchronousTestCase):
    """Services made of options, with a state directory of their own; none is started."""

    def setUp(self) -> None:
        # The reactor's clock is set by every `makeService`.
        self.patch(reactor, "seconds", reactor.seconds)
        self.folder = Path(self.mktemp()).absolute()
        ensureCertificate(self.folder, "us")

    def make(self, plugin: Any, *arguments: str) -> QuietStop:
        options = plugin.Options()
        options.parseOptions(["--identity=us", f"--state-dir={self.folder}", *arguments])
        service = plugin.makeService(options)
        assert isinstance(service, QuietStop)
        return service

    def found(self, service: QuietStop, kind: type[S]) -> list[S]:
        return [each for each in service if isinstance(each, kind)]

    def node(self, service: QuietStop) -> INode:
        [connections] = self.found(service, Connections)
        return connections.node

    def refused(self, plugin: Any, *arguments: str) -> str:
        return str(self.assertRaises(SystemExit, self.make, plugin, *arguments))


CLIENT = ("--device=ev", "--upstream=router@192.0.2.1")


class ListeningTests(ServiceTestCase):
    def test_S11_everyRoleListensOnTheDefaultPort(self) -> None:
        cases: list[tuple[Any, tuple[str, ...]]] = [
            (client, CLIENT),
            (server, ("--device=grid",)),
            (peer, ("--device=battery", "--peer=them@192.0.2.1")),
            (router, ()),
        ]
        for plugin, arguments in cases:
            service = self.make(plugin, *arguments)
            [listener] = self.found(service, Listener)
            self.assertEqual(listener.text, defaultListen())
            self.assertEqual(len(self.found(service, Observers)), 1 if plugin is router else 0)
        self.assertIn("56540", defaultListen())

    def test_S11_inBothFamiliesWhereThereAreTwo(self) -> None:
        for has, text in ((True, "tcp6:56540:interface=\\:\\:"), (False, "tcp:56540")):
            self.patch(endpoints, "_hasIPv6", lambda has=has: has)
            self.assertEqual(defaultListen(), text)

    def test_S11_notToListenIsAStatedDeviation(self) -> None:
        with capturedLogs() as events:
            service = self.make(client, *CLIENT, "--no-listen")
        self.assertEqual(self.found(service, Listener), [])
        self.assertTrue(any("a deviation from" in event["log_format"] for event in events))
        for plugin in (server, peer, router):
            error = self.assertRaises(
                usage.UsageError, plugin.Options().parseOptions, ["--no-listen"]
            )
            self.assertIn("no-listen", str(error))

    def test_asTold(self) -> None:
        told = ("--listen=tcp:1:interface=127.0.0.1", "--listen=tcp:2")
        listeners = self.found(self.make(client, *CLIENT, *told), Listener)
        self.assertEqual([listener.text for listener in listeners], [t[9:] for t in told])


class UpstreamTests(ServiceTestCase):
    def test_oneDiallerForEachUpstreamDevice(self) -> None:
        service = self.make(client, *CLIENT, "--upstream=r2@192.0.2.2,[2001:db8::1]:99")
        self.assertEqual(len(self.found(service, Dialler)), 2)
        routers = self.make(router, "--upstream=r2@192.0.2.2", "--upstream=r3@192.0.2.3")
        self.assertEqual(len(self.found(routers, Dialler)), 2)

    def test_hangupsEndTheirWaiting(self) -> None:
        service = self.make(client, *CLIENT)
        [dialler] = self.found(service, Dialler)
        self.assertIn(dialler.dialNow, service.onHangup)

    def test_whoDialsAClientIsNoUpstream(self) -> None:
        node = self.node(self.make(client, *CLIENT))
        assert isinstance(node, DeviceNode)
        links = {
            (name, dialled): FakeLink(node, Clock(), name, dialled=dialled)
            for name in ("router", "stranger")
            for dialled in (True, False)
        }
        upstream = {key for key, link in links.items() if node.isUpstream(link)}
        self.assertEqual(upstream, {("router", True), ("router", False), ("stranger", True)})
        whoSaysSo = links["router", False]
        whoSaysSo.peer = evolve(whoSaysSo.peer, authenticated=False)
        self.assertFalse(node.isUpstream(whoSaysSo))

    def test_mistakes(self) -> None:
        for plugin, *arguments in (
            (client, "--device=ev", "--upstream=x,"),
            (peer, "--device=ev", "--peer=:1"),
            (router, "--upstream=@x"),
        ):
            self.assertIn("[IDENTITY@]HOST[:PORT]", self.refused(plugin, *arguments))


class ConverterTests(ServiceTestCase):
    def test_itsMetersAreSimulatedOnlyWhereItsDevicesAre(self) -> None:
        for arguments, estimated in (((), True), (("--demo",), False)):
            [meters] = self.found(self.make(router, *arguments), MeterKeeper)
            [connections] = meters
            assert isinstance(connections, Connections)
            node = connections.node
            assert isinstance(node, Router)
            node.sessionOpened(FakeLink(node, Clock(), "demo-car", "vehicle"))
            self.assertEqual(node.ports["demo-car"].estimated, estimated)


class UnvouchedTests(ServiceTestCase):
    def test_theFileSaysHowManyAreRemembered(self) -> None:
        file = Path(self.mktemp())
        file.write_text("[limits]\nunvouched = 7\n")
        through = self.node(self.make(client, *CLIENT, "--through=11000", f"--config={file}"))
        [meters] = self.found(self.make(router, f"--config={file}"), MeterKeeper)
        [connections] = meters
        assert isinstance(connections, Connections)
        assert isinstance(through, MiddleNode) and isinstance(connections.node, Router)
        self.assertEqual((through.mostUnvouched, connections.node.mostUnvouched), (7, 7))


class ThroughTests(ServiceTestCase):
    def test_onlyThenOthersAreConnectedThroughIt(self) -> None:
        self.assertNotIsInstance(self.node(self.make(client, *CLIENT)), MiddleNode)
        node = self.node(self.make(client, *CLIENT, "--through=11000"))
        assert isinstance(node, MiddleNode)
        self.assertEqual(node.device.rating_w, 11000)

    def test_mistakes(self) -> None:
        for watts in ("", "much", "0", "-1", "nan", "inf"):
            words = self.refused(client, *CLIENT, f"--through={watts}")
            self.assertIn("say the watts", words)
        self.assertIn(
            "leave out --no-listen", self.refused(client, *CLIENT, "--through=1", "--no-listen")
        )
