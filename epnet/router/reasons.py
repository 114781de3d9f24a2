"""Every bound and rule that can set a set-point, in plain words.

Each has two sentences: what ruled, and what would have to change for more.  Their fields are those
of a `Setpoint` or `Decision`: `limit`, the number that ruled, and `by`, who or what it belongs to.
"""

from __future__ import annotations

import enum


class Reason(enum.Enum):
    """Which bound or rule set a set-point.

    text: what ruled.
    more: what would have to change for more.
    """

    # What the device says
    REQUEST = (
        "its own request or limit, {limit:.6g} W",
        "the device has to ask for more, or bear more",
    )
    OFFER = (
        "all that it offers, {limit:.6g} W",
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
        "a port that carries more than {limit:.6g} W",
    )
    CABLE = (
        "limited by cable {by}",
        "a cable that carries more than {limit:.6g} W at this voltage",
    )
    DIRECTION = (
        "the port passes power only for {by}",
        "a port for both directions",
    )
    DERATING = (
        "derated to {by} of its port, {limit:.6g} W",
        "a higher derating in the device's policy",
    )
    POLICY = (
        "limited by {by}, {limit:.6g} W",
        "a higher limit in {by}",
    )
    OPERATOR = (
        "limited by the operator to {limit:.6g} W",
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
        "its minimum does not fit: {limit:.6g} W left under {by}",
        "more room under {by}, or a lower minimum",
    )
    GROUP = (
        "group {by} has no more than {limit:.6g} W for its members",
        "a higher cap of group {by}, or less for its other members",
    )
    BID = (
        "no more power at a price up to its bid of {limit:.6g}",
        "a higher bid, or more power at a lower price",
    )
    OWN_PRICE = (
        "it offers power at {limit:.6g} itself, and buys only what is cheaper and left over",
        "more power that is cheaper than its own",
    )
    SUPPLY = (
        "short of supply: class {by} lacks {limit:.6g} W",
        "more supply, or a higher class or weight",
    )
    RESERVE = (
        "reserve for the largest source, {by}: {limit:.6g} W stay free",
        "more supply from other sources, or a smaller reserve",
    )
    PEAK = (
        "above {limit:.6g} W its losses would grow faster than its power",
        "a converter with smaller losses",
    )
    SHARE = (
        "its share of what is needed at its price, {limit:.6g}",
        "more demand, or a lower price",
    )
    SPARE = (
        "not needed: what is cheaper than its price, {limit:.6g}, is enough",
        "more demand, or a lower price",
    )

    # What time says
    RAMP = (
        "rising to {limit:.6g} W",
        "a moment, or a steeper ramp",
    )
    UNCONFIRMED = (
        "waits until the sources have confirmed {limit:.6g} W",
        "a moment: the sources have to answer the request",
    )
    OLD_GRANTS = (
        "waits until others draw no more than they may",
        "a moment: the others' meters have to fall, or 500 ms have to pass",
    )
    DEAD_BAND = (
        "the change to {limit:.6g} W is too small while it moves",
        "a moment without change, or a larger one",
    )
    REVERSAL = (
        "waits 2 s before its direction reverses",
        "a moment",
    )

    # What went wrong
    ABSENT = ("not connected", "the device has to connect")
    CIRCLE = (
        "another router offers power: none is passed on, or it might flow in a circle",
        "no router may offer power while this one wants some",
    )
    LEAVING = ("it is leaving: nothing may flow", "the device has to come back")
    ISOLATION = (
        "isolation fault: nothing may flow until it has been clean for a minute",
        "the fault has to be mended; an operator may clear it, or a minute without fault does",
    )
    COOLDOWN = (
        "cooling down after a shutdown: {by}",
        "{limit:.3g} s from the shutdown have to pass",
    )

    def __init__(self, text: str, more: str) -> None:
        self.text = text
        self.more = more
