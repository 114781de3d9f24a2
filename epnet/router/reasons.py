"""Every bound and rule that can set a set-point, in plain words.

Each has two sentences: what ruled, and what would have to change for more.  Their fields are those
of a `Ruling`: `limit`, the number that ruled, and `by`, who or what it belongs to.
"""

from __future__ import annotations

import enum
from typing import NamedTuple


class Reason(enum.Enum):
    """Which bound or rule set a set-point.

    text: what ruled.
    more: what would have to change for more.
    """

    # What the device says
    REQUEST = (
        "its own request or limit, {limit:.0f} W",
        "the device has to ask for more, or bear more",
    )
    OFFER = (
        "all that it offers, {limit:.0f} W",
        "the device has to offer more",
    )
    SILENT = (
        "no fresh {by} that consents",
        "the device has to send a valid {by} at least every 200 ms",
    )
    VOLTAGE = (
        "the voltages of device and port do not meet",
        "the device has to work at a voltage of the port",
    )

    # What the installer and the operator say
    PORT = (
        "limited by port {by}",
        "a port that carries more than {limit:.0f} W",
    )
    CABLE = (
        "limited by cable {by}",
        "a cable that carries more than {limit:.0f} W at this voltage",
    )
    DIRECTION = (
        "the port passes power only for {by}",
        "a port for both directions",
    )
    DERATING = (
        "derated to {by} of its port, {limit:.0f} W",
        "a higher derating in the device's policy",
    )
    POLICY = (
        "limited by {by}, {limit:.0f} W",
        "a higher limit in {by}",
    )
    OPERATOR = (
        "limited by the operator to {limit:.0f} W",
        "the operator has to lift the limit, or it has to expire",
    )
    CHARGE = (
        "its state of charge has reached the bound of {limit:g} %",
        "the state of charge has to come back by 2 % or the policy has to change",
    )
    CHARGE_UNKNOWN = (
        "its policy bounds the state of charge, and the device does not tell it",
        "the device has to send its state of charge",
    )
    ACCESS = (
        "no access in this direction for {by}",
        "a policy that gives {by} access",
    )

    # What the fill says
    MINIMUM = (
        "its minimum does not fit: {limit:.0f} W left under {by}",
        "more room under {by}, or a lower minimum",
    )
    GROUP = (
        "group {by} has no more than {limit:.0f} W for its members",
        "a higher cap of group {by}, or less for its other members",
    )
    BID = (
        "no more power at a price up to its bid of {limit:.6g}",
        "a higher bid, or more power at a lower price",
    )
    OWN_PRICE = (
        "it offers power itself, and buys only what is cheaper than its own and left over",
        "more power that is cheaper than its own",
    )
    SUPPLY = (
        "short of supply: class {by} lacks {limit:.0f} W",
        "more supply, or a higher class or weight",
    )
    RESERVE = (
        "reserve for the largest source, {by}: {limit:.0f} W stay free",
        "more supply from other sources, or a smaller reserve",
    )
    PEAK = (
        "above {limit:.0f} W its losses would grow faster than its power",
        "a converter with smaller losses",
    )
    SHARE = (
        "its share of what is needed of {price}",
        "more demand, or a lower price",
    )
    SPARE = (
        "not needed: what comes before {price} is enough",
        "more demand, or a lower price",
    )

    # What time says
    RAMP = (
        "rising to {limit:.0f} W",
        "a moment, or a steeper ramp",
    )
    UNCONFIRMED = (
        "rising to {limit:.0f} W as supply is confirmed",
        "a moment: who supplies has to answer the request",
    )
    OLD_GRANTS = (
        "waits until others draw no more than they may",
        "a moment: the others' meters have to fall, or 500 ms have to pass",
    )
    STANDS_IN = (
        "stands in for cheaper sources that have not confirmed yet what is asked of them",
        "more demand, or a lower price",
    )
    DEAD_BAND = (
        "nearly at {limit:.0f} W, which still moves: it follows in larger steps",
        "a moment: it follows once that stands still, or has moved further",
    )
    REVERSAL = (
        "waits 2 s before its direction reverses",
        "a moment",
    )

    # What went wrong
    ABSENT = ("not connected", "the device has to connect")
    UNREADY = (
        "what it has ready, {limit:.0f} W: it has offered more and not given it",
        "the other router has to give what it offers",
    )
    STANDBY = (
        "no power over this link between routers: {by}",
        "the routers have to settle on it as the way to their root",
    )
    BUS = (
        "bus {by} has two drivers: nothing may flow on it until it has had one for a minute",
        "all drivers of bus {by} but one have to go; an operator may clear it then",
    )
    LEAVING = ("it is leaving: nothing may flow", "the device has to come back")
    ISOLATION = (
        "isolation fault: nothing may flow until it has been clean for a minute",
        "the fault has to be mended; an operator may clear it, or a minute without fault does",
    )
    STRANGE = (
        "the voltage on its cable is not the one that its device tells: is it another's cable?",
        "voltages of meter and device that agree within 5 %",
    )
    COOLDOWN = (
        "cooling down after a shutdown: {by}",
        "{limit:.3g} s from the shutdown have to pass, or an operator has to clear it",
    )

    def __init__(self, text: str, more: str) -> None:
        self.text = text
        self.more = more


class Ruling(NamedTuple):
    """What ruled: a reason, its number (W, a price, %, s), and whose it is."""

    reason: Reason
    limit: float
    by: str = ""

    @property
    def text(self) -> str:
        """What ruled, in plain words."""
        return self._said(self.reason.text)

    @property
    def more(self) -> str:
        """What would have to change for more."""
        return self._said(self.reason.more)

    def _said(self, sentence: str) -> str:
        # Whoever has no price stands in the order by what it is.
        price = self.by or f"sources at {self.limit:.4g} a kWh"
        return sentence.format(limit=self.limit, by=self.by, price=price)
