"""The writing half of a stream: records leave as the bytes they came in, or through the SDK where they change."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import replace
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
from tap_analytics.singer.output import encoder
from tap_analytics.singer.records import CHUNK, Envelope, RecordEncoder, RecordError
from tap_analytics.sync.incremental import MissingCursorError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from msgspec import Raw
    from singer_sdk import Tap
    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.metrics import Counter

    from tap_analytics.config.resources import Api
    from tap_analytics.config.words import Resource
    from tap_analytics.rest.client import Client
    from tap_analytics.rest.pages import Page
    from tap_analytics.singer.output import LineWriter


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
        """What checks and encodes the records, compiled from the schema and the selection."""
        if self._record_encoder is None:
            schema = self.effective_schema
            self._record_encoder = RecordEncoder(
                schema,
                selected=[name for name in schema["properties"] if self.mask["properties", name]],
                keys=self.primary_keys,
                cursor=".".join(self.observed) or None,
                warn=self.warn,
            )
        return self._record_encoder

    def get_records(self, context: Context | None) -> Iterator[Record]:
        """Yield the records as Python values that have lost no digit."""
        del context
        for page in self.pages():
            yield from self._decoded(page)

    def _decoded(self, page: Page) -> Iterator[Record]:
        """Yield the wanted records of a page as Python values that have lost no digit."""
        plan, observed = self.plan(), self.observed
        for position, record in enumerate(page.records, start=page.first + 1):
            try:
                values = self.encoder.decode(record)
                wanted = plan.observe([_value_at(observed, values)], [record]) if observed else None
                is_wanted = wanted is None or all(wanted)
            except (RecordError, MissingCursorError) as error:
                msg = f"{page.label}: record {position} of the answer {error}"
                raise RecordError(msg) from None
            if is_wanted:
                self.keep_for_children([record])
                processed = self.post_process(values)
                if processed is not None:
                    yield processed

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
            self.write_version()

    def _write_pages(self, counter: Counter) -> None:
        for page in self.pages():
            envelope = Envelope(self.stream_maps[0].stream_alias, self.version, page.received)
            for records in self._encoded(page, counter):
                self._writer.write_lines(envelope.wrap(records))

    def _through_sdk(self, counter: Counter, *, write_messages: bool) -> Iterator[Record]:
        for index, record in enumerate(self.get_records(None)):
            self.check_limit(index)
            if write_messages:
                self.write_record(record)
            else:
                yield from self._mapped_once(record)
            counter.increment()
            self.stats.records += 1

    def _encoded(self, page: Page, counter: Counter) -> Iterator[Sequence[Raw | bytes]]:
        """Yield the wanted records of a page, encoded, some at a time."""
        plan = self.plan()
        for start in range(0, len(page.records), CHUNK):
            chunk = page.records[start : start + CHUNK]
            cursors = self.encoder.check(chunk)
            if cursors is None:
                # Something in it is not as the schema says: record by record it can be told.
                for record in self._decoded(replace(page, records=chunk, first=page.first + start)):
                    for mapped in self._mapped_once(record):
                        counter.increment()
                        self.stats.records += 1
                        yield (encoder.encode(mapped),)
                continue
            try:
                wanted = plan.observe(cursors, chunk) if cursors else None
                chosen = chunk if wanted is None else list(compress(chunk, wanted))
            except MissingCursorError as error:
                msg = f"{page.label}: a record {error}"
                raise RecordError(msg) from None
            self.keep_for_children(chosen)
            encoded = self.encoder.encode(chosen)
            counter.increment(len(encoded))
            self.stats.records += len(encoded)
            yield encoded

    def _takes_fast_path(self) -> bool:
        """Tell whether records leave as they came: nothing is to be changed within them."""
        return (
            self.ABORT_AT_RECORD_COUNT is None
            and type(self).post_process is Stream.post_process
            and self.encoder.is_flat
            and len(self.stream_maps) == 1
            and not self.stream_maps[0].flattening_enabled
            and self._is_alias_only()
        )

    def _is_alias_only(self) -> bool:
        """Tell whether the stream map, if there is any, does no more than give an alias."""
        (stream_map,) = self.stream_maps
        if type(stream_map) is SameRecordTransform:
            return True
        definitions = self.config.get("stream_maps", {})
        return type(stream_map) is CustomStreamMap and all(
            isinstance(definition, dict) and definition.keys() <= {"__alias__"}
            for pattern, definition in definitions.items()
            if fnmatch(self.name, pattern)
        )

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
            for records in self._all_encoded():
                for manifest in files.write(records):
                    yield batch_config.encoding, manifest
        except (SingerSDKError, RestError) as error:
            failure = error
        for manifest in files.end():
            yield batch_config.encoding, manifest
        if failure is not None:
            raise failure

    def _all_encoded(self) -> Iterator[Sequence[Raw | bytes]]:
        """Yield the wanted records of all pages, encoded, some at a time."""
        if not self._takes_fast_path():
            for record in self.emit(write_messages=False):
                yield (encoder.encode(record),)
            return
        with self.get_record_counter() as counter, self.get_sync_timer():
            for page in self.pages():
                yield from self._encoded(page, counter)

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


def _value_at(names: Sequence[str], record: Any) -> Any:  # noqa: ANN401 - any JSON
    for name in names:
        record = record.get(name) if isinstance(record, dict) else None
    return record
