"""The benchmark of the allocation measures what it says."""

from twisted.trial.unittest import SynchronousTestCase

from epnet.bench import allocation
from epnet.router.allocation import Allocation, allocate


class AllocationTests(SynchronousTestCase):
    def test_aRowForEachSizeAndItsGrowth(self) -> None:
        self.patch(allocation, "SIZES", (8, 16))
        self.patch(allocation, "PORTS_A_ROUND", 16)
        rows = list(allocation.run(2))
        self.assertEqual(len(rows), 11)
        self.assertEqual({len(row.values) for row in rows}, {2})

    def test_theHouseKeepsTheFillBusy(self) -> None:
        house = allocation.house(64)
        self.assertIn("GROUP", self.reasons(allocate(house.sources, house.sinks, house.groups)))
        self.assertIn("SUPPLY", self.reasons(allocate(house.sources, house.sinks)))

    def reasons(self, decided: Allocation) -> set[str]:
        return {setpoint.reason.name for setpoint in decided.sinks.values()}
