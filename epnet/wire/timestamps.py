"""Timestamps: RFC 3339 going out, and what wire-profile V4 takes coming in."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from epnet.wire.diagnostics import Code

_FORM = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:(?P<separator>[Tt ])(?P<minute>[0-9]{2}:[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]+))?)?"
    r"(?P<zone>[Zz]|[+-][0-9]{2}:[0-5][0-9])?)?"
)


def fixOffset(moment: datetime) -> datetime:
    """The same moment with an offset that RFC 3339 can tell, whatever says it for the time given.

    Two times of one time zone compare by their clocks alone, and so in the wrong order where the
    clock is put back; with fixed offsets they compare as what they are.

    Raises ValueError for a datetime without a time zone, and OverflowError.
    """
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError("no time zone")
    if offset % timedelta(minutes=1):
        return moment.astimezone(UTC)
    return moment.replace(tzinfo=timezone(offset), fold=0)


def formatTimestamp(moment: datetime) -> str:
    """An aware datetime as RFC 3339, with `Z` for UTC.  Raises as `fixOffset`."""
    whole = fixOffset(moment).isoformat()
    text, offset = whole[:-6], whole[-6:]
    if moment.microsecond:
        text = text.rstrip("0")
    return text + ("Z" if offset == "+00:00" else offset)


def parseTimestamp(text: str) -> tuple[datetime, list[Code]]:
    """An aware datetime, and in what ways the text is not plain RFC 3339.

    Raises ValueError or OverflowError for a text that is no date and time.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError("neither RFC 3339 nor near it")
    codes = []
    second, fraction, zone = match["second"], match["fraction"] or "", match["zone"]
    if match["separator"] not in ("T", "t") or second is None:
        codes.append(Code.TIMESTAMP_FORM)
    if zone is None:
        codes.append(Code.TIMESTAMP_ZONE)
    leap = second == "60"
    if leap or fraction[6:].strip("0"):
        codes.append(Code.TIMESTAMP_PRECISION)
    offset = "+00:00" if zone in (None, "Z", "z") else zone
    moment = datetime.fromisoformat(
        f"{match['date']}T{match['minute'] or '00:00'}:{'59' if leap else second or '00'}"
        f".{'000000' if leap else fraction[:6].ljust(6, '0')}{offset}"
    )
    return moment + timedelta(seconds=leap), codes
