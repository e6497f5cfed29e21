"""The writing half of a stream: records leave as the bytes they came in, or through the SDK where they change."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from singer_sdk import Stream
from singer_sdk.exceptions import FatalSyncError, MapExpressionError, SingerSDKError
from singer_sdk.metrics import Metric, Point, Tag, get_metrics_logger, log

from tap_analytics.encoding import EncodingStream
from tap_analytics.rest.errors import RestError
from tap_analytics.singer.batch import BatchFiles
from tap_analytics.singer.output import encoder
from tap_analytics.singer.records import Envelope, SchemaChange

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
    from tap_analytics.singer.output import LineWriter


class WritingStream(EncodingStream):
    """Writes the records of a stream; keeps what ends it early, so that the other streams go on."""

    def __init__(self, tap: Tap, client: Client, api: Api, resource: Resource | None = None) -> None:
        super().__init__(tap, client, api, resource)
        self._writer = cast("LineWriter", tap.message_writer)
        self._batches = False
        self._label = ""

    def get_records(self, context: Context | None) -> Iterator[Record]:
        """Yield the records as Python values that have lost no digit."""
        del context
        for page in self.pages():
            self._label = page.label
            yield from self._decoded(page)

    # Messages

    def emit(self, *, write_messages: bool) -> Generator[Record, None, None]:
        """Emit the records, or yield them where the caller is to emit them itself.

        What ends the stream early is kept in `failure`, so that the other streams go on.
        """
        if self.resource.disposition == "replace":
            self.begin_version()
        # A failure passes the timer, whose metric tells it.
        with self.keeping_failure(), self._measured() as counter:
            if write_messages and self._takes_fast_path():
                self._write_pages(counter)
            else:
                yield from self._through_sdk(counter, write_messages=write_messages)
            self._complete_version()
        self._report_discarded()

    def _report_discarded(self) -> None:
        if self._record_encoder is not None and (number := self._record_encoder.decoder.discarded):
            dropped = "1 record was" if number == 1 else f"{number:,} records were"
            self.inform_once(f"{dropped} dropped, as schema_contract says.")

    @contextmanager
    def _measured(self) -> Iterator[Counter]:
        """Log as metrics how many records came, how long that took, and how long the requests for them took."""
        try:
            with self.get_record_counter() as counter, self.get_sync_timer():
                yield counter
        finally:
            requests = self.stats.requests
            tags = {"count": requests.count, "median": requests.quantile(0.5), "p95": requests.quantile(0.95)}
            metric = Metric.HTTP_REQUEST_DURATION
            log(get_metrics_logger(), Point("timer", metric, requests.total, {Tag.STREAM: self.name, **tags}))

    def _complete_version(self) -> None:
        """Let a loader remove what this run did not bring, where it was read to its end and proved something."""
        if self.version is not None and self.source.sender.ignored and not self.stats.records:
            self.warn("every answer was ignored, as response_actions says; tables keep what they have.")
        elif not (self._grows and self.encoder.has_open_key):
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
            try:
                if write_messages:
                    self.write_record(record)
                else:
                    yield from self._mapped_once(record)
            except MapExpressionError as error:
                msg = f"{self._label}: record {index + 1} of the stream: {error}"
                raise MapExpressionError(msg) from None
            self._count(counter, 1)

    def _takes_fast_path(self) -> bool:
        """Tell whether records leave without being decoded, and log which road they take and why."""
        self.inform(f"{self.road()}.")
        return self._slow_reason() is None

    def road(self) -> str:
        """Return how the records leave, and why so, in words."""
        reason = self._slow_reason()
        if reason is not None:
            return f"records are decoded one by one: {reason}"
        return f"records leave as they came{self.encoder.exception}"

    def _slow_reason(self) -> str | None:
        """Return why records have to be decoded one by one; None where they have not."""
        if self.ABORT_AT_RECORD_COUNT is not None:
            return "only some of them are read"
        if type(self).post_process is not Stream.post_process:
            return "the stream has a post_process of its own"
        return self._mapped_by_the_sdk() or self.encoder.slow_reason

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
            self._report_discarded()
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
        with self._measured() as counter:
            for page in self.pages():
                for item in self._encoded(page):
                    if not isinstance(item, SchemaChange):
                        self._count(counter, len(item))
                    yield item
