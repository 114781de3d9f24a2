"""The benchmark of the wire measures what it says."""

from twisted.trial.unittest import SynchronousTestCase

from epnet.bench import wire
from epnet.wire import SupplyParameters, decode, encode


class WireTests(SynchronousTestCase):
    def test_theMessagesHaveEveryFieldAndAreValid(self) -> None:
        for message, varied in wire.MESSAGES:
            for row in type(message).fields:
                self.assertIsNotNone(getattr(message, row.name), row.name)
            self.assertIn(varied, [row.name for row in type(message).fields])
            decoded = decode(encode(message))
            self.assertEqual(decoded.message, message)
            self.assertEqual(decoded.diagnostics, ())

    def test_aRowForEachMessageAndDirection(self) -> None:
        self.patch(wire, "CALLS", 2)
        rows = list(wire.run(2))
        self.assertEqual(len(rows), 6)
        self.assertEqual(rows[0].what, f"{SupplyParameters.__name__}, decode")
        for row in rows:
            self.assertEqual((len(row.values), len(row.baselines)), (2, 2))
