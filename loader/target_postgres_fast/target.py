"""The target: what costs most in target-postgres, by its own hooks."""

import gzip
from typing import Any

import sqlalchemy as sa
from psycopg.sql import SQL, Identifier
from singer_sdk.contrib.msgspec import MsgSpecReader, decoder
from singer_sdk.helpers._batch import StorageTarget
from sqlalchemy.dialects.postgresql import insert
from target_postgres.connector import PostgresConnector
from target_postgres.sinks import PostgresSink
from target_postgres.target import TargetPostgres

from target_postgres_fast.values import cell, wider

Record = dict[str, Any]


class WideningConnector(PostgresConnector):
    """Widens columns; target-postgres ends there, or keeps a type that rounds."""

    def _adapt_column_type(self, **column: Any) -> None:  # type: ignore[override]
        current = column["column_object"].type
        if new := wider(current, column["sql_type"]):
            # In JSON, the items of an array read like those that arrive from now on.
            no_array = isinstance(current, sa.ARRAY) and not isinstance(new, sa.ARRAY)
            old = "to_jsonb({})" if no_array or isinstance(new, sa.JSON) else "{}"
            change = f"ALTER TABLE {{}}.{{}} ALTER COLUMN {{}} TYPE {new.compile(self._dialect)} USING {old}"
            names = [Identifier(column[f"{what}_name"]) for what in ("schema", "table", "column", "column")]
            column["connection"].connection.cursor().execute(SQL(change).format(*names))
            self.logger.info("%(schema_name)s.%(table_name)s.%(column_name)s is widened for %(sql_type)r", column)


class FastSink(PostgresSink):
    """Keeps of a record only its line for COPY."""

    connector_class = WideningConnector

    def setup(self) -> None:
        """Prepare the table, and have values written for the types that it has."""
        super().setup()
        with self.connector._connect() as connection:
            columns = self.connector.get_table_columns(self.schema_name or "public", self.table_name, connection)
        self.cells = [(name, *cell(columns[name].type)) for name in self.schema["properties"]]

    def _add_sdc_metadata_to_record(self, record: Record, message: Record, context: Record) -> None:
        if "shared" not in context:
            super()._add_sdc_metadata_to_record(context.setdefault("shared", {}), message, context)
        record.update(context["shared"], _sdc_deleted_at=record.get("_sdc_deleted_at"))
        record.update(_sdc_extracted_at=message.get("time_extracted"), _sdc_table_version=message.get("version"))

    def _parse_timestamps_in_record(self, record: Record, schema: Record, treatment: Any) -> None:
        # Text stays text. Of what has no schema, the SDK warns.
        if not record.keys() <= (known := schema["properties"].keys()):
            super()._parse_timestamps_in_record(record | dict.fromkeys(known), schema, treatment)

    def process_record(self, record: Record, context: Record) -> None:
        """Keep the line of a record, the last one of its key."""
        rows, get, at = context.setdefault("records", {}), record.get, ""
        try:
            cells = [null if (value := get(at := name)) is None else write(value) for name, write, null in self.cells]
        except (ValueError, TypeError, KeyError, ArithmeticError) as error:
            message = f"{self.full_table_name}.{at} cannot hold {get(at)!r:.200}: {self.schema['properties'][at]}"
            raise ValueError(message) from error
        rows[tuple([record[name] for name in self._key_properties]) or len(rows)] = "\t".join(cells)

    def process_batch_files(self, encoding: Any, files: Any) -> None:
        """Load files of JSON lines."""
        for path in files:
            context: Record = {"records": {}}
            head, tail = StorageTarget.split_url(path)
            with StorageTarget.from_url(head).open(tail, mode="rb") as file:
                for line in gzip.open(file) if encoding.compression == "gzip" else file:  # noqa: SIM115 - closed above
                    self.process_record(decoder.decode(line), context)
                    self.record_counter_metric.increment()
            self.process_batch(context)

    def bulk_insert_records(self, table: Any, records: Any, connection: Any, **_: Any) -> None:  # type: ignore[override]
        """Copy the lines of a batch into its temporary table."""
        names = SQL(", ").join(map(Identifier, self.schema["properties"]))
        statement = SQL("COPY {} ({}) FROM STDIN").format(Identifier(table.name), names)
        with connection.connection.cursor().copy(statement) as copy:
            copy.write("\n".join([*records.values(), ""]))

    def upsert(self, from_table: Any, to_table: Any, schema: Record, join_keys: Any, connection: Any) -> None:
        """Merge in one statement by the primary key, or as target-postgres does where the table has another one."""
        if self.append_only or {column.name for column in to_table.primary_key} != set(join_keys):
            super().upsert(from_table, to_table, schema, join_keys, connection)
        else:
            new = insert(to_table).from_select(from_table.columns.keys(), sa.select(from_table))
            values = {name: new.excluded[name] for name in self.schema["properties"]}
            connection.execute(new.on_conflict_do_update(index_elements=join_keys, set_=values))


class TargetPostgresFast(TargetPostgres):
    """Loads what target-postgres loads with `use_copy` off."""

    name = package_name = "target-postgres-fast"
    message_reader_class = MsgSpecReader
    default_sink_class = FastSink

    def get_sink(self, stream_name: str, *, schema: Record | None = None, **others: Any) -> Any:
        """Load what waits before a schema changes, so that it cannot replace what follows."""
        if schema is not None and stream_name in self._sinks_active:
            self.drain_one(self._sinks_active[stream_name])
        return super().get_sink(stream_name, schema=schema, **others)
