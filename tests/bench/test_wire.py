"""The benchmark of the wire measures what it says."""

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from epnet.bench import wire
from epnet.wire import SupplyParameters, decode, encode


class WireTests(SynchronousTestCase):
    def test_theMessagesHaveEveryFieldAndAreValid(self) -> None:
        for message, measured in wire.MESSAGES:
            for row in type(message).fields:
                self.assertIsNotNone(getattr(message, row.name), row.name)
            self.assertLessEqual(set(measured), {row.name for row in type(message).fields})
            decoded = decode(encode(message))
            self.assertEqual(decoded.message, message)
            self.assertEqual(decoded.diagnostics, ())

    def test_whatVariesIsValid(self) -> None:
        random = Random(1)
        for message, measured in wire.MESSAGES:
            varied = wire._tenths(measured, message, random)
            self.assertEqual(decode(encode(varied), strict=True).message, varied)
            self.assertNotEqual(varied, message)
        varied = wire._everyNumber(wire.MESSAGES[0][0], random)
        self.assertEqual(decode(encode(varied), strict=True).message, varied)

    def test_aRowForEachThing(self) -> None:
        self.patch(wire, "CALLS", 2)
        rows = list(wire.run(2))
        self.assertEqual(rows[0].what, f"{SupplyParameters.__name__}, decode")
        self.assertEqual(len({row.what for row in rows}), 12)
        self.assertEqual([row.mostRatio for row in rows], [1] * 2 + [None] * 8 + [0.05] * 2)
        for row in rows:
            self.assertEqual((len(row.values), len(row.baselines)), (2, 2))
