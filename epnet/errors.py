"""Everything epnet raises.

One tree with two branches that are never mixed: what the *user of this library or command* did
wrong (`UsageError`) and what *a peer* did wrong (`PeerError`).  Most of what a peer does wrong is
data, not an exception: diagnostics on a message, or a reason in the end of a session.
"""

from __future__ import annotations


class EPError(Exception):
    """The root of epnet's errors."""


class UsageError(EPError, ValueError):
    """A mistake of the local user: an argument, an option, a file.

    The text says how to mend it.
    """


class PeerError(EPError):
    """A peer broke the protocol or is not trusted.  The text is fit for the log."""
