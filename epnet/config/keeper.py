"""The configuration while a program runs: files that change, broken edits, and the last good one.

1. Every 2 s the file's times are looked at.  Once a change has settled for that long, or at once on
   SIGHUP, it is read anew and put in force as a whole; no connection is dropped for it.
2. A file with any mistake, and one that is gone, changes nothing: the configuration that was in
   force stays so, and the log says so loudly, each mistake on a line.
3. What has been in force is kept, word for word, in the state directory.  Where the file is broken
   when the program starts, that is what it starts with, as loudly: a house must come back after a
   power cut whatever was edited meanwhile, and policies are valid until updated (EnergyNet §2.4).
   Without it the program does not start.
4. Some keys are read only at the start; where one of them has changed, the log says that it takes a
   restart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from epnet.config.keptfile import InThread, KeptFile
from epnet.config.keys import ROOT
from epnet.config.model import Configuration
from epnet.config.reader import ConfigurationError, Found, parseConfiguration, readBytes
from epnet.config.tables import Table
from epnet.errors import UsageError
from epnet.state import Watch, statusOf

POLL_SECONDS: Final = 2.0

Apply = Callable[[Configuration], None]


class ConfigurationKeeper(Service):
    """Keeps a program as its configuration file says.

    file: the configuration.
    role: the twistd plugin that runs, one of `epnet.config.model.ROLES`.
    stateDir: where the last good configuration is kept.
    clock: the one clock.
    apply: puts a configuration in force; raises `UsageError`, and changes nothing, if it cannot be.
    told: is given what is wrong with the file, a line each, whenever that has changed.
    configuration: what is in force.
    problems: what is wrong with the file, so that it is not in force; empty if it is.
    inThread: runs what waits for the disk elsewhere.
    """

    log = Logger()

    def __init__(
        self,
        file: Path,
        role: str,
        stateDir: Path,
        clock: IReactorTime,
        inThread: InThread = deferToThread,
    ) -> None:
        """Read the file, or the last good one.

        Raises `ConfigurationError` if neither can be used.
        """
        self.apply: Apply = lambda _: None
        self.told: Callable[[tuple[str, ...]], None] = lambda _: None
        self.problems: tuple[str, ...] = ()
        self._file = file.absolute()
        self._role = role
        kept = lastGoodPath(stateDir, self._file, role)
        self._lastGood = KeptFile(kept, self._notKept, inThread)
        self._watch = Watch(lambda: statusOf(self._file))
        self._poll = LoopingCall(self._look)
        self._poll.clock = clock
        try:
            self._content = readBytes(self._file)
            self._found = self._parsed(self._content)
        except ConfigurationError as error:
            self.problems = tuple(str(error).splitlines())
            self._content, self._found = self._oldOne(error)
        self._started = self.configuration

    @property
    def configuration(self) -> Configuration:
        """What is in force."""
        return self._found.configuration

    def startService(self) -> None:
        """Begin to watch; say loudly if it is the last good one that is in force."""
        super().startService()
        self.told(self.problems)
        if self.problems:
            self._complain("so the LAST GOOD CONFIGURATION, kept in {kept}, is in force")
        else:
            self._lastGood.keep(self._content)
        self._warn()
        self._poll.start(POLL_SECONDS, now=False)

    def stopService(self) -> Deferred[None]:
        """Watch no more, and wait until the last good configuration is in its file."""
        super().stopService()
        self._poll.stop()
        return self._lastGood.finished

    def reload(self) -> None:
        """Read the file anew, now."""
        self._watch.take()
        try:
            content = readBytes(self._file)
            found = self._parsed(content)
            self.apply(found.configuration)
        except UsageError as error:
            self.problems = tuple(str(error).splitlines())
            self._complain("so the configuration BEFORE IT stays in force")
        else:
            self.problems = ()
            self._content, self._found = content, found
            self._lastGood.keep(content)
            self.log.info("the configuration {file} was read anew", file=self._file)
            self._warn()
        self.told(self.problems)

    def _look(self) -> None:
        try:
            if self._watch.changed():
                self.reload()
        except Exception:
            self.log.failure("error in our own code while reading the configuration")

    def _parsed(self, content: bytes) -> Found:
        return parseConfiguration(content, self._file, self._role)

    # The last good one

    def _oldOne(self, error: ConfigurationError) -> tuple[bytes, Found]:
        """The last good configuration; raises the error where there is none."""
        try:
            content = readBytes(self._lastGood.path)
            return content, self._parsed(content)
        except ConfigurationError:
            raise error from None

    def _notKept(self, error: Exception) -> None:
        self.log.error(
            "cannot keep the configuration for a start with a broken file: {error}", error=error
        )

    # What the log says

    def _complain(self, consequence: str) -> None:
        self.log.critical(
            "THE CONFIGURATION {file} CANNOT BE USED, " + consequence,
            file=self._file,
            kept=self._lastGood.path,
        )
        for problem in self.problems:
            self.log.critical("{problem}", problem=problem)

    def _warn(self) -> None:
        """Tell of what is odd, and of what takes a restart."""
        for warning in self._found.warnings:
            self.log.warn("{oddity}", oddity=warning.text(self._file))
        for name in changedAtStartOnly(self._started, self.configuration):
            self.log.warn(
                "{name} HAS CHANGED, which takes a restart: it stays as it was", name=name
            )


def lastGoodPath(stateDir: Path, file: Path, role: str) -> Path:
    """Where the last good version of a configuration file is kept, by its path and its plugin."""
    digest = sha256(str(file.absolute()).encode(errors="surrogateescape")).hexdigest()[:16]
    return stateDir / "configuration" / f"{role}-{digest}.toml"


def changedAtStartOnly(before: Configuration, after: Configuration) -> Iterator[str]:
    """The keys that are read only at the start, and differ."""
    for part in ROOT.keys:
        for key in part.kind.keys if isinstance(part.kind, Table) else ():
            if key.atStart:
                values: list[Any] = [
                    getattr(getattr(each, part.field), key.field) for each in (before, after)
                ]
                if values[0] != values[1]:
                    yield f"{part.name}.{key.name}"
