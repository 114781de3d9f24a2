"""The roles and every plug point of epnet, as zope interfaces.

How the pieces stand to one another::

    IDevice --- what is offered, wanted, stored; how it shuts down
       |
     INode  --- what stands behind our end of the sessions: a device, or a router
       |
     ILink  --- one open session as its node sees it (`epnet.protocol.EPProtocol`)
       |
     IRole  --- how connections come about: `IClient` dials, `IServer` listens, `IPeer` does both

Powers are watts at the device's terminals and never negative: direction is in the name.  *draw* is
power into the device, *supply* is power out of it; on a router's port *import* is power into the
router, *export* is power out of it.  Times are seconds of the one `IReactorTime` clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs
from twisted.internet.interfaces import IProtocolFactory
from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint, ITransport
    from twisted.protocols.tls import TLSMemoryBIOFactory
    from twisted.python.failure import Failure

    from epnet.identity import Peer
    from epnet.lifecycle import Ending
    from epnet.protocol import EPProtocol
    from epnet.router.policy import Policies
    from epnet.wire import (
        DemandParameters,
        Message,
        SessionParameters,
        StorageParameters,
        SupplyParameters,
    )


@attrs.frozen
class Limits:
    """What a device may do at its terminals, until it expires.

    draw_w: most power it may draw, in W, 0 or more.
    supply_w: most power it may supply, in W, 0 or more.
    expires: when the permission ends, in seconds of the device's clock.  A driver for real
        equipment enforces it by itself, outside this process: a process that hangs cannot ramp
        anything down (wire-profile S12).
    """

    draw_w: float
    supply_w: float
    expires: float


@attrs.frozen
class Reading:
    """What a meter measured at a device's terminals.

    voltage_v: in V, 0 or more.
    draw_w, supply_w: in W, 0 or more, at most one of them above 0.
    """

    voltage_v: float
    draw_w: float
    supply_w: float


class IDevice(Interface):
    """What a device offers, wants and stores, and how it stops.

    The contract; `epnet.testing.DeviceContract` tests it:

    1. The four questions (`supply`, `demand`, `storage`, `reading`) are asked up to 20 times a
       second and answer at once from what is known; they never block.
    2. Power flows only by permission: none before the first `setLimits`, and never more than the
       newest one allows.  A lower permission is followed within 100 ms.
    3. A permission ends by itself: 100 ms after it expired nothing flows any more, without anyone
       calling.  For real equipment the driver enforces that outside this process, since a process
       that hangs cannot ramp anything down (wire-profile S12).
    4. `shutDown` is the controlled shutdown (Framing §5.1): to zero within 100 ms, and the
       contactor opens at near-zero current (1 % of the rating), at the latest after 500 ms,
       whatever flows.  It is never refused, and harmless if nothing flows or if it comes twice.
    5. What was permitted before a shutdown is worth nothing after it.  Only a new `setLimits` with
       power above zero starts another transfer, from zero.
    """

    type = Attribute("What it is, for Session Parameters `type`: 'solar', 'vehicle', …")
    version = Attribute("Its version, '<major>.<minor>', for Session Parameters `version`.")
    name = Attribute("Its name for people, for Session Parameters `name`.")
    rating_w = Attribute("The most power it can ever draw or supply, in W, above 0.")

    def supply() -> SupplyParameters | None:
        """What it could supply now (Messages §4.4), or None when it never supplies."""

    def demand() -> DemandParameters | None:
        """What it would like to draw now (Messages §4.5), or None when it never draws."""

    def storage() -> StorageParameters | None:
        """What it stores (Messages §4.6), or None when it stores nothing."""

    def reading() -> Reading:
        """What its own meter measures now."""

    def setLimits(limits: Limits) -> None:
        """Take the newest permission; it replaces the one before.

        Called up to 150 times a second: upon each message and about every 20 ms.  The device
        follows a lower limit at once, ramps up to a higher one, and ramps to zero by itself when
        the permission expires without a newer one.
        """

    def shutDown(reason: str) -> None:
        """Run the controlled shutdown now: the transfer was lost or the peer left.

        reason: why, in an operator's words.
        """


class IDeviceMaker(Interface):
    """A Twisted plugin that makes devices of one kind for ``--device KIND:key=value,…``."""

    kind = Attribute("The word for KIND on the command line.")
    description = Attribute("One line for the help text.")

    def makeDevice(clock: IReactorTime, options: Mapping[str, str]) -> IDevice:
        """Make a device from the options as written.

        Raises `epnet.errors.UsageError` for an option that is unknown or has a bad value.
        """


class IPort(Interface):
    """A router port's power electronics: what actuates and meters (EnergyNet §2.1).

    The contract; `epnet.testing.ConverterContract` tests it:

    1. All four methods are called many times a second and return at once; they never block.
    2. Power flows only through a closed contactor, and never more than the newest limits allow.  It
       starts open.  A lower limit is followed within 100 ms.
    3. Limits end by themselves: 100 ms after they expired nothing flows any more, without anyone
       calling.  For real equipment the driver enforces that outside this process, since a process
       that hangs cannot ramp anything down (wire-profile S12).
    4. `open` goes to zero within 100 ms, and the contactor opens at near-zero current, at the
       latest after 500 ms, whatever flows.  It is never refused, and harmless if it comes twice.
    5. What was allowed before it opened is worth nothing after it has closed again.

    One that an installer names (``converter`` in ``[ports]``) is guarded: an error in any of them
    opens the port for a minute, and harms no other.  In a program of one's own,
    `epnet.router.drivers.GuardedConverter` does that.
    """

    def setLimits(import_w: float, export_w: float, expires: float) -> None:
        """Let up to this much power in from the device and out to it, in W, until `expires`.

        At most one of the two is above 0; `expires` is s of the clock that it was made with.
        """

    def close() -> None:
        """Close the contactor: power can flow.  Said before limits above 0, however often."""

    def open() -> None:
        """Ramp to zero, then open the contactor: no power can flow."""

    def reading() -> PortReading | None:
        """What the port's meter measures now, or None when it has no meter."""


@attrs.frozen
class PortReading:
    """What a port's meter measured: V, and W into (import) or out of (export) the router.

    voltage_v: on the cable to the device, also while the contactor is open; 0 if that is not known.
    estimated: whether it is an estimate, for want of a meter.
    """

    voltage_v: float
    import_w: float
    export_w: float
    estimated: bool = False


class IPolicySource(Interface):
    """Where a router's policies come from besides its configuration file (EnergyNet §2.4).

    A Twisted plugin that is chosen by ``source`` in ``[policy]``, or given to
    `epnet.config.policies.PolicyKeeper` in code.
    """

    name = Attribute("The word for it in the configuration.")

    def start(clock: IReactorTime, changed: Callable[[], None]) -> None:
        """The router starts: from now on call `changed` when `policies` has a new answer.

        That is for now and then, not for every second: each new answer is written to disk.
        """

    def stop() -> None:
        """The router stops."""

    def policies(configured: Policies) -> Policies | None:
        """What holds now, all of it; asked when something has changed, and never blocks.

        configured: what the configuration file says, to build on or to replace.
        None if that is not known yet: then what held last goes on.
        """


class ILink(Interface):
    """One open session, as the node behind it sees it."""

    peer: Peer = Attribute("The validated peer, an `epnet.identity.Peer`.")
    dialled: bool = Attribute("Whether our end dialled it.")

    def supply() -> SupplyParameters | None:
        """The peer's Supply, if it is fresh and good as consent (wire-profile S5), else None."""

    def demand() -> DemandParameters | None:
        """The peer's Demand, if it is fresh and good as consent (wire-profile S5), else None."""

    def consentExpires(kind: type[Message]) -> float:
        """When the peer's newest message of that kind stops being consent, in s."""

    def latest(kind: type[Message]) -> Message | None:
        """The peer's newest message of that kind, however old: to show, never to act on."""

    def publishNow() -> None:
        """Send the node's messages at once instead of at the next regular time."""

    def setTransferring(ongoing: bool) -> None:
        """Say whether a transfer is ongoing: 20 Hz and the 200 ms rule, or not."""

    def disconnect(reason: str, reconnect: bool | None = None) -> None:
        """End the session on purpose: drain the transfer, Soft Disconnect, close (S10)."""


class INode(Interface):
    """What stands behind our end of every session: one device, or a router."""

    parameters = Attribute("The `epnet.wire.SessionParameters` we present.")

    def sessionOpened(link: ILink) -> None:
        """Both sides are validated; the link is ready for messages."""

    def messageReceived(link: ILink, message: Message) -> None:
        """A Supply, Demand, Storage or unknown message arrived.  Must be quick."""

    def publications(link: ILink) -> Iterable[Message]:
        """The messages to send on this link now, newest values."""

    def advance(now: float) -> None:
        """Time has passed (called about every 20 ms): act on what expired."""

    def draining(link: ILink) -> None:
        """The session is about to be closed on purpose: bring its transfer to zero."""

    def sessionClosed(link: ILink, ending: Ending) -> None:
        """The session is over.  A transfer on it is shut down before this returns."""


class IRole(IProtocolFactory):
    """How a device takes part in connections (Ethernet/TCP §2): a protocol factory."""

    node = Attribute("The `INode` behind the connections.")
    trust = Attribute("The `ITrust` policy for the connections.")

    def authenticate(parameters: SessionParameters, protocol: EPProtocol) -> Peer:
        """Validate the peer of a connection (wire-profile S3).

        Raises `epnet.errors.PeerError` whose text is fit for the log and a Soft Disconnect.
        """

    def sessionEnded(protocol: EPProtocol, ending: Ending) -> None:
        """A conversation is over, whether or not its session had been opened."""

    def disconnected(protocol: EPProtocol) -> None:
        """The connection of a protocol is gone."""


class IClient(IRole):
    """Dials an upstream device and keeps the connection up."""

    def expected() -> str | None:
        """The identity the upstream device must show, None for any that is trusted."""

    def redialDelay() -> float:
        """Seconds to wait before dialling again after how the last attempt ended (M3)."""


class IServer(IRole):
    """Accepts connections from downstream devices."""


class IPeer(IClient, IServer):
    """Both dials and listens; both ends are equal."""


class ITrust(Interface):
    """A trust policy (Framing §2, wire-profile *Trust policies*)."""

    def authenticate(
        parameters: SessionParameters, transport: ITransport, *, expected: str | None
    ) -> Peer:
        """Hold Session Parameters against the certificate of the connection.

        Raises `epnet.errors.PeerError` whose text is fit for the log and a Soft Disconnect.
        """

    def serverFactory(
        wrapped: IProtocolFactory, *, clock: IReactorTime | None = None
    ) -> TLSMemoryBIOFactory:
        """Put TLS 1.3 under a factory that listens.

        clock: decides when collected writes leave; None for the reactor.
        """

    def clientFactory(
        wrapped: IProtocolFactory,
        hostname: str | None = None,
        *,
        clock: IReactorTime | None = None,
    ) -> TLSMemoryBIOFactory:
        """Put TLS 1.3 under a factory that dials; see `clientEndpoint` and `serverFactory`."""

    def clientEndpoint(
        endpoint: IStreamClientEndpoint, hostname: str | None
    ) -> IStreamClientEndpoint:
        """Put TLS 1.3 on an endpoint to dial.

        hostname: the DNS name or IP address the certificate must match, None for no such check.
        """

    def describeFailure(failure: Failure) -> str:
        """Why a connection failed or was lost, in an operator's words."""


@attrs.frozen
class Sample:
    """What was known of one device in one second.

    time: s since 1970, UTC.
    values: by the names of the fields: finite numbers.
    """

    time: int
    device: str
    values: Mapping[str, float]


@attrs.frozen
class Span:
    """The values of one device over some time: how many seconds, their mean, least and most.

    time: when the span begins, s since 1970, UTC.
    values: by field: ``(mean, least, most)``.
    """

    time: int
    values: Mapping[str, tuple[float, float, float]]


class IHistoryStore(Interface):
    """Where the history of a router is kept (`epnet.observe.history` feeds it).

    A store is used from one thread of its own, where it may take its time, and where it opens what
    it needs when it is first used.  What it raises counts as "cannot now": it is closed, and used
    again later with the same samples.
    """

    def write(samples: Sequence[Sample]) -> None:
        """Keep the samples, all or none of them, and let go of what is too old."""

    def devices() -> list[str]:
        """The devices of which there is a history."""

    def read(
        device: str, fields: Sequence[str], start: int, end: int, step: int, most: int
    ) -> list[Span]:
        """The first `most` spans with values from `start` until before `end`, oldest first.

        fields: which ones; empty for all.
        step: how long a span is, s; spans that are kept only in longer pieces come in those.
        """

    def close() -> None:
        """Let go of everything that is open; a later use opens it again."""
