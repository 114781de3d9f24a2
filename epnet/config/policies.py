"""Policies that come from elsewhere, such as a management system (EnergyNet §2.4).

A policy source (`epnet.interfaces.IPolicySource`) is asked whenever it says that something has
changed, and whenever the configuration file has.  What it answers is checked as the file is, put in
force as a whole, and kept in the state directory: it is valid until the source answers something
else, also after a restart, and while the source has nothing to say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.plugin import getPlugins

from epnet.config.checks import contradictions
from epnet.config.keptfile import InThread, KeptFile
from epnet.config.keys import PLACES
from epnet.config.kinds import Reading, Spot, nearest, pathText
from epnet.config.model import ROUTER, Policing
from epnet.config.policykeys import POLICY
from epnet.errors import UsageError
from epnet.interfaces import IPolicySource
from epnet.router.policy import Policies

Replace = Callable[[Policies], None]


def policiesPath(stateDir: Path, identity: str) -> Path:
    """Where the policies of a router are stored; its identity is one that files are named after."""
    return stateDir / "policies" / f"{identity}.json"


def policySource(name: str) -> IPolicySource:
    """The installed policy source of that name; raises `UsageError` if there is none."""
    sources = {source.name: source for source in getPlugins(IPolicySource)}
    if name not in sources:
        raise UsageError(
            f"policy.source is {name!r}, and no policy source of that name is installed"
            f"{nearest(name, sources)}"
        )
    return sources[name]


class PolicyKeeper(Service):
    """Gives a router the policies that a source makes of those in the configuration.

    source: where they come from.
    replace: puts policies in force; `epnet.router.router.Router.setPolicies`.
    file: where the last ones are stored.
    clock: the one clock, for the source.
    inThread: runs what waits for the disk elsewhere.
    """

    log = Logger()

    def __init__(
        self,
        source: IPolicySource,
        replace: Replace,
        file: Path,
        clock: IReactorTime,
        inThread: InThread = deferToThread,
    ) -> None:
        self._source = source
        self._replace = replace
        self._file = KeptFile(file, self._notKept, inThread)
        self._clock = clock
        self._configured = Policies()
        self._inForce: Policies | None = None

    def configured(self, policies: Policies) -> None:
        """The configuration says so now."""
        self._configured = policies
        if self._inForce is None:
            self._put(self._stored() or policies)
        self.refresh()

    def startService(self) -> None:
        """Let the source begin."""
        super().startService()
        self._source.start(self._clock, self.refresh)

    def stopService(self) -> Deferred[None]:
        """Let the source end, and wait until its last answer is in its file."""
        super().stopService()
        self._source.stop()
        return self._file.finished

    def refresh(self) -> None:
        """Ask the source; a mistake of its changes nothing, and is in the log."""
        try:
            policies = self._source.policies(self._configured)
            if policies is None or policies == self._inForce:
                return
            checkPolicies(policies)
        except Exception as error:
            self.log.failure(
                "CANNOT TAKE THE POLICIES of {name}, so the last ones stay in force: {error}",
                name=self._source.name,
                error=error,
            )
            return
        self._put(policies)
        self._file.keep(json.dumps(policyTables(policies), indent=1).encode())
        self.log.info("policies of {name} are in force", name=self._source.name)

    def _put(self, policies: Policies) -> None:
        self._inForce = policies
        self._replace(policies)

    def _notKept(self, error: Exception) -> None:
        self.log.error("cannot keep the policies for the next start: {error}", error=error)

    def _stored(self) -> Policies | None:
        """Those of the last time, if they can still be read."""
        try:
            return readTables(json.loads(self._file.path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            self.log.error(
                "cannot read the policies kept in {file}: {e}", file=self._file.path, e=error
            )
            return None


def policyTables(policies: Policies) -> dict[str, Any]:
    """Policies as the table [policy] of a configuration file has them."""
    return {
        "network": _given(policies.network),
        "device": {name: _given(policy) for name, policy in policies.devices.items()},
        "group": [{**_given(each), "members": sorted(each.members)} for each in policies.groups],
        "remote": [_given(policy) for policy in policies.remotes.values()],
    }


def _given(policy: attrs.AttrsInstance) -> dict[str, Any]:
    return {name: value for name, value in attrs.asdict(policy).items() if value is not None}


def readTables(tables: Mapping[str, Any]) -> Policies:
    """Policies of such a table.  Raises `UsageError` with everything that is wrong with them."""
    reading = Reading(ROUTER, Path(), PLACES)
    policing = POLICY.read(tables, Spot(reading, ("policy",)))
    wrong = [*reading.problems, *contradictions({"policy": tables})]
    if wrong:
        raise UsageError("; ".join(f"{pathText(path)} {reason}" for path, reason in wrong))
    assert isinstance(policing, Policing)
    return policing.policies


def checkPolicies(policies: Policies) -> None:
    """Raise `UsageError` with everything that is wrong with policies made in code."""
    if readTables(policyTables(policies)) != policies:
        raise UsageError("the policies are not such as can be kept: see epnet.router.policy")
