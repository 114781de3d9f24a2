"""Whom a node remembers of those that nobody vouches for (trust policy ``open``).

A port stays when its device goes.  Where certificates vouch for identities, whoever issues them
says how many there can be; under ``open`` anybody may come under one new name after another.  So
there is a bound to how many devices are known.  Beyond it, who comes under a new name:

1. takes the place of the first one that came, has gone, and of which nothing would be missed; or
2. is refused where there is none.  Energy that was metered is never forgotten.

Whoever is known already gets in, and so does everybody that somebody vouches for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, TypeVar

from epnet.router.portmaker import PortRefused

if TYPE_CHECKING:
    from epnet.identity import Peer
    from epnet.router.accounts import Accounts
    from epnet.router.baseport import BasePort
    from epnet.router.ports import Port

P = TypeVar("P", bound="BasePort")


def whoMakesRoom(peer: Peer, known: Collection[str], most: int, gone: Iterable[P]) -> P | None:
    """The port that is to be forgotten for a device that has none yet, if one has to be.

    known: the identities that are remembered.
    most: how many that may be.
    gone: the ports of which nothing would be missed, the first one first.
    Raises `PortRefused` if none can be forgotten.
    """
    if peer.authenticated or peer.identity in known or len(known) < most:
        return None
    for port in gone:
        return port
    raise PortRefused(
        f"we know {len(known)} devices, as many as we take while nobody vouches for a new one"
    )


def forgotten(
    peer: Peer, ports: dict[str, Port], accounts: Accounts, most: int, now: float
) -> Port | None:
    """Forget a port of a router, with its account, to make room as `whoMakesRoom` says."""
    known = ports.keys() | accounts.byPort.keys()
    gone = (
        port
        for port in ports.values()
        if port.isForgettable(now) and accounts.isForgettable(port.identity)
    )
    port = whoMakesRoom(peer, known, most, gone)
    if port is not None:
        del ports[port.identity]
        accounts.forget(port.identity)
    return port
