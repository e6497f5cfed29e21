"""The slow road of a record: decoded without losing a digit, and brought into the shape of its schema."""

from __future__ import annotations

import decimal
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw
from singer_sdk.exceptions import DataError

from tap_analytics.singer.conform import ConformError
from tap_analytics.singer.contract import DiscardedError, FrozenError
from tap_analytics.singer.schema import value_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_analytics.singer.conform import Conformer
    from tap_analytics.singer.schema import Path

Wanted = Callable[[Sequence[Any], Sequence[Raw]], Iterable[bool] | None]
"""Tells of records, by their cursors, which are wanted; None is all of them."""

NoteKeys = Callable[[Sequence[Hashable]], None]
"""Takes the keys of records that were decoded anyhow."""

_exactly = msgspec.json.Decoder(dict[str, Any], float_hook=decimal.Decimal)


class RecordError(DataError):
    """A good answer does not hold what was asked for."""

    index: int = 0
    """Which record of a chunk it is about."""


def decode_exactly(record: Raw | bytes) -> dict[str, Any]:
    """Return a record as Python values that have lost no digit.

    Raises RecordError where it is not an object.
    """
    try:
        return _exactly.decode(record)
    except (msgspec.DecodeError, RecursionError) as error:
        msg = f"is not a readable object ({error})"
        raise RecordError(msg) from None


class RecordDecoder:
    """Decodes the records of one stream, and conforms them to its schema."""

    def __init__(
        self, conformer: Conformer, *, keys: Sequence[str], cursor: Path | None, warn: Callable[[str], None]
    ) -> None:
        self.conformer = conformer
        self._keys = keys
        self._cursor = cursor
        self._warn = warn
        self.discarded = 0
        """Records that the schema contract has dropped so far."""

    def leaving(self, chunk: Sequence[Raw], wanted: Wanted | None, *, first: int = 0) -> Iterator[dict[str, Any]]:
        """Yield the values of the records that leave; `first` is the index of the first of them.

        Raises RecordError with the index of a record that has no valid form, or that the schema
        contract refuses.
        """
        for index, record in enumerate(chunk, first):
            try:
                values = decode_exactly(record)
                conformed = self.conform(values)
            except DiscardedError as error:
                self._report_discarded(error)
                continue
            except RecordError as error:
                error.index = index
                raise
            kept = wanted((self._cursor_of(values, conformed),), (record,)) if wanted and self._cursor else None
            if kept is None or all(kept):
                yield conformed

    def _cursor_of(self, values: Mapping[str, Any], conformed: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        """Return the cursor of a record: as the API wrote it, so that it can be sent back; as a number from text."""
        cursor = value_at(conformed, self._cursor or ())
        return value_at(values, self._cursor or ()) if cursor is None or isinstance(cursor, str) else cursor

    def decode(self, record: Raw) -> dict[str, Any]:
        """Return the selected fields of a record as Python values that have lost no digit; raise as `conform` does."""
        return self.conform(decode_exactly(record))

    def conform(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the selected fields of a decoded record, valid under the schema.

        Raises RecordError where it has no key, or has no form that fits the schema, and DiscardedError where the schema
        contract drops it.
        """
        for key in self._keys:
            if values.get(key) is None or isinstance(values[key], (dict, list)):
                msg = f"has no {key}, which is its key"
                raise RecordError(msg)
        try:
            conformed = self.conformer.conform(values)
        except (ConformError, FrozenError) as error:
            raise RecordError(str(error)) from None
        for key in self._keys:
            if conformed.get(key) is None:
                msg = f"has a key, {key}, that does not fit the schema; let the schema be discovered again"
                raise RecordError(msg)
        return conformed

    def _report_discarded(self, error: DiscardedError) -> None:
        self.discarded += 1
        if self.discarded == 1:
            self._warn(f"A record is dropped, as schema_contract says: {error}. Further ones are only counted.")
