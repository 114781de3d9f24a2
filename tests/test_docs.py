"""The examples in the README and the documentation are true."""

from __future__ import annotations

import configparser
import doctest
import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType

from twisted.internet.task import Clock
from twisted.scripts.twistd import ServerOptions
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

import epnet.wire
from epnet.devices.makers import parseDevice
from epnet.interfaces import IDevice
from epnet.node import DeviceNode, parametersOf
from epnet.pki import ensureCertificate
from epnet.upstream import Upstream
from epnet.wire import SupplyParameters
from tests.fakes import FakeLink

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.rst", *(ROOT / "docs").rglob("*.rst")])


def codeIn(page: Path) -> list[str]:
    """The Python code blocks of a page."""
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:(?:   .*)?\n)+)", page.read_text())
    return [textwrap.dedent(block) for block in blocks]


def run(code: str, folder: Path) -> str:
    """What a program prints, in an interpreter of its own."""
    file = folder / "example.py"
    file.write_text(code)
    done = subprocess.run(
        [sys.executable, str(file)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class ReadmeTests(SynchronousTestCase):
    def kettle(self) -> tuple[IDevice, Clock]:
        [code] = codeIn(ROOT / "README.rst")
        module = ModuleType("kettle")
        exec(code, module.__dict__)
        clock = Clock()
        device: IDevice = module.Kettle(clock)
        return device, clock

    def test_theDeviceIsOneAndShort(self) -> None:
        [code] = codeIn(ROOT / "README.rst")
        self.assertLess(len(code.splitlines()), 40)
        self.assertLess(len([line for line in code.splitlines() if line.strip()]), 30)
        verifyObject(IDevice, self.kettle()[0])

    def test_theDeviceDrawsByConsentAlone(self) -> None:
        device, clock = self.kettle()
        node = DeviceNode(device, parametersOf(device, "kettle-1"), clock)
        link = FakeLink(node, clock, "router")
        node.sessionOpened(link)
        link.ask()
        link.hear(SupplyParameters(power_limit=1500))
        self.assertEqual(device.reading().draw_w, 1500)
        clock.advance(0.2)
        self.assertEqual(device.reading().draw_w, 0)
        node.advance(clock.seconds())
        self.assertEqual(device.reading().draw_w, 0)


class ProgramTests(SynchronousTestCase):
    def test_theProgramsOfEachPageRun(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / "kettle.py").write_text("".join(codeIn(ROOT / "README.rst")))
        found = 0
        for page in PAGES:
            # Up to where a program would go on for ever.
            code = "\n".join(codeIn(page)).partition("if __name__")[0]
            if code and page.name != "README.rst":
                printed = run(code, folder)
                shown = re.findall(r"^prints::\n\n((?:    .*\n)+)", page.read_text(), re.MULTILINE)
                self.assertIn("".join(map(textwrap.dedent, shown)), printed)
                found += 1
        self.assertGreater(found, 1)

    def test_theTestOfTheKettlePassesAndCanFail(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        [kettle], [test] = (
            codeIn(ROOT / name) for name in ("README.rst", "docs/howto/test-your-device.rst")
        )
        deaf = kettle.replace("fresh = self.clock.seconds() < self.limits.expires", "fresh = True")
        deaf = deaf.replace(
            "self.limits = Limits(0, 0, 0)\n\n    def reading", "pass\n\n    def reading"
        )
        (folder / "test_kettle.py").write_text(test)
        for code, verdict in ((kettle, "PASSED (successes=4)"), (deaf, "FAILED")):
            (folder / "kettle.py").write_text(code)
            done = subprocess.run(
                [sys.executable, "-B", "-m", "twisted.trial", "test_kettle"],
                capture_output=True,
                text=True,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            self.assertIn(verdict, done.stdout, done.stderr)

    def test_theProgramOfOnesOwnConnects(self) -> None:
        code, _ = codeIn(ROOT / "docs/howto/own-device.rst")
        folder = Path(self.mktemp()).absolute()
        ensureCertificate(folder, "car-2")
        ending = """
from twisted.internet.testing import MemoryReactorClock

reactor = MemoryReactorClock()
connect(reactor, Path({folder!r}), "car-2", "127.0.0.1")
reactor.advance(0.1)
print(reactor.tcpClients[0][:2])
"""
        printed = run(code.partition("if __name__")[0] + ending.format(folder=str(folder)), folder)
        self.assertEqual(printed.strip(), "('127.0.0.1', 56540)")

    def test_theTestsOfOnesOwnDeviceAndConverterPass(self) -> None:
        _, device = codeIn(ROOT / "docs/howto/own-device.rst")
        converter = "\n".join(codeIn(ROOT / "docs/howto/own-converter.rst"))
        ending = """
import unittest

result = unittest.main(exit=False).result
print(result.wasSuccessful(), result.testsRun >= 8)
"""
        for code in (device, converter):
            folder = Path(self.mktemp()).absolute()
            folder.mkdir()
            self.assertEqual(run(code + ending, folder).strip(), "True True")


class CommandTests(SynchronousTestCase):
    def test_devicesAndUpstreamsInTheDocsCanBeParsed(self) -> None:
        found = 0
        for page in PAGES:
            text = page.read_text().replace("\\\n", " ")
            for description in re.findall(r"--device ([a-z]+:[\w:=,.]+)", text):
                parseDevice(description, Clock())
                found += 1
            for place in re.findall(r"--(?:upstream|peer) ([a-z][\w.@:,\[\]-]*)", text):
                Upstream.parse(place)
                found += 1
        self.assertGreater(found, 2)

    def test_theUnitForSystemdStartsARouter(self) -> None:
        unit = configparser.RawConfigParser()
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read(ROOT / "docs/examples/ep-router.service")
        program, *arguments = shlex.split(unit["Service"]["ExecStart"])
        self.assertEqual(Path(program).name, "twistd")
        options = ServerOptions()
        options.parseOptions(arguments)
        self.assertEqual(options.subCommand, "ep-router")
        self.assertEqual(options.subOptions["config"], "/etc/epnet/router.toml")
        self.assertTrue(options["nodaemon"])


class DoctestTests(SynchronousTestCase):
    def test_sessionsShownAreRight(self) -> None:
        attempted = 0
        for page in PAGES:
            failed, count = doctest.testfile(
                str(page), module_relative=False, globs=dict(vars(epnet.wire))
            )
            self.assertEqual(failed, 0, f"{page} shows what is not so")
            attempted += count
        for module in (epnet.wire,):
            failed, count = doctest.testmod(module)
            self.assertEqual(failed, 0, f"{module} shows what is not so")
            attempted += count
        self.assertGreater(attempted, 0)
