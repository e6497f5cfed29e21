"""Timestamps and dates as text: valid by RFC 3339, and the same instant in UTC."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from functools import lru_cache

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
    sign, hours, minutes = (
        ("+", "00", "00") if offset in "Zz" else (offset[0], offset[1:3], offset[3:].strip(":") or "00")
    )
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


def in_utc(text: str) -> str | None:
    """Return what `timestamp` returns, for a timestamp that has been decoded and so is valid; faster."""
    if text[-1] in "Zz":
        return text
    shift = _shift(text[-6:])
    if shift is None:
        return timestamp(text)
    try:
        # The fraction stays as it is: a datetime has microseconds at the most.
        return f"{(datetime.fromisoformat(text[:19]) - shift).isoformat()}{text[19:-6]}Z" if shift else text
    except OverflowError:
        return text


@lru_cache(maxsize=256)
def _shift(offset: str) -> timedelta | None:
    match = _OFFSET.fullmatch(offset)
    if match is None or offset[3] != ":":
        return None
    sign, hours, minutes = match.groups()
    return timedelta(hours=int(sign + hours), minutes=int(sign + minutes))


def _match(text: str) -> re.Match[str] | None:
    return _ISO.fullmatch(_BASIC.sub(r"\1-\2-\3T\4:\5:\6", text, count=1))


def day(text: str) -> str | None:
    """Return a date as RFC 3339, or None where a text is none; midnight of a day is that day."""
    match = _MIDNIGHT.fullmatch(text)
    written = match[1] if match else text
    try:
        msgspec.convert(written, date)
    except msgspec.ValidationError:
        return None
    return written
