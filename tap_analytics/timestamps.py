"""Points in time as APIs write them, and as the state keeps them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_FORM = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2}|\d{8})"
    r"((?P<separator>[Tt ])\d{2}(?P<colon>:?)\d{2}(:?(?P<seconds>\d{2}))?(?P<fraction>[.,]\d+)?"
    r"(?P<offset>[Zz]|[+-]\d{2}(:?\d{2})?)?)?"
)


def parse_instant(text: str) -> datetime | None:
    """Return the instant that a text names, in UTC, or None where it names none.

    A text without an offset means UTC; digits beyond microseconds are cut off.
    """
    try:
        # RFC 3339 allows lower-case letters, which `fromisoformat` does not.
        instant = datetime.fromisoformat(text.upper())
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def format_instant(instant: datetime) -> str:
    """Return an instant as RFC 3339 text in UTC, in microseconds where it has them."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def format_like(instant: datetime, sample: str) -> str:
    """Return an instant in the form of another timestamp: its separator, digits and offset.

    Digits that the form has no room for are cut off, so that the result is never later than the instant. A form that
    is not known gives RFC 3339.
    """
    form = _FORM.fullmatch(sample)
    if form is None:
        return format_instant(instant)
    offset = form["offset"] or ""
    local = instant.astimezone(_zone(offset))
    day = f"{local:%Y-%m-%d}" if "-" in form["date"] else f"{local:%Y%m%d}"
    if form["separator"] is None:
        return day
    colon = form["colon"]
    seconds = f"{colon}{local:%S}" if form["seconds"] else ""
    fraction = form["fraction"] or ""
    if fraction:
        digits = len(fraction) - 1
        fraction = fraction[0] + f"{local.microsecond:06d}".ljust(digits, "0")[:digits]
    return f"{day}{form['separator']}{local:%H}{colon}{local:%M}{seconds}{fraction}{offset}"


def _zone(offset: str) -> timezone:
    if offset in {"", "Z", "z"}:
        return UTC
    hours, minutes = int(offset[1:3]), int(offset[3:].lstrip(":") or 0)
    span = timedelta(hours=hours, minutes=minutes)
    return timezone(-span if offset[0] == "-" else span)


def earlier(instant: datetime, span: timedelta) -> datetime:
    """Return the instant some time before another, or the first that there is."""
    try:
        return instant - span
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)
