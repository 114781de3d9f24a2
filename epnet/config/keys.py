"""The table of all configuration keys: what may stand in a file, declared once.

The reader, its hints, and the reference in the documentation come from here.  Ranges, words and
defaults are those of the classes that the values end up in, which each key names with `of`.
"""

from __future__ import annotations

from typing import Final

from epnet.config.kinds import (
    Choice,
    Endpoint,
    File,
    Number,
    Place,
    Several,
    Store,
    Text,
    Window,
)
from epnet.config.model import (
    CLIENT,
    PEER,
    ROUTER,
    Believed,
    Dialled,
    Ourselves,
    Page,
    Policing,
    Recorded,
    makeBounding,
    makeConfiguration,
    makePolicing,
    makePort,
)
from epnet.config.tables import Named, Table, key, later, table, tablesIn
from epnet.limits import ConnectionLimits, SessionSettings
from epnet.router.losses import Loss
from epnet.router.policy import DevicePolicy, NetworkPolicy, RemotePolicy
from epnet.router.settings import PortSettings
from epnet.router.terms import Group
from epnet.trust.sources import POLICIES

_ROUTER: Final = Table(
    "[router]",
    "Who we are and where we listen: the router, or the device where another plugin is started.",
    (
        key(
            Ourselves,
            "identity",
            Text(),
            "Our identity; the certificate must say the same.",
            default="from `certificate`, or the host's name and what we are",
            atStart=True,
        ),
        key(Ourselves, "name", Text(), "Our name for people.", default="what we are", atStart=True),
        key(
            Ourselves,
            "tenant",
            Text(),
            "Whose we are; the certificate must not say otherwise.",
            atStart=True,
        ),
        key(Ourselves, "provider", Text(), "Who provides for us; likewise.", atStart=True),
        key(
            Ourselves,
            "certificate",
            File(),
            "Our certificate, PEM.",
            default="the state directory's",
        ),
        key(Ourselves, "key", File(), "Its private key, PEM.", default="the state directory's"),
        key(
            Ourselves,
            "listen",
            Several(Endpoint()),
            "Where to listen, with TLS on top.",
            default="port 56540 on all interfaces",
            atStart=True,
        ),
        key(
            Ourselves,
            "publish_hz",
            Number("Hz"),
            "How often we say what we have to say outside "
            "transfers; in a transfer it is 20 Hz or more.",
        ),
    ),
    Ourselves,
)

_TRUST: Final = Table(
    "[trust]",
    "Whom we believe.",
    (
        key(
            Believed,
            "policy",
            Choice(POLICIES),
            "Whom to trust: who has a certificate of an "
            "authority, the listed devices, or everyone.",
            default='"authority"',
        ),
        key(
            Believed,
            "authorities",
            Several(File()),
            "Certificates of authorities, PEM.",
            default="the state directory's",
        ),
        key(
            Believed,
            "devices",
            File(),
            "The list of trusted devices.",
            default="the state directory's",
        ),
        key(
            Believed,
            "crl",
            File(),
            "Revocation lists, PEM.",
            default="the state directory's, if any",
        ),
    ),
    Believed,
)

_LOSS: Final = Table(
    "loss",
    "What a conversion of x W loses: `linear`·x + `quadratic`·x² W.",
    (
        key(Loss, "linear", Number(low=0.0, high=1.0), "Share that is lost."),
        key(Loss, "quadratic", Number("1/W", 0.0, 1.0), "What grows with the square."),
    ),
    Loss,
)

_PORT: Final = Table(
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
            "What its power costs, per kWh.",
            default="the device's forecast",
        ),
        key(
            PortSettings,
            "ramp_w_s",
            Number("W/s"),
            "How fast its power may rise.",
            default="all of it in 1 s",
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
            "What is asked of them, per kWh.",
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

_UPSTREAM: Final = Table(
    "[upstream]",
    "Whom to dial.",
    (
        key(
            Dialled,
            "hosts",
            Several(Place()),
            "Upstream devices or peers, each `[IDENTITY@]HOST[:PORT]`.",
            default="nobody",
            atStart=True,
        ),
        later("side", "the port of an upstream router is on side C"),
    ),
    Dialled,
)

_HTTP: Final = Table(
    "[http]",
    "The live page, the state and the metrics.",
    (
        key(
            Page,
            "listen",
            Endpoint(),
            "Where they are.",
            default='"tcp:56541:interface=127.0.0.1"',
            atStart=True,
        ),
        key(
            Page,
            "tls_certificate",
            File(),
            "Certificate for HTTP, PEM; beyond loopback there has to be one.",
            default="no TLS",
            atStart=True,
        ),
        key(Page, "tls_key", File(), "Its private key, PEM.", default="none", atStart=True),
        key(
            Page,
            "token_file",
            File(),
            "Who may use HTTP, a line `NAME TOKEN` each; beyond loopback there has to be one.",
            default="everybody on this host",
            atStart=True,
        ),
    ),
    Page,
)

_HISTORY: Final = Table(
    "[history]",
    "What is kept of the past.",
    (
        key(
            Recorded,
            "url",
            Store(),
            "Where: `sqlite:///FILE`, a relative one below the state directory; empty for nowhere.",
            default='"sqlite:///history.db"',
            atStart=True,
        ),
        key(
            Recorded,
            "keep_days",
            Number("days"),
            "How long anything is kept at all.",
            default="3650",
            atStart=True,
        ),
    ),
    Recorded,
)

_LIMITS: Final = Table(
    "[limits]",
    "How many may connect, and the times and limits of a session.",
    (
        key(ConnectionLimits, "connections", Number(whole=True), "Sessions with validated peers."),
        key(
            ConnectionLimits,
            "per_address",
            Number(whole=True),
            "The same from one address.",
            field="perAddress",
        ),
        key(
            ConnectionLimits,
            "strangers",
            Number(whole=True),
            "Connections whose peer is not validated yet; the oldest makes room.",
        ),
        key(
            SessionSettings,
            "handshake_s",
            Number("s"),
            "The time for the TLS handshake.",
            field="handshake",
        ),
        key(
            SessionSettings,
            "session_s",
            Number("s"),
            "The time for the peer to say who it is.",
            field="greeting",
        ),
        key(
            SessionSettings,
            "idle_s",
            Number("s"),
            "The longest silence outside transfers.",
            field="idleLoss",
        ),
        key(
            SessionSettings,
            "max_payload",
            Number("bytes", whole=True),
            "The largest payload that is accepted.",
            field="maxPayload",
        ),
    ),
    makeBounding,
)

ROOT: Final = Table(
    "",
    "The whole file.",
    (
        table("router", _ROUTER),
        table("trust", _TRUST),
        table("ports", Named(_PORT), roles=[ROUTER]),
        table("policy", POLICY, roles=[ROUTER]),
        table("upstream", _UPSTREAM, roles=[ROUTER, CLIENT, PEER]),
        table("http", _HTTP, roles=[ROUTER]),
        table("limits", _LIMITS),
        table("history", _HISTORY, roles=[ROUTER]),
    ),
    makeConfiguration,
)

TABLES: Final = tuple(tablesIn(ROOT))[1:]
"""Every table that there is, in the order of the reference."""


def _places() -> dict[str, list[str]]:
    places: dict[str, list[str]] = {}
    for each in TABLES:
        for row in each.keys:
            places.setdefault(row.name, []).append(each.title)
    return places


PLACES: Final = _places()
"""In which tables each key may stand."""
