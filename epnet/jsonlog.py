"""The log as JSON, an object a line, for programs that watch it.

Given to twistd by name::

    twistd -n --logger epnet.jsonlog.toStandardOutput ep-router | jq -c 'select(.security)'
"""

from __future__ import annotations

import json
import math
import sys
from datetime import UTC, datetime
from typing import TextIO

import attrs
from twisted.logger import ILogObserver, LogEvent, formatEvent
from zope.interface import implementer

_PLAIN = (str, int, float, bool)


@implementer(ILogObserver)
@attrs.frozen
class JSONLines:
    """Writes each event: `time`, `level`, `from`, `text`, `traceback` of an error, and whatever
    plain values the event carries, such as `identity`, `reason` and `security`."""

    _file: TextIO

    def __call__(self, event: LogEvent) -> None:
        """Write one."""
        line = {key: value for key, value in event.items() if _isToldAsItIs(key, value)}
        line["time"] = datetime.fromtimestamp(event["log_time"], UTC).isoformat()
        line["level"] = event["log_level"].name
        line["from"] = event["log_namespace"]
        line["text"] = formatEvent(event)
        if "log_failure" in event:
            line["traceback"] = event["log_failure"].getTraceback()
        print(json.dumps(line, ensure_ascii=False), file=self._file, flush=True)


def toStandardOutput() -> JSONLines:
    """What twistd's ``--logger`` wants."""
    return JSONLines(sys.stdout)


def _isToldAsItIs(key: str, value: object) -> bool:
    if key.startswith("log_") or (isinstance(value, float) and not math.isfinite(value)):
        return False
    return value is None or isinstance(value, _PLAIN)
