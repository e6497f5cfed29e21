"""One case of the table: a configuration of dlt's `rest_api`, and what comes of it where dlt is not to be followed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Words = dict[str, Any]

Ids = list[Any]
"""What records are recognised by, in their order; a list each where a case names several fields."""

ALL: Ids = list(range(1, 26))
"""The ids of all things that the sandbox has."""

EVERY = {"things": ALL}
"""The records of a stream that brings all things."""

POST: Words = {"method": "POST", "json": {"kind": "thing"}}
"""Words of an endpoint that is asked with a body."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A configuration that dlt and the tap both read, from a sandbox of its own.

    In the configuration `{base}` stands for the address of the styles, and `{size}` for what `sizes` says.
    """

    name: str
    about: str
    """What it is a case of: a kind of paginator, or a group of words."""
    config: Words
    streams: tuple[str, ...] = ("things",)
    """The streams that are compared; no other may have records."""
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By stream, the dotted fields by which its records are recognised, if not by `id`."""
    sizes: tuple[int, ...] = (25,)
    """What `{size}` is in each run: each goes on from the state of the one before, and the last is compared."""
    departure: str | None = None
    """Why the tap does otherwise than dlt, on purpose."""
    records: Mapping[str, Ids] | None = None
    """What the tap brings, where it departs from dlt and does not fail."""
    error: str | None = None
    """What the message of the last line matches (a regular expression, in any case), where the tap fails."""
    warning: str | None = None
    """What the message of a warning matches, where there must be one; the same kind of expression."""

    def config_for(self, base: str, size: int) -> Words:
        """Return the configuration for a server and for one run."""
        text = json.dumps(self.config).replace("{base}", base).replace("{size}", str(size))
        config: Words = json.loads(text)
        return config

    def ids(self, stream: str, records: Sequence[Mapping[str, Any]]) -> Ids:
        """Return what the records of a stream are recognised by."""
        paths = self.keys.get(stream, ("id",))
        rows = [[_at(record, path) for path in paths] for record in records]
        return [row[0] if len(row) == 1 else row for row in rows]


def _at(record: Any, path: str) -> Any:  # noqa: ANN401 - any JSON
    for name in path.split("."):
        record = record.get(name) if isinstance(record, dict) else None
    return record


class Outcome(TypedDict, total=False):
    """What a function that makes a case hands on to it."""

    streams: tuple[str, ...]
    keys: Mapping[str, Sequence[str]]
    sizes: tuple[int, ...]
    departure: str
    records: Mapping[str, Ids]
    error: str
    warning: str


def things(
    endpoint: str | Words,
    *,
    client: Words | None = None,
    defaults: Words | None = None,
    others: Sequence[str | Words] = (),
    key: str | None = "id",
    **words: object,
) -> Words:
    """Return a configuration with the resource `things`, which has an endpoint and further words."""
    resource = {"name": "things", "endpoint": endpoint, **({"primary_key": key} if key else {}), **words}
    config: Words = {"client": {"base_url": "{base}", **(client or {})}, "resources": [resource, *others]}
    return config if defaults is None else {**config, "resource_defaults": defaults}


def paged(
    about: str,
    name: str,
    path: str,
    words: Words | None = None,
    endpoint: Words | None = None,
    **outcome: Unpack[Outcome],
) -> Case:
    """Return a case in which the paginator is what matters; `words` are its words beside the type."""
    paginator = {"type": about, **(words or {})}
    asked = {"path": path, "data_selector": "data", "paginator": paginator, **(endpoint or {})}
    return Case(name=f"{about}: {name}", about=about, config=things(asked), **outcome)
