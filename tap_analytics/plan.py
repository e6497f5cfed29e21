"""What a run would do, in words and without a request: what each stream has read, and what it asks for next."""

from __future__ import annotations

import shutil
import sys
import textwrap
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from tap_analytics.singer.output import encoder
from tap_analytics.stream import SAMPLE, RestStream
from tap_analytics.sync.slices import DayWindow, Slice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from singer_sdk import Stream

    from tap_analytics.rest.secrets import Secrets

LABEL = 15
"""Columns of what stands before each line of a stream."""

LONGEST = 1000
"""Characters of a line that are shown."""


def show(streams: Iterable[Stream], secrets: Secrets) -> None:
    """Write to standard output what a run would do for the streams that it reads, in their order."""
    read = [stream for stream in streams if isinstance(stream, RestStream) and (stream.selected or stream.children)]
    known = read[0].tap_state.get("bookmarks", {}) if read else {}
    others = sorted(known.keys() - {stream.name for stream in read})
    for stream in read:
        _write(f"{stream.name}: {_bookmark(stream)}", secrets, indent=2)
        for label, text in _lines(stream):
            _write(f"  {label:<{LABEL}}{text}", secrets, indent=LABEL + 2)
    if others:
        _write(f"The state also knows {', '.join(others)}, which is not read.", secrets)
    _write("Nothing was sent.", secrets)


def _write(line: str, secrets: Secrets, *, indent: int = 0) -> None:
    """Write a line, folded to the width of the terminal, in characters that standard output can write."""
    text = textwrap.fill(
        secrets.redact(line)[:LONGEST],
        shutil.get_terminal_size().columns,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    encoding = sys.stdout.encoding
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding))


def _bookmark(stream: RestStream) -> str:
    last = stream.stream_state.get("last_sync")
    return stream.plan().bookmark + (f"; last read to its end by the run of {last}" if last else "")


def _lines(stream: RestStream) -> Iterator[tuple[str, str]]:
    """Yield what a run would do with a stream, each line with its label."""
    plan = stream.plan()
    yield "road", f"{plan.method}; {_records(stream)}"
    for_each = f", for each record of {stream.parent.name}" if stream.parent else ""
    if for_each or [one.label for one in plan.slices] != [Slice.label]:
        yield "windows", _slices(plan.slices) + for_each
    if plan.slices:
        yield "first request", _request(stream, plan.slices[0])
    for note in (*_unused(stream), *plan.notes):
        yield "note", note


def _unused(stream: RestStream) -> Iterator[str]:
    """Yield why a plan does not go on from the state that there is."""
    kept = stream.stream_state.get("replication_key", stream.replication_key)
    if kept != stream.replication_key:
        yield f"The bookmark in the state is of {kept}; the stream starts over."
    if stream.stream_state and stream.resource.disposition == "replace":
        yield "write_disposition is replace: the bookmark in the state is not used."


def _records(stream: RestStream) -> str:
    """Return how the records of a stream leave, in words."""
    if not stream.selected:
        return "read for its children, not emitted"
    if stream.is_sampled:
        return f"before, a sample of up to {SAMPLE:,} records is read for the schema"
    return stream.road()


def _slices(slices: Sequence[Slice]) -> str:
    if not slices:
        return "none"
    first, last = slices[0], slices[-1]
    if len(slices) == 1 or not isinstance(first, DayWindow) or not isinstance(last, DayWindow):
        return first.label
    return f"{len(slices)}, {first.start} to {last.end - timedelta(days=1)}; first {first.label}"


def _request(stream: RestStream, one: Slice) -> str:
    request = stream.first_request(one)
    body = request.json if request.json is not None else request.data
    return request.label + ("" if body is None else f" with {encoder.encode(body).decode()}")
