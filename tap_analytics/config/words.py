"""The words in which users declare resources: dlt's, each one field of a class, and three of the tap's own.

What dlt means by each word is stated in its `rest_api` source (dlt 1.31, `sources/rest_api/typing.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from importlib import resources as package_files
from typing import Any, ClassVar, Literal

from tap_analytics import jsonpath
from tap_analytics.declare import Words, word
from tap_analytics.rest import placeholders
from tap_analytics.rest.auth import Auth
from tap_analytics.rest.errors import ErrorHandler, ResponseAction
from tap_analytics.rest.paginators import AnyPaginator, Auto, Paginator, SinglePage
from tap_analytics.singer.contract import Mode, SchemaContract
from tap_analytics.singer.schema import typed, with_nullable_items
from tap_analytics.sync.incremental import Incremental
from tap_analytics.sync.parents import ParentLink
from tap_analytics.sync.replication import FullTable, Replication

Disposition = Literal["merge", "append", "replace", "skip"]

_PARENT = re.compile(r"resources\.(?P<name>[^.]+)\.(?P<path>.+)")
_HAS_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:)?//")


def _params_problem(value: Mapping[str, Any]) -> str | None:
    for name, item in value.items():
        if isinstance(item, Mapping):
            if item.get("type") not in {"incremental", "resolve"}:
                return (
                    f"expected text, a number or a list in {name!r}, or an object with the type incremental or resolve"
                )
        elif any(isinstance(one, Mapping | list) for one in (item if isinstance(item, list) else [])):
            return f"expected a list of texts or numbers in {name!r}"
    return None


def _path_problem(value: object) -> str | None:
    if not isinstance(value, str):
        return "expected text"
    if "#" in value or re.search(r"\s", value):
        return "expected a path such as /v1/resource, without blanks and #"
    return None


def _keys_problem(value: str | list[str]) -> str | None:
    if isinstance(value, list) and len(set(value)) < len(value):
        return "it names a field twice"
    return None


def _columns_problem(value: object) -> str | None:
    columns = value.values() if isinstance(value, Mapping) else value
    if not isinstance(columns, list) and not isinstance(value, Mapping):
        return "expected an object or a list of columns"
    for column in columns:  # type: ignore[attr-defined] # a list or the values of an object
        kind = column.get("data_type", "text") if isinstance(column, Mapping) else None
        if kind not in COLUMN_TYPES:
            return f"expected columns with a data_type, one of {', '.join(COLUMN_TYPES)}"
    return None


COLUMN_TYPES: Mapping[str, Mapping[str, Any]] = {
    "text": {"type": ["string", "null"]},
    "double": {"type": ["number", "null"]},
    "decimal": {"type": ["number", "null"]},
    "wei": {"type": ["number", "null"]},
    "bigint": {"type": ["integer", "null"]},
    "bool": {"type": ["boolean", "null"]},
    "timestamp": {"type": ["string", "null"], "format": "date-time"},
    "date": {"type": ["string", "null"], "format": "date"},
    "time": {"type": ["string", "null"], "format": "time"},
    "binary": {"type": ["string", "null"]},
    "json": {"type": ["object", "array", "string", "number", "boolean", "null"]},
}
"""JSON Schemas of the types of dlt's columns (dlt 1.31, `common/data_types/typing.py`)."""


@dataclass(frozen=True)
class Endpoint(Words):
    """What requests of a resource look like, and where their answers hold the records."""

    shorthand: ClassVar[str] = "path"
    path: Any = word("Path below base_url; may be empty, and hold placeholders and a query.", check=_path_problem)
    method: Literal["GET", "POST", "get", "post"] = word("Method of the requests.", default="GET")
    params: dict[str, Any] | None = word("Query parameters; null leaves one out.", check=_params_problem)
    json: Any = word("JSON body of the requests.")
    data: Any = word("Form (an object or a list of pairs) or text as the body of the requests.")
    headers: dict[str, Any] | None = word("Headers of the requests.")
    auth: Auth | None = word("Authentication of this endpoint, instead of the client's.")
    data_selector: str | None = word(
        "JSONPath of the records; without it, the records are found as dlt finds them.", check=jsonpath.problem
    )
    paginator: AnyPaginator | None = word("How the pages follow each other; without it, as the first answer shows.")
    incremental: Incremental | None = word("How later runs ask for what is new.")
    response_actions: list[ResponseAction] | None = word("Answers that count as a page without records.")
    error_handler: ErrorHandler | None = word("Retries of this endpoint. A word of the tap, not of dlt.")

    @property
    def is_single_entity(self) -> bool:
        """Whether the path ends in a placeholder: such an address holds one object."""
        last = (self.path or "").partition("?")[0].rstrip("/").rpartition("/")[2]
        return any(True for _ in placeholders.names(last))

    @property
    def selector(self) -> str | None:
        """The JSONPath of the records, None where it is to be found."""
        return "$" if self.data_selector is None and self.is_single_entity else self.data_selector

    @property
    def pagination(self) -> Paginator:
        """The paginator; that of the client is filled in before."""
        if self.paginator is not None:
            return self.paginator
        return SinglePage() if self.is_single_entity else Auto()

    @property
    def placeholders(self) -> set[str]:
        """The names of all placeholders."""
        return {*placeholders.names([self.path or "", self.params or {}, self.json, self.data, self.headers or {}])}


@dataclass(frozen=True)
class WriteDisposition(Words):
    """What a loader does with the records that it has; a Singer target decides how."""

    ignored: ClassVar[frozenset[str]] = frozenset(
        [
            "strategy",
            "validity_column_names",
            "active_record_timestamp",
            "boundary_timestamp",
            "row_version_column_name",
        ]
    )
    disposition: Disposition = word("What becomes of records that were loaded before.", required=True)


@dataclass(frozen=True)
class SchemaContractWords(Words):
    """What becomes of records that do not fit the schema."""

    ignored: ClassVar[frozenset[str]] = frozenset(["tables"])
    columns: Mode | None = word("What happens to new fields.")
    data_type: Mode | None = word("What happens to values of another type.")


@dataclass(frozen=True)
class Resource(Words):
    """A resource of an API, and the stream that it becomes."""

    shorthand: ClassVar[str] = "name"
    unsupported: ClassVar[Mapping[str, str]] = {
        "processing_steps": "it needs Python; use stream_maps to filter and change records",
        "data_from": "it needs Python; declare the parent as a resource, with selected: false",
        "hints": "use columns, primary_key and write_disposition",
    }
    ignored: ClassVar[frozenset[str]] = frozenset([
        "parallelized",
        "max_table_nesting",
        "table_format",
        "file_format",
        "nested_hints",
        "references",
        "parent_table_name",
        "section",
        "additional_table_hints",
    ])  # fmt: skip
    name: str = word("Name of the stream.", required=True)
    endpoint: Endpoint | None = word("How its records are asked for; a text is the path.")
    primary_key: str | list[str] | None = word("Field or fields that tell records apart.", check=_keys_problem)
    merge_key: str | list[str] | None = word("Fields to merge by, where there is no primary_key.", check=_keys_problem)
    write_disposition: Disposition | WriteDisposition | None = word(
        "`merge`, `append` or `replace`; without it, `merge` where there is a key, else `append`."
    )
    columns: dict[str, Any] | list[Any] | None = word("Types of fields, in dlt's terms.", check=_columns_problem)
    table_name: str | None = word("Name of the stream in the output, instead of the resource's.")
    selected: bool = word("Whether the records are emitted; a parent that is not is still read.", default=True)
    include_from_parent: list[str] | None = word("Fields of the parent that each record takes over.")
    schema_contract: Mode | SchemaContractWords | None = word("What becomes of records that do not fit the schema.")
    extends: bool | str | None = word(
        "Shipped stream whose facts are taken over; true for that of the same name. A word of the tap, not of dlt."
    )
    schema: dict[str, Any] | None = word("JSON Schema of a record; inferred without it. A word of the tap, not of dlt.")
    replication: Replication = field(default_factory=FullTable, kw_only=True)
    """How a shipped stream is replicated; `endpoint.incremental` says it for others."""
    schema_file: str = field(default="", kw_only=True)
    """The file of `schemas/` with the JSON Schema of a shipped stream."""

    @property
    def requests(self) -> Endpoint:
        """The endpoint; dlt takes the name for the path where there is none."""
        return self.endpoint or Endpoint(path=self.name)

    @property
    def keys(self) -> tuple[str, ...]:
        """The fields that tell records apart."""
        columns = (name for name, column in self.named_columns.items() if column.get("primary_key") is True)
        stated = self.primary_key or self.merge_key or tuple(columns)
        return (stated,) if isinstance(stated, str) else tuple(stated)

    @property
    def named_columns(self) -> dict[str, Mapping[str, Any]]:
        """The hints of the columns that are declared, by their names."""
        columns = self.columns or {}
        named = columns if isinstance(columns, Mapping) else {str(one.get("name")): one for one in columns}
        return {name: column for name, column in named.items() if isinstance(column, Mapping)}

    @property
    def disposition(self) -> Disposition:
        """What a loader does with the records that it has."""
        stated = self.write_disposition
        stated = stated.disposition if isinstance(stated, WriteDisposition) else stated
        return stated or ("merge" if self.keys else "append")

    @property
    def key_properties(self) -> tuple[str, ...]:
        """The fields that loaders merge by; none where they append."""
        return self.keys if self.disposition in {"merge", "replace"} else ()

    @property
    def replicated(self) -> Replication:
        """How the stream is replicated."""
        return self.requests.incremental or self.replication

    @property
    def parent(self) -> ParentLink | None:
        """The resource that this one is read for each record of, and the fields that requests need of it."""
        matches = {name: _PARENT.fullmatch(name) for name in sorted(self.requests.placeholders)}
        fields = {name: match["path"] for name, match in matches.items() if match}
        names = sorted({match["name"] for match in matches.values() if match})
        return ParentLink(names[0], fields, tuple(self.include_from_parent or ())) if names else None

    @property
    def known_schema(self) -> dict[str, Any] | None:
        """The JSON Schema that is declared or shipped; None where it has to be inferred."""
        if self.schema is not None:
            schema: dict[str, Any] = with_nullable_items({"type": "object", **self.schema})
            return schema
        return _with_keys(shipped_schema(self.schema_file), self.key_properties) if self.schema_file else None

    @property
    def contract(self) -> SchemaContract:
        """What becomes of data that the schema does not know: a schema that was inferred grows, others do not."""
        stated = self.schema_contract
        default: Mode = "discard_value" if self.schema is not None or self.schema_file else "evolve"
        if isinstance(stated, str):
            return SchemaContract(stated, stated)
        if stated is None:
            return SchemaContract(default, default)
        return SchemaContract(stated.columns or default, stated.data_type or default)

    @property
    def column_schemas(self) -> dict[str, Any]:
        """The JSON Schemas of the columns that are declared."""
        return {
            name: dict(COLUMN_TYPES[column["data_type"]])
            for name, column in self.named_columns.items()
            if "data_type" in column
        }


@dataclass(frozen=True)
class ClientWords(Words):
    """The API that all resources belong to."""

    unsupported: ClassVar[Mapping[str, str]] = {"session": "it needs Python; the tap has a session of its own"}
    base_url: Any = word(
        "Address of the API; without it, the setting `base_url`. Empty where all paths are addresses.",
        check=lambda value: None if isinstance(value, str) else "expected text",
    )
    headers: dict[str, Any] | None = word("Headers of every request.")
    auth: Auth | None = word("Authentication of every request.")
    paginator: AnyPaginator | None = word("How pages follow each other, where a resource does not say it.")


@cache
def shipped_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a shipped stream."""
    text = (package_files.files("tap_analytics") / "schemas" / f"{name}.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _with_keys(schema: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Return a schema whose records are told apart by some keys: nothing else has to be there."""
    if tuple(schema.get("required", ())) == keys:
        return schema
    properties = {
        name: {**definition, "type": typed(definition["type"], nullable=name not in keys)}
        for name, definition in schema["properties"].items()
    }
    return {**schema, "properties": properties, "required": list(keys)}


def is_absolute(path: str) -> bool:
    """Tell whether a path names a server."""
    return bool(_HAS_SCHEME.match(path))


def plain(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return JSON as a request carries it: the configuration is read with decimals."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value
