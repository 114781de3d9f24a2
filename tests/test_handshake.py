"""The words for failures that no connection in `test_tls` brings about."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.error import (
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    DNSLookupError,
)
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from epnet.handshake import certificateProblem, concernsTrust, describeFailure
from epnet.identity import IdentityRefused


class WordsTests(SynchronousTestCase):
    def test_problemOfTheAuthorityIsToldFromOneOfTheCertificate(self) -> None:
        self.assertEqual(
            certificateProblem("its certificate", 10, 0), "its certificate has expired"
        )
        self.assertEqual(
            certificateProblem("its certificate", 10, 1),
            "the authority of its certificate has expired",
        )

    def test_unlistedProblemKeepsItsNumber(self) -> None:
        self.assertIn("X.509 error 999", certificateProblem("its certificate", 999, 0))

    def test_unlistedAlertsAndReasonsAreQuoted(self) -> None:
        alert = SSL.Error([("SSL routines", "", "ssl/tls alert access denied")])
        self.assertIn("'access denied'", describeFailure(Failure(alert)))
        reason = SSL.Error([("SSL routines", "", "some reason"), ("", "", "another")])
        self.assertEqual(describeFailure(Failure(reason)), "TLS failed: some reason, another")

    def test_errorsWithoutAQueueAreDescribed(self) -> None:
        for error in (SSL.Error(), SSL.SysCallError(-1, "Unexpected EOF"), SSL.ZeroReturnError()):
            self.assertEqual(describeFailure(Failure(error)), "TLS failed: the peer broke off")

    def test_theNetworkIsPutIntoAnOperatorsWords(self) -> None:
        for error, words in (
            (ConnectionDone(), "it hung up without a word"),
            (ConnectionLost(), "it broke off: its program, its host or the network is gone"),
            (ConnectionRefusedError(), "nobody listens there"),
            (DNSLookupError(), "its name cannot be resolved"),
        ):
            self.assertEqual(describeFailure(Failure(error)), words)
            self.assertFalse(concernsTrust(Failure(error)))

    def test_otherReasonsSpeakForThemselves(self) -> None:
        failure = Failure(IdentityRefused("no"))
        self.assertEqual(describeFailure(failure), "no")
        self.assertTrue(concernsTrust(failure))
