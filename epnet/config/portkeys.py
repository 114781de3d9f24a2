"""The keys of a port of the router: see `epnet.config.keys`."""

from __future__ import annotations

from typing import Final

from epnet.config.kinds import Choice, Flag, Number, Reading, Text, Window
from epnet.config.model import makePort
from epnet.config.tables import Table, key
from epnet.router.bus import BusSettings
from epnet.router.drivers import checkConverter
from epnet.router.losses import Loss
from epnet.router.settings import PortSettings


class Driver(Text):
    """The class of a converter with its options; it is found, and not called."""

    def __init__(self) -> None:
        super().__init__("`MODULE.CLASS[:key=value,…]`, as text")

    def convert(self, value: object, reading: Reading) -> object:
        """Check that there is such a converter, and that it takes the options."""
        text = super().convert(value, reading)
        checkConverter(str(text))
        return text


_LOSS: Final = Table(
    "loss",
    "What a conversion of x W loses: `linear`·x + `quadratic`·x² W.",
    (
        key(Loss, "linear", Number(low=0.0, high=1.0), "Share that is lost."),
        key(Loss, "quadratic", Number("1/W", 0.0, 1.0), "What grows with the square."),
    ),
    Loss,
)

PORT: Final = Table(
    "[ports.IDENTITY]",
    "The port of one device.  `[ports.default]` is for trusted devices that no other table names; "
    "without it they are refused.  Where no port is described at all, every trusted device gets "
    "one by its type.",
    (
        key(
            PortSettings,
            "side",
            Choice(),
            "The side of the router: A loads, B utility grid, "
            "C other routers, D local resources (EnergyNet §2.2).",
        ),
        key(PortSettings, "kind", Choice(), "What flows."),
        key(
            PortSettings,
            "phases",
            Choice(),
            "Phases of an AC port; currents are per phase, voltages from phase to neutral.",
        ),
        key(
            PortSettings,
            "direction",
            Choice(),
            "Which way power may flow: `import` into the router, `export` out of it.",
        ),
        key(
            PortSettings,
            "voltage",
            Window(),
            "What the port can work at.",
            default="AC [207, 253], DC [200, 1000]",
        ),
        key(PortSettings, "max_current", Number("A"), "What the port can carry."),
        key(
            PortSettings,
            "cable_current",
            Number("A"),
            "What the cable can carry; the smaller of the two rules.",
        ),
        key(PortSettings, "max_power", Number("W"), "What the port's converter can convert."),
        key(PortSettings, "min_w", Number("W"), "Below this much the device gets nothing."),
        key(
            PortSettings,
            "loss",
            _LOSS,
            "What its converter loses, `{linear = 0.0109, quadratic = 0.0}`.",
            default="nothing is lost",
        ),
        key(
            PortSettings,
            "priority",
            Number(whole=True),
            "Its class as a consumer, the higher first.",
        ),
        key(PortSettings, "weight", Number(), "Its share within its class."),
        key(
            PortSettings,
            "bid",
            Number(),
            "The highest price per kWh at which it consumes; where "
            "no prices are known, 0 is local sun and wind only, 1 storage, 2 other routers, 3 the "
            "grid; inf must be served.",
        ),
        key(
            PortSettings,
            "price",
            Number(),
            "What its power costs, per kWh; for storage, what stored energy is worth.",
            default="the device's forecast; for storage, what it saves",
        ),
        key(
            PortSettings,
            "ramp_w_s",
            Number("W/s"),
            "How fast its power may rise.",
            default="all of it in 1 s",
        ),
        key(
            PortSettings,
            "converter",
            Driver(),
            "Its power electronics: a class that implements `IPort`, with its options.",
            default="simulated, and unmetered",
        ),
        key(PortSettings, "group", Text(), "The `[[policy.group]]` that it belongs to."),
        key(
            PortSettings,
            "loss_ms",
            Number("ms"),
            "The longest silence of its device in a "
            "transfer; above 200 deviates from Framing §5.1.",
        ),
    ),
    makePort,
)

BUS: Final = Table(
    "[bus]",
    "The DC bus that the router's ports on side C hang on, with other routers (EnergyNet §2.3).",
    (
        key(BusSettings, "name", Text(), "Its name, the same for all routers on it."),
        key(
            BusSettings,
            "driver",
            Flag(),
            "Whether this router drives it: just one of all may.",
        ),
    ),
    BusSettings,
)
