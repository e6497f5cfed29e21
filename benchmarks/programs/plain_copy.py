"""The limit for Python: the records of a file of Singer lines by COPY and a merge, their values as they are."""

from __future__ import annotations

import sys
from itertools import islice

import msgspec
import psycopg
from psycopg.sql import SQL, Identifier

BATCH = 10_000


def main(url: str, name: str) -> None:
    """Read lines from standard input into a new table whose columns are all text, merged by `id`."""
    decode = msgspec.json.decode
    messages = (decode(line) for line in sys.stdin.buffer)
    columns = next(message["schema"]["properties"] for message in messages if message["type"] == "SCHEMA")
    schema, _, table = name.partition(".")
    target, names = Identifier(schema, table), SQL(", ").join(map(Identifier, columns))
    records = (message["record"] for message in messages if message["type"] == "RECORD")
    with psycopg.connect(url) as connection:
        connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))
        kinds = SQL(", ").join(SQL("{} text").format(Identifier(column)) for column in columns)
        connection.execute(SQL("CREATE TABLE {} ({}, PRIMARY KEY (id))").format(target, kinds))
        connection.execute(SQL("CREATE TEMPORARY TABLE batch (LIKE {})").format(target))
        updates = SQL(", ").join(SQL("{0} = excluded.{0}").format(Identifier(column)) for column in columns)
        merge = SQL("INSERT INTO {} SELECT * FROM batch ON CONFLICT (id) DO UPDATE SET {}").format(target, updates)
        while batch := list(islice(records, BATCH)):
            with connection.cursor().copy(SQL("COPY batch ({}) FROM STDIN").format(names)) as copy:
                copy.write("".join([line(record, columns) for record in batch]))
            connection.execute(merge)
            connection.execute("TRUNCATE batch")


def line(record: dict[str, object], columns: dict[str, object]) -> str:
    """Return the line of a record whose texts need no escapes."""
    cells = [
        "\\N" if (value := record.get(name)) is None else value if type(value) is str else str(value)
        for name in columns
    ]
    return "\t".join(cells) + "\n"


if __name__ == "__main__":
    main(*sys.argv[1:])
