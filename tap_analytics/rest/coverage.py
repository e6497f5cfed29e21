"""Whether the pages of a list held all of it: as many records must have been read as the list has places.

Pages that join prove that nothing is missing between them only as long as the rows keep their
order. So a walk also counts the records that it has read, each once, by their keys. Where the order
changed between two requests, or rows moved, some were read twice and the count falls short; then
the list is read again.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count as numbers
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from tap_analytics.rest.errors import PagingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from msgspec import Raw

    from tap_analytics.rest.pages import Page

LOOKS = 3
"""How often a list is read as long as rows come in among those that have been read."""

MOST_LOOKS = 10
"""How often a list is read as long as rows are missing and each reading brings some of them."""

SET_SIZE = 250_000
"""Digests that are counted at a time: a set takes ten times the memory of an array."""

STEADY_LOOKS = 5
"""How many times in a row a list must have been the same to prove that its records have no keys of their own."""

INTEGERS = range(-(2**63), 2**63)


@dataclass
class Outcome:
    """What a walk says of one look: one reading of a list from its start to its end."""

    look: int = 1
    """The number of the look, from 1."""
    by_position: bool = False
    """Whether the rows have shown no order by which pages could join."""
    places: int | None = None
    """How many records the list had at its end; None where it had as many as its pages."""
    came_in: str = ""
    """The last request that showed rows among those that had been read, if one did."""


Look = Callable[[Outcome], Iterator["Page"]]
"""Yields the pages of a list, and tells how that ended."""


class Coverage:
    """The distinct records that a walk has read, at eight bytes a record."""

    def __init__(self, key_of: Callable[[Raw], Hashable]) -> None:
        self._key_of = key_of
        self._digests = array("q")
        self._ends = [0]
        """Where the pages end in the digests."""
        self._starts: list[int] = []
        """Where the looks start in the digests."""
        self._known: set[int] = set()
        self._counted = 0

    def begin(self) -> None:
        """Begin to read the list, for the first time or again."""
        self._starts.append(len(self._digests))
        self.forget()

    def forget(self) -> None:
        """Know nothing of what this look has read so far."""
        self._known = set()
        self._counted = len(self._digests)

    def noted(self, page: Page) -> Iterator[Page]:
        """Yield a page to whoever decodes it, and note its keys."""
        yield replace(page, note_keys=self._note)
        read = len(self._digests) - self._ends[-1]
        if read != len(page.records):
            del self._digests[self._ends[-1] :]
            self._note(list(map(plain_key, map(self._key_of, page.records))))
        self._ends.append(len(self._digests))

    def _note(self, keys: Sequence[Hashable]) -> None:
        are_texts = {*map(type, keys)} == {str}
        self._digests.extend(map(hash if are_texts else digest, keys))

    def knows_all(self, records: Iterable[Raw]) -> bool:
        """Tell whether this look has read all of some records, as far as that is not forgotten."""
        self._known.update(self._digests[self._counted :])
        self._counted = len(self._digests)
        return all(digest(plain_key(self._key_of(record))) in self._known for record in records)

    @property
    def read(self) -> int:
        """How many records this look has read, some of them perhaps twice."""
        return len(self._digests) - self._starts[-1]

    def missing(self, places: int) -> int:
        """Return how many of so many places are of records that no look has read.

        None are missing where one page holds all of them: one answer has one order.
        """
        is_one_page = len(self._ends) == 2 and len(self._digests) == places  # noqa: PLR2004 - its start and its end
        return 0 if is_one_page else max(places - count(self._digests), 0)

    def is_key_repeated(self, places: int) -> bool:
        """Tell whether records of the list have the same key, so that their number proves nothing.

        Two such records in one answer prove it, and so do many looks that have read each place once
        and found the same.
        """
        pages = [self._digests[start:end] for start, end in pairwise(self._ends)]
        if any(count(page) < len(page) for page in pages):
            return True
        looks = [self._digests[start:end] for start, end in pairwise([*self._starts, len(self._digests)])]
        last = looks[-STEADY_LOOKS:]
        return len(last) == STEADY_LOOKS and all(look == last[0] and len(look) == places for look in last)

    @property
    def has_brought(self) -> bool:
        """Whether one of the last two looks has brought records that no look before it has."""
        return count(self._digests) > count(self._digests[: self._starts[-2]])


def covered(look: Look, coverage: Coverage | None, *, warn: Callable[[str], None]) -> Iterator[Page]:
    """Yield the pages of a list, which is read until every record that was in it has been read.

    Records without a key cannot be counted, and to read them again would double them.
    Raises PagingError where records are missing and no further look brings them.
    """
    if coverage is None:
        outcome = Outcome()
        yield from look(outcome)
        if outcome.came_in:
            warn(doubt(outcome))
        return
    first, by_position = 0, False
    for number in numbers(1):
        outcome = Outcome(number, by_position)
        coverage.begin()
        for page in look(outcome):
            yield from coverage.noted(page)
        places = coverage.read if outcome.places is None else outcome.places
        first = first or places
        missing = coverage.missing(places)
        if not missing and not outcome.came_in:
            return
        if not outcome.came_in and coverage.is_key_repeated(places):
            warn(f"{missing:,} of {places:,} records have the key of another record of the list. Is the key right?")
            return
        if number < LOOKS:
            by_position = number > 1 and places <= first  # no row came in, so that the order has changed
            continue
        if not coverage.missing(first):
            warn(doubt(outcome))
            return
        if number == MOST_LOOKS or (number >= STEADY_LOOKS and not coverage.has_brought):
            raise PagingError(disorder(number, missing=missing, places=places))


def doubt(outcome: Outcome) -> str:
    """Return the warning that rows keep coming in."""
    shown = f"{outcome.came_in} showed" if outcome.came_in else "The number of records shows"
    return (
        f"{shown} that rows came in among those that had been read. If one of them was "
        "moved there from further on, it may be missing until the next run."
    )


def disorder(looks: int, *, missing: int, places: int) -> str:
    """Return why a list cannot be read."""
    return (
        f"the order of the records changes from request to request: the list was read {looks} times, and {missing:,} "
        f"of its {places:,} records did not come. Have the API sort them by a field that does not change, like the key."
    )


def count(digests: array[int]) -> int:
    """Return how many different digests there are."""
    shares = len(digests) // SET_SIZE + 1
    if shares == 1:
        return len(set(digests))
    return sum(len({one for one in digests if one % shares == share}) for share in range(shares))


def plain_key(key: Hashable) -> Hashable:
    """Return a key of one plain value as this value, whatever way its JSON is written."""
    if isinstance(key, tuple) and len(key) == 1:
        with suppress(msgspec.DecodeError):
            value = msgspec.json.decode(key[0])
            return value if isinstance(value, str | int) else key
    return key


def digest(key: Hashable) -> int:
    """Return a whole number of 64 bits that tells a key from others."""
    return key if isinstance(key, int) and key in INTEGERS else hash(key)
