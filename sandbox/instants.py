"""Instants as whole milliseconds since 1970 (ms): the API speaks in them, and integers are fast."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OPENS: Final = 6 * HOUR
_OPEN_FOR: Final = 12 * HOUR
# How much of a weekday's work a day sees. The first entry is Thursday, as 1970 began.
_WORK: Final = (1.0, 1.0, 0.4, 0.1, 1.0, 1.0, 1.0)


class _Days(dict[int, str]):
    """The text of each day, made once: formatting dates would be most of a record's cost."""

    def __missing__(self, day: int) -> str:
        text = self[day] = f"{from_ms(day * DAY):%Y-%m-%d}T"
        return text


_days = _Days()


def to_ms(instant: datetime) -> int:
    """Return an aware datetime in ms."""
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def from_ms(instant: int) -> datetime:
    """Return ms as a datetime in UTC."""
    return _EPOCH + timedelta(milliseconds=instant)


def stamp(instant: int) -> str:
    """Return ms as the API writes it, such as 2026-03-01T06:02:11.000Z."""
    day, rest = divmod(instant, DAY)
    seconds, ms = divmod(rest, SECOND)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{_days[day]}{hour:02d}:{minute:02d}:{second:02d}.{ms:03d}Z"


def parse(value: object) -> int | None:
    """Return an RFC 3339 text in ms (UTC where it names no zone), or None if it is not one."""
    if not isinstance(value, str):
        return None
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        return None
    return to_ms(instant if instant.tzinfo else instant.replace(tzinfo=UTC))


def work_between(start: int, end: int) -> float:
    """Return how many weekdays' worth of work lies between two ms."""
    total = 0.0
    for day in range(start // DAY, end // DAY + 1):
        opens = day * DAY + _OPENS
        worked = max(min(end, opens + _OPEN_FOR) - max(start, opens), 0)
        total += worked / _OPEN_FOR * _WORK[day % 7]
    return total


def working_instants(rng: random.Random, start: int, rate: float) -> Iterator[int]:
    """Yield rising ms within working hours, `rate` of them a weekday, from midnight `start` on.

    The n-th one falls into the n-th equal share of the work, so that a history holds an exact
    number of them, and a longer one begins with the same.
    """
    if rate <= 0:
        return
    day, done = start // DAY, 0.0
    work = _WORK[day % 7]
    for number in count():
        position = (number + rng.random()) / rate
        while position >= done + work:
            done += work
            day += 1
            work = _WORK[day % 7]
        yield day * DAY + _OPENS + int((position - done) / work * _OPEN_FOR)
