"""Timestamps and dates as text: valid by RFC 3339, and the same instant in UTC."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

import msgspec

_ISO = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)"
    r"(?:[Tt ](?P<minute>\d\d:\d\d)(?::(?P<second>\d\d)(?P<fraction>\.\d+)?)?)?"
    r"\s?(?P<offset>[Zz]|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)
_BASIC = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)", re.ASCII)
_UTC = frozenset({"Z", "z", "+00:00", "-00:00"})
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)?", re.ASCII)
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ]00:00(:00(\.0+)?)?([Zz]|[+-]00:?00)?", re.ASCII)


def has_offset(text: str) -> bool:
    """Tell whether a timestamp says in which time zone it is."""
    match = _match(text)
    return match is not None and match["offset"] is not None


def timestamp(text: str) -> str | None:
    """Return a timestamp as RFC 3339 in UTC, with every digit of the second, or None where it is none.

    Bytes that are UTC already stay as they are; a timestamp without an offset is taken as UTC.
    """
    match = _match(text)
    if match is None:
        return None
    offset = match["offset"] or "Z"
    sign, hours, minutes = _OFFSET.fullmatch(offset).groups("00") if offset not in "Zz" else ("+", "00", "00")  # type: ignore[union-attr] # the pattern is a part of the other
    try:
        # Not `fromisoformat`, whose idea of a valid hour depends on the version of Python.
        start = f"{match['day']}T{match['minute'] or '00:00'}:{match['second'] or '00'}"
        local = msgspec.convert(start, datetime)
        msgspec.convert(f"{start}{sign}{hours}:{minutes}", datetime)
    except msgspec.ValidationError:
        return None
    if match["second"] and match["offset"] in _UTC:
        return match[0]
    try:
        instant = local - timedelta(hours=int(sign + hours), minutes=int(sign + minutes))
    except OverflowError:
        return text  # its year would be 0 or 10000 in UTC
    return f"{instant.isoformat()}{match['fraction'] or ''}Z"


def _match(text: str) -> re.Match[str] | None:
    return _ISO.fullmatch(_BASIC.sub(r"\1-\2-\3T\4:\5:\6", text, count=1))


def day(text: str) -> str | None:
    """Return a date as RFC 3339, or None where a text is none; midnight of a day is that day."""
    match = _MIDNIGHT.fullmatch(text)
    found = match[1] if match else text
    try:
        msgspec.convert(found, date)
    except msgspec.ValidationError:
        return None
    return found
