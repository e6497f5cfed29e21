"""Points in time as the API writes them, and as the state keeps them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


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


def earlier(instant: datetime, span: timedelta) -> datetime:
    """Return the instant some time before another, or the first that there is."""
    try:
        return instant - span
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)
