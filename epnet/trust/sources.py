"""The files that trust stands in, and what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import attrs

from epnet.errors import UsageError
from epnet.identity import IdentityRefused, readCertificate
from epnet.pem import readCertificates
from epnet.pki import CertificatePaths
from epnet.state import statusOf
from epnet.tls import Credentials, Trust
from epnet.trust.devicelist import readDevices
from epnet.trust.keylog import KeyLog
from epnet.trust.policies import Authorities, Everyone, ListedDevices, Policy
from epnet.trust.revocation import NOTHING_REVOKED, readRevocations

AUTHORITY: Final = "authority"
DEVICES: Final = "devices"
OPEN: Final = "open"
POLICIES: Final = (AUTHORITY, DEVICES, OPEN)


@attrs.frozen
class TrustSources:
    """Where our own certificate is and whom we trust, in files.

    identity: ours; the certificate must carry it.
    certificate, key: what we present, PEM.
    policy: one of `POLICIES`.
    authorities: for ``authority``: files with one authority certificate or more each, PEM.
    devices: for ``devices``: the list of trusted devices.
    crl: for ``authority``: a file of revocation lists, PEM, which must be there.
    optionalCrl: the same, but it need not be there; used where `crl` is None.
    """

    identity: str
    certificate: Path
    key: Path
    policy: str = AUTHORITY
    authorities: Sequence[Path] = ()
    devices: Path | None = None
    crl: Path | None = None
    optionalCrl: Path | None = None

    @classmethod
    def ofAuthority(cls, identity: str, files: CertificatePaths) -> Self:
        """Policy ``authority`` with the three files of an identity."""
        return cls(identity, files.certificate, files.key, authorities=[files.authority])

    def load(self, keyLog: KeyLog | None = None) -> Trust:
        """Make the trust.

        keyLog: takes the secrets of the connections, for debugging.
        Raises `UsageError` for files that are missing, unreadable, or do not fit together.
        """
        policy = self.loadPolicy()
        return Trust(self.loadCredentials(policy), policy, keyLog)

    def loadPolicy(self) -> Policy:
        """Read whom we trust.  Raises `UsageError` as `load` does."""
        if self.policy == OPEN:
            return Everyone()
        if self.policy == DEVICES:
            assert self.devices is not None, "the policy 'devices' needs a list"
            return ListedDevices(readDevices(self.devices))
        authorities = [
            certificate
            for path in self.authorities
            for certificate in readCertificates(path, "authority")
        ]
        crl = self._crlInForce()
        return Authorities(
            authorities, readRevocations(crl, authorities) if crl else NOTHING_REVOKED
        )

    def loadCredentials(self, policy: Policy) -> Credentials:
        """Read what we present.

        policy: that of our peers, as far as we know: the one we have ourselves.
        Raises `UsageError` as `load` does, if the certificate is not valid now under the policy,
        and if it is not for our identity.
        """
        credentials = Credentials.load(self.certificate, self.key)
        try:
            policy.checkOwn(credentials.chain)
            identities = readCertificate(credentials.chain[0]).identities
        except IdentityRefused as error:
            raise UsageError(f"{self.certificate}: our certificate: {error}") from error
        except UsageError as error:
            raise UsageError(f"{self.certificate}: {error}") from error
        if self.identity not in identities:
            raise UsageError(
                f"{self.certificate} is for {', '.join(sorted(identities))}, not for "
                f"{self.identity!r}: name the right identity with --identity"
            )
        return credentials

    def pinned(self) -> Self:
        """The same, with a revocation list that is there required from now on.

        Otherwise deleting it would give back their trust to those on it.
        """
        return attrs.evolve(self, crl=self._crlInForce())

    def describe(self) -> str:
        """The policy in a few words, for the log."""
        if self.policy == AUTHORITY:
            crl = self._crlInForce()
            return f"{AUTHORITY}, {f'revocation list {crl}' if crl else 'no revocation list'}"
        return f"{DEVICES}, list {self.devices}" if self.policy == DEVICES else self.policy

    def signature(self) -> tuple[tuple[int, ...] | None, ...]:
        """Something that changes when any of the files does, made without reading them."""
        return tuple(map(statusOf, self._paths()))

    def _crlInForce(self) -> Path | None:
        if self.crl is None and self.optionalCrl is not None and self.optionalCrl.exists():
            return self.optionalCrl
        return self.crl

    def _paths(self) -> list[Path]:
        given = [self.devices, self.crl, self.optionalCrl]
        own = [self.certificate, self.key, *self.authorities]
        return list(dict.fromkeys([*own, *(path for path in given if path)]))
