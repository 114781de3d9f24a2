"""The accounts as JSON shows them."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from epnet.observe.accounting import accountState, meteringState, networkState
from epnet.wire import Source, StorageParameters, SupplyParameters
from tests.observe.house import House
from tests.router.plant import Plant

SUN = SupplyParameters(power_mix={Source.LOCAL_SOLAR: 100})


class AccountStateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.plant = Plant()
        self.accounts = self.plant.accounts
        self.plant.add("sun", "solar", SUN)
        self.plant.add("grid", "grid")
        self.plant.add("battery", "battery", StorageParameters(soc=0, capacity=1000))
        self.plant.flow("sun", import_w=3600)
        self.plant.flow("grid", export_w=1800)
        self.plant.flow("battery", export_w=1800)
        self.plant.run(10)

    def test_aPortShowsItsEnergyAndWhatItWas(self) -> None:
        sun = accountState(self.accounts, "sun")
        self.assertEqual((sun["energy_import_wh"], sun["energy_export_wh"]), (10.0, 0.0))
        self.assertEqual((sun["mix"], sun["carbon_g_kwh"]), ({"LocalSolar": 100}, 40.0))
        self.assertEqual(sun["price"], 0.0)
        self.assertIsNone(sun["stored_wh"])
        grid = accountState(self.accounts, "grid")
        self.assertEqual((grid["energy_import_wh"], grid["energy_export_wh"]), (0.0, 5.0))
        self.assertEqual((grid["mix"], grid["received_carbon_g"]), ({"Solar": 100}, 0.2))
        battery = accountState(self.accounts, "battery")
        self.assertEqual(battery["stored_wh"], {"LocalSolar": 5.0})

    def test_theNetworkShowsWhatStaysInIt(self) -> None:
        network = networkState(self.accounts, self.plant.ports.values())
        self.assertEqual((network["self_consumption"], network["local"]), (0.5, 1.0))
        self.assertEqual((network["carbon_in_g"], network["carbon_out_g"]), (0.4, 0.2))

    def test_theNetworkShowsWhatIsExchangedWithTheOutside(self) -> None:
        network = networkState(self.accounts, self.plant.ports.values())
        self.assertEqual((network["import_w"], network["export_w"]), (0.0, 1800.0))
        self.assertEqual((network["energy_import_wh"], network["energy_export_wh"]), (0.0, 5.0))

    def test_aPortThatNothingWentThroughIsNull(self) -> None:
        state = accountState(self.accounts, "nobody")
        self.assertEqual(state["energy_import_wh"], 0.0)
        self.assertIsNone(state["mix"])

    def test_howSafeTheMetersAreIsShown(self) -> None:
        self.assertIsNone(meteringState(self.accounts)["unsaved_s"])
        self.accounts.wereSaved(self.accounts.kept(), 8.0)
        self.assertEqual(
            meteringState(self.accounts), {"saves": 1, "save_failures": 0, "unsaved_s": 2.0}
        )

    def test_theStateHasItAll(self) -> None:
        house = House()
        house.plugIn("solar", "solar")
        state = json.loads(json.dumps(house.look()))
        self.assertLessEqual(
            accountState(self.accounts, "nobody").items(), state["devices"][0].items()
        )
        self.assertEqual(state["network"]["mix"], None)
        self.assertEqual(state["metering"]["saves"], 0)
