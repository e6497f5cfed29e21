"""The shared REST base of all streams, and the only place that makes a request."""

from __future__ import annotations

import random
import re
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from fnmatch import fnmatch
from http import HTTPStatus
from itertools import compress, count, islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, cast

import backoff
from singer_sdk import RESTStream
from singer_sdk.exceptions import (
    FatalAPIError,
    FatalSyncError,
    RetriableAPIError,
    SingerSDKError,
    SyncLifecycleSignal,
)
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.mapper import CustomStreamMap, SameRecordTransform
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE
from singer_sdk.streams.rest import PageContext

from tap_analytics import trial
from tap_analytics.batches import BatchFiles
from tap_analytics.body import UnreadableBodyError
from tap_analytics.connection import Connection, read_body, read_start
from tap_analytics.endpoint import (
    ErrorHandler,
    Everything,
    Paginator,
    Params,
    Since,
    SinglePage,
    Slice,
)
from tap_analytics.instants import format_instant, parse_instant
from tap_analytics.paging import Page, PagingError, Walk
from tap_analytics.progress import Tally
from tap_analytics.records import (
    CHUNK,
    Codec,
    Frame,
    RecordError,
    Selector,
    decode_exactly,
    encode,
)
from tap_analytics.replication import (
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
from tap_analytics.wire import Exchange, TransportError, current_exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    import requests
    from backoff.types import Details
    from msgspec import Raw
    from singer_sdk import Tap
    from singer_sdk.authenticators import APIKeyAuthenticator
    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.metrics import Counter

    from tap_analytics.flight import Ticket
    from tap_analytics.output import LineWriter

P = ParamSpec("P")
T = TypeVar("T")

Token = tuple[Slice, int]
"""What tells one request of a stream from the others: the slice, and the offset in it."""

LONGEST_RETRY_AFTER = 300.0
"""Seconds that a server's `Retry-After` can make the tap wait at the most."""

ETERNITY = 1e9
"""Seconds beyond which it does not matter how many are asked for."""

SAMPLE = 1000
"""Records that a schema is inferred from at the most."""

EXCERPT = 300
"""Characters of a bad answer that a message quotes."""

SHORT = 80
"""Characters of a header that a message quotes."""

READ_AHEAD = 4 * EXCERPT
"""Bytes of a bad answer that are looked at: the key is blotted out before the rest is cut off."""

ADVICE: Mapping[int, str] = {
    400: "The API does not take these parameters; compare the resource's params with its documentation.",
    401: "Check api_key, auth_location and auth_name.",
    403: "The key may not read this; ask for access or deselect the stream.",
    404: "Check base_url and the resource's path.",
}


class AnalyticsStream(RESTStream[Token]):
    """A resource of the API; its class says what it is, and this base how it is read."""

    path: str
    data_selector: str = "data"
    paginator: Paginator = SinglePage()
    params: Params = MappingProxyType({})
    primary_keys: Sequence[str] = ("id",)
    replication: Replication = FullTable()
    write_disposition: Literal["merge", "append", "replace"] = "merge"
    error_handler: Mapping[str, Any] = MappingProxyType({})
    """What this resource wants otherwise than the settings say."""

    # The SDK would drop nested fields that the schema lacks, and make true of what is no boolean.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: Tap, connection: Connection) -> None:
        self.connection = connection
        self._writer = cast("LineWriter", tap.message_writer)
        self.failure: SingerSDKError | None = None
        self.tally = Tally(self.name)
        self._selector = Selector(self.data_selector)
        self._codec: Codec | None = None
        self._reading: Reading | None = None
        self._walk: Walk | None = None
        self._batches = False
        super().__init__(tap)
        self._began = datetime.fromtimestamp(tap.initialized_at / 1000, UTC)
        words = ("retry_on_status_codes", "max_retries", "backoff_factor")
        self.errors = ErrorHandler(**{word: self.error_handler.get(word, self.config[word]) for word in words})

    # Requests

    @property
    def url_base(self) -> str:
        """The address that every path is relative to."""
        return str(self.config["base_url"]).rstrip("/")

    def get_url(self, context: Context | None) -> str:
        """Return the address of the resource."""
        del context
        return f"{self.url_base}/{self.path.lstrip('/')}"

    @property
    def authenticator(self) -> APIKeyAuthenticator:
        """What puts the key into each request."""
        return self.connection.authenticator

    @property
    def requests_session(self) -> requests.Session:
        """The session of the whole tap."""
        return self.connection.session

    @property
    def timeout(self) -> float:  # type: ignore[override] # the SDK says int; requests takes seconds
        """Seconds that a request may take."""
        return float(self.config["request_timeout"])

    def get_url_params(self, context: Context | None, next_page_token: Token | None) -> dict[str, Any]:
        """Return the parameters of a request: the resource's, the slice's and the page's."""
        del context
        params: dict[str, Any] = dict(self.params)
        if next_page_token is not None:
            part, offset = next_page_token
            params |= part.params() | self.paginator.params(offset)
        return {name: _param(value) for name, value in params.items()}

    def ask(self, part: Slice, offset: int) -> Ticket[Page]:
        """Have a page fetched, and tried again where that may help."""
        http = self.get_http_request(page=PageContext(None, (part, offset)))
        prepared = self.build_prepared_request(
            method=http.method,
            url=http.url,
            params=http.encode_params(),
            headers=http.headers,
        )
        told = ", ".join(f"{name}={value}" for name, value in http.params.items())
        name = f"GET {self.path}" + (f" ({told})" if told else "")
        fetch = self.request_decorator(self._fetch)
        return self.connection.flight.submit(lambda ticket: fetch(prepared, name, ticket))

    def _fetch(self, prepared: requests.PreparedRequest, name: str, ticket: Ticket[Page]) -> Page:
        """Return the page that a request is answered with.

        Raises RetriableAPIError where another try may help, FatalAPIError where it can not, and
        RecordError where a good answer does not hold the records.
        """
        self.connection.flight.await_turn()
        redact = self.connection.key.redact
        try:
            with Exchange(self.timeout) as exchange:
                ticket.interrupt = exchange.cut
                if ticket.abandoned:
                    exchange.cut()
                response = self.connection.get(prepared.copy(), exchange)
                self._write_request_duration_log(self.path, response, None, None)
                self.validate_response(response)
                body = read_body(response, self.connection.shelf, exchange)
        except TransportError as error:
            msg = f"{name} failed: {error}"
            raise (FatalAPIError if ticket.abandoned else RetriableAPIError)(redact(msg)) from None
        except RetriableAPIError as error:
            msg = f"{name} {error}"
            raise FatalAPIError(msg) if ticket.abandoned else RetriableAPIError(msg, error.response) from None
        except FatalAPIError as error:
            msg = f"{name} {error}"
            raise FatalAPIError(msg) from None
        try:
            return Page(self._selector.records(body), name, datetime.now(UTC))
        except UnreadableBodyError as error:
            kind = self.connection.key.excerpt(response.headers.get("Content-Type", "an unnamed type"), SHORT)
            told = self._quote(body.start(READ_AHEAD))
            msg = f"{name} was answered with {body.size} bytes of {kind} that {error}{told}"
            raise RetriableAPIError(redact(msg)) from None
        except RecordError as error:
            msg = f"{name} was answered with something else than records: {error}{self._quote(body.start(READ_AHEAD))}"
            raise RecordError(redact(msg)) from None

    def validate_response(self, response: requests.Response) -> None:
        """Raise RetriableAPIError or FatalAPIError, as the status of a response asks for."""
        status = response.status_code
        if status == HTTPStatus.OK:
            return
        msg = self.response_error_message(response)
        if status in self.errors.retry_on_status_codes:
            raise RetriableAPIError(msg, response)
        raise FatalAPIError(msg)

    def response_error_message(self, response: requests.Response) -> str:
        """Say what came instead of records, without the URL, and what to do."""
        body = read_start(response, READ_AHEAD, current_exchange())
        reason = self.connection.key.excerpt(str(response.reason), SHORT)
        told = f"was answered with {response.status_code} {reason}{self._quote(body)}"
        advice = ADVICE.get(response.status_code)
        return self.connection.key.redact(f"{told}. {advice}" if advice else told)

    def _quote(self, body: bytes) -> str:
        text = self.connection.key.excerpt(body, EXCERPT)
        return f": {text}" if text else ""

    # Retries

    def request_decorator(self, func: Callable[P, T]) -> Callable[P, T]:
        """Return a function that is tried again as the settings say."""
        return backoff.on_exception(
            self.backoff_wait_generator,
            RetriableAPIError,
            max_tries=self.backoff_max_tries,
            on_backoff=self.backoff_handler,
            jitter=self.backoff_jitter,
            logger=None,
        )(func)

    def backoff_wait_generator(self) -> Generator[float, Any, None]:
        """Yield the seconds to wait before each retry, given what the try before it raised."""
        error = yield 0.0
        for retry in count():
            error = yield max(self.errors.wait(retry), self._retry_after(error))

    def backoff_max_tries(self) -> int:
        """Return how often a request is sent at the most."""
        return self.errors.max_retries + 1

    def backoff_jitter(self, value: float) -> float:
        """Return a wait a little longer, so that many taps do not come back at once."""
        return value + random.uniform(0, min(value / 4, 1))  # noqa: S311 - nothing secret hangs on it

    def backoff_handler(self, details: Details) -> None:
        """Say what went wrong and when it is tried again; after a 429 hold all requests back."""
        error, wait = details["exception"], details["wait"]
        self.tally.retries += 1
        self.logger.warning(
            "%s: %s. Try %d of %d in %.1f s.",
            self.name,
            error,
            details["tries"] + 1,
            self.backoff_max_tries(),
            wait,
        )
        response = getattr(error, "response", None)
        if response is not None and response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            self.connection.flight.hold_back(wait)

    def _retry_after(self, error: RetriableAPIError) -> float:
        """Return the seconds that the server asks to wait, capped; 0 where it asks nothing."""
        headers = {} if error.response is None else error.response.headers
        asked = headers.get("Retry-After")
        if asked is None:
            return 0.0
        seconds = _seconds(asked, headers.get("Date"))
        if seconds > LONGEST_RETRY_AFTER:
            self.logger.warning(
                "%s: the server asks to wait %.0f s; the tap waits %.0f s.",
                self.name,
                seconds,
                LONGEST_RETRY_AFTER,
            )
        return min(seconds, LONGEST_RETRY_AFTER)

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
        )

    def _new_walk(self, part: Slice) -> Walk:
        return Walk(
            lambda offset: self.ask(part, offset),
            self.paginator,
            key_of=self.codec.key_of if self.primary_keys else None,
            max_in_flight=self.connection.max_in_flight,
            warn=lambda text: self.logger.warning("%s: %s", self.name, text),
        )

    @property
    def emit_activate_version_messages(self) -> bool:
        """No: the SDK sends the version before the rows, and a target may delete at once."""
        return False

    @property
    def _cursor(self) -> str | None:
        """The field by which a reading takes notice of records, where there is one."""
        field = self.replication_key or self.replication.cursor
        return field if field in self.effective_schema["properties"] else None

    @property
    def codec(self) -> Codec:
        """What checks and encodes the records, compiled from the schema and the selection."""
        if self._codec is None:
            schema = self.effective_schema
            self._codec = Codec(
                schema,
                selected=[name for name in schema["properties"] if self.mask["properties", name]],
                keys=self.primary_keys,
                cursor=self._cursor,
                warn=lambda text: self.logger.warning("%s: %s", self.name, text),
            )
        return self._codec

    def pages(self) -> Iterator[Page]:
        """Yield all pages of this sync; what is noted in the state covers those consumed.

        Raises SyncError where the reading cannot go on.
        """
        reading = self.begin()
        self._look_ahead()
        for note in reading.notes:
            self.logger.warning("%s: %s", self.name, note)
        walk = self._walk
        ahead = self.connection.max_in_flight > 1
        self.tally.windows = len(reading.slices)
        for n, part in enumerate(reading.slices):
            self.tally.window = n + 1
            walk, self._walk = walk or self._new_walk(part), None
            walk.start()
            if ahead and n + 1 < len(reading.slices):
                self._walk = self._new_walk(reading.slices[n + 1])
                self._walk.start()
            for page in self._slice_pages(part, walk):
                self.tally.pages += 1
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
            self.logger.warning("%s: %s Reading smaller windows instead.", self.name, error)
            for half in part.halves():
                yield from self._slice_pages(half, self._new_walk(half))

    def _note(self, state: State) -> None:
        """Write what is now known to have been emitted."""
        if BOOKMARK in state:
            state = {"replication_key": self.replication_key, **state}
        self.stream_state.update(state)
        self.state_manager.is_flushed = False
        if not self._batches:
            self._write_state_message()

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
            warn=self.logger.warning,
        )
        records = (record for page in walk.pages() for record in page.records)
        yield from map(decode_exactly, islice(records, SAMPLE))

    def try_out(self) -> Callable[[], None]:
        """Have a small page fetched, and return what tells whether it is as it should be.

        That writes the first of its records; what is wrong is kept in `failure`.
        """
        part = trial.part(self.replication, self._terms(self.replication))
        self.paginator, self.errors = trial.paginator(self.paginator), trial.errors(self.errors)
        self._reading = Reading()  # every record is looked at
        ticket = self.ask(part, self.paginator.offset)

        def look() -> None:
            self._write_schema_message()
            with self._keeping_failure():
                page = ticket.result()
                for record in self._decoded(page):
                    if not self.tally.records:
                        self._write_record_message(record)
                    self.tally.records += 1
                seen = "1 record" if self.tally.records == 1 else f"{self.tally.records:,} records"
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
                values = self.codec.decode(record)
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
        fast = write_messages and self._takes_fast_road()
        index = 0
        if self.write_disposition == "replace":
            self._stream_version = self._tap.initialized_at // 1000
        with self.get_record_counter() as counter, self.get_sync_timer(), self._keeping_failure():
            for page in self.pages():
                if fast:
                    frame = Frame(self.stream_maps[0].stream_alias, self._stream_version, page.received)
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
                    self.tally.records += 1
            if self._stream_version is not None:
                self._write_activate_version_message(self._stream_version)

    @contextmanager
    def _keeping_failure(self) -> Iterator[None]:
        """Keep what ends the stream early, and give up what is still under way for it."""
        self.tally.begin()
        try:
            yield
        except SyncLifecycleSignal:
            raise  # a dry run has seen enough
        except Exception as error:  # noqa: BLE001 - the streams after this one may well be sound
            self._fail(error)
        finally:
            if self._walk is not None:
                self._walk.close()
        self.tally.end("failed" if self.failure else "done")

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

    def get_batches(
        self,
        batch_config: BatchConfig,
        context: Context | None = None,
    ) -> Iterator[tuple[BaseBatchFileEncoding, list[str]]]:
        """Yield the encoding and the manifest of one batch after another.

        Raises SyncError where the reading cannot go on; what was read until then is in a batch.
        """
        if not self._takes_fast_road() or batch_config.encoding.format != "jsonl":
            yield from super().get_batches(batch_config, context)
            return
        files = BatchFiles(batch_config, f"{self.tap_name}--{self.name}")
        ended: SingerSDKError | None = None
        with self.get_record_counter() as counter, self.get_sync_timer():
            try:
                for page in self.pages():
                    for records in self._encoded(page, counter):
                        for manifest in files.write(records):
                            yield batch_config.encoding, manifest
            except SingerSDKError as error:
                ended = error
            for manifest in files.end():
                yield batch_config.encoding, manifest
        if ended is not None:
            raise ended

    def _takes_fast_road(self) -> bool:
        """Tell whether records leave as they came: nothing is to be changed within them."""
        return (
            self.ABORT_AT_RECORD_COUNT is None
            and type(self).post_process is RESTStream.post_process
            and self.codec.is_flat
            and len(self.stream_maps) == 1
            and not self.stream_maps[0].flattening_enabled
            and self._is_merely_named()
        )

    def _is_merely_named(self) -> bool:
        """Tell whether the stream map, if there is any, does no more than give an alias."""
        (found,) = self.stream_maps
        if type(found) is SameRecordTransform:
            return True
        definitions = self.config.get("stream_maps", {})
        return type(found) is CustomStreamMap and all(
            definition.keys() <= {"__alias__"}
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
            cursors = self.codec.check(chunk)
            if cursors is None:
                # Something in it is not as the schema says: record by record it can be told.
                for record in self._decoded(replace(page, records=chunk, first=page.first + start)):
                    for mapped in self._mapped(record):
                        counter.increment()
                        self.tally.records += 1
                        yield (encode(mapped),)
                continue
            wanted = self.begin().wanted(cursors) if cursors else None
            encoded = self.codec.encode(chunk if wanted is None else list(compress(chunk, wanted)))
            counter.increment(len(encoded))
            self.tally.records += len(encoded)
            yield encoded


def _param(value: object) -> object:
    """Return a parameter's value, or values, as a request writes them."""
    if isinstance(value, list):
        return [_param(item) for item in value]
    return str(value).lower() if isinstance(value, bool) else value


def _seconds(asked: str, served: str | None) -> float:
    """Return the seconds that a `Retry-After` names, as a number or a date; 0 where it is neither."""
    try:
        if asked.strip()[:1].isdigit():
            # There may well be too many digits for a float.
            return min(float(asked), ETERNITY)
        now = parsedate_to_datetime(served) if served else datetime.now(UTC)
        seconds = (parsedate_to_datetime(asked) - now).total_seconds()
    except (ValueError, TypeError):
        return 0.0
    return max(seconds, 0.0)
