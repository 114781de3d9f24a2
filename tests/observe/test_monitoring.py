"""What is shipped for Prometheus and Grafana, looked at by Prometheus's own tool."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from epnet.observe.metrics import Metrics
from epnet.router.bus import BusSettings
from tests.test_cli_words import household

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "http.rst"
MONITORING = files("epnet.observe") / "monitoring"
PROMTOOL = shutil.which("promtool")


def rendered() -> str:
    """The metrics of a router on which everything has happened at least once."""
    house = household()
    house.makeSite()
    house.connections.losses["lost"] += 1
    house.connections.deviations["bad-mix"] += 1
    accounts = house.router.accounts
    accounts.wereSaved(accounts.kept(), house.clock.seconds())
    house.router.neighbours.bus.describe(BusSettings("row"))
    house.connections.expiries = {"own": house.snapshots.timeOfDay()}
    house.snapshots.history = lambda: {"waiting": 0, "written": 5, "dropped": 1, "failure": None}
    return Metrics(house.snapshots).render().decode()


class PromtoolTests(SynchronousTestCase):
    skip = None if PROMTOOL else "promtool is not installed (apt-get install prometheus)"

    def promtool(self, *arguments: str, stdin: str = "") -> None:
        run = subprocess.run(
            [PROMTOOL or "", *arguments], input=stdin, capture_output=True, text=True, check=False
        )
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertEqual(run.stderr, "")

    def test_theMetricsAreClean(self) -> None:
        self.promtool("check", "metrics", stdin=rendered())

    def test_theRulesAreClean(self) -> None:
        self.promtool("check", "rules", str(MONITORING / "alerts.yml"))

    def test_theExpressionsOfTheDashboardAreClean(self) -> None:
        rules = Path(self.mktemp())
        lines = ["groups: [{name: dashboard, rules: ["]
        lines += [
            f"{{record: 'a:{n}', expr: {json.dumps(e)}}}," for n, e in enumerate(expressions())
        ]
        rules.write_text("\n".join([*lines, "]}]"]))
        self.promtool("check", "rules", str(rules))


class NameTests(SynchronousTestCase):
    def test_theContractIsKept(self) -> None:
        """What dashboards and rules of others rely on: names with labels."""
        there = {
            (sample.name, *sorted(sample.labels))
            for family in text_string_to_metric_families(rendered())
            for sample in family.samples
        }
        promised = {
            ("epnet_device_power_watts", "device", "direction", "side"),
            ("epnet_device_energy_joules_total", "device", "direction"),
            ("epnet_storage_charge_ratio", "device"),
            ("epnet_messages_total", "direction", "type"),
            ("epnet_diagnostics_total", "code"),
            ("epnet_sessions", "state"),
            ("epnet_allocation_seconds_sum",),
            ("epnet_allocation_seconds_count",),
            ("epnet_transfer_losses_total", "cause"),
        }
        self.assertEqual(promised - there, set())

    def test_theReferenceNamesEveryMetricAndNoOther(self) -> None:
        told = set(re.findall(r"``(epnet_\w+)``", REFERENCE.read_text()))
        there = set(re.findall(r"^# TYPE (epnet_\w+)", rendered(), re.MULTILINE))
        self.assertEqual(told, there)

    def test_everyMetricThatIsAskedForIsThere(self) -> None:
        there = set(re.findall(r"^(epnet_\w+)", rendered(), re.MULTILINE))
        asked = " ".join([*expressions(), (MONITORING / "alerts.yml").read_text()])
        self.assertEqual(set(re.findall(r"\bepnet_\w+", asked)) - there, set())


def expressions() -> list[str]:
    """What the panels of the dashboard show."""
    panels = json.loads((MONITORING / "grafana.json").read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]
