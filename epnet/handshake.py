"""Why a TLS handshake failed, in an operator's words.

"It" is always the peer: the words continue a line such as "connection from 192.0.2.7 refused: ".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from OpenSSL import SSL
from twisted.internet import error as network
from twisted.python.failure import Failure

from epnet.errors import PeerError

if TYPE_CHECKING:
    from epnet.identity import CertificateIdentity

_UNTRUSTED = "is not from a trusted authority"

# Numbers of X509_verify_cert(3).  Those in the first group are about the chain as a whole.
_CHAIN_PROBLEMS: Final = {
    2: _UNTRUSTED,  # unable to get issuer certificate
    18: "is self-signed and not trusted",
    19: _UNTRUSTED,  # self-signed certificate in chain
    20: _UNTRUSTED,  # unable to get local issuer certificate
    21: _UNTRUSTED,  # unable to verify the first certificate
}
_CERTIFICATE_PROBLEMS: Final = {
    7: "has a wrong signature",
    9: "is not valid yet (or a clock is wrong)",
    10: "has expired",
    23: "has been revoked",
    24: "may not issue certificates",
    26: "is not made for this end of a TLS connection",
    66: "has too small a key",
    67: "has too small a key",
    68: "is signed with too weak a hash",
    79: "may not issue certificates",
}

# OpenSSL's reasons, without case, for what we refuse.
_REASONS: Final = {
    "unsupported protocol": "it offered TLS 1.2 or older; EP requires TLS 1.3",
    "wrong ssl version": "it answered with TLS 1.2 or older; EP requires TLS 1.3",
    "peer did not return a certificate": "it presented no certificate",
    "wrong version number": "it does not speak TLS",
    "http request": "it does not speak TLS but HTTP",
    "https proxy request": "it does not speak TLS but HTTP",
    "packet length too long": "it does not speak TLS",
    "bad signature": "it does not have the key of the certificate it shows",
    "no shared cipher": "it has no cipher in common with us",
    "no suitable key share": "it has no key exchange in common with us",
    "no suitable signature algorithm": "it has no signature algorithm in common with us",
}
# TLS alerts (RFC 8446 §6.2) for what the peer refuses.
_ALERTS: Final = {
    "protocol version": "it does not accept TLS 1.3, which EP requires",
    "certificate required": "it requires a certificate and got none from us",
    "unknown ca": "it trusts neither our certificate nor its authority",
    "certificate expired": "it says that our certificate has expired",
    "certificate revoked": "it says that our certificate has been revoked",
    "bad certificate": "it refused our certificate",
    "certificate unknown": "it refused our certificate",
    "unsupported certificate": "it cannot use the kind of our certificate",
    # What OpenSSL sends when an application refuses a certificate that it found valid itself.
    "internal error": "it broke off; our certificate may be revoked or lack the name it dialled",
    "handshake failure": "it has no cipher, key exchange or signature in common with us",
}

# Twisted's words for these are for programmers; the most special first.
_NETWORK: Final = (
    (network.ConnectionRefusedError, "nobody listens there"),
    (network.NoRouteError, "there is no way to it; look at the network"),
    (network.DNSLookupError, "its name cannot be resolved"),
    (network.TimeoutError, "it does not answer"),
    (network.ConnectionAborted, "we broke it off"),
    (network.ConnectionLost, "it broke off: its program, its host or the network is gone"),
    (network.ConnectionDone, "it hung up without a word"),
)


class CertificateRefused(SSL.Error, PeerError):
    """We do not believe the peer's certificate.  The text is fit for the log.

    A subclass of OpenSSL's error with a queue like OpenSSL's: raised in a verify callback, it ends
    the handshake with an alert to the peer and arrives as the reason of `connectionLost`.

    certificate: what the certificate in question says, where it can be read.
    depth: where in the chain it is: 0 for the peer's own.
    """

    def __init__(
        self, reason: str, certificate: CertificateIdentity | None = None, depth: int = 0
    ) -> None:
        super().__init__([("epnet", "", reason)])
        self.reason = reason
        self.certificate = certificate
        self.depth = depth

    def __str__(self) -> str:
        return self.reason


class NotYetValid(CertificateRefused):
    """A certificate is not valid yet, or a clock is wrong."""


def certificateProblem(whose: str, code: int, depth: int) -> str:
    """Say why OpenSSL refused a certificate.

    whose: what the text calls the certificate: "its certificate".
    code: OpenSSL's verification error, a number of X509_verify_cert(3).
    depth: where in the chain the problem is: 0 for the certificate itself.
    """
    if code in _CHAIN_PROBLEMS:
        return f"{whose} {_CHAIN_PROBLEMS[code]}"
    subject = whose if depth == 0 else f"the authority of {whose}"
    return f"{subject} {_CERTIFICATE_PROBLEMS.get(code, f'is not valid (X.509 error {code})')}"


def describeFailure(failure: Failure) -> str:
    """Say in one line why a TLS connection failed, whichever side refused.

    failure: what `connectionLost` or the errback of a connection attempt was given.
    """
    error = failure.value
    if isinstance(error, SSL.Error) and not isinstance(error, CertificateRefused):
        return _describeReasons(_reasons(error))
    for kind, words in _NETWORK:
        if isinstance(error, kind):
            return words
    return failure.getErrorMessage()


def concernsTrust(failure: Failure) -> bool:
    """Whether a connection failed since one side did not believe the other, or by broken TLS."""
    return isinstance(failure.value, (SSL.Error, PeerError))


def _reasons(error: SSL.Error) -> list[str]:
    """The reasons in an OpenSSL error queue, without case."""
    queue = error.args[0] if error.args else ()
    return [entry[2].casefold() for entry in queue] if isinstance(queue, list) else []


def _describeReasons(reasons: list[str]) -> str:
    for reason in reasons:
        _, isAlert, alert = reason.partition(" alert ")
        if isAlert:
            return _ALERTS.get(alert, f"it ended the connection with the TLS alert {alert!r}")
        if reason in _REASONS:
            return _REASONS[reason]
    return "TLS failed: " + (", ".join(reasons) or "the peer broke off")
