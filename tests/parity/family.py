"""Cases of parents and children, and of configurations that are refused."""

from __future__ import annotations

from typing import Unpack

from tests.parity.case import Case, Outcome, Words

_QUOTED = "values in a path are quoted"
_REPOS = {number: [f"{number}/{which}" for which in range(1, (number - 1) % 3 + 2)] for number in range(1, 7)}
_ALL_REPOS = [repo for repos in _REPOS.values() for repo in repos]
_ORG_IDS = ["a/b", "c d", "e?f=1", "g#h", "ü%20", "plain"]


def _orgs(path: str = "orgs", **words: object) -> Words:
    return {"name": "orgs", "primary_key": "id", "endpoint": {"path": path, "data_selector": "data"}, **words}


def _child(endpoint: object, **words: object) -> Words:
    return {"name": "repos", "primary_key": "id", "endpoint": endpoint, **words}


def _resolve(path: str, field: str = "no") -> Words:
    """Return an endpoint whose path has the name `org`, which one parameter resolves."""
    return {"path": path, "params": {"org": {"type": "resolve", "resource": "orgs", "field": field}}}


def _case(name: str, *resources: str | Words, client: Words | None = None, **outcome: Unpack[Outcome]) -> Case:
    outcome.setdefault("streams", ("orgs", "repos"))
    config = {"client": {"base_url": "{base}", **(client or {})}, "resources": list(resources)}
    return Case(name=f"parents: {name}", about="parents", config=config, **outcome)


def _paths() -> list[Case]:
    every = {"orgs": _ORG_IDS, "repos": _ALL_REPOS}
    by_number = "orgs/{resources.orgs.no}/repos"
    return [
        _case("a placeholder", _orgs(), _child(by_number)),
        _case("the child is listed first", _child(by_number), _orgs()),
        _case("a parameter that resolves", _orgs(), _child(_resolve("orgs/{org}/repos"))),
        _case("a dotted field", _orgs(), _child("orgs/{resources.orgs.meta.no}/repos")),
        _case("a dotted field that resolves", _orgs(), _child(_resolve("orgs/{org}/repos", "meta.no"))),
        _case("values to quote", _orgs(), _child("orgs/{resources.orgs.id}/repos"), departure=_QUOTED, records=every),
        _case(
            "values to quote that resolve",
            _orgs(),
            _child(_resolve("orgs/{org}/repos", "id")),
            departure=_QUOTED,
            records=every,
        ),
        _case("a parent in pages", _orgs("orgs_in_pages"), _child(by_number)),
        _case(
            "children in pages",
            _orgs(),
            _child({"path": "orgs/{resources.orgs.no}/members?per_page=2", "paginator": "header_link"}),
        ),
        _case("one object a parent", _orgs(), _child("orgs/{resources.orgs.no}")),
        _case(
            "one object a parent, whatever paginator the client has",
            _orgs("orgs_in_pages"),
            _child("orgs/{resources.orgs.no}"),
            client={"paginator": {"type": "page_number", "base_page": 1, "total_path": None}},
        ),
        _case("a parent that is not selected", _orgs(selected=False), _child(by_number), streams=("repos",)),
        _case(
            "three generations",
            _orgs(),
            _child(by_number),
            {"name": "issues", "primary_key": "id", "endpoint": "repos/{resources.repos.no}/issues"},
            streams=("orgs", "repos", "issues"),
        ),
        _case(
            "two children of one parent",
            _orgs(),
            _child(by_number),
            {"name": "members", "primary_key": "id", "endpoint": "orgs/{resources.orgs.no}/members"},
            streams=("orgs", "repos", "members"),
        ),
    ]


def _elsewhere() -> list[Case]:
    """Return cases of placeholders that are in no path, and of fields that children take over."""
    post = {"method": "POST", "data_selector": "data"}
    joined = {"repos": ("_orgs_no", "_orgs_name", "id")}
    return [
        _case("in a parameter", _orgs(), _child({"path": "repos_by_param", "params": {"org": "{resources.orgs.id}"}})),
        _case("in a header", _orgs(), _child({"path": "repos_by_header", "headers": {"X-Org": "{resources.orgs.no}"}})),
        _case(
            "in a JSON body, where it keeps its type",
            _orgs(),
            _child({"path": "repos_by_number", "json": {"where": {"no": "{resources.orgs.no}"}}, **post}),
        ),
        _case("in a form", _orgs(), _child({"path": "repos_by_form", "data": {"org": "{resources.orgs.id}"}, **post})),
        _case(
            "fields of the parent",
            _orgs(),
            _child("orgs/{resources.orgs.no}/repos", include_from_parent=["no", "name"]),
            keys=joined,
        ),
        _case(
            "fields of a parent that is not selected",
            _orgs(selected=False),
            _child("orgs/{resources.orgs.no}/repos", include_from_parent=["no", "name"]),
            keys=joined,
            streams=("repos",),
        ),
        _case(
            "a field that parents do not have",
            _orgs(),
            _child("orgs/{resources.orgs.no}/repos", include_from_parent=["size"]),
            error="size",
        ),
        _case(
            "a placeholder that parents do not have", _orgs(), _child("orgs/{resources.orgs.size}/repos"), error="size"
        ),
        _case(
            "a placeholder that is null",
            _orgs(),
            _child("orgs/{resources.orgs.boss}/repos"),
            error="boss",
        ),
        _case("a child that is not there", _orgs(), _child("orgs/{resources.orgs.no}/notes"), error="404"),
        _case("a child that is not there, ignored", _orgs(), _child(_ignoring("notes", status_code=404))),
        _case("a child that is refused, ignored", _orgs(), _child(_ignoring("refused_notes", content="disabled"))),
    ]


def _ignoring(path: str, **answer: object) -> Words:
    """Return the endpoint of a child that ignores an answer."""
    actions = [{**answer, "action": "ignore"}]
    return {"path": f"orgs/{{resources.orgs.no}}/{path}", "data_selector": "data", "response_actions": actions}


def _refused(name: str, error: str, *resources: str | Words, **words: object) -> Case:
    config = {"client": {"base_url": "{base}"}, "resources": list(resources), **words}
    return Case(name=f"refused: {name}", about="refused", config=config, streams=(), error=error)


def _refusals() -> list[Case]:
    org = {"type": "resolve", "resource": "orgs", "field": "no"}
    both = "repos/{org}/issues/{repo}"
    repo = {"type": "resolve", "resource": "repos", "field": "no"}
    return [
        _refused(
            "an unknown word of an endpoint",
            "selector",
            {"name": "things", "endpoint": {"path": "shapes/data", "selector": "data"}},
        ),
        _refused(
            "an unknown word of a resource", "keys", {"name": "things", "endpoint": "shapes/data", "keys": ["id"]}
        ),
        _refused("an unknown word of the configuration", "streams", "orgs", streams=["orgs"]),
        _refused(
            "an unknown paginator",
            "pages",
            {"name": "things", "endpoint": {"path": "shapes/data", "paginator": "pages"}},
        ),
        _refused("a word of another paginator", "limit", _paginated({"type": "json_link", "limit": 10})),
        _refused(
            "a method that changes things",
            "method|DELETE",
            {"name": "things", "endpoint": {"path": "shapes/data", "method": "DELETE"}},
        ),
        _refused("the same name twice", "orgs", "orgs", {"name": "orgs", "endpoint": "orgs_in_pages"}),
        _refused("a parent that is not there", "orgs", _child("orgs/{resources.orgs.no}/repos")),
        _refused(
            "a parameter that is used nowhere",
            "org",
            _orgs(),
            _child({"path": "repos_by_param", "params": {"org": org}}),
        ),
        _refused(
            "two parents",
            "parent|orgs|repos",
            _orgs(),
            _child("orgs/{resources.orgs.no}/repos"),
            {"name": "issues", "endpoint": {"path": both, "params": {"org": org, "repo": repo}}},
        ),
        _refused(
            "parents in a circle",
            "orgs|repos",
            _orgs("orgs/{resources.repos.no}"),
            _child("orgs/{resources.orgs.no}/repos"),
        ),
        _refused("fields of no parent", "include_from_parent", _orgs(include_from_parent=["no"])),
        _refused(
            "both a JSON body and a form",
            "json|data",
            {
                "name": "things",
                "endpoint": {"path": "bodies/json", "method": "POST", "json": {"a": 1}, "data": {"a": 1}},
            },
        ),
        _refused(
            "a placeholder of an increment that is not there",
            "incremental",
            {
                "name": "things",
                "endpoint": {"path": "since/inclusive", "params": {"since": "{incremental.start_value}"}},
            },
        ),
    ]


def _paginated(paginator: Words) -> Words:
    return {"name": "things", "endpoint": {"path": "shapes/data", "paginator": paginator}}


CASES = [*_paths(), *_elsewhere(), *_refusals()]
