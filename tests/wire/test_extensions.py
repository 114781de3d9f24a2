"""Extensions: wire-profile M5, Messages §5, with a message for thermal energy."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epnet.errors import UsageError
from epnet.wire import (
    DemandParameters,
    Message,
    Ping,
    SupplyParameters,
    UnknownMessage,
    decode,
    encode,
    field,
    message,
    messageClass,
    register,
    registeredMessages,
    registerField,
)
from epnet.wire import registry as registryModule
from epnet.wire.kinds import ENERGY, POWER, TEXT, Quantity
from epnet.wire.schema import Number, RequiredWords
from tests.wire.helpers import HEAD_LENGTH, SUPPLY, codes, messageOf, received

TEMPERATURE = Quantity(0x1000, "Temperature", "°C", "numeric", "Temperature")


@message(0x01000042, "thermal")
class ThermalParameters(Message):
    """What a heat source offers."""

    circuit: RequiredWords = field(0x00, TEXT, "Name of the circuit")
    flow: Number = field(0x01, TEMPERATURE, "Flow temperature", default=None)
    power_limit: Number = field(0x02, POWER, "Heat (max)", consent=True, default=None)


class ExtensionCase(SynchronousTestCase):
    """Whatever is registered is gone after the test."""

    def setUp(self) -> None:
        self.patch(registryModule, "_classes", dict(registryModule._classes))
        for cls in registeredMessages():
            self.patch(cls, "_byId", dict(cls._byId))


class MessageTests(ExtensionCase):
    """Own messages."""

    def test_M5_unknownBeforeItIsRegistered(self) -> None:
        data = encode(ThermalParameters(circuit="floor"))
        unknown = messageOf(decode(data))
        self.assertIsInstance(unknown, UnknownMessage)
        register(ThermalParameters)
        self.assertEqual(decode(data).message, ThermalParameters(circuit="floor"))

    def test_M5_roundTrip(self) -> None:
        register(ThermalParameters)
        self.assertIs(messageClass(0x01000042), ThermalParameters)
        thermal = ThermalParameters(circuit="floor", flow=35.5, power_limit=9000)
        data = encode(thermal)
        self.assertEqual(data[6:11].hex(), "1a01000042")
        decoded = decode(data, strict=True)
        self.assertEqual((decoded.message, decoded.diagnostics), (thermal, ()))
        self.assertEqual(
            repr(thermal), "ThermalParameters(circuit='floor', flow=35.5, power_limit=9000)"
        )

    def test_M5_deviationsAreReportedAlike(self) -> None:
        register(ThermalParameters)
        decoded = received(0x01000042, "a2 00 a1 00 61 61 02 a1 19 1000 05")
        self.assertEqual(codes(decoded.diagnostics), ["value.type"])
        self.assertEqual(decoded.diagnostics[0].path, "thermal.power_limit")
        self.assertTrue(decoded.voidsConsent)
        self.assertEqual(codes(received(0x01000042, "a0").diagnostics), ["field.required"])

    def test_M5_localValuesAreChecked(self) -> None:
        error = self.assertRaises(UsageError, ThermalParameters, circuit="a", flow="hot")
        self.assertIn("ThermalParameters.flow: 'hot' is not a finite number (°C)", str(error))

    def test_M5_registeringATypeTwice(self) -> None:
        register(ThermalParameters)
        error = self.assertRaises(UsageError, register, ThermalParameters)
        self.assertIn("0x01000042 is registered already, for ThermalParameters", str(error))

    def test_M5_typesOfTheSpecAreTaken(self) -> None:
        @message(0xDCDCF00D, "mine")
        class Mine(Message):
            pass

        self.assertRaises(UsageError, register, Mine)

    def test_F4_reservedTypes(self) -> None:
        for typeId in (0, 0x00FFFFFF, -1, 2**32, "5", True):
            error = self.assertRaises(UsageError, message, typeId, "mine")
            self.assertIn("0x01000000 to 0xffffffff", str(error))
        message(0x01000000, "mine")

    def test_M5_twoFieldsOfOneId(self) -> None:
        class Mine(Message):
            a: Number = field(0x00, POWER, "A", default=None)
            b: Number = field(0x00, POWER, "B", default=None)

        error = self.assertRaises(UsageError, message(0x01000043, "mine"), Mine)
        self.assertIn("Mine: two fields have the same id", str(error))

    def test_M5_aFieldCalledAsSomethingOfEveryMessage(self) -> None:
        class Mine(Message):
            wire: Number = field(0x00, POWER, "Wire", default=None)  # type: ignore[assignment]

        error = self.assertRaises(UsageError, message(0x01000043, "mine"), Mine)
        self.assertIn("Mine: every message has something called 'wire'", str(error))


class FieldTests(ExtensionCase):
    """Own fields of existing messages."""

    def setUp(self) -> None:
        super().setUp()
        self.row = registerField(
            SupplyParameters, 0x1001, "cable_temperature", TEMPERATURE, "Cable", consent=True
        )
        self.supply = SupplyParameters(voltage=400, extensions={"cable_temperature": 41.5})

    def test_M5_roundTrip(self) -> None:
        data = encode(self.supply)
        self.assertEqual(data[HEAD_LENGTH:].hex(), "a205a11019019019" + "1001a1191000f95130")
        decoded = decode(data, strict=True)
        self.assertEqual((decoded.message, decoded.diagnostics), (self.supply, ()))
        self.assertEqual(self.supply.extensions["cable_temperature"], 41.5)

    def test_M5_inTheTable(self) -> None:
        self.assertIs(SupplyParameters.table()[-1], self.row)
        self.assertTrue(self.row.extension)
        self.assertIs(SupplyParameters.fieldOf(0x1001), self.row)
        self.assertEqual([row.name for row, _ in self.supply.present()][-1], self.row.name)
        self.assertNotIn(self.row, SupplyParameters.fields)

    def test_M5_onlyInThatMessage(self) -> None:
        self.assertRaises(UsageError, DemandParameters, extensions=dict(self.supply.extensions))
        self.assertEqual(received(SUPPLY, "a0").message, SupplyParameters())

    def test_M5_invalidValues(self) -> None:
        decoded = received(SUPPLY, "a1 19 1001 a1 10 05")
        self.assertEqual(codes(decoded.diagnostics), ["value.type"])
        self.assertEqual(decoded.diagnostics[0].path, "supply.cable_temperature")
        self.assertTrue(decoded.voidsConsent)
        self.assertEqual(messageOf(decoded).unknown, {0x1001: b"\xa1\x10\x05"})

    def test_M5_replace(self) -> None:
        changed = self.supply.replace(extensions={"cable_temperature": 42})
        self.assertEqual(changed.extensions, {"cable_temperature": 42})
        self.assertEqual(changed.voltage, 400)
        extra = received(SUPPLY, "a1 19 1001 a2 19 1000 05 00 06")
        replaced = messageOf(extra).replace(extensions={"cable_temperature": 6})
        self.assertEqual(encode(replaced)[HEAD_LENGTH:].hex(), "a1191001a119100006")

    def test_M5_localValuesAreChecked(self) -> None:
        for extensions, text in (
            ({"cable_temperature": "hot"}, "SupplyParameters.cable_temperature: 'hot'"),
            (
                {"voltage": 5},
                "name of a registered extension field (cable_temperature, ",
            ),
            ([5], "SupplyParameters.extensions: [5]"),
        ):
            error = self.assertRaises(UsageError, SupplyParameters, extensions=extensions)
            self.assertIn(text, str(error))
        self.assertRaises(UsageError, Ping, extensions={"a": 5})

    def test_M5_cannotBeChanged(self) -> None:
        with self.assertRaises(TypeError):
            self.supply.extensions["cable_temperature"] = 5  # type: ignore[index]

    def test_M5_idsAndNamesThatAreTaken(self) -> None:
        for id, name in ((0x05, "mine"), (0x4D, "voltage"), (0x1001, "mine"), (0x4D, "unknown")):
            error = self.assertRaises(
                UsageError, registerField, SupplyParameters, id, name, ENERGY, "Mine"
            )
            self.assertIn("SupplyParameters has", str(error))

    def test_M5_idsThatCannotBeSent(self) -> None:
        for id in (-1, 2**64, "a", True):
            self.assertRaises(
                UsageError, registerField, SupplyParameters, id, "mine", ENERGY, "Mine"
            )
