"""The examples in the README and the documentation are true."""

from __future__ import annotations

import doctest
import re
import textwrap
from pathlib import Path
from types import ModuleType

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

import epnet.wire
from epnet.devices.makers import parseDevice
from epnet.endpoints import Upstream
from epnet.interfaces import IDevice
from epnet.node import DeviceNode, parametersOf
from epnet.wire import SupplyParameters
from tests.fakes import FakeLink

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.rst", *(ROOT / "docs").rglob("*.rst")])


def codeIn(page: Path) -> list[str]:
    """The Python code blocks of a page."""
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:(?:   .*)?\n)+)", page.read_text())
    return [textwrap.dedent(block) for block in blocks]


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


class CommandTests(SynchronousTestCase):
    def test_devicesAndUpstreamsInTheDocsCanBeParsed(self) -> None:
        found = 0
        for page in PAGES:
            text = page.read_text().replace("\\\n", " ")
            for description in re.findall(r"--device ([a-z]+:[\w:=,.]+)", text):
                parseDevice(description, Clock())
                found += 1
            for place in re.findall(r"--upstream ([a-z][\w.@:-]*)", text):
                Upstream.parse(place)
                found += 1
        self.assertGreater(found, 2)


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
