"""JSON values as COPY reads them, every digit and every moment kept; and the types of columns that hold them."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import types
from target_postgres.connector import NOTYPE, HexByteString

Write = Callable[[Any], str]

is_utc = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|\+00:00)", re.ASCII).fullmatch
is_special = re.compile(r"[\\\t\n\r\0]").search
to_json = msgspec.json.Encoder(decimal_format="number").encode
# PostgreSQL cannot store NUL; target-postgres puts the same character there.
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\ufffd"})


def text(value: object) -> str:
    """Return what a column of text gets."""
    if isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(NOTYPE().process_bind_param(value, None))


def escaped(value: object) -> str:
    """Return the text of a value as COPY reads it."""
    value = value if type(value) is str else text(value)
    return value.translate(ESCAPES) if is_special(value) else value


def number(value: object) -> str:
    """Return a number with all of its digits."""
    return str(value) if type(value) in (int, Decimal) else escaped(str(value))


def instant(value: str) -> str:
    """Return a moment in UTC; one without an offset stays as it is."""
    if is_utc(value):
        return value
    at = datetime.fromisoformat(value)
    try:
        return (at.astimezone(UTC) if at.tzinfo else at).isoformat()
    except OverflowError:
        # PostgreSQL has the years before 1 and after 9999. The calendar repeats itself after 400 years.
        year, like, era = ("0001", 401, " BC") if at.year == 1 else ("10000", 9599, "")
        return f"{year}{at.replace(year=like).astimezone(UTC):-%m-%d %H:%M:%S.%f+00:00}{era}"


def clock(value: str) -> str:
    """Return a time of day, in UTC where it has an offset."""
    return instant(datetime.combine(date(2000, 1, 1), time.fromisoformat(value)).isoformat())[11:]


def json(value: object) -> str:
    """Return JSON without NUL."""
    written = to_json(value).decode()
    return re.sub(r"(?<!\\)((?:\\\\)*)\\u0000", "\\1\ufffd", written) if "\\u0000" in written else written


def quoted(item: str) -> str:
    """Return an item as it stands in an array."""
    return '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'


def array(item: Write, values: object) -> str:
    """Return an array, its items by `item`."""
    if not isinstance(values, list):
        return text(values)
    null = '"null"' if item is json else "NULL"
    return "{" + ",".join([null if value is None else quoted(item(value)) for value in values]) + "}"


WRITERS: dict[type[types.TypeEngine[Any]], Write] = {
    types.DateTime: instant,
    types.Date: lambda value: date.fromisoformat(value).isoformat(),
    types.Time: clock,
    types.Boolean: {True: "true", False: "false"}.__getitem__,
    # 2.0 is a whole number; 2.5 is for PostgreSQL to refuse.
    types.Integer: lambda value: number(int(value) if isinstance(value, Decimal) and value % 1 == 0 else value),
    types.Numeric: number,
    types.JSON: json,
    types.LargeBinary: lambda value: f"\\x{HexByteString().process_bind_param(value, None).hex()}",
}
ORDERS = ((types.SMALLINT, types.INTEGER, types.BIGINT, types.Numeric), (types.DATE, types.DateTime))
"""Types each of which holds the values of those before it."""


def writer(column: types.TypeEngine[Any]) -> Write:
    """Return what writes the values of a column as PostgreSQL reads them."""
    if isinstance(column, types.ARRAY):
        return partial(array, writer(column.item_type))
    return next((write for kind, write in WRITERS.items() if isinstance(column, kind)), text)


def cell(column: types.TypeEngine[Any]) -> tuple[Write, str]:
    """Return what writes the values of a column as COPY reads them, and what stands for none.

    Without a value, target-postgres gives a column of JSON the null of JSON.
    """
    write = writer(column)
    if isinstance(column, types.ARRAY | types.JSON | types.LargeBinary):
        return lambda value: escaped(write(value)), "null" if write is json else "\\N"
    return escaped if write is text else write, "\\N"


def wider(current: types.TypeEngine[Any], wanted: types.TypeEngine[Any]) -> types.TypeEngine[Any] | None:
    """Return the type that holds the values of both, or None where `current` does.

    Text and JSON hold everything. A type that no loader gives a column is its owner's choice, and stays.
    """
    if isinstance(current, types.JSON) or not isinstance(current, (*WRITERS, types.ARRAY, types.Uuid)):
        return None
    if isinstance(current, types.ARRAY) and isinstance(wanted, types.ARRAY):
        item = wider(current.item_type, wanted.item_type)
        return item and types.ARRAY(item)
    for order in ORDERS:
        ranks = [rank for kind in (current, wanted) for rank, other in enumerate(order) if isinstance(kind, other)]
        if len(ranks) > 1:
            return wanted if ranks[1] > ranks[0] else None
    return wanted if isinstance(wanted, types.JSON) else None if str(current) == str(wanted) else types.TEXT()
