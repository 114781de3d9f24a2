"""Trust while a program runs: files that change, certificates that expire.

1. Every 2 s the files' times are looked at.  Once a change has settled for that long, or at once
   on SIGHUP, they are read anew.
2. What we present and whom we trust are taken over one by one.  What cannot be read, or does not
   fit together, stays as it was, and the log says so loudly: a slip of the pen must not lock a
   house out.  It is tried again every hour, since not all that fails is in the files: a clock may
   have been wrong, or too many files open.
3. New connections go by the new trust at once.  Every open session is judged again, a few at a
   time; one whose peer is no longer trusted drains and is left with the reason, and so is one of
   whom more is vouched for now, or less: it may come back.  So it is every hour, for certificates
   that have expired meanwhile.
4. Once a day the log warns of what expires within 30 days: our certificate, the authority, the
   revocation list, and the certificates of connected peers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Cooperator, LoopingCall, SchedulerStopped
from twisted.logger import Logger

from epnet.errors import PeerError, UsageError
from epnet.handshake import NotYetValid
from epnet.pki import WARN_AHEAD
from epnet.securitylog import securityLog
from epnet.state import Watch

if TYPE_CHECKING:
    from epnet.connections import Connections
    from epnet.identity import Peer
    from epnet.protocol import EPProtocol
    from epnet.tls import Trust
    from epnet.trust.sources import TrustSources

POLL_SECONDS: Final = 2.0
RECHECK_SECONDS: Final = 3600.0
WARN_SECONDS: Final = 86400.0
BATCH: Final = 8
"""Sessions judged at a time, a millisecond or two of work; all others are served in between."""
PAUSE_SECONDS: Final = 0.01

_EXPIRING: Final = {
    "own": "our certificate",
    "authority": "the certificate of the authority we trust",
    "crl": "the revocation list",
}


class TrustKeeper(Service):
    """Keeps a trust as its files say, and sessions as the trust says.

    trust: what the connections go by.
    sources: the files it was made of.
    connections: the sessions that depend on it.
    clock: the one clock.
    timeOfDay: tells the time of day, aware.
    """

    log = Logger()

    def __init__(
        self,
        trust: Trust,
        sources: TrustSources,
        connections: Connections,
        clock: IReactorTime,
        timeOfDay: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._trust = trust
        self._asked, self._sources = sources, sources.pinned()
        self._connections = connections
        self._timeOfDay = timeOfDay
        self._watch = Watch(lambda: self._sources.signature())
        self._hasFailed = False
        self._cooperator = Cooperator(
            terminationPredicateFactory=lambda: lambda: True,  # one batch at a time
            scheduler=lambda call: clock.callLater(PAUSE_SECONDS, call),
            started=False,
        )
        self._loops = {
            period: LoopingCall(self._guarded, call)
            for period, call in (
                (POLL_SECONDS, self._poll),
                (RECHECK_SECONDS, self._hourly),
                (WARN_SECONDS, self._warn),
            )
        }
        for loop in self._loops.values():
            loop.clock = clock
        connections.expiries = trust.expiries()

    def startService(self) -> None:
        """Say who we are and whom we trust, and begin to watch."""
        super().startService()
        self.log.info(
            "we show {certificate}; trust policy {policy}",
            certificate=self._trust.ownIdentity,
            fingerprint=self._trust.ownIdentity.fingerprint,
            policy=self._sources.describe(),
        )
        self._cooperator.start()
        for period, loop in self._loops.items():
            loop.start(period, now=period == WARN_SECONDS)

    def stopService(self) -> None:
        """Watch no more."""
        super().stopService()
        self._cooperator.stop()
        for loop in self._loops.values():
            loop.stop()

    def reload(self) -> None:
        """Read everything anew, now."""
        self._watch.take()
        self._hasFailed = False
        with self._keepingWhatWeHad("whom we trust"):
            self._trust.believe(self._sources.loadPolicy())
        with self._keepingWhatWeHad("our certificate"):
            self._trust.present(self._sources.loadCredentials(self._trust.policy))
        self._sources = self._sources.pinned()
        self._connections.expiries = self._trust.expiries()
        securityLog.info("trust was read anew from its files", security=True)
        self._warn()
        self._recheck()

    def follow(self, sources: TrustSources) -> None:
        """Go by other files from now on, if they are other ones.

        Raises `UsageError`, and leaves everything as it was, if they cannot be gone by.
        """
        if sources == self._asked:
            return
        sources.load()
        self._asked, self._sources = sources, sources.pinned()
        self.reload()

    def _guarded(self, call: Callable[[], None]) -> None:
        """A bug never ends the watch."""
        try:
            call()
        except Exception:
            self.log.failure("error in our own code while watching over trust")

    def _poll(self) -> None:
        if self._watch.changed():
            self.reload()

    @contextmanager
    def _keepingWhatWeHad(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._hasFailed = True
            if not isinstance(error, UsageError):
                self.log.failure("error in our own code while trust was read anew")
            securityLog.critical(
                "CANNOT RENEW {what}, so the old state stays in force: {error}",
                what=what,
                error=str(error),
                security=True,
            )

    def _hourly(self) -> None:
        if self._hasFailed:
            self.reload()
        else:
            self._recheck()

    # Open sessions

    def _recheck(self) -> None:
        """Judge every open session again; strangers are judged when they say who they are."""
        done = self._cooperator.cooperate(self._judgements()).whenDone()
        done.addErrback(lambda failure: failure.trap(SchedulerStopped))

    def _judgements(self) -> Iterator[None]:
        for number, protocol in enumerate(self._connections, 1):
            if protocol.session.publishing:
                self._guarded(partial(self._judge, protocol))
            if number % BATCH == 0:
                yield

    def _judge(self, protocol: EPProtocol) -> None:
        peer = protocol.peer
        try:
            now = protocol.factory.authenticate(peer.parameters, protocol)
        except NotYetValid as error:
            # It was valid when the session opened, so our clock was set back since then.
            self._tellOf(protocol, f"goes on although {error}")
            return
        except PeerError as error:
            self._tellOf(protocol, f"no longer trusted: {error}")
            protocol.disconnect(f"no longer trusted: {error}")
            return
        if _vouched(now) != _vouched(peer):
            self._tellOf(protocol, _CHANGED)
            protocol.disconnect(_CHANGED, reconnect=True)

    def _tellOf(self, protocol: EPProtocol, reason: str) -> None:
        securityLog.warn(
            "{us}: session with {identity} at {address} {reason}",
            us=self._connections.node.parameters.identity,
            identity=protocol.peer.identity,
            address=protocol.address,
            reason=reason,
            security=True,
        )

    # What expires

    def _warn(self) -> None:
        for key, expiry in self._trust.expiries().items():
            self._warnOf(_EXPIRING[key], expiry)
        for protocol in self._connections:
            peer = protocol.session.peer
            if peer is not None and peer.authenticated and peer.certificate is not None:
                self._warnOf(f"the certificate of {peer.identity}", peer.certificate.notAfter)

    def _warnOf(self, what: str, expiry: datetime) -> None:
        remaining = expiry - self._timeOfDay()
        if remaining < timedelta():
            securityLog.critical(
                "EXPIRED: {what} on {expiry:%Y-%m-%d}; renew it with 'epnet pki'",
                what=what,
                expiry=expiry,
                expires=expiry.isoformat(),
                security=True,
            )
        elif remaining < WARN_AHEAD:
            securityLog.warn(
                "{what} expires in {days} days, on {expiry:%Y-%m-%d}; renew it with 'epnet pki'",
                what=what,
                days=remaining.days,
                expiry=expiry,
                expires=expiry.isoformat(),
                security=True,
            )


_CHANGED: Final = "no longer as it was: more is vouched for now, or less"


def _vouched(peer: Peer) -> tuple[bool, str | None, str | None]:
    return peer.authenticated, peer.tenant, peer.provider
