"""What becomes of data that the schema does not know: dlt's `schema_contract`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from singer_sdk.exceptions import DataError

Mode = Literal["evolve", "freeze", "discard_value", "discard_row"]


@dataclass(frozen=True)
class SchemaContract:
    """What becomes of new fields (`columns`) and of values of another type (`data_type`).

    `evolve` extends the schema, `freeze` fails the stream, `discard_value` leaves the field out or
    empty, `discard_row` drops the record.
    """

    columns: Mode = "discard_value"
    data_type: Mode = "discard_value"


class FrozenError(DataError):
    """A record holds what its frozen schema does not allow."""


class DiscardedError(Exception):
    """A record is dropped because it holds what its schema does not allow; the message names the field."""
