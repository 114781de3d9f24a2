"""Dialling: one connection to an upstream device, kept up (Ethernet/TCP §2).

A `Dialler` dials, and dials again when the connection is gone; a `Backoff` says how long it waits
in between.  Where to dial is `epnet.upstream`'s.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocol,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from epnet.lifecycle import Cause, Ending

if TYPE_CHECKING:
    from epnet.factory import EPClientFactory

LOOK_AGAIN_SECONDS: Final = 1.0
"""How often a dialler looks whether the connection that its peer dialled still stands."""


class Backoff:
    """How long to wait before dialling again (wire-profile M3).

    At once after a transfer was lost.  Otherwise from 100 ms, doubling up to 30 s, with jitter;
    anew from 100 ms after a session that lasted a minute, or that the peer ended with `reconnect`
    true.  Where the peer said `reconnect` false: 5 min, doubling to 1 h.

    A session that did not last a second is no reason to dial at once, or anew from 100 ms: a peer
    that fails in every transfer, or stops as soon as it has started, would be dialled without a
    pause.

    jitter: gives a factor for each delay up to 30 s; by default between 1 and 1.5.
    """

    FIRST: Final = 0.1
    LONGEST: Final = 20.0
    """With the most jitter, 30 s."""
    UNWANTED_FIRST: Final = 300.0
    UNWANTED_LONGEST: Final = 3600.0
    SETTLED_SECONDS: Final = 1.0
    STABLE_SECONDS: Final = 60.0

    def __init__(self, jitter: Callable[[], float] = lambda: random.uniform(1.0, 1.5)) -> None:
        self._jitter = jitter
        self._next = self.FIRST
        self._nextUnwanted = self.UNWANTED_FIRST

    def delay(self, ending: Ending | None, lasted: float) -> float:
        """Seconds to wait after a session that ended so (None: none came about).

        lasted: how long the session was open, in s.
        """
        if lasted >= self.STABLE_SECONDS:
            self._next = self.FIRST
            self._nextUnwanted = self.UNWANTED_FIRST
        if ending is not None and ending.wasOpen:
            lostTransfer = ending.cause is Cause.LOST and ending.inTransfer
            if lostTransfer and lasted >= self.SETTLED_SECONDS:
                return 0.0
            if ending.cause is Cause.PEER_LEFT and ending.reconnect is False:
                delay, self._nextUnwanted = (
                    self._nextUnwanted,
                    min(self._nextUnwanted * 2, self.UNWANTED_LONGEST),
                )
                return delay
            if ending.reconnect is True and lasted >= self.SETTLED_SECONDS:
                self._next = self.FIRST
        delay, self._next = self._next, min(self._next * 2, self.LONGEST)
        return delay * self._jitter()


class Dialler(Service):
    """Keeps a connection to one upstream device up (Ethernet/TCP §2).

    endpoint: where to dial, TLS included.
    factory: makes the protocols and knows how long to wait in between.

    When it stops it dials no more; the connection itself is left to `Connections`, which takes
    leave of the peer first.
    """

    log = Logger()

    def __init__(
        self, endpoint: IStreamClientEndpoint, factory: EPClientFactory, clock: IReactorTime
    ) -> None:
        self._endpoint = endpoint
        self._factory = factory
        self._clock = clock
        self._attempt: Deferred[IProtocol] | None = None
        self._wait: IDelayedCall | None = None
        factory.whenDisconnected = self._again

    def startService(self) -> None:
        """Dial."""
        super().startService()
        self._dial()

    def stopService(self) -> None:
        """Dial no more."""
        super().stopService()
        if self._wait is not None:
            self._wait.cancel()
            self._wait = None
        if self._attempt is not None:
            self._attempt.cancel()

    def dialNow(self) -> None:
        """Wait no longer, whatever the peer said: somebody in charge wants it so (M3)."""
        if self._wait is not None:
            self._wait.reset(0)

    def _dial(self) -> None:
        self._wait = None
        if self._factory.peerIdentity in self._factory.connections.register:
            # The peer dialled us, and one connection is enough: look again later.
            self._wait = self._clock.callLater(LOOK_AGAIN_SECONDS, self._dial)
            return
        self._attempt = self._endpoint.connect(self._factory)
        self._attempt.addCallbacks(self._connected, self._failed)

    def _connected(self, protocol: IProtocol) -> None:
        self._attempt = None

    def _failed(self, failure: Failure) -> None:
        self._attempt = None
        if self.running:
            try:
                self.log.warn(
                    "{us}: cannot connect to {upstream}: {reason}",
                    us=self._factory.node.parameters.identity,
                    upstream=str(self._endpoint),
                    reason=self._factory.trust.describeFailure(failure),
                )
            except Exception:
                self.log.failure("error in our own code: dialling again all the same")
            self._again()

    def _again(self) -> None:
        if self.running:
            try:
                delay = self._factory.redialDelay()
            except Exception:
                self.log.failure("error in our own code: dialling again all the same")
                delay = Backoff.LONGEST
            self._wait = self._clock.callLater(delay, self._dial)
