"""The router's metrics in the Prometheus text format, made from its snapshot.

Every name starts with ``epnet_``, values are in base units.  The labels are bounded by the ports of
the router and the codes of `epnet.wire.diagnostics`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from epnet.observe.accounting import JOULES_PER_WH, MeteringState
from epnet.observe.history import HistoryState
from epnet.observe.looking import Snapshots
from epnet.observe.snapshot import BusState, Counters, DeviceState, State

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
"""The media type of `renderMetrics`: the classic names it uses are valid in every version."""


class StateCollector(Collector):
    """Makes metrics of the newest snapshot whenever it is asked for them."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        state = self._snapshots.state()
        yield from _routerMetrics(state)
        yield from _counterMetrics(state["counters"])
        yield from _powerMetrics(state["devices"])
        yield from _energyMetrics(state["devices"])
        yield from _deviceMetrics(state["devices"])
        yield from _meteringMetrics(state["metering"])
        if state["history"] is not None:
            yield from _historyMetrics(state["history"])
        if state["bus"] is not None:
            yield from _busMetrics(state["bus"])


class Metrics:
    """The metrics of one router, in a registry of their own.

    snapshots: where the values come from.
    """

    def __init__(self, snapshots: Snapshots) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(StateCollector(snapshots))

    def render(self) -> bytes:
        """All metrics in the text format of `CONTENT_TYPE`."""
        return generate_latest(self._registry)


def _routerMetrics(state: State) -> Iterator[Metric]:
    router, totals = state["router"], state["totals"]
    about = {"identity": router["identity"], "version": router["version"] or ""}
    yield InfoMetricFamily("epnet_router", "The router itself.", about)
    yield GaugeMetricFamily(
        "epnet_router_uptime_seconds", "How long the router has been observed.", router["uptime_s"]
    )
    yield GaugeMetricFamily(
        "epnet_bus_power_watts", "Power over the bus as decided, in bus watts.", totals["bus_w"]
    )
    yield GaugeMetricFamily(
        "epnet_loss_power_watts",
        "Power lost in the conversions of all ports, as decided.",
        totals["losses_w"],
    )
    sessions = GaugeMetricFamily("epnet_sessions", "Connections by state.", labels=["state"])
    for phase, count in state["sessions"].items():
        sessions.add_metric([phase], count)
    yield sessions
    diagnostics = CounterMetricFamily(
        "epnet_diagnostics", "Deviations from the specs seen, by code.", labels=["code"]
    )
    for code, count in state["diagnostics"].items():
        diagnostics.add_metric([code], count)
    yield diagnostics
    yield GaugeMetricFamily(
        "epnet_configuration_problems",
        "Mistakes in the configuration file; with any, an earlier configuration is in force.",
        len(state["configuration"]),
    )
    expiry = GaugeMetricFamily(
        "epnet_certificate_expiry_seconds",
        "Time until what the router shows and goes by expires; below 0 once it has.",
        labels=["certificate"],
    )
    for what, seconds in state["certificates"].items():
        expiry.add_metric([what], seconds)
    yield expiry


def _counterMetrics(counters: Counters) -> Iterator[Metric]:
    messages = CounterMetricFamily(
        "epnet_messages",
        "Supply, Demand, Storage and other messages sent and received.",
        labels=["type", "direction"],
    )
    for each in counters["messages"]:
        messages.add_metric([each["type"], each["direction"]], each["count"])
    yield messages
    losses = CounterMetricFamily(
        "epnet_transfer_losses", "Transfers that were lost, by cause.", labels=["cause"]
    )
    for cause, count in counters["losses"].items():
        losses.add_metric([cause], count)
    yield losses
    yield SummaryMetricFamily(
        "epnet_allocation_seconds",
        "Time spent on deciding who gets how much.",
        count_value=counters["decisions"],
        sum_value=counters["deciding_s"],
    )
    checks = CounterMetricFamily(
        "epnet_invariant_checks", "Checks of what must hold of decisions.", labels=["invariant"]
    )
    failures = CounterMetricFamily(
        "epnet_invariant_failures", "Checks that found it not to hold.", labels=["invariant"]
    )
    for found in counters["invariants"]:
        checks.add_metric([str(found["invariant"])], found["checked"])
        failures.add_metric([str(found["invariant"])], found["broken"])
    yield checks
    yield failures


def _historyMetrics(history: HistoryState) -> Iterator[Metric]:
    samples = CounterMetricFamily(
        "epnet_history_samples",
        "Samples for the history, by what became of them.",
        labels=["result"],
    )
    samples.add_metric(["written"], history["written"])
    samples.add_metric(["dropped"], history["dropped"])
    yield samples
    yield GaugeMetricFamily(
        "epnet_history_waiting_samples", "Samples not yet written.", history["waiting"]
    )
    yield GaugeMetricFamily(
        "epnet_history_failing",
        "Whether the history cannot be written now.",
        history["failure"] is not None,
    )


def _meteringMetrics(metering: MeteringState) -> Iterator[Metric]:
    saves = CounterMetricFamily(
        "epnet_meter_saves", "Savings of the energy meters, by how they went.", labels=["result"]
    )
    saves.add_metric(["saved"], metering["saves"])
    saves.add_metric(["failed"], metering["save_failures"])
    yield saves
    if metering["unsaved_s"] is not None:
        yield GaugeMetricFamily(
            "epnet_meter_unsaved_seconds",
            "How old the savings of the energy meters are.",
            metering["unsaved_s"],
        )


def _busMetrics(bus: BusState) -> Iterator[Metric]:
    drivers = GaugeMetricFamily(
        "epnet_bus_drivers", "Drivers of the DC bus that the router has heard of.", labels=["bus"]
    )
    drivers.add_metric([bus["name"]], len(bus["drivers"]))
    yield drivers
    alarm = GaugeMetricFamily(
        "epnet_bus_alarm",
        "Whether the DC bus has or had two drivers, so that nothing may flow on it.",
        labels=["bus"],
    )
    alarm.add_metric([bus["name"]], bus["alarm"])
    yield alarm


def _powerMetrics(devices: list[DeviceState]) -> Iterator[Metric]:
    labels = ["device", "side", "direction"]
    power = GaugeMetricFamily(
        "epnet_device_power_watts",
        "Power at the port's terminals; import is into the router.",
        labels=labels,
    )
    granted = GaugeMetricFamily(
        "epnet_device_granted_watts",
        "Set-point of the port; import is into the router.",
        labels=labels,
    )
    for device in devices:
        place = (device["identity"], device["side"])
        for direction, measured_w, granted_w in (
            ("import", device["import_w"], device["granted_import_w"]),
            ("export", device["export_w"], device["granted_export_w"]),
        ):
            granted.add_metric([*place, direction], granted_w)
            if measured_w is not None:
                power.add_metric([*place, direction], measured_w)
    yield power
    yield granted


def _energyMetrics(devices: list[DeviceState]) -> Iterator[Metric]:
    energy = CounterMetricFamily(
        "epnet_device_energy_joules",
        "Energy through the port's terminals ever, as far as it is in safety.",
        labels=["device", "direction"],
    )
    for device in devices:
        for direction, energy_wh in (
            ("import", device["energy_import_wh"]),
            ("export", device["energy_export_wh"]),
        ):
            joules = round(energy_wh * JOULES_PER_WH, 2)
            energy.add_metric([device["identity"], direction], joules)
    yield energy


def _deviceMetrics(devices: list[DeviceState]) -> Iterator[Metric]:
    connected = GaugeMetricFamily(
        "epnet_device_connected", "Whether the device has an open session.", labels=["device"]
    )
    estimated = GaugeMetricFamily(
        "epnet_device_power_estimated",
        "Whether the port's power is an estimate, for want of a meter.",
        labels=["device"],
    )
    charge = GaugeMetricFamily(
        "epnet_storage_charge_ratio", "State of charge, 0 to 1.", labels=["device"]
    )
    for device in devices:
        identity = [device["identity"]]
        connected.add_metric(identity, device["session"]["connected"])
        estimated.add_metric(identity, device["estimated"])
        soc = (device["storage"] or {}).get("soc")
        if soc is not None:
            charge.add_metric(identity, soc / 100)
    yield connected
    yield estimated
    yield charge
