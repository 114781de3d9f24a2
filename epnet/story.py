"""What the log tells of each connection: who, with which certificate, and how it ended.

The life of a session is two lines, found by its address::

    router: session with car (vehicle) at 192.0.2.7:47148 open; certificate
        sha256:22c79b215b82cefa… until 2028-12-15
    router: session with car at 192.0.2.7:47148 over after 3:12:05 in a transfer, lost: silent for
        204 ms

A connection that never came so far is one line, with the certificate that was refused, if any::

    router: connection from 192.0.2.9:40112 refused: its certificate has expired; certificate
        sha256:188e56586448dcb0… until 2026-01-02 for 'ev-2'

Of those who come to our door without a session, or with one that nobody vouches for, only a few in
ten seconds have a line; the others are counted (`epnet.door`), so that who knocks often cannot fill
the log.

Each event carries the same as plain values: `us`, `event` (``opened``, ``over``, ``refused``),
`identity`, `address`, `fingerprint`, `expires`, `cause`, `reason`, `inTransfer`, `seconds`; and
`security`, which is true where somebody was not believed or broke the rules.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from epnet.handshake import CertificateRefused, concernsTrust
from epnet.identity import CertificateIdentity
from epnet.lifecycle import Cause, Ending
from epnet.securitylog import securityLog
from epnet.tls import presentedCertificate

if TYPE_CHECKING:
    from epnet.identity import Peer
    from epnet.protocol import EPProtocol

_log = Logger()


def tellOpened(protocol: EPProtocol, peer: Peer) -> None:
    """A session is open."""
    protocol.hasLines = _mayTell(protocol, vouched=peer.authenticated)
    if not protocol.hasLines:
        return
    _tell(
        protocol,
        LogLevel.info,
        "session with {identity} ({type}) at {address} open; {about}",
        event="opened",
        identity=peer.identity,
        type=_shown(peer.parameters.type or "of no type"),
        about=peer.certificate.brief if peer.certificate else "no certificate",
        **_fields(peer.certificate),
    )
    if not peer.authenticated:
        _tell(
            protocol,
            LogLevel.critical,
            "NOBODY VOUCHES for {identity} at {address}: it may be anyone",
            identity=peer.identity,
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
    if not _mayTell(protocol, vouched=protocol.hasLines):
        return
    seconds = protocol.openFor()
    _tell(
        protocol,
        LogLevel.warn if ending.cause in (Cause.LOST, Cause.REFUSED) else LogLevel.info,
        "session with {identity} at {address} over after {lasted}{where}, {cause}: {reason}",
        event="over",
        identity=protocol.peer.identity,
        seconds=round(seconds, 3),
        lasted=str(timedelta(seconds=round(seconds))),
        inTransfer=ending.inTransfer,
        where=" in a transfer" if ending.inTransfer else "",
        cause=ending.cause.value,
        reason=_shown(ending.reason),
        security=ending.cause is Cause.REFUSED or _isAboutTrust(failure),
        **_fields(protocol.peer.certificate),
    )


def _tellNoSession(protocol: EPProtocol, ending: Ending, failure: Failure | None) -> None:
    # What ends it otherwise is that somebody hangs up, or that we stop.
    refused = ending.cause in (Cause.REFUSED, Cause.PEER_LEFT) or (
        ending.cause is Cause.LOST and (failure is None or _isAboutTrust(failure))
    )
    dials = protocol.factory.dials
    if not _mayTell(protocol):
        return
    certificate, whose = _certificateOf(protocol, failure)
    _tell(
        protocol,
        LogLevel.warn if refused or dials else LogLevel.info,
        "connection {direction} {address} {event}: {reason}{about}",
        event="refused" if refused else "over",
        direction="to" if dials else "from",
        about=f"; {whose}{certificate}" if certificate else "",
        cause=ending.cause.value,
        reason=_shown(ending.reason),
        security=refused,
        **_fields(certificate),
    )


def _mayTell(protocol: EPProtocol, *, vouched: bool = False) -> bool:
    """Whether there is a line of it: of those who come to our door, who can be very many."""
    return vouched or protocol.factory.dials or protocol.factory.connections.doorkeeper.mayTell()


def _tell(protocol: EPProtocol, level: Any, text: str, **fields: object) -> None:
    us = protocol.factory.node.parameters.identity
    log = securityLog if fields.get("security") else _log
    log.emit(level, "{us}: " + text, us=us, address=protocol.address, **fields)


def _shown(text: str) -> str:
    """What a peer says, without what would move the cursor of whoever reads the log."""
    return text if text.isprintable() else repr(text)[1:-1]


def _fields(certificate: CertificateIdentity | None) -> dict[str, str]:
    """What an event says of a certificate."""
    if certificate is None:
        return {}
    return {
        "fingerprint": certificate.fingerprint,
        "expires": certificate.notAfter.isoformat(),
    }


def _isAboutTrust(failure: Failure | None) -> bool:
    return failure is not None and concernsTrust(failure)


def _certificateOf(
    protocol: EPProtocol, failure: Failure | None
) -> tuple[CertificateIdentity | None, str]:
    """The certificate that was refused, or else the one that was shown; and whose it is."""
    if failure is not None and isinstance(failure.value, CertificateRefused):
        return failure.value.certificate, "its authority's " if failure.value.depth else ""
    return presentedCertificate(protocol.transport), ""
