"""Two ends connected in memory, over real TLS."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.interfaces import IProtocol
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.test.iosim import IOPump, connect, makeFakeClient, makeFakeServer

from epnet.factory import EPFactory
from epnet.pki import initAuthority, issueCertificate
from epnet.protocol import EPProtocol
from epnet.testing.clock import VirtualClock
from epnet.tls import Trust
from epnet.trust.sources import TrustSources


def issueTrusts(
    folder: Path, *identities: str, tenant: str | None = None, provider: str | None = None
) -> dict[str, Trust]:
    """Make an authority and a certificate for each identity; give what each shows and believes.

    tenant, provider: what all the certificates vouch for.
    """
    authority = initAuthority(folder)
    trusts = {}
    for identity in identities:
        files = issueCertificate(
            authority, identity, tenant=tenant, provider=provider, out=folder / "certificates"
        )
        trusts[identity] = TrustSources.ofAuthority(identity, files).load()
    return trusts


class MemoryPair:
    """A dialling and a listening end, connected in memory over TLS.

    client, server: the two protocols.
    clock: the clock of both; move it with `advance`, so that bytes move too.
    """

    STEP = 0.01

    def __init__(self, client: EPFactory, server: EPFactory, clock: VirtualClock | Clock) -> None:
        self.clock = clock
        dialling = _wrapped(client.trust.clientFactory(client, clock=clock))
        accepting = _wrapped(server.trust.serverFactory(server, clock=clock))
        self.client = _inner(dialling)
        self.server = _inner(accepting)
        self._ends = (makeFakeServer(accepting), makeFakeClient(dialling))
        self._cut = False
        self._pump: IOPump = connect(accepting, self._ends[0], dialling, self._ends[1])
        self.settle()

    def settle(self) -> None:
        """Let everything that is under way arrive, without time passing."""
        for _ in range(100):
            self.clock.advance(0)
            if not (self._dropAll() if self._cut else self._pump.pump()):
                break

    def advance(self, seconds: float) -> None:
        """Let time pass, with bytes arriving all along."""
        until = self.clock.seconds() + seconds - self.STEP / 2
        while self.clock.seconds() < until:
            self.clock.advance(self.STEP)
            self.settle()

    def cut(self) -> None:
        """Break the line without telling either end, as a pulled cable does."""
        self._cut = True

    def _dropAll(self) -> bool:
        """What a line that is cut does: bytes vanish, and each end closes by itself alone."""
        for end in self._ends:
            end.getOutBuffer()
            if end.disconnecting and not end.disconnected:
                end.disconnected = True
                end.reportDisconnect()
        return False


def _wrapped(factory: TLSMemoryBIOFactory) -> TLSMemoryBIOProtocol:
    protocol = factory.buildProtocol(None)
    assert isinstance(protocol, TLSMemoryBIOProtocol)
    return protocol


def _inner(outer: TLSMemoryBIOProtocol) -> EPProtocol:
    protocol: IProtocol = outer.wrappedProtocol
    assert isinstance(protocol, EPProtocol)
    return protocol
