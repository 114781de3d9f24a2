"""What the log tells of each connection: who, with which certificate, and how it ended.

The life of a session is two lines, found by its address::

    router: session with car (vehicle) at 192.0.2.7:47148 open; certificate
        sha256:22c79b215b82cefa… until 2028-12-15
    router: session with car at 192.0.2.7:47148 over after 3:12:05 in a transfer, lost: silent for
        204 ms in a transfer

A connection that never came so far is one line, with the certificate that was refused, if any::

    router: connection from 192.0.2.9:40112 refused: its certificate has expired; certificate
        sha256:188e56586448dcb0… until 2026-01-02 for 'ev-2'

Each event carries the same as data: `us`, `address`, `peer`, `certificate`, `ending`; and
`security`, which is true where somebody was not believed or broke the rules.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from epnet.handshake import CertificateRefused, concernsTrust
from epnet.identity import CertificateIdentity
from epnet.lifecycle import Cause, Ending
from epnet.tls import presentedCertificate

if TYPE_CHECKING:
    from epnet.identity import Peer
    from epnet.protocol import EPProtocol

_log = Logger()


def tellOpened(protocol: EPProtocol, peer: Peer) -> None:
    """A session is open."""
    _log.info(
        "{us}: session with {peer.identity} ({type}) at {address} open; {about}",
        us=_us(protocol),
        peer=peer,
        type=peer.parameters.type or "of no type",
        address=protocol.address,
        certificate=peer.certificate,
        about=peer.certificate.brief if peer.certificate else "no certificate",
    )
    if not peer.authenticated:
        _log.critical(
            "NOBODY VOUCHES for {peer.identity} at {address}: it may be anyone",
            peer=peer,
            address=protocol.address,
            security=True,
        )


def tellEnded(protocol: EPProtocol, ending: Ending, failure: Failure | None) -> None:
    """A conversation is over.

    failure: why the connection was lost, if that is what ended it.
    """
    if ending.wasOpen:
        _tellSessionOver(protocol, ending, failure)
    else:
        _tellNoSession(protocol, ending, failure)


def _tellSessionOver(protocol: EPProtocol, ending: Ending, failure: Failure | None) -> None:
    unwanted = ending.cause in (Cause.LOST, Cause.REFUSED)
    _log.emit(
        LogLevel.warn if unwanted else LogLevel.info,
        "{us}: session with {peer.identity} at {address} over after {lasted}{where}, {cause}: "
        "{ending.reason}",
        us=_us(protocol),
        peer=protocol.peer,
        address=protocol.address,
        lasted=timedelta(seconds=round(protocol.openFor())),
        where=" in a transfer" if ending.inTransfer else "",
        cause=ending.cause.value,
        certificate=protocol.peer.certificate,
        ending=ending,
        security=ending.cause is Cause.REFUSED or _isAboutTrust(failure),
    )


def _tellNoSession(protocol: EPProtocol, ending: Ending, failure: Failure | None) -> None:
    # What ends it otherwise is that somebody hangs up, or that we stop.
    refused = ending.cause in (Cause.REFUSED, Cause.PEER_LEFT) or (
        ending.cause is Cause.LOST and (failure is None or _isAboutTrust(failure))
    )
    dials = protocol.factory.dials
    certificate, whose = _certificateOf(protocol, failure)
    _log.emit(
        LogLevel.warn if refused or dials else LogLevel.info,
        "{us}: connection {direction} {address} {outcome}: {ending.reason}{about}",
        us=_us(protocol),
        direction="to" if dials else "from",
        address=protocol.address,
        outcome="refused" if refused else "over",
        certificate=certificate,
        about=f"; {whose}{certificate}" if certificate else "",
        ending=ending,
        security=refused,
    )


def _us(protocol: EPProtocol) -> str:
    identity: str = protocol.factory.node.parameters.identity
    return identity


def _isAboutTrust(failure: Failure | None) -> bool:
    return failure is not None and concernsTrust(failure)


def _certificateOf(
    protocol: EPProtocol, failure: Failure | None
) -> tuple[CertificateIdentity | None, str]:
    """The certificate that was refused, or else the one that was shown; and whose it is."""
    if failure is not None and isinstance(failure.value, CertificateRefused):
        return failure.value.certificate, "its authority's " if failure.value.depth else ""
    return presentedCertificate(protocol.transport), ""
