"""Light devices: what they say, and what they make of what they hear."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epnet.bench.crowd import OFFER
from epnet.bench.exchange import CHANGE_SECONDS, HIGH_W, LOW_W, Consumer
from epnet.bench.processes import deviceFiles, deviceName, household
from epnet.identity import readCertificate
from epnet.pem import readCertificates
from epnet.wire import DemandParameters, SupplyParameters, decode, encode


class OfferTests(SynchronousTestCase):
    def test_theTimeIsInIt(self) -> None:
        for now in (1.5, 123456.789):
            decoded = decode(OFFER.at(now))
            self.assertEqual(decoded.diagnostics, ())
            assert isinstance(decoded.message, SupplyParameters)
            self.assertEqual(decoded.message.current, now)


class Notebook:
    """A device that only remembers what it was to say."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def say(self, frame: bytes) -> bool:
        self.said.append(decode(frame).message)
        return True


class ConsumerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.notebook = Notebook()
        self.consumer = Consumer(self.notebook, 0.0)  # type: ignore[arg-type]

    def asks(self, now: float) -> float | None:
        self.consumer.say(now)
        demand = self.notebook.said[-1]
        assert isinstance(demand, DemandParameters)
        return demand.power_limit

    def grant(self, power_w: float, now: float) -> None:
        self.consumer.take(encode(SupplyParameters(voltage=400, power_limit=power_w)), now)

    def test_itChangesItsMindOnceItHasWhatItAskedFor(self) -> None:
        self.assertEqual(self.asks(0.0), LOW_W)
        self.grant(LOW_W, 0.1)
        self.assertEqual(self.asks(1.0), HIGH_W)
        self.assertEqual(self.asks(1.0 + CHANGE_SECONDS), HIGH_W)

    def test_aRiseIsOverWithTheFirstHigherGrant(self) -> None:
        self.grant(LOW_W, 0.1)
        self.asks(1.0)
        for power_w, now in ((LOW_W, 1.1), (LOW_W + 1, 1.25), (HIGH_W, 1.5)):
            self.grant(power_w, now)
        self.assertEqual(self.consumer.rises, [0.25])

    def test_aFallIsOverWithTheFirstLowerGrant(self) -> None:
        self.grant(LOW_W, 0.1)
        self.asks(1.0)
        self.grant(HIGH_W, 1.1)
        self.asks(3.0)
        for power_w, now in ((HIGH_W, 3.1), (LOW_W, 3.5)):
            self.grant(power_w, now)
        self.assertEqual(self.consumer.falls, [0.5])


class HouseholdTests(SynchronousTestCase):
    def test_everyDeviceHasACertificateWithItsName(self) -> None:
        for shared in (True, False):
            with household(3, shared) as folder:
                for number in range(3):
                    [certificate] = readCertificates(deviceFiles(folder, number).certificate)
                    self.assertIn(deviceName(number), readCertificate(certificate).identities)
            self.assertFalse(folder.exists())
