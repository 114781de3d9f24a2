"""The configuration while a program runs: changed, broken, gone, and after a restart."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from epnet.config.keeper import ConfigurationKeeper, lastGoodPath
from epnet.config.model import PEER, ROUTER, Configuration
from epnet.config.reader import ConfigurationError
from epnet.errors import UsageError

GOOD = "[ports.a]\nmax_power = 1000\n"
BETTER = "[ports.a]\nmax_power = 2000\n"
BROKEN = "[ports.a]\nmax_power = -1\nweight = 'x'\n"


class KeeperTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.file = self.folder / "house.toml"
        self.state = self.folder / "deep" / "state"
        self.clock = Clock()
        self.applied: list[float] = []
        self.told: list[int] = []
        self.refused = ""

    def write(self, text: str) -> None:
        self.file.write_text(text)

    def start(self, role: str = ROUTER) -> ConfigurationKeeper:
        keeper = ConfigurationKeeper(self.file, role, self.state, self.clock, maybeDeferred)
        keeper.apply = self.apply
        keeper.told = lambda problems: self.told.append(len(problems))
        with capturedLogs() as self.events:
            keeper.startService()
        self.addCleanup(lambda: keeper.running and keeper.stopService())
        return keeper

    def apply(self, configuration: Configuration) -> None:
        if self.refused:
            raise UsageError(self.refused)
        self.applied.append(configuration.ports["a"].max_power)

    def loud(self) -> list[str]:
        return [
            formatEvent(event) for event in self.events if event["log_level"] is LogLevel.critical
        ]

    def said(self) -> str:
        return "\n".join(map(formatEvent, self.events))


class ChangeTests(KeeperTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write(GOOD)
        self.keeper = self.start()

    def edit(self, text: str, seconds: float = 4) -> None:
        self.write(text)
        with capturedLogs() as self.events:
            self.clock.pump([1] * int(seconds))

    def test_nothingHappensWhileNothingChanges(self) -> None:
        with capturedLogs() as self.events:
            self.clock.pump([1] * 60)
        self.assertEqual((self.applied, self.events, self.told), ([], [], [0]))

    def test_aChangeIsTakenOnceItHasSettled(self) -> None:
        self.edit(BETTER, 2)
        self.assertEqual(self.applied, [])
        self.edit(BETTER + "\n", 3)
        self.assertEqual(self.applied, [])
        self.clock.pump([1] * 3)
        self.assertEqual(self.applied, [2000])
        self.assertEqual(self.keeper.configuration.ports["a"].max_power, 2000)

    def test_aHangupTakesItAtOnceAndOnlyOnce(self) -> None:
        self.write(BETTER)
        self.keeper.reload()
        self.clock.pump([1] * 10)
        self.assertEqual(self.applied, [2000])

    def test_aBrokenEditChangesNothingLoudly(self) -> None:
        self.edit(BROKEN)
        self.assertEqual(self.applied, [])
        self.assertEqual(self.keeper.configuration.ports["a"].max_power, 1000)
        head, *problems = self.loud()
        self.assertIn("CANNOT BE USED, so the configuration BEFORE IT stays in force", head)
        self.assertEqual(
            [problem.split(" is ")[0] for problem in problems],
            [f"{self.file}:2: ports.a.max_power", f"{self.file}:3: ports.a.weight"],
        )
        self.assertEqual(self.told, [0, 2])
        self.edit(BETTER)
        self.assertEqual((self.applied, self.told, self.loud()), ([2000], [0, 2, 0], []))

    def test_aFileThatIsGoneChangesNothingLoudly(self) -> None:
        self.file.unlink()
        with capturedLogs() as self.events:
            self.clock.pump([1] * 4)
        self.assertEqual(len(self.loud()), 2)
        self.assertIn("cannot be read: No such file", self.loud()[1])
        self.assertEqual(self.applied, [])

    def test_whatCannotBePutInForceChangesNothing(self) -> None:
        self.refused = "no such certificate"
        self.edit(BETTER)
        self.assertEqual(self.keeper.configuration.ports["a"].max_power, 1000)
        self.assertIn("no such certificate", self.loud()[1])
        kept = lastGoodPath(self.state, self.file, ROUTER)
        self.assertEqual(kept.read_text(), GOOD)

    def test_aBugNeverEndsTheWatch(self) -> None:
        self.keeper.apply = lambda _: 1 / 0  # type: ignore[func-returns-value]
        self.edit(BETTER)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.keeper.apply = self.apply
        self.edit(GOOD + "# again\n")
        self.assertEqual(self.applied, [1000])

    def test_whatTakesARestartIsToldOf(self) -> None:
        self.edit("router.identity = 'x'\nhttp.listen = 'tcp:1'\n" + BETTER)
        for name in ("router.identity", "http.listen"):
            self.assertIn(f"{name} HAS CHANGED, which takes a restart", self.said())
        self.assertEqual(self.applied, [2000])
        self.edit(BETTER + "\n")
        self.assertNotIn("HAS CHANGED", self.said())

    def test_whatIsOddIsToldOf(self) -> None:
        self.edit(GOOD + "cable_current = 3\n")
        self.assertIn("house.toml:3: ports.a.cable_current is 3 A", self.said())

    def test_whoStoppedWatchesNoMore(self) -> None:
        self.keeper.stopService()
        self.edit(BETTER, 10)
        self.assertEqual(self.applied, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class RestartTests(KeeperTestCase):
    def test_withABrokenFileTheLastGoodOneIsInForceLoudly(self) -> None:
        self.write(GOOD)
        self.start().stopService()
        self.write(BROKEN)
        keeper = self.start()
        self.assertEqual(keeper.configuration.ports["a"].max_power, 1000)
        self.assertIn("the LAST GOOD CONFIGURATION", self.loud()[0])
        self.assertEqual(len(self.loud()), 3)
        self.assertEqual(self.told[-1], 2)

    def test_theLastGoodOneSurvivesAnyNumberOfStarts(self) -> None:
        self.write(GOOD)
        self.start().stopService()
        self.write(BROKEN)
        for _ in range(3):
            self.start().stopService()
        self.assertEqual(self.start().configuration.ports["a"].max_power, 1000)

    def test_aReloadedOneIsTheLastGoodOne(self) -> None:
        self.write(GOOD)
        keeper = self.start()
        self.write(BETTER)
        keeper.reload()
        self.write(BROKEN)
        keeper.reload()
        keeper.stopService()
        self.assertEqual(self.start().configuration.ports["a"].max_power, 2000)

    def test_withoutALastGoodOneItDoesNotStart(self) -> None:
        self.write(BROKEN)
        error = self.assertRaises(ConfigurationError, self.start)
        self.assertEqual(len(error.problems), 2)

    def test_oneThatNeverRanIsNotKept(self) -> None:
        """Reading is not enough: the program may still have refused to start."""
        self.write(GOOD)
        ConfigurationKeeper(self.file, ROUTER, self.state, self.clock, maybeDeferred)
        self.write(BROKEN)
        self.assertRaises(ConfigurationError, self.start)

    def test_otherFilesAndOtherPluginsHaveTheirOwn(self) -> None:
        self.write(GOOD)
        self.start().stopService()
        self.write(BROKEN)
        self.assertRaises(ConfigurationError, self.start, PEER)
        self.file = self.folder / "other.toml"
        error = self.assertRaises(ConfigurationError, self.start)
        self.assertIn("No such file", str(error))

    def test_itIsPrivate(self) -> None:
        self.write(GOOD)
        self.start()
        kept = lastGoodPath(self.state, self.file, ROUTER)
        self.assertEqual(kept.stat().st_mode & 0o777, 0o600)
        for folder in (kept.parent, self.state):
            self.assertEqual(folder.stat().st_mode & 0o777, 0o700)

    def test_aBrokenLastGoodOneIsNone(self) -> None:
        self.write(GOOD)
        self.start().stopService()
        lastGoodPath(self.state, self.file, ROUTER).write_text("= half a")
        self.write(BROKEN)
        self.assertRaises(ConfigurationError, self.start)

    def test_aStateDirectoryThatCannotBeWrittenIsToldOf(self) -> None:
        self.state.parent.mkdir()
        self.state.write_text("in the way")
        self.write(GOOD)
        self.start()
        self.assertIn("cannot keep the configuration", self.said())
