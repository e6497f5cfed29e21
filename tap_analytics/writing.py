"""The writing half of a stream: records leave as the bytes they came in, or through the SDK where they change."""

from __future__ import annotations

import re
from contextlib import contextmanager
from fnmatch import fnmatch
from itertools import compress
from typing import TYPE_CHECKING, Any, cast

from singer_sdk import Stream
from singer_sdk.exceptions import FatalSyncError, SingerSDKError, SyncLifecycleSignal
from singer_sdk.mapper import CustomStreamMap, SameRecordTransform

from tap_analytics.reading import ReadingStream
from tap_analytics.rest.client import EXCERPT
from tap_analytics.rest.errors import RestError
from tap_analytics.singer.batch import BatchFiles
from tap_analytics.singer.contract import SchemaContract
from tap_analytics.singer.evolution import learned, with_learned
from tap_analytics.singer.output import encoder
from tap_analytics.singer.records import CHUNK, Envelope, RecordEncoder, RecordError, SchemaChange
from tap_analytics.singer.schema import breadcrumb
from tap_analytics.sync.incremental import MissingCursorError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from msgspec import Raw
    from singer_sdk import Tap
    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.mapper import StreamMap
    from singer_sdk.metrics import Counter

    from tap_analytics.config.resources import Api
    from tap_analytics.config.words import Resource
    from tap_analytics.rest.client import Client
    from tap_analytics.rest.pages import Page
    from tap_analytics.singer.output import LineWriter
    from tap_analytics.singer.records import Wanted


LEARNED = "learned_properties"
"""Where the state keeps how the schema of a stream has grown."""


class WritingStream(ReadingStream):
    """Writes the records of a stream; keeps what ends it early, so that the other streams go on."""

    def __init__(self, tap: Tap, client: Client, api: Api, resource: Resource | None = None) -> None:
        super().__init__(tap, client, api, resource)
        self.failure: Exception | None = None
        self._writer = cast("LineWriter", tap.message_writer)
        self._record_encoder: RecordEncoder | None = None
        self._batches = False

    @property
    def encoder(self) -> RecordEncoder:
        """What checks and encodes the records: the schema, as earlier runs saw it grow, and the selection, compiled."""
        if self._record_encoder is None:
            self._record_encoder = RecordEncoder(
                with_learned(self.effective_schema, self.stream_state.get(LEARNED)),
                selected=lambda path: self.mask[breadcrumb(path)],
                keys=self.primary_keys,
                cursor=self.observed or None,
                warn=self.warn,
                contract=self._contract(),
                flattened_levels=self._flattened_levels(),
            )
        return self._record_encoder

    def _flattened_levels(self) -> int:
        options = self.stream_maps[0].flattening_options if self.stream_maps else None
        return options.max_level if options is not None and options.enabled else 0

    def _contract(self) -> SchemaContract:
        """Return what becomes of data that the schema does not know; no stream map knows of a field that is new."""
        contract = self.resource.contract
        if self._changes_records() is None:
            return contract
        fixed = {"evolve": "discard_value"}
        return SchemaContract(
            fixed.get(contract.columns, contract.columns),  # type: ignore[arg-type] # both are modes
            fixed.get(contract.data_type, contract.data_type),  # type: ignore[arg-type] # as above
        )

    @property
    def _grows(self) -> bool:
        contract = self._contract()
        return "evolve" in {contract.columns, contract.data_type}

    def write_schema(self) -> None:
        """Write the SCHEMA message, with what earlier runs learned where the schema grows."""
        if not self._grows:
            super().write_schema()
        elif not self.encoder.has_open_key:  # the first record shows its type
            self.write_own_schema(self.encoder.loadable_schema)

    def _grow(self, schema: dict[str, Any]) -> None:
        """Announce a schema that has grown, and keep what was learned."""
        self.write_own_schema(schema)
        self._uncommitted[LEARNED] = learned(self.effective_schema, self.encoder.schema)

    def get_records(self, context: Context | None) -> Iterator[Record]:
        """Yield the records as Python values that have lost no digit."""
        del context
        for page in self.pages():
            yield from self._decoded(page)

    def _decoded(self, page: Page) -> Iterator[Record]:
        """Yield the wanted records of a page as Python values that have lost no digit."""
        for start, chunk in chunks(page):
            with self._located(page, start):
                for item in self.encoder.process_decoded(chunk, wanted=self._wanted_of(chunk)):
                    if isinstance(item, SchemaChange):
                        self._grow(item.schema)
                    elif (processed := self.post_process(item)) is not None:
                        yield processed

    def _encoded(self, page: Page) -> Iterator[SchemaChange | Sequence[Raw | bytes]]:
        """Yield the wanted records of a page, encoded, some at a time, and the schema where it grows."""
        for start, chunk in chunks(page):
            with self._located(page, start):
                yield from self.encoder.process(chunk, wanted=self._wanted_of(chunk))

    def _wanted_of(self, chunk: Sequence[Raw]) -> Wanted | None:
        """Return what tells which of some records are wanted; None where that is all of them."""
        if self.observed:
            return self._observe
        self.keep_for_children(chunk)
        return None

    def _observe(self, cursors: Sequence[Any], records: Sequence[Raw]) -> list[bool] | None:
        choice = self.plan().observe(cursors, records)
        wanted = None if choice is None else list(choice)
        if self.children:
            self.keep_for_children(records if wanted is None else list(compress(records, wanted)))
        return wanted

    @contextmanager
    def _located(self, page: Page, start: int) -> Iterator[None]:
        """Say of what goes wrong with a record where in the answer that is."""
        try:
            yield
        except (RecordError, MissingCursorError) as error:
            index = getattr(error, "index", 0)
            msg = f"{page.label}: record {page.first + start + index + 1} of the answer {error}"
            raise RecordError(msg) from None

    # Messages

    def emit(self, *, write_messages: bool) -> Generator[Record, None, None]:
        """Emit the records, or yield them where the caller is to emit them itself.

        What ends the stream early is kept in `failure`, so that the other streams go on.
        """
        if self.resource.disposition == "replace":
            self.begin_version()
        # A failure passes the timer, whose metric tells it.
        with self.keeping_failure(), self.get_record_counter() as counter, self.get_sync_timer():
            if write_messages and self._takes_fast_path():
                self._write_pages(counter)
            else:
                yield from self._through_sdk(counter, write_messages=write_messages)
            if not (self._grows and self.encoder.has_open_key):
                self.write_version()

    def _write_pages(self, counter: Counter) -> None:
        for page in self.pages():
            envelope = Envelope(self.stream_maps[0].stream_alias, self.version, page.received)
            for item in self._encoded(page):
                if isinstance(item, SchemaChange):
                    self._grow(item.schema)
                else:
                    self._writer.write_lines(envelope.wrap(item))
                    self._count(counter, len(item))

    def _count(self, counter: Counter, records: int) -> None:
        counter.increment(records)
        self.stats.records += records

    def _through_sdk(self, counter: Counter, *, write_messages: bool) -> Iterator[Record]:
        for index, record in enumerate(self.get_records(None)):
            self.check_limit(index)
            if write_messages:
                self.write_record(record)
            else:
                yield from self._mapped_once(record)
            self._count(counter, 1)

    def _takes_fast_path(self) -> bool:
        """Tell whether records leave as they came, and log why where they do not."""
        reason = self._slow_reason()
        if reason is not None:
            self.inform(f"records are decoded one by one: {reason}.")
        return reason is None

    def _slow_reason(self) -> str | None:
        """Return why records have to be decoded one by one; None where they have not."""
        if self.ABORT_AT_RECORD_COUNT is not None:
            return "only some of them are read"
        if type(self).post_process is not Stream.post_process:
            return "the stream has a post_process of its own"
        return self._changes_records() or self.encoder.slow_reason

    def _changes_records(self) -> str | None:
        """Return by which settings the SDK changes records, if it does."""
        if not self.selected:
            return None  # it is read for its children only
        if len(self.stream_maps) != 1 or not is_alias_only(self.stream_maps[0], self.name, self.config):
            return "stream_maps change them"
        return "flattening_enabled changes them" if self.stream_maps[0].flattening_enabled else None

    def _mapped_once(self, record: Record) -> Iterator[Record]:
        """Yield what leaves of a record, unless a stream map filters it out.

        Raises FatalSyncError where it leaves under several names, which a batch cannot hold.
        """
        if len(self.stream_maps) > 1:
            msg = "batch_config cannot be used with more than one stream map for a stream"
            raise FatalSyncError(msg)
        yield from self.mapped(record)

    # Batches

    def emit_batches(self, batch_config: BatchConfig) -> None:
        """Write the records of the stream as BATCH files."""
        self._batches = True
        with self.keeping_failure():
            super().emit_batches(batch_config)
            self._batches = False
            if not self.children:
                self._commit()

    def _commit(self) -> None:
        if not self._batches:
            super()._commit()

    def get_batches(
        self,
        batch_config: BatchConfig,
        context: Context | None = None,
    ) -> Iterator[tuple[BaseBatchFileEncoding, list[str]]]:
        """Yield the encoding and the manifest of one batch after another.

        Raises RestError where the reading cannot go on; what was read until then is in a batch.
        """
        is_ours = batch_config.encoding.format == "jsonl"
        for batch in self._files(batch_config) if is_ours else super().get_batches(batch_config, context):
            if not self.children:
                # Its file is complete, and so are those of all records before.
                self._settle()
            yield batch

    def _files(self, batch_config: BatchConfig) -> Iterator[tuple[BaseBatchFileEncoding, list[str]]]:
        files = BatchFiles(batch_config, f"{self.tap_name}--{self.name}")
        failure: Exception | None = None
        try:
            for item in self._all_encoded():
                # A file holds records of one schema.
                for manifest in files.end() if isinstance(item, SchemaChange) else files.write(item):
                    yield batch_config.encoding, manifest
                if isinstance(item, SchemaChange):
                    self._grow(item.schema)
        except (SingerSDKError, RestError) as error:
            failure = error
        for manifest in files.end():
            yield batch_config.encoding, manifest
        if failure is not None:
            raise failure

    def _all_encoded(self) -> Iterator[SchemaChange | Sequence[Raw | bytes]]:
        """Yield the wanted records of all pages, encoded, some at a time, and the schema where it grows."""
        if not self._takes_fast_path():
            for record in self.emit(write_messages=False):
                yield (encoder.encode(record),)
            return
        with self.get_record_counter() as counter, self.get_sync_timer():
            for page in self.pages():
                for item in self._encoded(page):
                    if not isinstance(item, SchemaChange):
                        self._count(counter, len(item))
                    yield item

    # Failures

    @contextmanager
    def keeping_failure(self) -> Iterator[None]:
        """Keep what ends the stream early, and give up what is still in flight for it."""
        self.stats.begin()
        try:
            yield
        except SyncLifecycleSignal:
            raise  # a dry run has seen enough
        except Exception as error:  # noqa: BLE001 - the streams after this one may well be sound
            self._fail(error)
        finally:
            if self._reader is not None:
                self._reader.close()
        self.stats.end("failed" if self.failure else "done")
        if self.parent is not None:
            self.parent.child_done(self, failed=self.failure is not None)

    def _fail(self, error: Exception) -> None:
        """Keep why the stream ended early, and log it in one line."""
        if not isinstance(error, SingerSDKError | RestError):
            self.logger.debug("%s: unexpected error.", self.name, exc_info=error)
            text = self.client.secrets.excerpt(f"{type(error).__name__}: {error}", EXCERPT)
            error = FatalSyncError(f"unexpected error: {text}")
        self.failure = error
        if self.client.is_new_reason(self.reason):
            self.logger.error("%s: %s", self.name, error)
        else:
            self.logger.info("%s failed for the same reason as an earlier stream.", self.name)

    @property
    def reason(self) -> str:
        """What ended the stream early, without the request: streams may have it in common."""
        request = rf"(GET|POST) {re.escape(self._base.path)}( \([^)]*\))?"
        return re.sub(request, "every request", str(self.failure))


def chunks(page: Page) -> Iterator[tuple[int, Sequence[Raw]]]:
    """Yield the records of a page, some at a time, with the position of the first in the page."""
    for start in range(0, len(page.records), CHUNK):
        yield start, page.records[start : start + CHUNK]


def is_alias_only(stream_map: StreamMap, stream: str, config: Mapping[str, Any]) -> bool:
    """Tell whether the stream map of a stream, if there is any, does no more than give an alias."""
    if type(stream_map) is SameRecordTransform:
        return True
    definitions = config.get("stream_maps", {})
    return type(stream_map) is CustomStreamMap and all(
        isinstance(definition, dict) and definition.keys() <= {"__alias__"}
        for pattern, definition in definitions.items()
        if fnmatch(stream, pattern)
    )
