"""Cases of what is asked for since the last time."""

from __future__ import annotations

from typing import Unpack

from tests.parity.case import ALL, Case, Outcome, Words, things

_TENTH = "2026-01-05T12:00:00.000Z"
"""When the things 10, 11 and 12 were made."""

_AGAIN = (12, 25)
"""The table has only twelve things in the first run, the last three of which share an instant."""

_START = {"initial_value": "2026-01-01T00:00:00.000Z", "start_param": "since"}
"""The words of an increment that begins with the first thing."""


def _case(
    name: str,
    path: str,
    incremental: Words | None = None,
    endpoint: Words | None = None,
    **outcome: Unpack[Outcome],
) -> Case:
    """Return a case in which the endpoint declares what is incremental; the cursor is `at` if it names no other."""
    asked: Words = {"path": f"since/{path}", "paginator": "single_page", "data_selector": "data"}
    if incremental is not None:
        asked["incremental"] = {"cursor_path": "at", **incremental}
    config = things({**asked, **(endpoint or {})})
    return Case(name=f"incremental: {name}", about="incremental", config=config, **outcome)


def _param(**words: object) -> Words:
    """Return the endpoint's words in which one parameter is incremental."""
    return {"params": {"since": {"type": "incremental", "cursor_path": "at", **words}}}


def _forms() -> list[Case]:
    start = {"initial_value": _TENTH}
    return [
        _case("start_param", "inclusive", {**start, "start_param": "since"}),
        _case("a parameter", "inclusive", endpoint=_param(**start)),
        _case("a placeholder", "inclusive", start, endpoint={"params": {"since": "{incremental.start_value}"}}),
        _case(
            "a placeholder in a body",
            "body",
            start,
            endpoint={"method": "POST", "json": {"filter": {"since": "{incremental.start_value}"}}},
        ),
        _case("no parameter, so that the client filters", "unfiltered", start),
        _case("a server that does not filter", "inclusive", {**start, "start_param": "begin"}),
        _case("a server that leaves out the bound", "exclusive", {**start, "start_param": "since"}),
        _case("no initial value", "inclusive", {"start_param": "since"}),
        _case(
            "a cursor deep in the record", "inclusive", {**start, "cursor_path": "nested.at", "start_param": "since"}
        ),
        _case("seconds", "epoch", {"cursor_path": "epoch", "initial_value": 1767614400, "start_param": "since"}),
        _case("numbers in no order", "number", {"cursor_path": "n", "initial_value": 20, "start_param": "since"}),
        _case("days", "day", {"cursor_path": "day", "initial_value": "2026-01-10", "start_param": "since"}),
        _case("records in reverse order", "backwards", {**start, "start_param": "since"}),
        _case(
            "pages",
            "pages",
            {**start, "start_param": "since"},
            endpoint={"paginator": {"type": "json_link"}},
        ),
    ]


def _ranges() -> list[Case]:
    start, end = {"initial_value": "2026-01-02T00:00:00.000Z"}, {"end_value": "2026-01-03T00:00:00.000Z"}
    both = {**start, **end, "start_param": "since"}
    return [
        _case("an end", "range", {**both, "end_param": "until"}),
        _case("an end that the client filters by", "inclusive", both),
        _case("an end that is closed", "inclusive", {**both, "range_end": "closed"}),
        _case("a start that is open", "inclusive", {**start, "start_param": "since", "range_start": "open"}),
        _case(
            "a start and an end, as placeholders",
            "range",
            {**start, **end},
            endpoint={"params": {"since": "{incremental.start_value}", "until": "{incremental.end_value}"}},
        ),
        _case("the least value", "unfiltered", {**start, "last_value_func": "min"}),
        _case("descending rows", "backwards", {"initial_value": _TENTH, "start_param": "since", "row_order": "desc"}),
    ]


def _missing(name: str, action: str | None, **outcome: Unpack[Outcome]) -> Case:
    """Return a case in which the first record has no value of the cursor."""
    incremental = {
        "initial_value": "2026-01-01T00:00:00.000Z",
        **({"on_cursor_value_missing": action} if action else {}),
    }
    endpoint = {"path": "shapes/mixed", "data_selector": "entries"}
    return _case(f"a record without the cursor, {name}", "", incremental, endpoint=endpoint, **outcome)


def _again(
    name: str,
    path: str,
    disposition: str = "append",
    *,
    words: Words | None = None,
    key: str | None = "id",
    **outcome: Unpack[Outcome],
) -> Case:
    """Return a case of two runs, the first of which may see less of the table."""
    outcome.setdefault("sizes", _AGAIN)
    incremental = {"cursor_path": "at", **_START, **(words or {})}
    endpoint = {"path": f"since/{path}/{{size}}", "paginator": "single_page", "incremental": incremental}
    config = things(endpoint, key=key, write_disposition=disposition)
    return Case(name=f"incremental: a second run {name}", about="incremental", config=config, **outcome)


def _states() -> list[Case]:
    cursor = "cursor|on_cursor_value_missing"
    ended = {"end_value": "2026-01-03T00:00:00.000Z"}
    return [
        _missing(
            "no word about it",
            None,
            departure="a record without the cursor is emitted, with a warning",
            records={"things": [-1, *range(1, 26)]},
            warning="without a usable at",
        ),
        _missing("refused", "raise", error=cursor),
        _missing("included", "include"),
        _missing("excluded", "exclude"),
        _again("that appends", "inclusive"),
        _again("that appends, without a key", "inclusive", key=None),
        _again("where the server does not filter", "unfiltered"),
        _again("where the server leaves out the bound", "exclusive"),
        _again("in reverse order", "backwards"),
        _again("with nothing new", "inclusive", sizes=(25, 25)),
        _again("with a lag", "inclusive", words={"lag": 86400}),
        _again("with an end, which keeps no state", "inclusive", words=ended),
        _again(
            "that merges",
            "inclusive",
            "merge",
            departure="under merge, the last lookback_days are read again",
            records={"things": ALL[7:]},
        ),
    ]


def _children() -> list[Case]:
    every = [number * 10 + which for number in range(1, 7) for which in range(1, 5)]
    events = {
        "name": "events",
        "primary_key": "id",
        "endpoint": {
            "path": "orgs/{resources.orgs.no}/events",
            "data_selector": "data",
            "incremental": {"cursor_path": "at", **_START},
        },
    }

    def case(name: str, path: str, **outcome: Unpack[Outcome]) -> Case:
        outcome["streams"] = ("orgs", "events")
        orgs = {"name": "orgs", "primary_key": "id", "endpoint": {"path": path, "data_selector": "data"}}
        config = {"client": {"base_url": "{base}"}, "resources": [orgs, events]}
        return Case(name=f"incremental: {name}", about="incremental", config=config, **outcome)

    return [
        case("children of parents in one page", "orgs"),
        case(
            "children of parents in pages",
            "orgs_in_pages",
            departure="all parents start from the bookmark of the last run",
            records={"orgs": ["a/b", "c d", "e?f=1", "g#h", "ü%20", "plain"], "events": every},
        ),
    ]


CASES = [*_forms(), *_ranges(), *_states(), *_children()]
