"""Finds the records of an answer, and what stands beside them, on the bytes of its body."""

from __future__ import annotations

from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from tap_analytics import exact, jsonpath
from tap_analytics.rest.evidence import BESIDE, ERROR_NAMES
from tap_analytics.structs import can_be_a_field, optional, struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LIST_NAMES = frozenset(
    ["data", "items", "results", "entries", "records", "rows", "entities", "payload", "content", "objects", "values"]
)
"""Names under which answers hold their records (dlt 1.31, `rest_client/detector.py`)."""

DEEPEST_LIST = 3
"""Levels in which a list of records is looked for (dlt, as above)."""

LARGEST_VALUE = 1 << 16
"""Bytes of a value beside the records above which it announces nothing."""

_EMPTY = (b"[]", b"null")

_RECORDS: Any = list[Raw] | dict[str, Raw] | None


class Selector:
    """The JSONPath of the records of one resource, compiled.

    A list gives its items, an object is one record, null is none. Names, dotted names, `$`, `[*]` and `[n]` are
    followed on the bytes; other paths by a library, on decoded values.
    """

    def __init__(self, path: str, nodes: Sequence[str] = ()) -> None:
        self.path = path
        self.is_whole = path == "$"
        """Whether an answer that is an object is one record as a whole."""
        self.is_filtered = "[?" in path
        """Whether records are left out of a list: then no total of the answer is theirs."""
        self._nodes = nodes
        segments = jsonpath.parse(path)
        self._names: list[str] = []
        self._decoder: msgspec.json.Decoder[Any] | None = None
        if segments is not None:
            names = next((n for n, segment in enumerate(segments) if not isinstance(segment, str)), len(segments))
            self._names = [str(segment) for segment in segments[:names]]
            self._rest = segments[names:-1] if segments[-1:] == (None,) else segments[names:]
            self._beside = [self._names_beside(depth) for depth in range(names)]
            self._decoder = msgspec.json.Decoder(self._struct())

    def _names_beside(self, depth: int) -> list[str]:
        """Return the names to look at beside the container, or the records, at a depth."""
        names = set(BESIDE)
        for path in self._nodes:
            segments = jsonpath.parse(path) or ()
            names |= {path} if depth == 0 else set()
            if [*segments[:depth]] == self._names[:depth]:
                names |= {segment for segment in segments[depth : depth + 1] if isinstance(segment, str)}
        return sorted(name for name in names - {self._names[depth]} if can_be_a_field(name))

    def _struct(self, records: Any = _RECORDS) -> Any:  # noqa: ANN401 - types made here
        """Return the type of a body: structs down to the records, and bytes for what stands beside them."""
        kind = records
        for name, beside in zip(reversed(self._names), reversed(self._beside), strict=True):
            kind = struct({name: kind, **dict.fromkeys(beside, Raw | UnsetType)}, dict.fromkeys(beside, UNSET)) | None
        return kind

    def select(self, text: memoryview | bytes) -> tuple[list[Raw], dict[str, Any]]:
        """Return the records of a body, and the object that they stand in as far as it matters, decoded.

        Raises msgspec.ValidationError where the records are not there, msgspec.DecodeError where the body is not JSON.
        """
        if self._decoder is None:
            return self._select_decoded(text)
        node = self._decoder.decode(text)
        root: dict[str, Any] = {}
        level = root
        for name, beside in zip(self._names, self._beside, strict=True):
            if node is None:
                break
            level |= _decoded({other: getattr(node, f"f{n}") for n, other in enumerate(beside, 1)})
            node, level[name] = node.f0, {}
            level = level[name]
        if not self._names and isinstance(node, dict):
            root = _decoded(node)
        return self._records(node), root

    def has_more(self, text: memoryview | bytes, most: int) -> bool:
        """Tell whether a body may hold more records than some, in memory that does not grow with them."""
        if self._decoder is None or self._rest:
            return True  # what is looked at by a library is decoded as a whole
        seen = count(1)

        def look(_: object) -> None:
            if next(seen) > most:
                raise OverflowError

        counted = msgspec.defstruct("Counted", (), namespace={"__post_init__": look})
        try:
            msgspec.json.decode(text, type=self._struct(list[counted] | None))  # type: ignore[valid-type] # made here
        except (OverflowError, msgspec.DecodeError):
            return True
        return False

    def _records(self, node: list[Raw] | dict[str, Raw] | None) -> list[Raw]:
        if not node:
            return []
        if not self._rest:
            return node if isinstance(node, list) else [Raw(exact.encode(node))]
        values = [Raw(exact.encode(node))]
        for segment in self._rest:
            parents, values = values, [child for parent in values for child in _children(parent, segment)]
            if not values and not all(bytes(parent) in _EMPTY for parent in parents):
                raise msgspec.ValidationError
        return _as_records(values)

    def _select_decoded(self, text: memoryview | bytes) -> tuple[list[Raw], dict[str, Any]]:
        root = exact.decode(text)
        values = [Raw(exact.encode(value)) for value in jsonpath.find(self.path, root)]
        if not values and root and not (self.is_filtered and jsonpath.find(self.path.partition("[?")[0], root)):
            raise msgspec.ValidationError
        return _as_records(values), root if isinstance(root, dict) else {}

    def node(self, path: str, root: Mapping[str, Any], records: Sequence[Raw]) -> list[Any]:
        """Return the values at a path of the answer: of what stands beside the records, or of one of them."""
        segments = jsonpath.parse(path)
        depth = len(self._names)
        if segments and len(segments) > depth and list(segments[:depth]) == self._names[:depth]:
            index = segments[depth]
            if isinstance(index, int):
                record = records[index] if -len(records) <= index < len(records) else b"null"
                return jsonpath.follow(segments[depth + 1 :], msgspec.json.decode(record))
        return jsonpath.find(path, root)


def find_selector(root: object) -> tuple[str, bool]:
    """Return the path of the records in a decoded answer, as dlt finds it, and whether it holds any.

    A list at the root; else the first list, at most three levels deep, under one of the usual names; else the first
    list; else the whole answer, which is one record.
    """
    if isinstance(root, list):
        return "$", bool(root)
    candidates = list(_lists(root, ()))
    # Errors are records only where there is nothing else, and then there are none.
    lists = [one for one in candidates if one[0][0] not in ERROR_NAMES] or [one for one in candidates if not one[1]]
    chosen = next((one for one in lists if one[0][-1] in LIST_NAMES), lists[0] if lists else None)
    if chosen is not None:
        path, value = chosen
        return jsonpath.written(path), bool(value)
    if isinstance(root, dict):
        for name in root.keys() & LIST_NAMES:
            if root[name] is None:
                return name, False  # a list that is not there this time
    return "$", False


def fuller_list(root: object, path: str) -> str:
    """Return the path of a list with records, where an empty one under no usual name was chosen; else nothing."""
    if path.rpartition(".")[2] in LIST_NAMES:
        return ""
    paths = (path for path, value in _lists(root, ()) if value and path[0] not in ERROR_NAMES)
    return jsonpath.written(next(paths, ()))


def _lists(value: object, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - an iterator of paths and lists
    if not isinstance(value, dict) or len(path) >= DEEPEST_LIST:
        return
    for name, inner in value.items():
        if isinstance(inner, list):
            if not inner or isinstance(inner[0], dict):  # a list of texts or numbers holds no records
                yield (*path, name), inner
        else:
            yield from _lists(inner, (*path, name))


@cache
def _field_decoder(name: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(optional({name: Raw}))


_items = msgspec.json.Decoder(list[Raw])


def _children(value: Raw, segment: jsonpath.Segment) -> list[Raw]:
    """Return the values of a segment below a value, each as its bytes."""
    try:
        if isinstance(segment, str):
            inner = _field_decoder(segment).decode(value).f0
            return [] if inner is UNSET else [inner]
        items = _items.decode(value)
    except msgspec.ValidationError:
        return []
    if segment is None:
        return items
    return [items[segment]] if -len(items) <= segment < len(items) else []


def _as_records(values: Sequence[Raw]) -> list[Raw]:
    """Return values as records: lists give their items, null gives none.

    dlt takes several lists for records as they are, which no table can hold.
    """
    records: list[Raw] = []
    for value in values:
        match bytes(memoryview(value)[:1]):
            case b"[":
                records += _items.decode(value)
            case b"n":
                pass
            case _:
                records.append(value)
    return records


def _decoded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values beside the records, decoded, but for those that are too large to announce anything."""
    return {
        name: msgspec.json.decode(value)
        for name, value in values.items()
        if value is not UNSET and len(memoryview(value)) <= LARGEST_VALUE
    }
