"""A page: the records of one answer as the bytes they came in, and what the answer says of the next one."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from tap_analytics import exact
from tap_analytics.rest.errors import AnswerError, UnreadableBodyError
from tap_analytics.rest.evidence import NEXT_NAMES, NO_EVIDENCE, Evidence, evidence_of, evidence_of_record
from tap_analytics.rest.request import NOTHING
from tap_analytics.rest.selector import Selector, find_selector, fuller_list

if TYPE_CHECKING:
    from datetime import datetime

    from tap_analytics.rest.body import Body

_ESCAPES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"  # half of one
    rb"|\\."
)

MOST_RECORDS = 5_000_000
"""Records of an answer above which it is refused: each takes 72 bytes beside its own."""

QUOTED_ERROR = 200
"""Characters of an error in an answer that a message quotes."""

WHOLE_ANSWER = "$"
"""The path that has the whole answer decoded."""

_TOO_DEEP = "it is nested too deeply"

Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Page:
    """The records of one answer, each as the bytes it came in."""

    records: Sequence[Raw]
    label: str
    """The request as messages name it, without secrets."""
    received: datetime
    first: int = 0
    """The position in the answer of the first of the records."""
    nodes: Mapping[str, Any] = field(default_factory=dict)
    """Values at the paths that the paginator asked for, where they are in the answer."""
    headers: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    """Addresses of the header Link, by their relation."""
    evidence: Evidence = NO_EVIDENCE
    """What the answer announces."""
    refusal: str = ""
    """Why the server refused to answer with such a page; then there are no records."""
    note_keys: Callable[[Sequence[Hashable]], None] | None = None
    """Takes the keys of the records, in their order, from whoever decodes them: the walk need not do so itself."""

    def without_first(self, count: int) -> Page:
        """Return the page without its first records."""
        return replace(self, records=self.records[count:], first=self.first + count)


@dataclass(frozen=True, slots=True)
class Content:
    """What a body holds."""

    records: list[Raw]
    nodes: Mapping[str, Any] = field(default_factory=dict)
    evidence: Evidence = NO_EVIDENCE


class PageReader:
    """Finds records and nodes in the bodies of one resource.

    Args:
        selector: JSONPath of the records; None finds it on the first page that holds records.
        warn: Is given what may be wrong.
        inform: Is given what was detected.
    """

    def __init__(self, selector: str | None, *, warn: Notify, inform: Notify) -> None:
        self._path = selector
        self._is_declared = selector is not None
        self._warn = warn
        self._inform = inform
        self._has_warned = False
        self._has_linked = False
        self._passed_over: set[str] = set()
        self._lock = threading.Lock()
        self._selectors: dict[tuple[str, Sequence[str]], Selector] = {}

    def read(
        self, body: Body, *, nodes: Sequence[str] = (), charset: str = "utf-8", headers: Mapping[str, str] = NOTHING
    ) -> Content:
        """Return what a body holds, with the values at the paths of some nodes.

        Raises:
            UnreadableBodyError: It is not JSON.
            AnswerError: The JSON does not have the node of the records.
        """
        # A record takes two bytes at least, and a comma: the other answers need no closer look.
        is_crowded = body.size > 2 * MOST_RECORDS and body.count(b",") >= MOST_RECORDS
        text: memoryview | bytes = body.text(charset)
        try:
            if is_crowded and (self._path is None or self._selector(self._path, nodes).has_more(text, MOST_RECORDS)):
                msg = (
                    f"the answer holds more than {MOST_RECORDS:,} records, or as many values where it has to be "
                    "decoded as a whole. Ask for smaller pages, and declare data_selector as names."
                )
                raise AnswerError(msg)
            if body.has_line_breaks:
                with suppress(msgspec.DecodeError):  # said when it is decoded
                    # A record must fit a line; this leaves every number and string as it is.
                    text = msgspec.json.format(bytes(text), indent=-1)
            return self._read(text, nodes, headers)
        except RecursionError:
            raise AnswerError(_TOO_DEEP) from None

    def _read(self, text: memoryview | bytes, nodes: Sequence[str], headers: Mapping[str, str]) -> Content:
        path = self._path or self._find(text)
        selector = self._selector(path, nodes)
        try:
            records, root = selector.select(text)
        except msgspec.ValidationError:
            if not self._is_declared and _decoded(text) == {}:
                return Content([], evidence=evidence_of({}, headers))  # it shows no records, and no other node
            raise AnswerError(self._missing(path, text, headers)) from None
        except msgspec.DecodeError as error:
            whole = _with_whole_characters(bytes(text))
            if whole == text:
                msg = f"are not JSON ({error})"
                raise UnreadableBodyError(msg) from None
            self._warn_of_halves()
            return self._read(whole, nodes, headers)
        matched = {node: selector.node(node, root, records) for node in nodes if node != WHOLE_ANSWER}
        values = {node: matches[0] for node, matches in matched.items() if matches}
        if selector.is_whole and root:
            return self._one_record(records, values, root, headers, is_paged=WHOLE_ANSWER not in nodes)
        if WHOLE_ANSWER in nodes:
            values[WHOLE_ANSWER] = _decoded(text)
        evidence = evidence_of(root, headers)
        return Content(records, values, replace(evidence, total=None) if selector.is_filtered else evidence)

    def _selector(self, path: str, nodes: Sequence[str]) -> Selector:
        selector = self._selectors.get((path, nodes))
        if selector is None:
            selector = self._selectors[path, nodes] = Selector(path, nodes)
        return selector

    def _one_record(
        self,
        records: list[Raw],
        values: dict[str, Any],
        record: dict[str, Any],
        headers: Mapping[str, str],
        *,
        is_paged: bool,
    ) -> Content:
        """Return the content of an answer that is one record as a whole; its fields name no page and no total."""
        evidence = evidence_of_record(record, headers)
        link = next((name for name in NEXT_NAMES if str(record.get(name)).startswith(("http://", "https://"))), None)
        if link and not is_paged and not self._has_linked:
            self._has_linked = True
            self._warn(
                f"The answer is taken for one record, although its {link} is an address. "
                "If more records follow there, declare data_selector and paginator."
            )
        return Content([] if evidence.error else records, values, evidence)

    def _missing(self, path: str, text: memoryview | bytes, headers: Mapping[str, str]) -> str:
        root = _decoded(text)
        error = evidence_of(root, headers).error
        quoted = msgspec.json.encode(root.get(error)).decode()[:QUOTED_ERROR] if error else ""
        failed = f"; its {error} is {quoted}" if error else ""
        other, holds_records = find_selector(root)
        meant = f"; did you mean {other}?" if holds_records and not error else ""
        return f"there are no records at the data selector {path!r}; the answer {describe(root)}{failed}{meant}"

    def _warn_of_halves(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._warn("The API sends halves of characters; U+FFFD replaces them. This is reported once.")

    def _find(self, text: memoryview | bytes) -> str:
        """Return the selector for a body where none is declared; keep it once there were records."""
        with self._lock:
            if self._path is not None:
                return self._path
            try:
                root = exact.decode(_with_whole_characters(bytes(text)))
            except msgspec.DecodeError:
                return "$"  # said when it is read
            path, holds_records = find_selector(root)
            if holds_records:
                self._path = path
                self._inform(f"no data_selector is declared; the records are read at {path!r}.")
            elif (other := fuller_list(root, path)) and other not in self._passed_over:
                self._passed_over.add(other)
                self._warn(
                    f"no data_selector is declared; the records are looked for at {path!r}, where there are none, and "
                    f"not at {other!r}, where there are some. If those are the records, declare data_selector."
                )
            return path


def describe(root: object) -> str:
    """Return which nodes an answer holds, without any of their values."""
    if isinstance(root, dict):
        nodes = ", ".join(f"{name} ({_kind(value)})" for name, value in list(root.items())[:20])
        return f"holds {nodes}" if nodes else "is an empty object"
    return f"is {_kind(root)}"


def _decoded(text: memoryview | bytes) -> Any:  # noqa: ANN401 - any JSON
    try:
        return exact.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None


def _kind(value: object) -> str:
    if isinstance(value, list):
        noun = "object" if value and isinstance(value[0], dict) else "value"
        return f"a list of {len(value)} {noun}{'' if len(value) == 1 else 's'}"
    if isinstance(value, dict):
        return "an object"
    names = {str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _with_whole_characters(text: bytes) -> bytes:
    """Return JSON with U+FFFD for each half of a surrogate pair that stands alone.

    RFC 8259 (8.2) allows such halves, which are not text; they come from text that was cut within a character.
    """
    return _ESCAPES.sub(lambda match: rb"\ufffd" if match[1] else match[0], text)
