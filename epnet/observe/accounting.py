"""The accounts of a router ready for JSON: energy, and what travels with it."""

from __future__ import annotations

from collections.abc import Iterable
from math import fsum, isfinite
from typing import TYPE_CHECKING, Final, TypedDict

from epnet.router.provenance import wholePercents

if TYPE_CHECKING:
    from epnet.router.accounts import Accounts
    from epnet.router.ports import Port
    from epnet.router.provenance import Blend

JOULES_PER_WH: Final = 3600
MILLIJOULES_PER_WH: Final = 1000 * JOULES_PER_WH


class BlendState(TypedDict):
    """What energy is made of; everything is null where nothing flowed in the last second.

    mix: by source, in whole percent that add up to 100.
    price: per kWh in `currency`; null where it is not known.
    carbon_g_kwh: g CO2eq per kWh.
    """

    mix: dict[str, int] | None
    price: float | None
    carbon_g_kwh: float | None


class AccountState(BlendState):
    """The account of a port; its mix, price and carbon are those of what it gives or receives.

    energy_import_wh, energy_export_wh: ever, as far as it is in safety; they never fall.
    estimated_import_wh, estimated_export_wh: how much of that is an estimate.
    meter_gaps, meter_gap_s: how often and how long nothing was metered.
    refused_readings: readings of the meter that were no power.
    received_carbon_g: what was carried by the energy that the device received, ever, g CO2eq.
    stored_wh: what it stores, by source; null where it stores nothing.
    """

    energy_import_wh: float
    energy_export_wh: float
    estimated_import_wh: float
    estimated_export_wh: float
    meter_gaps: int
    meter_gap_s: float
    refused_readings: int
    received_carbon_g: float
    stored_wh: dict[str, float] | None


class NetworkState(BlendState):
    """What everybody receives, and what is exchanged with networks that are not known to be ours.

    import_w, export_w: from and to the outside now, W at the ports' terminals, as metered.
    energy_import_wh, energy_export_wh: the same, ever; they never fall while those ports stay.
    self_consumption: the part of local energy that stays in the network, 0 to 1; null without any.
    local: the part of what is received that is from local sources, 0 to 1.
    carbon_in_g, carbon_out_g: with energy that came in and that was used, ever, g CO2eq.
    carbon_own_g: of what the router used itself; the rest of the difference is stored.
    energy_lost_wh: lost in conversion and in storage, ever.
    """

    import_w: float
    export_w: float
    energy_import_wh: float
    energy_export_wh: float
    currency: str | None
    self_consumption: float | None
    local: float | None
    carbon_in_g: float
    carbon_out_g: float
    carbon_own_g: float
    energy_lost_wh: float


class MeteringState(TypedDict):
    """How the keeping of the meters fares.

    saves, save_failures: how often they were written, and could not be.
    unsaved_s: how old what is in safety is, s; null where nothing keeps them.
    """

    saves: int
    save_failures: int
    unsaved_s: float | None


def accountState(accounts: Accounts, identity: str) -> AccountState:
    """The account of the port of that device."""
    record, account = accounts.shown(identity), accounts.byPort.get(identity)
    tank = account.tank if account is not None else None
    return {
        "energy_import_wh": _wattHours(record.imported),
        "energy_export_wh": _wattHours(record.exported),
        "estimated_import_wh": _wattHours(record.importedEstimated),
        "estimated_export_wh": _wattHours(record.exportedEstimated),
        "meter_gaps": record.gaps,
        "meter_gap_s": record.gapMicroseconds / 1e6,
        "refused_readings": record.refused,
        "received_carbon_g": round(record.carbon_g, 3),
        "stored_wh": None
        if tank is None
        else {
            source.title: round(part * tank.joules / JOULES_PER_WH, 3)
            for source, part in sorted(tank.blend.sources.items())
        },
        **_blendState(account.flowed if account is not None else None),
    }


def networkState(accounts: Accounts, ports: Iterable[Port]) -> NetworkState:
    """The network as a whole."""
    network, books = accounts.network, accounts.shownBooks
    outside = [port for port in ports if accounts.isAbroad(port)]
    readings = [port.measured() for port in outside]
    records = [accounts.shown(port.identity) for port in outside]
    return {
        "import_w": _watts(each.import_w for each in readings),
        "export_w": _watts(each.export_w for each in readings),
        "energy_import_wh": _wattHours(sum(each.imported for each in records)),
        "energy_export_wh": _wattHours(sum(each.exported for each in records)),
        "currency": accounts.reckoning,
        "self_consumption": accounts.selfConsumption,
        "local": None if network is None else round(network.local, 6),
        "carbon_in_g": round(books.carbonIn, 3),
        "carbon_out_g": round(books.carbonOut, 3),
        "carbon_own_g": round(books.carbonOwn, 3),
        "energy_lost_wh": round(books.energyLost / JOULES_PER_WH, 3),
        **_blendState(network),
    }


def meteringState(accounts: Accounts) -> MeteringState:
    """How the keeping of the meters fares."""
    return {
        "saves": accounts.saves,
        "save_failures": accounts.saveFailures,
        "unsaved_s": None if accounts.unsaved_s is None else round(accounts.unsaved_s, 3),
    }


def _blendState(blend: Blend | None) -> BlendState:
    if blend is None:
        return {"mix": None, "price": None, "carbon_g_kwh": None}
    return {
        "mix": {source.title: share for source, share in wholePercents(blend.sources).items()},
        "price": None if blend.price is None else round(blend.price, 4),
        "carbon_g_kwh": round(blend.carbon, 1),
    }


def _watts(powers: Iterable[float]) -> float:
    """Their sum; a meter that gives no number counts as nothing."""
    return round(fsum(power for power in powers if isfinite(power)), 3)


def _wattHours(millijoules: int) -> float:
    # To the µWh, of which joules to the hundredth can be made.
    return round(millijoules / MILLIJOULES_PER_WH, 6)
