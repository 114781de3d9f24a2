"""Policies from a source: asked for, checked, put in force, stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from epnet.config import policies as policiesModule
from epnet.config.policies import PolicyKeeper, checkPolicies, policySource, policyTables
from epnet.config.policies import readTables as read
from epnet.errors import UsageError
from epnet.interfaces import IPolicySource
from epnet.router.policy import DevicePolicy, NetworkPolicy, Policies, RemotePolicy
from epnet.router.terms import Group


@implementer(IPolicySource)
class Cloud:
    """A source that answers what it is told to."""

    name = "cloud"

    def __init__(self) -> None:
        self.answer: Policies | Exception | None = None
        self.changed: Callable[[], None] | None = None

    def start(self, clock: IReactorTime, changed: Callable[[], None]) -> None:
        self.changed = changed

    def stop(self) -> None:
        self.changed = None

    def policies(self, configured: Policies) -> Policies | None:
        self.configured = configured
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def says(self, answer: Policies | Exception | None) -> None:
        self.answer = answer
        assert self.changed is not None
        self.changed()


FILE = Policies(network=NetworkPolicy(max_import_w=11_000))
FIRST = Policies(network=NetworkPolicy(max_import_w=5000))
SECOND = Policies(groups=(Group("feeder", 1000, ["a"]),))


class KeeperTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.file = Path(self.mktemp()).absolute() / "policies" / "house.json"
        self.file.parent.parent.mkdir()
        self.restart()

    def restart(self) -> None:
        self.cloud = Cloud()
        self.inForce: list[Policies] = []
        self.keeper = PolicyKeeper(
            self.cloud, self.inForce.append, self.file, Clock(), maybeDeferred
        )
        self.keeper.configured(FILE)
        self.keeper.startService()

    def test_theFakeIsASource(self) -> None:
        verifyObject(IPolicySource, self.cloud)

    def test_theFileHoldsUntilTheSourceAnswers(self) -> None:
        self.assertEqual(self.inForce, [FILE])
        self.cloud.says(FIRST)
        self.cloud.says(FIRST)
        self.cloud.says(SECOND)
        self.cloud.says(None)
        self.assertEqual(self.inForce, [FILE, FIRST, SECOND])

    def test_theSourceKnowsWhatTheFileSays(self) -> None:
        self.assertEqual(self.cloud.configured, FILE)
        self.keeper.configured(SECOND)
        self.assertEqual(self.cloud.configured, SECOND)

    def test_whatItAnsweredHoldsAfterARestart(self) -> None:
        self.cloud.says(SECOND)
        self.restart()
        self.assertEqual(self.inForce, [SECOND])
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)

    def test_whatCannotBeKeptIsInForceAndToldOf(self) -> None:
        self.file.parent.write_text("in the way")
        with capturedLogs() as events:
            self.cloud.says(FIRST)
        self.assertIn("cannot keep the policies", formatEvent(events[0]))
        self.assertEqual(self.inForce, [FILE, FIRST])

    def test_mistakesOfTheSourceChangeNothing(self) -> None:
        circle = Policies(groups=(Group("a", 1, ["b"]), Group("b", 1, ["a"])))
        twins = Policies(groups=(Group("a", 1, []), Group("a", 2, [])))
        misnamed = Policies(remotes={"x": RemotePolicy("y")})
        for wrong in (circle, twins, misnamed, RuntimeError("out of order"), 5):
            with capturedLogs() as events:
                self.cloud.says(wrong)  # type: ignore[arg-type]
            self.assertIn("CANNOT TAKE THE POLICIES of cloud", formatEvent(events[0]))
            self.flushLoggedErrors()
        self.assertEqual(self.inForce, [FILE])
        self.assertFalse(self.file.exists())

    def test_whatWasStoredAndCannotBeReadIsToldOf(self) -> None:
        self.cloud.says(SECOND)
        for wrong in ("{", '{"network": {"reserve": 2}}', "[1]", "[" * 9999):
            self.file.write_text(wrong)
            with capturedLogs() as events:
                self.restart()
            self.assertIn("cannot read the policies kept", formatEvent(events[0]))
            self.assertEqual(self.inForce, [FILE])

    def test_whoStoppedIsToldOfNothing(self) -> None:
        self.keeper.stopService()
        self.assertIsNone(self.cloud.changed)

    def test_aSourceIsFoundByItsName(self) -> None:
        cloud = Cloud()
        self.patch(policiesModule, "getPlugins", lambda interface: [cloud])
        self.assertIs(policySource("cloud"), cloud)
        error = self.assertRaises(UsageError, policySource, "clowd")
        self.assertIn("did you mean cloud?", str(error))


NAMES = st.sampled_from(["a", "b", "c d", "é", "*"])
WATTS = st.floats(0, 1e12)
POLICIES = st.builds(
    Policies,
    network=st.builds(
        NetworkPolicy, WATTS, WATTS | st.just(float("inf")), st.floats(0, 100), st.floats(0, 1)
    ),
    devices=st.dictionaries(
        NAMES,
        st.builds(DevicePolicy, st.floats(0, 50), st.floats(50, 100), WATTS, st.floats(0, 1)),
    ),
    groups=st.lists(
        st.builds(Group, NAMES, WATTS, st.lists(st.text("xyz", min_size=1))),
        unique_by=lambda group: group.name,
    ).map(tuple),
    remotes=st.lists(
        st.builds(
            RemotePolicy,
            NAMES,
            st.sampled_from(["import", "export", "both", "none"]),
            st.integers(-9, 9),
            WATTS,
            st.none() | st.floats(-1e12, 1e12),
        ),
        unique_by=lambda policy: policy.tenant,
    ).map(lambda policies: {policy.tenant: policy for policy in policies}),
)


class FormTests(SynchronousTestCase):
    @given(POLICIES)
    def test_whatIsStoredIsReadAsItWas(self, policies: Policies) -> None:
        self.assertEqual(read(json.loads(json.dumps(policyTables(policies)))), policies)
        checkPolicies(policies)
