"""Styles in which a path or a parameter names a parent: organisations, their repositories, and the issues of those."""

from collections.abc import Callable
from typing import Any, Final

from sandbox.faults import Answer
from sandbox.instants import parse
from sandbox.styles.ask import Ask, RefusedError, reply
from sandbox.styles.data import ORGS, THINGS, Record, events_of, issues_of, org, repo, repos_of
from sandbox.styles.linked import HeaderLinks

_PAGE: Final = 2
_WITHOUT_NOTES: Final = 3
"""The organisation that answers 404 when it is asked for its notes."""


def _org(key: object) -> Record:
    known = org(str(key))
    if known is None:
        raise RefusedError(404, f"No organisation {key}")
    return known


def _repo(key: object) -> Record:
    known = repo(str(key))
    if known is None:
        raise RefusedError(404, f"No repository {key}")
    return known


def _orgs(_ask: Ask) -> Answer:
    return reply({"data": ORGS})


def _orgs_in_pages(ask: Ask) -> Answer:
    page = ask.number("page", 1, least=1)
    end = page * _PAGE
    return reply({"data": ORGS[end - _PAGE : end], "next": ask.link(page=page + 1) if end < len(ORGS) else None})


def _one_org(_ask: Ask, key: str) -> Answer:
    return reply(_org(key))


def _repos(_ask: Ask, key: str) -> Answer:
    return reply({"data": repos_of(_org(key))})


def _issues(_ask: Ask, org_key: str, repo_key: str) -> Answer:
    known = _repo(repo_key)
    if known["org"] != _org(org_key)["id"]:
        raise RefusedError(404, f"No repository {repo_key} of {org_key}")
    return reply({"data": issues_of(known)})


def _repo_issues(_ask: Ask, key: str) -> Answer:
    return reply({"data": issues_of(_repo(key))})


def _notes(_ask: Ask, key: str) -> Answer:
    known = _org(key)
    if known["no"] == _WITHOUT_NOTES:
        raise RefusedError(404, "This organisation has no notes")
    return reply({"data": [{"id": known["no"] * 100, "text": f"note of {known['name']}"}]})


def _refused_notes(_ask: Ask, key: str) -> Answer:
    if _org(key)["no"] == _WITHOUT_NOTES:
        return reply({"error": "disabled", "message": "Notes are disabled"}, status=409)
    return _notes(_ask, key)


def _events(ask: Ask, key: str) -> Answer:
    events = events_of(_org(key))
    since = parse((ask.param("since") or "").replace(" ", "+"))
    return reply({"data": [event for event in events if since is None or (parse(event["at"]) or 0) >= since]})


def _members(ask: Ask, key: str) -> Answer:
    """Answer with as many things as the number of the organisation, in pages of `per_page` that a header links."""
    number: int = _org(key)["no"]
    members = tuple({**thing, "id": number * 100 + thing["id"]} for thing in THINGS[:number])
    return HeaderLinks(records=members)(ask)


def _repos_by_param(ask: Ask) -> Answer:
    return reply({"data": repos_of(_org(ask.param("org")))})


def _repos_by_header(ask: Ask) -> Answer:
    return reply({"data": repos_of(_org(ask.header("X-Org")))})


def _repos_by_number(ask: Ask) -> Answer:
    """Answer with repositories for a JSON body whose number is a number."""
    number = ask.field("where.no")
    if not isinstance(number, int):
        raise RefusedError(400, "where.no must be a number")
    return reply({"data": repos_of(_org(number))})


def _repos_by_form(ask: Ask) -> Answer:
    return reply({"data": repos_of(_org(ask.form.get("org", [""])[-1]))})


GET: Final[dict[str, Callable[..., Answer]]] = {
    "orgs": _orgs,
    "orgs_in_pages": _orgs_in_pages,
    "orgs/*": _one_org,
    "orgs/*/repos": _repos,
    "orgs/*/repos/*/issues": _issues,
    "orgs/*/notes": _notes,
    "orgs/*/refused_notes": _refused_notes,
    "orgs/*/events": _events,
    "orgs/*/members": _members,
    "repos/*/issues": _repo_issues,
    "repos_by_param": _repos_by_param,
    "repos_by_header": _repos_by_header,
}
"""What is asked for with GET, by path."""

POST: Final[dict[str, Callable[..., Any]]] = {
    "repos_by_number": _repos_by_number,
    "repos_by_form": _repos_by_form,
}
"""What is asked for with POST, by path."""
