"""The keys of policies: see `epnet.config.keys`."""

from __future__ import annotations

from typing import Final

from epnet.config.kinds import Choice, Number, Several, Text
from epnet.config.model import Policing, makePolicing
from epnet.config.tables import Named, Table, key, table
from epnet.router.policy import DevicePolicy, NetworkPolicy, RemotePolicy
from epnet.router.terms import Group

_NETWORK: Final = Table(
    "[policy.network]",
    "What holds for the whole local network (EnergyNet §2.4).",
    (
        key(
            NetworkPolicy,
            "max_import_w",
            Number("W"),
            "The most from the outside, sides B and C together.",
        ),
        key(NetworkPolicy, "max_export_w", Number("W"), "The most to the outside."),
        key(
            NetworkPolicy,
            "min_soc",
            Number("%"),
            "The charge that storage keeps, over all by "
            "capacity, unless it is needed for what must be served.",
        ),
        key(
            NetworkPolicy,
            "reserve",
            Number(),
            "The part of the largest source that is left free for its loss.",
        ),
        key(
            NetworkPolicy,
            "currency",
            Text(),
            "Of all prices; a forecast in another one counts as no price.",
            default="that of the devices' forecasts, if they agree",
        ),
        key(
            NetworkPolicy,
            "fee",
            Number(),
            "Added to the price of all power that anyone receives, per kWh.",
        ),
    ),
    NetworkPolicy,
)

_DEVICE: Final = Table(
    "[policy.device.IDENTITY]",
    "What holds for one device.",
    (
        key(DevicePolicy, "min_soc", Number("%"), "Below this charge its storage gives nothing."),
        key(DevicePolicy, "max_soc", Number("%"), "Above this charge its storage takes nothing."),
        key(DevicePolicy, "max_w", Number("W"), "The most it takes or gives."),
        key(DevicePolicy, "derating", Number(), "The part of its port's power that it may use."),
    ),
    DevicePolicy,
)

_GROUP: Final = Table(
    "[[policy.group]]",
    "A cap that ports share, such as that of a feeder.  It holds for what the members take "
    "together and for what they give together.  Groups may nest and overlap.",
    (
        key(Group, "name", Text(), "Its name."),
        key(
            Group,
            "max_w",
            Number("W", 0.0, 1e12),
            "The most that its members take, or give, together.",
        ),
        key(Group, "members", Several(Text()), "Identities of devices, and names of groups."),
        key(
            Group,
            "direction",
            Choice(),
            "Whether it holds for what they give (`import`), take (`export`), or each.",
        ),
    ),
    Group,
)

_REMOTE: Final = Table(
    "[[policy.remote]]",
    "What holds for the networks of one tenant, as their certificate says it.",
    (
        key(RemotePolicy, "tenant", Text(), 'Whose; "*" for all that no other table names.'),
        key(
            RemotePolicy,
            "access",
            Choice(),
            "Which way power may go, to (`export`) and from (`import`) them.",
        ),
        key(
            RemotePolicy,
            "priority",
            Number(whole=True),
            "Their class as a consumer, the higher first.",
        ),
        key(RemotePolicy, "max_w", Number("W"), "The most each way, for each of their routers."),
        key(
            RemotePolicy,
            "price",
            Number(),
            "What is asked of them, per kWh; they get only power that costs no more.",
            default="our own price",
        ),
    ),
    RemotePolicy,
)

POLICY: Final = Table(
    "[policy]",
    "Where policies come from besides this file.",
    (
        key(
            Policing,
            "source",
            Text(),
            "The name of a policy source that is installed (:doc:`/howto/policy-source`).",
            default="this file alone",
            atStart=True,
        ),
        table("network", _NETWORK),
        table("device", Named(_DEVICE)),
        table("group", Several(_GROUP)),
        table("remote", Several(_REMOTE)),
    ),
    makePolicing,
)
