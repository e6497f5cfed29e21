"""A stream of the SDK from one `Resource`: its schema, its records and its connection test."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from singer_sdk.exceptions import DiscoveryError

from tap_analytics.config.resources import cursor_problems
from tap_analytics.config.words import is_absolute
from tap_analytics.reading import with_members
from tap_analytics.rest.errors import RestError, ResultWindowError
from tap_analytics.rest.later import later_position
from tap_analytics.rest.walk import ChainWalk
from tap_analytics.singer.decoding import decode_exactly
from tap_analytics.singer.inference import infer, unloadable_names
from tap_analytics.sync.probe import RETRIES, probe_slice
from tap_analytics.sync.replication import SyncContext, SyncPlan
from tap_analytics.sync.slices import Slice
from tap_analytics.writing import WritingStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from msgspec import Raw
    from singer_sdk.helpers.types import Record

    from tap_analytics.rest.pages import Page
    from tap_analytics.rest.request import Request
    from tap_analytics.rest.walk import Walk

SAMPLE = 1000
"""Records that a schema is inferred from at most, of the first pages and of a later one."""

SAMPLED_PARENTS = 20
"""Parent records whose children are looked at for a schema, at most."""


class RestStream(WritingStream):
    """A resource of an API as a stream: its class, or its instance, holds one `Resource`."""

    may_be_sampled = True
    """Whether records may be looked at for a schema that nobody has written down."""
    _known_schema: dict[str, Any] | None = None

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema that is declared or shipped, else the catalog's, else the one that a sample shows.

        Raises DiscoveryError where the sample does not show it, and RestError where it cannot be read.
        """
        if self.catalog_schema is not None:
            return self.catalog_schema
        if self._known_schema is None:
            known = self.resource.known_schema
            if known is None and (self.tap.input_catalog is not None or not self.may_be_sampled):
                return {"type": "object", "properties": {}}  # not in the catalog, so not selected; or not needed
            self._known_schema = self._with_included(known) if known is not None else self._inferred()
        return self._known_schema

    @property
    def is_sampled(self) -> bool:
        """Whether a run has to look at records for the schema."""
        return self.catalog_schema is None and self.resource.known_schema is None

    def _inferred(self) -> dict[str, Any]:
        if not is_absolute(self._base.url):
            msg = "a sample needs base_url"
            raise DiscoveryError(msg)
        evolves = self.resource.contract.data_type == "evolve"
        records = [*map(decode_exactly, self._spread())]
        if not records:
            self.inform("there is no record to infer a schema from; it has the key and the declared columns only.")
        columns = self.resource.column_schemas
        schema: dict[str, Any] = {"type": "object", "properties": dict(columns)}
        if records or columns or self.resource.keys:
            schema = infer(records, keys=self.resource.keys, columns=columns, evolves=evolves)
        for problem in unloadable_names(schema):
            self.warn(problem)
        incremental = self.resource.requests.incremental
        problems = cursor_problems(incremental, schema) if incremental is not None and records else {}
        for word, problem in problems.items():
            msg = f"incremental.{word}: {problem}"
            raise DiscoveryError(msg)
        return schema

    def _with_included(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return a schema with the declared columns, and the fields that records take over from their parent."""
        link = self.resource.parent
        included: dict[str, Any] = {f"_{link.name}_{name}": {} for name in link.included} if link else {}
        return {**schema, "properties": {**included, **schema["properties"], **self.resource.column_schemas}}

    def sample(self) -> Iterator[Record]:
        """Yield some of the first records, for those who want to know what there is.

        Raises RestError where they cannot be read.
        """
        yield from map(decode_exactly, islice(self._sampled(), SAMPLE))

    def _sampled(self) -> Iterator[Raw]:
        for page, one, _ in self._sampled_pages():
            yield from with_members(page, one.members).records

    def _sampled_pages(self) -> Iterator[tuple[Page, Slice, Walk]]:
        plan = self.resource.replicated.plan({}, SyncContext(began=self._began))
        among = tuple(plan.slices[:1]) or (Slice(),)
        for one in self._sampled_slices(among):
            walk = self.walk(one, max_in_flight=1, is_keyed=False)
            with suppress(ResultWindowError):  # enough for a sample
                for page in walk.pages():
                    yield page, one, walk

    def _spread(self) -> Iterator[Raw]:
        """Yield the first records, and some that come long after them, where an answer says how many there are."""
        pages = count = 0
        for page, one, walk in self._sampled_pages():  # noqa: B007 - it is used after the loop
            yield from with_members(page, one.members).records[: SAMPLE - count]
            pages, count = pages + 1, count + len(page.records)
            if count >= SAMPLE:
                break
        else:
            return  # these are all
        paginator = walk.paginator if isinstance(walk, ChainWalk) else self.resource.requests.pagination
        position = later_position(paginator, page, pages=pages, records=count)
        if position is not None and self.parent is None:
            with suppress(RestError):  # a run tells what is wrong with it
                later = self.ask(one, paginator, position).result()
                yield from with_members(later, one.members).records[:SAMPLE]

    def _sampled_slices(self, among: tuple[Slice, ...]) -> Iterator[Slice]:
        link = self.resource.parent
        if link is None or not isinstance(self.parent, RestStream):
            return iter(among)
        return link.slices(islice(self.parent.sample(), SAMPLED_PARENTS), among)

    # What is looked at, and not read

    def first_request(self, one: Slice) -> Request:
        """Return what asks for the first page of a slice."""
        paginator = self.resource.requests.pagination
        return paginator.apply(one.apply(self._base), paginator.first)

    def begin_look(self) -> Slice:
        """Return the slice that shows whether all can be read; from now on every record of it is wanted."""
        policy = self.source.sender.policy
        self.source.sender.policy = replace(policy, max_retries=min(policy.max_retries, RETRIES))
        one = probe_slice(self.resource.replicated, self._context())
        self._plan = SyncPlan()
        return one

    def probe(self) -> Callable[[], str]:
        """Ask for a small page, and return what waits for it and tells what was seen, and what was asked for.

        The first record goes through the stream maps. What is wrong is kept in `failure`.
        """
        self.is_quiet = True
        one = self.begin_look()
        paginator = self.resource.requests.pagination.small()
        pending = self.ask(one, paginator, paginator.first) if self.parent is None else None

        def look() -> str:
            with self.keeping_failure():
                page = self._first_child_page(one) if pending is None else pending.result()
                for record in self._decoded(page):
                    if not self.stats.records:
                        self.write_record(record)
                    self.stats.records += 1
            seen = "1 record" if self.stats.records == 1 else f"{self.stats.records:,} records"
            label = "" if one.label == Slice.label else f" ({one.label})"
            return f"{seen}, asked for {paginator.amount}{label}"

        return look

    def _first_child_page(self, one: Slice) -> Page:
        """Return the first page for the first parent record; raises RestError where there is no such record."""
        paginator = self.resource.requests.pagination.small()
        for child in self._sampled_slices((one,)):
            page = self.ask(child, paginator, paginator.first).result()
            return with_members(page, child.members)
        msg = "cannot be tested: its parent has no record"
        raise RestError(msg)

    def preview(self, one: Slice, count: int) -> Iterator[Record]:
        """Yield records of a slice as they would leave, from requests for a few of them at a time.

        Raises RestError where they cannot be read.
        """
        for child in self._sampled_slices((one,)):
            for page in self._few(child, count):
                for record in self._decoded(with_members(page, child.members)):
                    # Only selected streams have a stream map.
                    yield from self.mapped(record) if self.selected else (record,)

    def _few(self, one: Slice, count: int) -> Iterator[Page]:
        """Yield the first page of a slice, as small as it can be, and the others where it is not enough."""
        paginator = self.resource.requests.pagination.small(count)
        page = self.ask(one, paginator, paginator.first).result()
        yield page
        known = len(page.records)
        with suppress(ResultWindowError):  # enough for a few
            for again in self.walk(one, max_in_flight=1, is_keyed=False).pages() if known else ():
                yield again.without_first(min(known, len(again.records)))
                known = 0
