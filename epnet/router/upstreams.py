"""Which routers may be above us, as the configuration says it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from epnet.interfaces import ILink


class IDials(Protocol):
    """What dials one router, as `epnet.factory.EPClientFactory` does."""

    @property
    def peerIdentity(self) -> str | None:
        """Who answers there, as far as that is known."""


class Upstreams:
    """The routers that may be above us, the most preferred first.

    identities: of those that dial us; they come after those that we dial.
    dialled: what dials the others.
    """

    def __init__(self, identities: Sequence[str] = ()) -> None:
        self.identities = tuple(identities)
        self.dialled: list[IDials] = []

    @property
    def any(self) -> bool:
        """Whether there are any, connected or not."""
        return bool(self.dialled or self.identities)

    def preference(self, link: ILink) -> int | None:
        """Its place in the order of preference, the lower the better; None for any other link.

        Whoever dialled us is believed by its certificate alone.
        """
        if not (link.dialled or link.peer.authenticated):
            return None
        identity = link.peer.identity
        order = [*(each.peerIdentity for each in self.dialled), *self.identities]
        return order.index(identity) if identity in order else None
