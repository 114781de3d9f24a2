"""Routers that the test plays: they say what it makes them say, and do what it makes them do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from twisted.logger import Logger
from zope.interface import implementer

from epnet.connections import Connections
from epnet.factory import EPClientFactory, EPServerFactory
from epnet.interfaces import ILink, INode
from epnet.lifecycle import Ending
from epnet.wire import DemandParameters, Message, SessionParameters, SupplyParameters
from tests.street.cables import CABLE_VOLTS, Cable
from tests.street.lines import BelievingTrust, Line, keepDialled, steadyBackoff
from tests.street.street import CABLE_PORT, House, Street


@implementer(INode)
class Puppet:
    """A peer of a house whose words are the test's.

    says: gives the messages to send, whenever it is time.
    terminal: its end of the cable; what it does there is the test's too.
    links: its open sessions.
    heard: the newest message of each kind.
    """

    log = Logger()

    def __init__(
        self,
        street: Street,
        identity: str,
        house: House,
        *,
        dials: bool = True,
        tenant: str | None = None,
    ) -> None:
        clock = street.clock
        self.parameters = SessionParameters(identity=identity, type="router", tenant=tenant)
        self.says: Callable[[], Sequence[Message]] = lambda: ()
        self.links: list[ILink] = []
        self.heard: dict[type[Message], Message] = {}
        self.endings: list[str] = []
        cable = Cable(clock, CABLE_PORT.max_power)
        theirs, self.terminal = cable.ends
        house.terminals[identity] = theirs
        house.settings.setdefault(identity, CABLE_PORT)
        self.connections = Connections(self, clock)
        self.connections.startService()
        trust = BelievingTrust()
        if dials:
            factory = EPClientFactory(self.connections, trust, backoff=steadyBackoff())  # type: ignore[arg-type]
            self.line = Line(clock, house.door)
        else:
            factory = EPClientFactory(
                house.connections,
                house.trust,  # type: ignore[arg-type]
                identity=identity,
                backoff=steadyBackoff(),
            )
            self.line = Line(clock, EPServerFactory(self.connections, trust))  # type: ignore[arg-type]
        keepDialled(self.line, factory).startService()

    def does(self, import_w: float = 0.0, export_w: float = 0.0) -> None:
        """Take so much in from the house, or give it out to it, permitted or not."""
        self.terminal.close()
        self.terminal.setLimits(import_w, export_w, 1e9)

    # INode

    def sessionOpened(self, link: ILink) -> None:
        self.links.append(link)

    def messageReceived(self, link: ILink, message: Message) -> None:
        self.heard[type(message)] = message

    def publications(self, link: ILink) -> Iterable[Message]:
        return self.says()

    def advance(self, now: float) -> None:
        pass

    def draining(self, link: ILink) -> None:
        pass

    def sessionClosed(self, link: ILink, ending: Ending) -> None:
        self.links.remove(link)
        self.endings.append(ending.reason)


def offering(power_w: float, flowing_w: float = 0.0) -> SupplyParameters:
    """A Supply of so much."""
    return SupplyParameters(
        voltage_limit=(200, 1000),
        power_limit=power_w,
        current_limit=(0, power_w / CABLE_VOLTS),
        voltage=CABLE_VOLTS,
        current=flowing_w / CABLE_VOLTS,
    )


def wanting(power_w: float) -> DemandParameters:
    """A Demand for so much."""
    return DemandParameters(
        voltage=CABLE_VOLTS,
        voltage_limit=1000,
        power_limit=power_w,
        current_limit=power_w / CABLE_VOLTS,
    )
