"""The reading half of a stream: its resource, its requests, its plan and its state."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Raw
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE

from tap_analytics.config.resources import path_of
from tap_analytics.family import FamilyStream
from tap_analytics.reader import SliceReader
from tap_analytics.rest.client import Client, Sender, Source
from tap_analytics.rest.errors import RestError, RetryPolicy
from tap_analytics.rest.pages import Page, PageReader
from tap_analytics.rest.request import NOTHING, Request, joined
from tap_analytics.rest.walk import Walk, walk
from tap_analytics.singer.records import KeyReader
from tap_analytics.sync.incremental import CursorPlan
from tap_analytics.sync.parents import ParentError
from tap_analytics.sync.replication import BackfillPlan, IncrementalByDay, SyncContext, SyncPlan
from tap_analytics.sync.slices import Slice
from tap_analytics.timestamps import format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from singer_sdk import Tap
    from singer_sdk.singerlib import Catalog

    from tap_analytics.config.resources import Api
    from tap_analytics.config.words import Endpoint, Resource
    from tap_analytics.rest.paginators import Paginator, Position
    from tap_analytics.rest.pool import Pending
    from tap_analytics.singer.records import RecordEncoder


class ReadingStream(FamilyStream):
    """Reads the pages of one resource: what is asked for, in which order, and what is kept in the state."""

    def __init__(self, tap: Tap, client: Client, api: Api, resource: Resource | None = None) -> None:
        super().__init__(tap, client, resource)
        self.selected_by_default = self.resource.selected and self.resource.disposition != "skip"
        self.primary_keys = self.resource.key_properties
        self.replication_key = self.resource.replicated.replication_key
        self._api = api
        self._began = datetime.fromtimestamp(tap.initialized_at / 1000, UTC)
        self._plan: SyncPlan | None = None
        self._reader: SliceReader | None = None
        self._informed: set[str] = set()
        self._base = base_request(self.resource, api)
        self.source = self._source()

    def apply_catalog(self, catalog: Catalog) -> None:
        """Take over the user's catalog; the stream's own key stands where it has none, and cannot be deselected."""
        super().apply_catalog(catalog)
        self.primary_keys = self.primary_keys or self.resource.key_properties
        entry = catalog.get_stream(self.name)
        if entry is None:
            return
        entry.key_properties = list(self.primary_keys)
        for key in self.primary_keys:
            metadata = entry.metadata.get(("properties", key))
            if metadata is not None and metadata.selected is False:
                metadata.selected = True
                self.warn(f"its key {key} is deselected in the catalog; it is emitted all the same.")

    def _source(self) -> Source:
        endpoint = self.resource.requests
        reader = PageReader(endpoint.selector, warn=self.warn, inform=self.inform)
        signer = self.client.signer(endpoint.auth or self._api.auth)
        policy = retry_policy(endpoint, self.config)
        timed = self.stats.requests.add
        sender = Sender(self.client, signer=signer, policy=policy, reader=reader, warn=self.warn, timed=timed)
        return Source(sender, warn=self.warn, on_retry=self.stats.count_retry)

    def warn(self, text: str) -> None:
        """Tell the user what may be wrong with the stream."""
        self.logger.warning("%s: %s", self.name, text)

    def inform(self, text: str) -> None:
        """Tell the user what the tap has detected or decided."""
        self.logger.info("%s: %s", self.name, text)

    def inform_once(self, text: str) -> None:
        """Tell the user what the tap has detected, unless it has been told."""
        if text not in self._informed:
            self._informed.add(text)
            self.inform(text)

    @property
    def encoder(self) -> RecordEncoder:
        """What checks and encodes the records."""
        raise NotImplementedError

    # Requests

    def ask(self, one: Slice, paginator: Paginator, position: Position) -> Pending[Page]:
        """Ask for a page of a slice."""
        base = one.apply(self._base)
        return self.source.fetch(paginator.apply(base, position), paginator.nodes, base=base)

    def walk(self, one: Slice, *, max_in_flight: int | None = None, is_keyed: bool = True) -> Walk:
        """Return the walk through the pages of a slice."""
        return walk(
            lambda paginator, position: self.ask(one, paginator, position),
            self.resource.requests.pagination,
            key_of=self.encoder.key_of if is_keyed and self.primary_keys else None,
            max_in_flight=max_in_flight or self.client.max_in_flight,
            warn=self.warn,
            inform=self.inform_once,
        )

    # The plan

    def plan(self) -> SyncPlan:
        """Return the plan of this sync."""
        if self._plan is None:
            replication = self.resource.replicated
            state = self.stream_state
            if state.get("replication_key", self.replication_key) != self.replication_key:
                state = {}  # its bookmark is of another field
            if self.resource.disposition == "replace":
                state = {}  # everything is replaced by what the first run would read
            is_whole = replication.replication_key and self.replication_method == REPLICATION_FULL_TABLE
            # The user's catalog may ask for everything.
            self._plan = SyncPlan() if is_whole else replication.plan(state, self._context())
            if isinstance(self._plan, CursorPlan):
                self._plan.on_note = self.warn  # type: ignore[method-assign,assignment] # this is what it is for
        return self._plan

    def _context(self) -> SyncContext:
        schema: Mapping[str, Any] = self.effective_schema
        for name in self.resource.replicated.observed:
            schema = schema.get("properties", {}).get(name, {})
        return SyncContext(
            began=self._began,
            start_date=parse_instant(self.config.get("start_date") or ""),
            end_date=parse_instant(self.config.get("end_date") or ""),
            lookback=timedelta(days=self.config["lookback_days"]),
            window_days=self.config["window_days"],
            backfill_began=self._backfill_began(),
            cursor=schema,
            deduplicates=self.resource.disposition == "append",
            key_of=KeyReader(self.resource.keys).key_of,
        )

    def _backfill_began(self) -> datetime | None:
        replication = self.resource.replicated
        if not isinstance(replication, IncrementalByDay) or not replication.backfill:
            return None
        began = BackfillPlan.began(self.tap_state.get("bookmarks", {}).get(replication.backfill, {}))
        backfill = self.tap.streams.get(replication.backfill)
        return began or (self._began if backfill is not None and backfill.selected else None)

    @property
    def observed(self) -> tuple[str, ...]:
        """The names that lead to the field by which the plan observes records; none where there is no such field."""
        names = self.resource.replicated.observed
        return names if names and names[0] in self.effective_schema["properties"] else ()

    def begin(self) -> SliceReader:
        """Return the reader of this sync, with the first page in flight.

        Raises RestError where the parent could not be read.
        """
        if self._reader is None:
            plan = self.plan()
            slices: Iterable[Slice] = plan.slices
            if self.parent is not None and self.resource.parent is not None:
                slices = self.resource.parent.slices(self.parent.records_for_children(), plan.slices)
            ahead = self.client.max_in_flight if self.parent is not None else 1
            ahead = ahead if self.client.max_in_flight > 1 else 0
            self._reader = SliceReader(slices, self.walk, ahead=ahead, warn=self.warn)
            self._reader.start()
        return self._reader

    def close(self) -> None:
        """Give up what is still in flight."""
        if self._reader is not None:
            self._reader.close()

    @property
    def path(self) -> str:
        """How messages name the resource of the requests."""
        return self._base.path

    def _look_ahead(self) -> None:
        """Ask for the first pages of the next streams, as many as may be in flight beside this one."""
        streams = [stream for stream in self.tap.streams.values() if stream.selected]
        following = streams[streams.index(self) + 1 :] if self in streams else []
        for stream in following[: self.client.max_in_flight - 1]:
            if isinstance(stream, ReadingStream) and stream.parent is None:
                with suppress(Exception):  # whatever is wrong with it is reported in its own turn
                    stream.begin()

    def pages(self) -> Iterator[Page]:
        """Yield all pages of this sync; what is kept in the state covers those consumed.

        Raises RestError where the reading cannot go on.
        """
        plan, reader = self.plan(), self.begin()
        # A table that is to be replaced must be emptied; another one has nothing to learn where nothing is read.
        if self.selected and (self.resource.disposition == "replace" or not reader.is_empty):
            self.write_schema()
        self._look_ahead()
        for note in plan.notes:
            self.warn(note)
        if plan.correction:
            self._keep(plan.correction)
        self.stats.windows = 0 if self.parent is not None else len(plan.slices)
        done, read = Slice(), 0
        try:
            for one, page in reader.pages():
                self.stats.ignored = self.source.sender.ignored
                if page is not None:
                    self.stats.pages += 1
                    self.stats.window = read + 1
                    yield with_members(page, one.members)
                elif plan.has_checkpoints and self.parent is None:
                    self._keep(plan.state_after(one, limit=self._limit))
                    read += 1
                done = one
                if plan.is_complete and self.parent is None:  # another parent may have more
                    break
        except ParentError as error:
            raise RestError(str(error)) from None
        if not plan.has_checkpoints or self.parent is not None:
            self._keep(plan.state_after(done, limit=self._limit))
        # A target may forget a state that no other follows: the last one differs from all before.
        self._keep({"last_sync": format_instant(self._began)})
        self._is_read = True

    @property
    def _limit(self) -> datetime:
        """The moment this sync began, by the more cautious of the server's clock and ours."""
        return self._began - self.client.transport.clock_skew


def with_members(page: Page, members: bytes) -> Page:
    """Return a page whose records have JSON members added, if there are any."""
    if not members:
        return page
    records = []
    for record in map(bytes, page.records):
        is_empty = record[1:].strip() == b"}"
        records.append(Raw(b"{" + members + (b"}" if is_empty else b"," + record[1:])))
    return replace(page, records=records)


def base_request(resource: Resource, api: Api) -> Request:
    """Return what all requests of a resource have in common."""
    endpoint = resource.requests
    return Request(
        joined(api.base_url, endpoint.path or ""),
        endpoint.method.upper(),
        params=endpoint.params or NOTHING,
        headers={**api.headers, **(endpoint.headers or {})},
        json=endpoint.json,
        data=endpoint.data,
        path=path_of(api.base_url, endpoint.path or ""),
    )


def retry_policy(endpoint: Endpoint, config: Mapping[str, Any]) -> RetryPolicy:
    """Return how the answers of an endpoint are judged: as the settings say, and as the endpoint says otherwise."""
    policy = RetryPolicy(
        tuple(config["retry_on_status_codes"]),
        config["max_retries"],
        float(config["backoff_factor"]),
        tuple(endpoint.response_actions or ()),
    )
    return policy.with_handler(endpoint.error_handler)
