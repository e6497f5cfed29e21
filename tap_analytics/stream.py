"""How a stream is synced: what is read, what is written, and what is noted in between."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from itertools import compress, islice
from typing import TYPE_CHECKING, Literal, cast

from singer_sdk import RESTStream
from singer_sdk.exceptions import (
    FatalSyncError,
    SingerSDKError,
    SyncLifecycleSignal,
)
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import CustomStreamMap, SameRecordTransform
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE

from tap_analytics.rest.client import EXCERPT, ApiStream
from tap_analytics.rest.endpoint import (
    Everything,
    Since,
    Slice,
)
from tap_analytics.rest.walk import Page, PagingError, Walk
from tap_analytics.singer.batch import BatchFiles
from tap_analytics.singer.output import encoder
from tap_analytics.singer.records import (
    CHUNK,
    Envelope,
    RecordEncoder,
    RecordError,
    decode_exactly,
)
from tap_analytics.singer.schema import breadcrumb
from tap_analytics.sync import probe
from tap_analytics.sync.replication import (
    BOOKMARK,
    BackfillReading,
    Cursor,
    FullTable,
    Reading,
    Replication,
    State,
    Tail,
    Terms,
)
from tap_analytics.timestamps import format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from msgspec import Raw
    from singer_sdk import Tap
    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.metrics import Counter

    from tap_analytics.rest.transport import Connection
    from tap_analytics.singer.output import LineWriter

SAMPLE = 1000
"""Records that a schema is inferred from at the most."""


class AnalyticsStream(ApiStream):
    """A resource of the API; its class says what it is, and this base how it is synced."""

    primary_keys: Sequence[str] = ("id",)
    replication: Replication = FullTable()
    write_disposition: Literal["merge", "append", "replace"] = "merge"

    # The SDK would drop nested fields that the schema lacks, and make true of what is no boolean.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: Tap, connection: Connection) -> None:
        super().__init__(tap, connection)
        self.failure: SingerSDKError | None = None
        self._writer = cast("LineWriter", tap.message_writer)
        self._began = datetime.fromtimestamp(tap.initialized_at / 1000, UTC)
        self._record_encoder: RecordEncoder | None = None
        self._reading: Reading | None = None
        self._walk: Walk | None = None
        self._batches = False
        self._unsettled: State = {}
        """What will be known to have been emitted once the file that is being written is complete."""

    # Reading

    def begin(self) -> Reading:
        """Return the reading of this sync, and have its first page fetched."""
        if self._reading is None:
            way = self.replication
            if isinstance(way, (Tail, Cursor)) and self.replication_method == REPLICATION_FULL_TABLE:
                way = FullTable()  # the user's catalog asks for it
            state = self.stream_state
            if state.get("replication_key", self.replication_key) != self.replication_key:
                state = {}  # its bookmark is of another field
            self._reading = way.begin(state, self._terms(way))
            for part in self._reading.slices[:1]:
                self._walk = self._new_walk(part)
                self._walk.start()
        return self._reading

    def _look_ahead(self) -> None:
        """Have the first pages of the next streams fetched, as many as may be under way beside this."""
        streams = [stream for stream in self._tap.streams.values() if stream.selected]
        following = streams[streams.index(self) + 1 :]
        for stream in following[: self.connection.max_in_flight - 1]:
            if isinstance(stream, AnalyticsStream):
                with suppress(Exception):  # whatever is wrong with it is said in its own turn
                    stream.begin()

    def _terms(self, way: Replication) -> Terms:
        backfill_began = None
        if isinstance(way, Tail) and way.backfill:
            bookmarks = self.tap_state.get("bookmarks", {})
            backfill_began = BackfillReading.began(bookmarks.get(way.backfill, {}))
            backfill = self._tap.streams.get(way.backfill)
            if backfill_began is None and backfill is not None and backfill.selected:
                backfill_began = self._began
        return Terms(
            began=self._began,
            start_date=parse_instant(self.config.get("start_date") or ""),
            end_date=parse_instant(self.config.get("end_date") or ""),
            lookback=timedelta(days=self.config["lookback_days"]),
            window_days=self.config["window_days"],
            backfill_began=backfill_began,
            cursor=self.effective_schema["properties"].get(self.replication_key, {}),
            cursor_name=self.replication_key or "",
        )

    def _new_walk(self, part: Slice) -> Walk:
        return Walk(
            lambda offset: self.ask(part, offset),
            self.paginator,
            key_of=self.record_encoder.key_of if self.primary_keys else None,
            max_in_flight=self.connection.max_in_flight,
            warn=self.warn,
        )

    @property
    def emit_activate_version_messages(self) -> bool:
        """No: the SDK sends the version before the rows, and a target may delete at once."""
        return False

    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """Return none: what a bookmark may not pass is known where it is noted."""
        del context

    @property
    def _cursor(self) -> str | None:
        """The field by which a reading takes notice of records, where there is one."""
        field = self.replication_key or self.replication.cursor
        return field if field in self.effective_schema["properties"] else None

    @property
    def record_encoder(self) -> RecordEncoder:
        """What checks and encodes the records, compiled from the schema and the selection."""
        if self._record_encoder is None:
            schema = self.effective_schema
            self._record_encoder = RecordEncoder(
                schema,
                selected=lambda path: self.mask[breadcrumb(path)],
                keys=self.primary_keys,
                cursor=self._cursor,
                warn=self.warn,
            )
        return self._record_encoder

    def pages(self) -> Iterator[Page]:
        """Yield all pages of this sync; what is noted in the state covers those consumed.

        Raises SyncError where the reading cannot go on.
        """
        reading = self.begin()
        self._look_ahead()
        for note in reading.notes:
            self.warn(note)
        if reading.correction:
            self._note(reading.correction)
        walk = self._walk
        ahead = self.connection.max_in_flight > 1
        self.stats.windows = len(reading.slices)
        for n, part in enumerate(reading.slices):
            self.stats.window = n + 1
            walk, self._walk = walk or self._new_walk(part), None
            walk.start()
            if ahead and n + 1 < len(reading.slices):
                self._walk = self._new_walk(reading.slices[n + 1])
                self._walk.start()
            for page in self._slice_pages(part, walk):
                self.stats.pages += 1
                yield page
            self._note(reading.state_after(part, limit=self._began - self.connection.behind))
            walk = self._walk
        # A target may forget a state that no other follows: the last one differs from all before.
        self._note({"last_sync": format_instant(self._began)})

    def _slice_pages(self, part: Slice, walk: Walk) -> Iterator[Page]:
        try:
            yield from walk.pages()
        except PagingError as error:
            if not part.halves():
                raise
            # A window that fits one page cannot shift.
            self.warn(f"{error} Reading smaller windows instead.")
            for half in part.halves():
                yield from self._slice_pages(half, self._new_walk(half))

    def _note(self, state: State) -> None:
        """Write what is now known to have been emitted."""
        if BOOKMARK in state:
            state = {"replication_key": self.replication_key, **state}
        self._unsettled |= state
        if not self._batches:
            self._settle()
            self._write_state_message()

    def _settle(self) -> None:
        """Take into the state what is now known to have been emitted."""
        if self._unsettled:
            self.stream_state.update(self._unsettled)
            self._unsettled.clear()
            self.state_manager.is_flushed = False

    def sample(self) -> Iterator[Record]:
        """Yield some of the first records, for those who want to know what there is.

        Raises SyncError where they cannot be read.
        """
        way = self.replication
        part: Slice = Everything()
        if isinstance(way, Cursor) and way.initial_value is not None:
            part = Since(way.param, way.initial_value)
        walk = Walk(
            lambda offset: self.ask(part, offset),
            self.paginator,
            key_of=None,
            max_in_flight=1,
            warn=self.warn,
        )
        records = (record for page in walk.pages() for record in page.records)
        yield from map(decode_exactly, islice(records, SAMPLE))

    def try_out(self) -> Callable[[], None]:
        """Have a small page fetched, and return what tells whether it is as it should be.

        That writes the first of its records; what is wrong is kept in `failure`.
        """
        part = probe.part(self.replication, self._terms(self.replication))
        self.paginator, self.errors = probe.paginator(self.paginator), probe.errors(self.errors)
        self._reading = Reading()  # every record is looked at
        ticket = self.ask(part, self.paginator.offset)

        def look() -> None:
            self._write_schema_message()
            with self._keeping_failure():
                page = ticket.result()
                for record in self._decoded(page):
                    if not self.stats.records:
                        self._write_record_message(record)
                    self.stats.records += 1
                seen = "1 record" if self.stats.records == 1 else f"{self.stats.records:,} records"
                self.logger.info("%s: works, %s looked at (%s)", self.name, seen, part)

        return look

    def get_records(self, context: Context | None) -> Iterator[Record]:
        """Yield the records as Python values that have lost no digit."""
        del context
        for page in self.pages():
            yield from self._decoded(page)

    def _decoded(self, page: Page) -> Iterator[Record]:
        """Yield the wanted records of a page as Python values that have lost no digit."""
        for position, record in enumerate(page.records, start=page.first + 1):
            try:
                values = self.record_encoder.decode(record)
            except RecordError as error:
                msg = f"{page.request}: record {position} of the answer {error}"
                raise RecordError(msg) from None
            if not self._cursor or self.begin().wants(values.get(self._cursor)):
                processed = self.post_process(values)
                if processed is not None:
                    yield processed

    # Writing

    def _sync_records(
        self,
        context: Context | None = None,
        *,
        write_messages: bool = True,
    ) -> Generator[Record, None, None]:
        """Emit the records, or yield them where the caller is to emit them itself.

        What ends the stream early is kept in `failure`, so that the other streams go on.
        """
        del context
        index = 0
        if self.write_disposition == "replace":
            self._stream_version = self._tap.initialized_at // 1000
        with self.get_record_counter() as counter, self.get_sync_timer(), self._keeping_failure():
            fast = write_messages and self._takes_fast_road()
            for page in self.pages():
                if fast:
                    frame = Envelope(self.stream_maps[0].stream_alias, self._stream_version, page.received)
                    for records in self._encoded(page, counter):
                        self._writer.write_lines(frame.wrap(records))
                    continue
                for record in self._decoded(page):
                    self._check_max_record_limit(index)
                    if write_messages:
                        self._write_record_message(record)
                    else:
                        yield from self._mapped(record)
                    index += 1
                    counter.increment()
                    self.stats.records += 1
            if self._stream_version is not None:
                self._write_activate_version_message(self._stream_version)

    @contextmanager
    def _keeping_failure(self) -> Iterator[None]:
        """Keep what ends the stream early, and give up what is still under way for it."""
        self.stats.begin()
        try:
            yield
        except SyncLifecycleSignal:
            raise  # a dry run has seen enough
        except Exception as error:  # noqa: BLE001 - the streams after this one may well be sound
            self._fail(error)
        finally:
            if self._walk is not None:
                self._walk.close()
        self.stats.end("failed" if self.failure else "done")

    def _fail(self, error: Exception) -> None:
        """Keep why the stream ended early, and say it in one line."""
        if not isinstance(error, SingerSDKError):
            self.logger.debug("%s: this is not foreseen.", self.name, exc_info=error)
            text = self.connection.key.excerpt(f"{type(error).__name__}: {error}", EXCERPT)
            error = FatalSyncError(f"something unforeseen: {text}")
        self.failure = error
        if self.connection.is_news(self.reason):
            self.logger.error("%s: %s", self.name, error)
        else:
            self.logger.info("%s fails for a reason that has been said.", self.name)

    @property
    def reason(self) -> str:
        """What ended the stream early, without the request: streams may have it in common."""
        return re.sub(rf"GET {re.escape(self.path)}( \([^)]*\))?", "every request", str(self.failure))

    def _sync_batches(self, batch_config: BatchConfig, context: Context | None = None) -> None:
        self._batches = True
        with self._keeping_failure():
            super()._sync_batches(batch_config, context)
            self._settle()
            self._write_state_message()

    def get_batches(
        self,
        batch_config: BatchConfig,
        context: Context | None = None,
    ) -> Iterator[tuple[BaseBatchFileEncoding, list[str]]]:
        """Yield the encoding and the manifest of one batch after another.

        Raises SyncError where the reading cannot go on; what was read until then is in a batch.
        """
        ours = batch_config.encoding.format == "jsonl"
        for batch in self._files(batch_config) if ours else super().get_batches(batch_config, context):
            # Its file is complete, and so are those of all records before.
            self._settle()
            yield batch

    def _files(self, batch_config: BatchConfig) -> Iterator[tuple[BaseBatchFileEncoding, list[str]]]:
        files = BatchFiles(batch_config, f"{self.tap_name}--{self.name}")
        ended: SingerSDKError | None = None
        try:
            for records in self._all_encoded():
                for manifest in files.write(records):
                    yield batch_config.encoding, manifest
        except SingerSDKError as error:
            ended = error
        for manifest in files.end():
            yield batch_config.encoding, manifest
        if ended is not None:
            raise ended

    def _all_encoded(self) -> Iterator[Sequence[Raw | bytes]]:
        """Yield the wanted records of all pages, encoded, some at a time."""
        if not self._takes_fast_road():
            for record in self._sync_records(write_messages=False):
                yield (encoder.encode(record),)
            return
        with self.get_record_counter() as counter, self.get_sync_timer():
            for page in self.pages():
                yield from self._encoded(page, counter)

    def _takes_fast_road(self) -> bool:
        """Tell whether records leave as they came, and say which road they take if that is another one."""
        reason = self._slow_reason()
        if reason is not None:
            self.logger.info("%s: records are decoded one by one: %s.", self.name, reason)
        return reason is None

    def _slow_reason(self) -> str | None:
        """Return what is to be changed within records, or must be looked at in each; None where there is nothing."""
        if self.ABORT_AT_RECORD_COUNT is not None:
            return "only some of them are read"
        if type(self).post_process is not RESTStream.post_process:
            return "the stream has a post_process of its own"
        if len(self.stream_maps) != 1 or not self._is_merely_named():
            return "stream_maps change them"
        if self.stream_maps[0].flattening_enabled:
            return "flattening_enabled changes them"
        return self.record_encoder.slow_reason

    def _is_merely_named(self) -> bool:
        """Tell whether the stream map, if there is any, does no more than give an alias."""
        (found,) = self.stream_maps
        if type(found) is SameRecordTransform:
            return True
        definitions = self.config.get("stream_maps", {})
        return type(found) is CustomStreamMap and all(
            isinstance(definition, dict) and definition.keys() <= {"__alias__"}
            for pattern, definition in definitions.items()
            if fnmatch(self.name, pattern)
        )

    def _mapped(self, record: Record) -> Iterator[Record]:
        """Yield what leaves of a record, unless a stream map keeps it back.

        Raises FatalSyncError where it leaves under several names, which a batch cannot hold.
        """
        if len(self.stream_maps) > 1:
            msg = "batch_config does not go with more than one stream map for a stream"
            raise FatalSyncError(msg)
        for message in self._generate_record_messages(record):
            yield message.record

    def _encoded(self, page: Page, counter: Counter) -> Iterator[Sequence[Raw | bytes]]:
        """Yield the wanted records of a page, encoded, some at a time."""
        for start in range(0, len(page.records), CHUNK):
            chunk = page.records[start : start + CHUNK]
            cursors = self.record_encoder.check(chunk)
            if cursors is None:
                # Something in it is not as the schema says: record by record it can be told.
                for record in self._decoded(replace(page, records=chunk, first=page.first + start)):
                    for mapped in self._mapped(record):
                        counter.increment()
                        self.stats.records += 1
                        yield (encoder.encode(mapped),)
                continue
            wanted = self.begin().wanted(cursors) if cursors else None
            encoded = self.record_encoder.encode(chunk if wanted is None else list(compress(chunk, wanted)))
            counter.increment(len(encoded))
            self.stats.records += len(encoded)
            yield encoded
