"""The records of a stream, encoded: checked against the schema, which may grow, and filtered by their cursor."""

from __future__ import annotations

from contextlib import contextmanager
from fnmatch import fnmatch
from itertools import compress
from typing import TYPE_CHECKING, Any

from singer_sdk.mapper import CustomStreamMap, SameRecordTransform

from tap_analytics.reading import ReadingStream
from tap_analytics.singer.contract import SchemaContract
from tap_analytics.singer.decoding import RecordError
from tap_analytics.singer.evolution import learned, with_learned
from tap_analytics.singer.flatten import Flattening, with_texts
from tap_analytics.singer.records import CHUNK, RecordEncoder, SchemaChange
from tap_analytics.singer.schema import breadcrumb
from tap_analytics.sync.incremental import MissingCursorError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from msgspec import Raw
    from singer_sdk import Tap
    from singer_sdk.helpers.types import Record
    from singer_sdk.mapper import StreamMap

    from tap_analytics.config.resources import Api
    from tap_analytics.config.words import Resource
    from tap_analytics.rest.client import Client
    from tap_analytics.rest.pages import Page
    from tap_analytics.singer.decoding import Wanted


LEARNED = "learned_properties"
"""Where the state keeps how the schema of a stream has grown."""


class EncodingStream(ReadingStream):
    """Turns the records of pages into what leaves: bytes, or values for the SDK."""

    def __init__(self, tap: Tap, client: Client, api: Api, resource: Resource | None = None) -> None:
        super().__init__(tap, client, api, resource)
        self._record_encoder: RecordEncoder | None = None

    @property
    def encoder(self) -> RecordEncoder:
        """What checks and encodes the records: the schema, as earlier runs saw it grow, and the selection, compiled."""
        if self._record_encoder is None:
            flattening = self._flattening()
            schema = with_learned(self.effective_schema, self.stream_state.get(LEARNED))
            self._record_encoder = RecordEncoder(
                schema if flattening is None else with_texts(schema, flattening.levels),
                selected=lambda path: self.mask[breadcrumb(path)] or not self.selected,
                keys=self.primary_keys,
                cursor=self.observed or None,
                warn=self.warn,
                contract=self._contract(),
                inform=self.inform,
                flattening=flattening,
            )
        return self._record_encoder

    def _flattening(self) -> Flattening | None:
        # A parent that is read for its children only has no stream map.
        stream_map = self.stream_maps[0] if self.selected and self.stream_maps else None
        if stream_map is None or stream_map.flattening_options is None or not stream_map.flattening_enabled:
            return None
        return Flattening(stream_map.flattening_options.max_level, stream_map.flatten_record)

    def _contract(self) -> SchemaContract:
        """Return what becomes of data that the schema does not know; no stream map knows of a field that is new."""
        contract = self.resource.contract
        if self._mapped_by_the_sdk() is None and self._flattening() is None:
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
                yield from self.encoder.process(chunk, wanted=self._wanted_of(chunk), note_keys=page.note_keys)

    def _wanted_of(self, chunk: Sequence[Raw]) -> Wanted | None:
        """Return what tells which of some records are wanted; None where that is all of them."""
        if self.observed:
            return self._observe
        self.keep_for_children(chunk)
        return None

    def _observe(self, cursors: Sequence[Any], records: Sequence[Raw]) -> list[bool] | None:
        plan = self.plan()
        plan.limit = self._limit
        choice = plan.observe(cursors, records)
        wanted = None if choice is None else list(choice)
        if self.children:
            self.keep_for_children(records if wanted is None else list(compress(records, wanted)))
        return wanted

    def look_at(self, page: Page) -> None:
        """Keep what children need of a page that is not emitted: of the records that its cursor wants."""
        if not self.observed:
            super().look_at(page)
            return
        for _ in self._encoded(page):
            pass

    @contextmanager
    def _located(self, page: Page, start: int) -> Iterator[None]:
        """Say of what goes wrong with a record where in the answer that is."""
        try:
            yield
        except (RecordError, MissingCursorError) as error:
            index = getattr(error, "index", 0)
            msg = f"{page.label}: record {page.first + start + index + 1} of the answer {error}"
            raise RecordError(msg) from None

    def _mapped_by_the_sdk(self) -> str | None:
        """Return by which setting the SDK changes records as only it can, if it does."""
        if not self.selected:
            return None  # it is read for its children only
        is_plain = len(self.stream_maps) == 1 and is_alias_only(self.stream_maps[0], self.name, self.config)
        return None if is_plain else "stream_maps change them"


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
