"""The log as JSON."""

from __future__ import annotations

import io
import json

from twisted.logger import ILogObserver, Logger
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from epnet.jsonlog import JSONLines, toStandardOutput


class JSONLinesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.out = io.StringIO()
        self.log = Logger("here", observer=JSONLines(self.out))

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.getvalue().splitlines()]

    def test_itIsAnObserver(self) -> None:
        verifyObject(ILogObserver, toStandardOutput())

    def test_anEventIsALineWithItsPlainValues(self) -> None:
        self.log.warn("{who} left\nat last…", who="car", security=True, seconds=1.5, it=object())
        [line] = self.lines()
        time = str(line.pop("time"))
        self.assertRegex(time, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$")
        self.assertEqual(
            line,
            {
                "level": "warn",
                "from": "here",
                "text": "car left\nat last…",
                "who": "car",
                "security": True,
                "seconds": 1.5,
            },
        )

    def test_anErrorBringsItsTraceback(self) -> None:
        try:
            raise RuntimeError("broken")
        except RuntimeError:
            self.log.failure("ended")
        [line] = self.lines()
        self.assertIn("RuntimeError: broken", str(line["traceback"]))

    def test_whatIsNoNumberInJSONStillIsALine(self) -> None:
        self.log.info("x", value=float("nan"))
        [line] = self.lines()
        self.assertNotIn("value", line)
