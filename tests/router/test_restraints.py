"""What holds a port back for a while: it lasts as long as it should, whatever comes in between."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from epnet.router.restraints import Restraints

TIMES = st.floats(0.0, 1e7)


class RestTests(SynchronousTestCase):
    @given(TIMES, st.sampled_from([0.5, 60.0]))
    def test_itHoldsFromItsFirstMomentToItsEnd(self, began: float, seconds: float) -> None:
        restraints = Restraints()
        restraints.rest("overdrawn", seconds, began)
        self.assertIsNotNone(restraints.restBound(began), "what began now holds now")
        self.assertIsNotNone(restraints.restBound(began + seconds - 0.01))
        self.assertIsNone(restraints.restBound(began + seconds + 0.01))

    def test_aShorterOneDoesNotEndALongerOne(self) -> None:
        """Else who was shut down for a fault would only have to hang up."""
        restraints = Restraints()
        restraints.rest("overdrawn", 60.0, 0.0)
        restraints.rest("silent", 0.5, 1.0)
        bound = restraints.restBound(59.0)
        assert bound is not None
        self.assertEqual(bound.by, "overdrawn")
        self.assertIsNone(restraints.restBound(60.0))

    def test_norOneThatBeganAMomentAfterTheTimeWasRead(self) -> None:
        restraints = Restraints()
        restraints.rest("its converter fails", 60.0, 1.001)
        restraints.rest("silent", 0.5, 1.0)
        self.assertIsNotNone(restraints.restBound(59.0))

    def test_aLongerOneEndsAShorterOne(self) -> None:
        restraints = Restraints()
        restraints.rest("silent", 0.5, 0.0)
        restraints.rest("overdrawn", 60.0, 0.1)
        self.assertIsNotNone(restraints.restBound(60.0))

    def test_aClockThatJumpsBackEndsIt(self) -> None:
        restraints = Restraints()
        restraints.rest("overdrawn", 60.0, 1000.0)
        restraints.rest("silent", 0.5, 10.0)
        self.assertIsNotNone(restraints.restBound(10.1))
        self.assertIsNone(restraints.restBound(10.5))
