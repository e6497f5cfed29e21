"""The worked examples of the guide, as they stand there, against stand-ins for the APIs that they read."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Sandbox
from sandbox.styles import apis
from sandbox.styles.auth import PASSWORD, SECRETS, TOKEN, USERNAME
from tests.singer import PREFIX, Run, assert_secret, run_tap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DOCS = Path(__file__).parents[2] / "docs"
FOLDER = DOCS / "examples"

BEARER = {f"{PREFIX}TOKEN": TOKEN}
BASIC = {f"{PREFIX}USERNAME": USERNAME, f"{PREFIX}PASSWORD": PASSWORD}

COMMENTS = [
    {**comment, "_issues_number": issue["number"]}
    for issue in apis.ISSUES
    for comment in apis.comments_of(issue["number"])
]
CONTACTS = [contact for contact in apis.CONTACTS if contact["properties"]["email"]]


@dataclass(frozen=True)
class Example:
    """What an example brings from its stand-in, by stream and key, and the secrets that it needs."""

    name: str
    key: Mapping[str, str]
    records: Mapping[str, Sequence[Mapping[str, Any]]]
    base: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)


EXAMPLES = [
    Example(
        "issues",
        {"issues": "id", "comments": "id"},
        {"issues": apis.ISSUES, "comments": COMMENTS},
        secrets=BEARER,
    ),
    Example(
        "crm",
        {"companies": "id", "contacts": "id"},
        {"companies": apis.COMPANIES, "contacts": CONTACTS},
        secrets=BEARER,
    ),
    Example(
        "shop",
        {"products": "id", "orders": "id"},
        {"products": apis.PRODUCTS, "orders": apis.ORDERS},
        base="/wp-json/wc/v3",
        secrets=BASIC,
    ),
    Example("jsonapi", {"articles": "id", "people": "id"}, {"articles": apis.ARTICLES, "people": apis.PEOPLE}),
    Example(
        "odata",
        {"customers": "CustomerID", "orders": "OrderID"},
        {"customers": apis.CUSTOMERS, "orders": apis.SALES},
    ),
]

NAMED = pytest.mark.parametrize("example", [pytest.param(example, id=example.name) for example in EXAMPLES])


@pytest.fixture
def server() -> Iterator[Sandbox]:
    """Return a sandbox with next to no greenhouse in it."""
    with Sandbox(days=1, registrations=0, sessions=0, resources=0) as running:
        yield running


def test_the_guide_shows_the_examples_as_they_are() -> None:
    blocks = re.findall(r"```json\n(.*?)```", (DOCS / "other-apis.md").read_text(encoding="utf-8"), re.DOTALL)
    shown = [json.loads(block) for block in blocks if '"client"' in block]
    assert shown == [read(example) for example in EXAMPLES]


def read(example: Example) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((FOLDER / f"{example.name}.json").read_text(encoding="utf-8"))
    return config


def run(example: Example, server: Sandbox, state: object = None) -> Run:
    """Run an example with its secrets in the environment; all but its address is as the guide has it."""
    config = read(example)
    config["client"]["base_url"] = f"{server.url}/styles/apis/{example.name}{example.base}"
    return run_tap(config, args=["--config=ENV"], env=example.secrets, state=state)


@NAMED
def test_an_example_brings_every_record(example: Example, server: Sandbox) -> None:
    first = run(example, server)
    assert first.returncode == 0, first.stderr
    assert not first.problems
    for secret in SECRETS:
        assert_secret(secret, stdout=first.stdout, stderr=first.stderr)
    assert first.records.keys() == example.records.keys()
    for stream, records in example.records.items():
        assert first.schemas[stream]["key_properties"] == [example.key[stream]]
        assert first.records[stream] == list(records), stream


@pytest.mark.parametrize(
    ("name", "stream", "param", "path"),
    [
        ("issues", "issues", "since", "/issues"),
        ("shop", "orders", "modified_after", "/orders"),
        ("odata", "orders", "$filter", "/Orders"),
    ],
)
def test_an_example_asks_for_what_is_new(server: Sandbox, name: str, stream: str, param: str, path: str) -> None:
    example = next(example for example in EXAMPLES if example.name == name)
    first = run(example, server)
    asked = {request.params[param] for request in server.requests if request.path.endswith(path)}
    server.requests.clear()
    second = run(example, server, first.state)
    assert second.returncode == 0, second.stderr
    again = {request.params[param] for request in server.requests if request.path.endswith(path)}
    assert max(asked) < max(again)  # the sample for the schema is asked for as in the first run
    assert second.records[stream][-1] == first.records[stream][-1]
    assert len(second.records[stream]) < len(first.records[stream])


@NAMED
def test_an_example_holds_no_secret(example: Example) -> None:
    auth = read(example)["client"].get("auth", {})
    assert bool(auth) == bool(example.secrets)
    assert auth.keys() <= {"type"}
