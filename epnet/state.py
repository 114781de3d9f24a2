"""The state directory and how files come into it: private and whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import platformdirs

from epnet.errors import UsageError


def defaultStateDir() -> Path:
    """Say where epnet keeps its state unless told otherwise.

    That is ``$EPNET_STATE_DIR``, else ``$STATE_DIRECTORY`` (systemd sets it; of several, the
    first), else the user's state directory of the platform.
    """
    systemd = os.environ.get("STATE_DIRECTORY", "").split(os.pathsep)[0]
    given = os.environ.get("EPNET_STATE_DIR") or systemd
    return Path(given) if given else platformdirs.user_state_path("epnet")


def makePrivateDirectory(path: Path) -> None:
    """Make the directory for its owner alone (mode 0700), with its parents, if it is not there.

    Raises `UsageError` if it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot make the directory {path}: {error.strerror}; choose another one"
        ) from error


def writeNewFile(path: Path, content: bytes, mode: int) -> None:
    """Write a file that is not there yet: whole or not at all, in that mode from the first byte.

    Raises `UsageError` if a file of that name exists (it stays as it is) or none can be written.
    """
    # Unlike a rename, a link never replaces what is there.
    _writeFile(path, content, mode, os.link)


def replaceFile(path: Path, content: bytes, mode: int) -> None:
    """Write a file, over one of that name: who reads it finds the old or the new one, whole.

    Raises `UsageError` if it cannot be written.
    """
    _writeFile(path, content, mode, os.replace)


def statusOf(path: Path) -> tuple[int, ...] | None:
    """What tells one version of a file from the next; None where there is none to be seen."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


class Watch:
    """Tells when files have changed and the change has settled.

    signature: gives something that changes when they do, without reading them.
    """

    def __init__(self, signature: Callable[[], object]) -> None:
        self._signature = signature
        self._taken = self._seen = signature()

    def changed(self) -> bool:
        """Whether they differ from those that were taken, and are as when this was last asked."""
        signature = self._signature()
        settled = signature == self._seen
        self._seen = signature
        return settled and signature != self._taken

    def take(self) -> None:
        """They are about to be read, as they are."""
        self._taken = self._signature()


def _writeFile(path: Path, content: bytes, mode: int, settle: Callable[[str, Path], None]) -> None:
    """Write the content under another name and let `settle` put it in its place."""
    try:
        # mkstemp opens with O_EXCL and mode 0600; the name is ours only once the content is safe.
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            settle(temporary, path)
            _syncDirectory(path.parent)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
    except FileExistsError as error:
        raise UsageError(
            f"{path} exists and is left as it is; move it away or choose another directory"
        ) from error
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def _syncDirectory(path: Path) -> None:
    """Make the names in a directory safe: a name is no part of the file that it leads to."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
