"""The metrics: names, labels and values, as a Prometheus server reads them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from epnet.interfaces import PortReading
from epnet.observe.looking import Snapshots
from epnet.observe.metrics import Metrics
from epnet.router.bus import BusSettings, Claim
from epnet.wire import DemandParameters, StorageParameters, SupplyParameters
from tests.observe.house import House, hear

SUN = SupplyParameters(voltage_limit=(200, 1000), power_limit=5000, voltage=400)

Labels = tuple[tuple[str, str], ...]


class MetricsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House()
        self.metrics = Metrics(
            Snapshots(self.house.router, self.house.connections, self.house.clock)
        )

    def read(self) -> dict[str, dict[Labels, float]]:
        """Sample names to labels to values."""
        found: dict[str, dict[Labels, float]] = {}
        for family in text_string_to_metric_families(self.metrics.render().decode()):
            for sample in family.samples:
                labels = tuple(sorted(sample.labels.items()))
                found.setdefault(sample.name, {})[labels] = sample.value
        return found

    def test_powerAndGrantsByDeviceSideAndDirection(self) -> None:
        hear(self.house.plugIn("solar", "solar"), SUN)
        hear(
            self.house.plugIn("car", "vehicle"),
            DemandParameters(voltage=400, power_limit=3000),
            StorageParameters(soc=62.5),
        )
        self.house.settle()
        found = self.read()
        car = (("device", "car"), ("direction", "export"), ("side", "D"))
        solar = (("device", "solar"), ("direction", "import"), ("side", "D"))
        for name in ("epnet_device_power_watts", "epnet_device_granted_watts"):
            self.assertEqual(found[name][car], 3000)
            self.assertEqual(found[name][solar], 3000)
            self.assertEqual(sum(found[name].values()), 6000)
        self.assertEqual(found["epnet_storage_charge_ratio"], {(("device", "car"),): 0.625})
        self.assertEqual(found["epnet_device_connected"][(("device", "solar"),)], 1)
        self.assertEqual(found["epnet_device_power_estimated"][(("device", "solar"),)], 0)
        self.assertEqual(found["epnet_bus_power_watts"], {(): 3000})

    def test_energyInJoulesAsFarAsItIsInSafety(self) -> None:
        hear(self.house.plugIn("solar", "solar"), SUN)
        hear(self.house.plugIn("car", "vehicle"), DemandParameters(voltage=400, power_limit=3000))
        self.house.settle(10)
        energy = "epnet_device_energy_joules_total"
        car = (("device", "car"), ("direction", "export"))
        solar = (("device", "solar"), ("direction", "import"))
        found, account = self.read(), self.house.router.accounts.shown("car")
        self.assertGreater(account.exported, 20_000_000)
        self.assertAlmostEqual(found[energy][car], account.exported / 1000, delta=0.005)
        self.assertEqual(found[energy][solar], found[energy][car])
        self.assertEqual(sum(found[energy].values()), 2 * found[energy][car])
        self.assertNotIn("epnet_meter_unsaved_seconds", found)

        accounts = self.house.router.accounts
        accounts.wereSaved(accounts.kept(), self.house.clock.seconds())
        accounts.saveFailures = 2
        self.house.settle(10)
        found = self.read()
        self.assertAlmostEqual(found[energy][car], account.exported / 1000, delta=0.005)
        self.assertAlmostEqual(found["epnet_meter_unsaved_seconds"][()], 10, delta=0.2)
        saves = {(("result", "saved"),): 1, (("result", "failed"),): 2}
        self.assertEqual(found["epnet_meter_saves_total"], saves)

    def test_sessionsByStateAndDeviationsByCode(self) -> None:
        self.house.connect()
        self.house.connections.deviations["bad-mix"] = 3
        found = self.read()
        self.assertEqual(found["epnet_sessions"][(("state", "greeting"),)], 1)
        self.assertEqual(found["epnet_sessions"][(("state", "open"),)], 0)
        self.assertEqual(found["epnet_diagnostics_total"], {(("code", "bad-mix"),): 3})

    def test_messagesLossesAndDecisionsAreCounted(self) -> None:
        self.house.connections.sent[SupplyParameters] += 3
        self.house.connections.losses["lost"] += 1
        self.house.router.decisions, self.house.router.decidingSeconds = 4, 0.5
        found = self.read()
        sent = (("direction", "sent"), ("type", "SupplyParameters"))
        self.assertEqual(found["epnet_messages_total"], {sent: 3})
        self.assertEqual(found["epnet_transfer_losses_total"], {(("cause", "lost"),): 1})
        self.assertEqual(found["epnet_allocation_seconds_count"], {(): 4})
        self.assertEqual(found["epnet_allocation_seconds_sum"], {(): 0.5})

    def test_whatMustHoldOfDecisions(self) -> None:
        self.house.settle()
        self.house.router.invariants.broken[9] += 2
        found = self.read()
        checks = found["epnet_invariant_checks_total"]
        self.assertEqual(checks.keys(), {(("invariant", str(each)),) for each in range(1, 11)})
        failures = found["epnet_invariant_failures_total"]
        self.assertEqual(failures[(("invariant", "9"),)], 2)
        self.assertEqual(sum(failures.values()), 2)

    def test_twoDriversOnTheBus(self) -> None:
        self.assertNotIn("epnet_bus_alarm", self.read())
        bus = self.house.router.neighbours.bus
        bus.describe(BusSettings("row", driver=True))
        bus.heard(Claim("row", ("other",), 0.0), self.house.clock.seconds())
        self.house.router.allocate()
        self.house.clock.advance(1.0)
        found = self.read()
        self.assertEqual(found["epnet_bus_drivers"], {(("bus", "row"),): 2})
        self.assertEqual(found["epnet_bus_alarm"], {(("bus", "row"),): 1})

    def test_whenCertificatesExpire(self) -> None:
        self.house.connections.expiries = {
            "own": datetime.now(UTC) + timedelta(days=10),
            "crl": datetime.now(UTC) - timedelta(days=1),
        }
        found = self.read()["epnet_certificate_expiry_seconds"]
        self.assertAlmostEqual(found[(("certificate", "own"),)], 864000, delta=60)
        self.assertAlmostEqual(found[(("certificate", "crl"),)], -86400, delta=60)

    def test_theRouterSaysWhoItIs(self) -> None:
        about = (("identity", "house-router"), ("version", "1.0"))
        self.assertEqual(self.read()["epnet_router_info"], {about: 1})

    def test_aBrokenMeterGivesNoSample(self) -> None:
        self.house.plugIn("solar", "solar")
        self.house.converters["solar"].metered = PortReading(400, float("nan"), 0)
        power = self.read()["epnet_device_power_watts"]
        self.assertEqual([dict(labels)["direction"] for labels in power], ["export"])

    def test_hostileNamesStayLabels(self) -> None:
        name = 'a"} 1\nepnet_fake 2\\'
        self.house.plugIn(name, "home")
        found = self.read()
        self.assertIn((("device", name),), found["epnet_device_connected"])
        self.assertNotIn("epnet_fake", found)

    def test_everyMetricHasOurPrefixHelpAndType(self) -> None:
        self.house.plugIn("car", "vehicle")
        text = self.metrics.render().decode()
        samples = {re.split(r"[ {]", line)[0] for line in text.splitlines() if line[0] != "#"}
        for name in samples:
            self.assertTrue(name.startswith("epnet_"), name)
            name = re.sub("_(count|sum)$", "", name)  # the samples of a summary
            self.assertRegex(text, f"# HELP {name} [A-Z].*\\.\n")
            self.assertRegex(text, f"# TYPE {name} (gauge|counter|summary)\n")
