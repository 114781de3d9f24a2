"""The keys of the program itself: who it is, whom it believes and dials, what it shows and keeps.

See `epnet.config.keys`.
"""

from __future__ import annotations

from typing import Final

from epnet.config.kinds import Choice, Endpoint, File, Number, Place, Several, Store, Text
from epnet.config.model import (
    ROUTER,
    Believed,
    Called,
    Dialled,
    Ourselves,
    Page,
    Recorded,
    makeBounding,
)
from epnet.config.tables import Table, key
from epnet.limits import ConnectionLimits, SessionSettings
from epnet.trust.sources import POLICIES

OURSELVES: Final = Table(
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

TRUST: Final = Table(
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

UPSTREAM: Final = Table(
    "[upstream]",
    "Who is above us.  A router is a device to its upstream routers, one at a time: the first of "
    "them that leads to a root (:doc:`/explanation/streets`).",
    (
        key(
            Dialled,
            "hosts",
            Several(Place()),
            "Upstream devices, or peers, to dial, each `[IDENTITY@]HOST[:PORT]`; of routers the "
            "most preferred first.",
            default="nobody",
            atStart=True,
        ),
        key(
            Dialled,
            "identities",
            Several(Text()),
            "Upstream routers that dial us, the most preferred first; they come after `hosts`.",
            default="nobody",
            atStart=True,
            roles=[ROUTER],
        ),
    ),
    Dialled,
)

DOWNSTREAM: Final = Table(
    "[downstream]",
    "Who is below us and does not dial.",
    (
        key(
            Called,
            "hosts",
            Several(Place()),
            "Routers to dial, each `[IDENTITY@]HOST[:PORT]`, that have us among their upstream "
            "`identities`.",
            default="nobody",
            atStart=True,
        ),
    ),
    Called,
)

HTTP: Final = Table(
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

HISTORY: Final = Table(
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

LIMITS: Final = Table(
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
            ConnectionLimits,
            "unvouched",
            Number(whole=True),
            "Devices remembered under trust `open`; beyond, new names displace old ones.",
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
