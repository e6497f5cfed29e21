"""Styles that differ in where an answer has its records, in what a request must carry, and in how errors look."""

from collections.abc import Callable
from typing import Any, Final

from sandbox.faults import Answer
from sandbox.styles.ask import Ask, RefusedError, reply
from sandbox.styles.data import THINGS, Record
from sandbox.styles.linked import LinkedPages, write_link

Style = Callable[..., Answer]

_ALL: Final = list(THINGS)
_ERROR: Final = {"code": "E42", "message": "The report is not ready"}


def _always(value: object, *, status: int = 200) -> Style:
    return lambda _ask: reply(value, status=status)


def _nothing(_ask: Ask) -> Answer:
    return Answer(204, b"")


def _page_of_html(_ask: Ask) -> Answer:
    return Answer(200, b"<!DOCTYPE html><title>Sign in</title>", {"Content-Type": "text/html"})


def _empty_first(ask: Ask) -> Answer:
    """Answer with an object that has no records yet, and a link to the page with all of them."""
    if ask.param("page") == "2":
        return reply({"data": _ALL})
    return reply({}, headers={"Link": f'<{write_link(ask, "absolute", page=2)}>; rel="next"'})


def _least(text: object) -> list[Record]:
    """Return the things from a number on."""
    if not str(text).isdecimal():
        raise RefusedError(400, "least must be a whole number")
    return [thing for thing in THINGS if thing["id"] >= int(str(text))]


def _by_json(ask: Ask) -> Answer:
    least = ask.field("filter.least")
    if not isinstance(least, int):
        raise RefusedError(400, "filter.least must be a number")
    most = ask.field("filter.most")
    return reply({"data": [thing for thing in _least(least) if most is None or thing["id"] <= most]})


def _by_form(ask: Ask) -> Answer:
    return reply({"data": _least(ask.form.get("least", [""])[-1])})


def _by_list(ask: Ask) -> Answer:
    wanted = ask.form.get("id", [])
    return reply({"data": [thing for thing in THINGS if str(thing["id"]) in wanted]})


def _by_text(ask: Ask) -> Answer:
    return reply({"data": _least(ask.body.removeprefix("least "))})


def _by_query_language(ask: Ask) -> Answer:
    if ask.field("query") != "{ things { id } }":
        return reply({"errors": [{"message": f"Cannot parse {ask.field('query')!r}"}]})
    return reply({"data": {"things": _ALL}})


def _linked(ask: Ask) -> Answer:
    if ask.field("filter.kind") != "thing":
        raise RefusedError(400, "filter.kind must be thing")
    return LinkedPages()(ask)


def _by_header(ask: Ask) -> Answer:
    if ask.header("X-Tenant") != "north" or ask.header("X-Version") != "2":
        raise RefusedError(400, "X-Tenant must be north and X-Version 2")
    return reply({"data": _ALL})


def _by_flag(ask: Ask) -> Answer:
    if ask.param("flag") != "true":
        raise RefusedError(400, "flag must be true")
    return reply({"data": _ALL})


def _by_param(ask: Ask) -> Answer:
    """Answer with the things whose ids are listed, each in a parameter of its own."""
    wanted = ask.params.get("id", [])
    return reply({"data": [thing for thing in THINGS if str(thing["id"]) in wanted]})


def _beside(key: str, value: object, records: list[Record] | None = None) -> Style:
    body: dict[str, Any] = {} if records is None else {"data": records}
    return _always({**body, key: value})


GET: Final[dict[str, Style]] = {
    "shapes/array": _always(_ALL),
    "shapes/data": _always({"data": _ALL}),
    "shapes/object": _always(THINGS[0]),
    "shapes/plain_object": _always({"id": 1, "nested": {"size": 2}}),
    "shapes/in_object": _always({"data": THINGS[0]}),
    "shapes/nested": _always({"result": {"list": {"things": _ALL}}}),
    "shapes/deep": _always({"a": {"b": {"c": {"name": "deep", "things": _ALL}}}}),
    "shapes/odd": _always({"odd.name": {"the things": _ALL}}),
    "shapes/value": _always({"context": "things", "value": _ALL}),
    "shapes/named": _always({"others": [{"id": -1}], "results": _ALL}),
    "shapes/two": _always({"meta": {"tags": ["one", "two"]}, "persons": _ALL}),
    "shapes/mixed": _always({"entries": [{"kind": "other", "id": -1}, *({"kind": "thing", **one} for one in _ALL)]}),
    "shapes/groups": _always({"groups": [{"things": _ALL[:10]}, {"things": _ALL[10:]}]}),
    "shapes/by_key": _always({"data": {f"k{thing['id']}": thing for thing in _ALL}}),
    "shapes/null": _always({"data": None}),
    "shapes/empty": _always({"data": []}),
    "shapes/scalars": _always({"data": ["one", "two"]}),
    "shapes/204": _nothing,
    "shapes/html": _page_of_html,
    "shapes/empty_first": _empty_first,
    "errors/instead": _beside("error", _ERROR),
    "errors/empty": _beside("errors", [_ERROR], []),
    "errors/beside": _beside("errors", [_ERROR], _ALL),
    "errors/status": _always({"status": "error", "message": "The report is not ready", "data": []}),
    "errors/success": _always({"success": False, "data": []}),
    "errors/404": _always({"error": _ERROR}, status=404),
    "errors/403": _always({"error": _ERROR}, status=403),
    "params/list": _by_param,
    "params/flag": _by_flag,
    "params/headers": _by_header,
}
"""What is asked for with GET, by path."""

POST: Final[dict[str, Style]] = {
    "bodies/json": _by_json,
    "bodies/form": _by_form,
    "bodies/list": _by_list,
    "bodies/text": _by_text,
    "bodies/query": _by_query_language,
    "bodies/linked": _linked,
}
"""What is asked for with POST, by path."""
