"""Pipelines of dlt become configurations of the tap, without being run and without their secrets."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from meltano.core.utils import expand_env_vars
from ruamel.yaml import YAML

from tap_analytics.from_dlt.command import main
from tests.singer import run_tap

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from sandbox import Sandbox

    Convert: TypeAlias = Callable[..., "Outcome"]

PIPELINES = Path(__file__).parent / "pipelines"

CANARY = "c4n4ry-7f3a9e51d0"
"""A secret that must not leave the file it stands in."""

HEAD = """\
import os
import dlt
import pendulum
from os import environ, getenv
from typing import cast
from dlt.sources.rest_api import RESTAPIConfig, rest_api_resources, rest_api_source
from dlt.sources.rest_api.typing import Endpoint, EndpointResource
from dlt.sources.helpers.rest_client import paginators
from dlt.sources.helpers.rest_client.auth import *
from elsewhere import SETTINGS
"""


@dataclass(frozen=True)
class Outcome:
    """What the command did."""

    code: int
    stdout: str
    stderr: str

    @property
    def config(self) -> Any:  # noqa: ANN401  (whatever JSON holds)
        return json.loads(self.stdout)

    @property
    def reason(self) -> str:
        return self.stderr.splitlines()[-1]

    def line(self, location: str) -> str:
        """Return the line of the report about a place in the configuration."""
        (line,) = [line for line in self.stderr.splitlines() if f", {location}: " in line]
        return line

    @property
    def variables(self) -> set[str]:
        return {line.split()[0] for line in self.stderr.splitlines() if line.startswith("  TAP_ANALYTICS_")}


@pytest.fixture
def convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Convert:
    """Return what converts the text of a pipeline, or a file."""

    def run(pipeline: str | Path, *options: str) -> Outcome:
        path = pipeline if isinstance(pipeline, Path) else tmp_path / "pipeline.py"
        if isinstance(pipeline, str):
            path.write_text(HEAD + pipeline, encoding="utf-8")
        code = main([str(path), *options])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


def source(*, client: str = "", resource: str = "", endpoint: str = "", defaults: str = "") -> str:
    """Return a pipeline with one resource, and further words in places."""
    return (
        "source = rest_api_source({\n"
        f"    'client': {{'base_url': 'https://api.example.com', {client}}},\n"
        f"    'resource_defaults': {{{defaults}}},\n"
        f"    'resources': [{{'name': 'things', {resource}, 'endpoint': {{'path': 'v1/things', {endpoint}}}}}],\n"
        "})\n"
    ).replace(", , ", ", ")


# Whole pipelines


TRACKER = {
    "client": {"base_url": "https://tracker.example.com/projects/1/", "auth": {"type": "bearer"}},
    "resource_defaults": {
        "primary_key": "id",
        "write_disposition": "merge",
        "endpoint": {"params": {"per_page": 50}},
    },
    "resources": [
        {
            "name": "tickets",
            "endpoint": {
                "path": "tickets",
                "params": {"order": "changed", "changed_after": "{incremental.start_value}"},
                "incremental": {"cursor_path": "changed_at"},
            },
        },
        {
            "name": "ticket_notes",
            "endpoint": {"path": "tickets/{resources.tickets.number}/notes"},
            "include_from_parent": ["id"],
        },
    ],
}


@pytest.mark.parametrize("name", ["tracker_source", "tracker"])
def test_the_shape_of_a_new_pipeline_is_converted(convert: Convert, name: str) -> None:
    outcome = convert(PIPELINES / "tracker.py", "--source", name)
    assert outcome.code == 0
    assert outcome.config == TRACKER
    assert outcome.variables == {"TAP_ANALYTICS_TOKEN"}
    assert "the argument `access_token` (dlt.secrets.value)" in outcome.stderr
    left = outcome.line("resources[0].endpoint.incremental.initial_value")
    assert left.startswith("  line 41, ")
    assert "pendulum.today()" in left
    assert "timestamp" in left
    assert "`access_token` were true" in outcome.line("client.auth")
    assert "add_limit" not in outcome.stderr  # that is the other source's
    assert outcome.reason.strip() == "tap-analytics --config config.json --config=ENV --discover > catalog.json"


@pytest.mark.parametrize("name", ["load_parts", "parts", "parts_catalogue"])
def test_the_other_source_of_the_file_is_chosen_by_any_of_its_names(
    convert: Convert,
    name: str,
) -> None:
    outcome = convert(PIPELINES / "tracker.py", "--source", name)
    assert outcome.config == {
        "client": {"base_url": "https://parts.example.com/api/"},
        "resource_defaults": {"endpoint": {"params": {"limit": 500}}},
        "resources": ["screws", "nuts", "washers"],
    }
    assert outcome.variables == set()
    assert "reads everything" in outcome.line("parts.add_limit()")
    assert outcome.reason.strip() == "tap-analytics --config config.json --discover > catalog.json"


def test_of_several_sources_one_has_to_be_chosen(convert: Convert) -> None:
    outcome = convert(PIPELINES / "tracker.py")
    assert (outcome.code, outcome.stdout) == (1, "")
    assert "--source NAME" in outcome.reason
    assert "tracker_source (line 53), load_parts (line 63)" in outcome.reason


def test_a_pipeline_that_has_grown_is_converted(convert: Convert) -> None:
    outcome = convert(PIPELINES / "shop.py")
    assert outcome.code == 0
    config = outcome.config
    assert config["client"] == {
        "base_url": "https://shop.example.com/v2",
        "auth": {"type": "bearer"},
        "headers": {"Accept": "application/json", "X-Client": "nightly"},
    }
    products, customers, orders, prices = config["resources"]
    common = {"per_page": 100, "expand": ["lines", "customer"]}
    assert products["endpoint"] == {
        "path": "products",
        "params": {**common, "shop": "north"},
        "paginator": {"type": "header_link"},
    }
    assert (customers["name"], customers["endpoint"]["path"]) == ("customers_north", "customers")
    assert orders == {
        "name": "orders",
        "primary_key": ["id"],
        "endpoint": {
            "path": "orders",
            "params": {
                **common,
                "since": {
                    "type": "incremental",
                    "cursor_path": "updated_at",
                    "initial_value": "2024-01-01T00:00:00Z",
                },
            },
            "paginator": {"type": "page_number", "base_page": 1, "page_param": "p", "total_path": None},
            "response_actions": [{"status_code": 404, "action": "ignore"}],
        },
    }
    assert prices == {"name": "prices", "endpoint": {"path": "prices"}}


@pytest.mark.parametrize(
    ("location", "line", "said"),
    [
        ("resources[2].columns", 54, "schema"),
        ("resources[2].processing_steps", 55, "(filter, map); use a stream map"),
        ("resources[2].endpoint.params.version", 60, 'dlt.config["sources.shop.version"]'),
        ("resources[2].endpoint.params.region", 61, "settings.REGION"),
        ("resources[2].endpoint.params.until", 62, "pendulum.now()"),
        ("resources[2].endpoint.response_actions[1].action", 68, "`shorten`"),
        ("resources[3]", 74, "the resource `branches`"),
        ("resources[4]", 75, "needs branches"),
        ("resources[5].endpoint.paginator", 76, "`WeeklyPaginator()`"),
    ],
)
def test_what_does_not_come_along_is_listed(
    convert: Convert,
    location: str,
    line: int,
    said: str,
) -> None:
    listed = convert(PIPELINES / "shop.py").line(location)
    assert listed.startswith(f"  line {line}, ")
    assert said in listed


def test_nothing_of_a_pipeline_is_run(convert: Convert, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    run = f"open({str(trace)!r}, 'w').close()\n"
    outcome = convert(run + source(endpoint=f"'params': {{'a': {run.strip()}}}") + run + "raise SystemExit(9)\n")
    assert outcome.code == 0
    assert not trace.exists()


def test_what_is_converted_is_what_the_tap_reads(convert: Convert, sandbox: Sandbox) -> None:
    outcome = convert(
        "@dlt.source\ndef greenhouse(key=dlt.secrets.value):\n    "
        + source(
            client=f"'base_url': '{sandbox.url}', 'auth': APIKeyAuth('api_key', key, 'header')",
            defaults="'primary_key': 'id', 'write_disposition': 'merge'",
            resource="'name': 'people'",
            endpoint="'path': '/v1/master/workers', 'data_selector': 'data', 'paginator': OffsetPaginator(5)",
        ),
    )
    (variable,) = outcome.variables
    run = run_tap(outcome.config, args=["--config=ENV"], env={variable: sandbox.api_key})
    assert run.returncode == 0, run.stderr
    read, served = (sorted(record["id"] for record in rows) for rows in (run.records["people"], workers(sandbox)))
    assert read == served


def workers(sandbox: Sandbox) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = sandbox.world.records("workers")
    return records


# Constants


@pytest.mark.parametrize(
    ("before", "expression", "value"),
    [
        ("A = 'a'", "A", "a"),
        ("A = 'a'\nB = A", "B + '-' + A", "a-a"),
        ("A = 2", "f'{A}/{A * 3}'", "2/6"),
        ("", "f'{{resources.things.id}}'", "{resources.things.id}"),
        ("A = [1]", "A + [2, *A]", [1, 2, 1]),
        ("A = {'x': 1}", "{**A, 'y': 2} | {'z': 3}", {"x": 1, "y": 2, "z": 3}),
        ("A = {'x': [1, 2]}", "A['x'][-1]", 2),
        ("A = {'x': 1}", "A.get('y', 5)", 5),
        ("A, (B, C) = 1, (2, 3)", "[A, B, C]", [1, 2, 3]),
        ("", "-1", -1),
        ("", "not []", True),
        ("", "60 * 60 // 7", 514),
        ("", "(1, 2)", [1, 2]),
        ("", "None", None),
        ("", "dict(a=1, **{'b': 2})", {"a": 1, "b": 2}),
        ("", "list(range(3))", [0, 1, 2]),
        ("", "str(5) + ' '.join(['a', 'b']).upper()", "5A B"),
        ("", "'https://x/'.rstrip('/')", "https://x"),
        ("", "cast(int, 5)", 5),
        ("", "Endpoint(path='x')", {"path": "x"}),
        ("", "[n * 2 for n in (1, 2, 3) if n != 2]", [2, 6]),
        ("", "{k: v for k, v in {'a': 1}.items()}", {"a": 1}),
        ("", "[a + b for a in 'x y'.split() for b in ('1', '2')]", ["x1", "x2", "y1", "y2"]),
        ("", "1 if 2 > 1 else 0", 1),
        ("A = ''", "A or 'b'", "b"),
        ("A = 'a'\nif A == 'a':\n    B = 1\nelse:\n    B = 2", "B", 1),
        ("A = []\nfor n in 'a', 'b':\n    if n == 'a':\n        continue\n    A.append(n)", "A", ["b"]),
        ("A = []\nfor n in 1, 2, 3:\n    A += [n]\n    if n == 2:\n        break", "A", [1, 2]),
        ("A = {'x': {}}\nA['x']['y'] = 1\nA.update(z=2)", "A", {"x": {"y": 1}, "z": 2}),
        ("A = 'a'\nA += 'b'", "A", "ab"),
        ("A = ['a']\nA.extend(['b'])", "A", ["a", "b"]),
        ("class C:\n    A = 'a'", "C.A", "a"),
        ("def f(a, b='b', *, c='c'):\n    return a + b + c", "f('a', c='d')", "abd"),
        ("def f(*a, **k):\n    return [a, k]", "f(1, x=2)", [[1], {"x": 2}]),
        ("try:\n    A = 1\nexcept ValueError:\n    A = 2", "A", 1),
        ("with open('x') as file:\n    A = 1", "A", 1),
        ("A = {'x': 1}", "[list(A.keys()), A.values(), tuple(A), A.copy()]", [["x"], [1], ["x"], {"x": 1}]),
        ("A = {'x': 1}\nB = A.setdefault('y', 2)\nC = A.pop('x')", "[A, B, C]", [{"y": 2}, 2, 1]),
        ("A = {'x': 1}\nA |= {'y': 2}", "A", {"x": 1, "y": 2}),
        ("A = [1, 2]\nA[0] = 5\nB = A.copy()", "[A, B]", [[5, 2], [5, 2]]),
        ("A = ['a', 'b']", "[n for n, item in enumerate(A) if item not in ['a']]", [1]),
        ("A = ['a', 'b']", "{a: n for a, n in zip(A, range(1, 9, 2))}", {"a": 1, "b": 3}),
        ("A = {'a': 1}", "'a' in A and bool('x')", True),
        ("A = 'x'", "1 if A == 'x' and not (A is None or A != 'x') else 0", 1),
        ("A = 'x'", "1 if A != 'x' or A is None else 0", 0),
        ("", "f'{5:03}' if False else 'a'", "a"),
        ("", "[*{'a': 1}, *'x,y'.split(',')]", ["a", "x", "y"]),
        ("def f():\n    for n in 1, 2:\n        if n == 2:\n            return n", "f()", 2),
        ("def f(*, a):\n    return a", "f(*[], **{'a': 'b'})", "b"),
        ("import copy\nA = {'x': 1}\nB = copy.deepcopy(A)\nB['x'] = 2", "[A, B]", [{"x": 1}, {"x": 2}]),
    ],
)
def test_constants_are_worked_out(
    convert: Convert,
    before: str,
    expression: str,
    value: object,
) -> None:
    outcome = convert(before + "\n" + source(endpoint=f"'params': {{'a': {expression}}}"))
    assert outcome.code == 0, outcome.stderr
    assert outcome.config["resources"][0]["endpoint"]["params"] == {"a": value}
    assert "line " not in outcome.stderr.partition("\n")[2]


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("dlt.config['page.size']", 'dlt.config["page.size"]'),
        ("environ['SIZE']", 'os.environ["SIZE"]'),
        ("getenv('SIZE')", 'os.environ["SIZE"]'),
        ("os.environ.get('SIZE')", 'os.environ["SIZE"]'),
        ("SETTINGS", "`elsewhere.SETTINGS`"),
        ("pendulum.now()", "`pendulum.now()`"),
        ("lambda: 1", "`lambda: 1`"),
        ("print", "`print`"),
        ("environ['SIZE'].strip()", 'os.environ["SIZE"]'),
        ("...", "`...`"),
        ("b'x'", "is Python code"),
        ("1e999", "is not valid here"),
        ("1 / 0", "`1 / 0`"),
        ("{}['x']", "is Python code"),
        ("paginators.OffsetPaginator(5)", "OffsetPaginator"),
        ("int('x')", "is Python code"),
        ("'a'.split('')", "is Python code"),
        ("'a'.title(5)", "is Python code"),
        ("'a'.encode()", "is Python code"),
        ("(5).bit_length()", "is Python code"),
        ("SETTINGS()", "`SETTINGS()`"),
        ("int(None)", "is Python code"),
        ("int([1])", "is Python code"),
        ("int('5', 6)", "is Python code"),
        ("dict(5)", "is Python code"),
        ("list(SETTINGS)", "is Python code"),
        ("range(1, 9, 0)", "is Python code"),
        ("zip([1], SETTINGS)", "is Python code"),
        ("enumerate(SETTINGS)", "is Python code"),
        ("', '.join([SETTINGS])", "is Python code"),
        ("{}.get(SETTINGS)", "is Python code"),
        ("f'{5:03}'", "is Python code"),
        ("'a' * 5", "is Python code"),
        ("1 < 2 < 3", "is Python code"),
        ("1 in [SETTINGS]", "is Python code"),
        ("-SETTINGS", "is Python code"),
        ("SETTINGS if 1 else 2", "`elsewhere.SETTINGS`"),
    ],
)
def test_what_only_running_shows_is_left_out_and_listed(
    convert: Convert,
    expression: str,
    said: str,
) -> None:
    outcome = convert(source(endpoint=f"'params': {{'a': {expression}, 'b': 1}}"))
    assert outcome.code == 0
    assert outcome.config["resources"][0]["endpoint"]["params"] == {"b": 1}
    assert said in outcome.line("resources[0].endpoint.params.a")


@pytest.mark.parametrize(
    ("before", "expression", "kept", "location"),
    [
        ("", "{**SETTINGS, 'b': 1}", {"b": 1}, "a.**SETTINGS"),
        ("", "{SETTINGS: 2, 'b': 1}", {"b": 1}, "a.SETTINGS"),
        ("", "{'b': [*SETTINGS, 1]}", {"b": [1]}, "a.b[0]"),
        ("A = {'b': 1}\nA[SETTINGS] = 2", "A", {"b": 1}, "a.SETTINGS"),
        ("A = {'b': 1}\nA.update(SETTINGS)", "A", {"b": 1}, "a.update()"),
        ("A = {'b': 1}\nA.clear()", "A", {"b": 1}, "a.clear()"),
        ("A, B = SETTINGS", "{'b': 1, 'c': A}", {"b": 1}, "a.c"),
        ("", "{'b': 1, 'c': [key for key in SETTINGS if not key]}", {"b": 1}, ""),
        ("def f(*a, **k):\n    return {'b': 1, 'c': k}", "f(**SETTINGS)", {"b": 1, "c": {}}, ""),
    ],
)
def test_what_is_known_beside_it_is_kept(
    convert: Convert,
    before: str,
    expression: str,
    kept: object,
    location: str,
) -> None:
    outcome = convert(before + "\n" + source(endpoint=f"'params': {{'a': {expression}}}"))
    assert outcome.config["resources"][0]["endpoint"]["params"] == {"a": kept}
    if location:
        assert outcome.line(f"resources[0].endpoint.params.{location}")


@pytest.mark.parametrize(
    "call", ["getenv('SIZE', '50')", "os.environ.get('SIZE') or '50'", "int(getenv('SIZE', '50'))"]
)
def test_defaults_are_taken_and_said(convert: Convert, call: str) -> None:
    outcome = convert(source(endpoint=f"'params': {{'size': {call}}}"))
    assert str(outcome.config["resources"][0]["endpoint"]["params"]["size"]) == "50"
    assert 'default of os.environ["SIZE"]' in outcome.line("resources[0].endpoint.params.size")


def test_a_default_within_an_address_is_taken(convert: Convert) -> None:
    outcome = convert("A = getenv('HOST', 'api.example.com')\n" + source(client="'base_url': f'https://{A}/v2'"))
    assert outcome.config["client"]["base_url"] == "https://api.example.com/v2"


# Conditions and loops that only running decides


def test_a_condition_is_taken_as_true_and_said(convert: Convert) -> None:
    outcome = convert(
        "def make(deep, key=dlt.secrets.value):\n"
        "    if not key:\n"
        "        raise ValueError\n"
        "    params = {}\n"
        "    if deep is not None:\n"
        "        params['deep'] = True\n"
        "    return rest_api_source({'client': {'base_url': 'https://x'}, 'resources': [\n"
        "        {'name': 'a', 'endpoint': {'path': 'a', 'params': params}}]})\n",
    )
    assert outcome.config["resources"][0]["endpoint"]["params"] == {"deep": True}
    assert "taken as if `deep is not None` were true" in outcome.line("resources[0].endpoint.params.deep")
    assert outcome.stderr.count("taken as if") == 1  # and nothing about the check of the key


def test_a_loop_of_unknown_length_gives_one_resource_to_copy(convert: Convert) -> None:
    outcome = convert(
        "def make(cities):\n"
        "    return rest_api_source({'client': {'base_url': 'https://x'}, 'resources': [\n"
        "        {'name': f'rain_{city}', 'endpoint': {'path': f'cities/{city}/rain'}} for city in cities]})\n",
    )
    assert outcome.config["resources"] == [{"name": "rain_city", "endpoint": {"path": "cities/{city}/rain"}}]
    assert "each `city` in `cities`" in outcome.line("resources[0]")
    assert "rain_city" in outcome.line("resources[0].name")
    assert "add city to resources[0].endpoint.params" in outcome.line("resources[0].endpoint.path")


def test_what_is_around_says_once_what_was_taken_for_granted(convert: Convert) -> None:
    outcome = convert(
        "def make(city):\n    limits = {'limit': 5}\n    return {'path': city, 'params': limits}\n"
        "def run(cities):\n    resources = []\n"
        "    for city in cities:\n"
        "        endpoint = make(city)\n"
        "        endpoint['method'] = 'GET'\n"
        "        resource = {'name': 'rain', 'endpoint': endpoint}\n"
        "        resources.append(resource)\n"
        "    return rest_api_source({'client': {'base_url': 'https://x'}, 'resources': resources})\n",
    )
    assert outcome.config["resources"][0]["endpoint"]["params"] == {"limit": 5}
    assert outcome.stderr.count("stands for each") == 1
    assert "stands for each" in outcome.line("resources[0]")


def test_when_a_pipeline_is_run_is_no_finding(convert: Convert) -> None:
    outcome = convert(
        "def load():\n    config = {'client': {'base_url': 'https://x'}, 'resources': ['a']}\n"
        "    pipeline.run(rest_api_source(config))\n"
        "if getenv('LOAD'):\n    load()\n",
    )
    assert outcome.config["resources"] == ["a"]
    assert "taken as if" not in outcome.stderr


def test_a_loop_on_a_condition_is_gone_through_once_and_said(convert: Convert) -> None:
    before = "A = {}\nwhile getenv('X'):\n    A['x'] = 1\n"
    outcome = convert(before + source(endpoint="'params': {'a': A}"))
    assert outcome.config["resources"][0]["endpoint"]["params"] == {"a": {"x": 1}}
    assert "repeated while `getenv('…')`" in outcome.line("resources[0].endpoint.params.a.x")


@pytest.mark.parametrize(
    ("condition", "value", "assumed"),
    [
        ("key or A", 1, False),
        ("key and A is None", 0, False),
        ("key and A", 1, True),
        ("key and SETTINGS", 1, True),
        ("not key or not A", 0, True),
        ("len(key) > 3", 1, True),
        ("SETTINGS is None", 0, True),
    ],
)
def test_what_is_known_decides_a_condition(convert: Convert, condition: str, value: int, *, assumed: bool) -> None:
    outcome = convert(
        "A = 1\ndef make(key):\n    " + source(endpoint=f"'params': {{'a': 1 if {condition} else 0}}"),
    )
    assert outcome.config["resources"][0]["endpoint"]["params"] == {"a": value}
    assert ("taken as if" in outcome.stderr) is assumed


@pytest.mark.parametrize("change", ["resources.clear()", "resources.remove(1)"])
def test_what_else_is_done_to_a_list_is_listed(convert: Convert, change: str) -> None:
    outcome = convert(
        f"resources = ['a']\n{change}\n"
        "source = rest_api_source({'client': {'base_url': 'https://x'}, 'resources': resources})\n",
    )
    assert outcome.config["resources"] == ["a"]
    assert change.partition("(")[0] in outcome.line("resources[1]")


# Secrets


BEARER = {"type": "bearer"}
TOKEN = {"TAP_ANALYTICS_TOKEN"}
API_KEY = {"TAP_ANALYTICS_API_KEY"}


@pytest.mark.parametrize(
    ("auth", "expected", "variables"),
    [
        ("{'token': dlt.secrets['a.b']}", BEARER, TOKEN),
        ("{'type': 'bearer', 'token': dlt.secrets.value}", BEARER, TOKEN),
        ("{'type': 'bearer', 'token': dlt.secrets.get('a', str)}", BEARER, TOKEN),
        ("{'type': 'bearer', 'token': getenv('T', '%s')}", BEARER, TOKEN),
        ("{'type': 'bearer', 'token': environ['T'].strip()}", BEARER, TOKEN),
        ("{'type': 'bearer', 'token': dlt.config['t']}", BEARER, TOKEN),
        ("{'type': 'bearer', 'token': SETTINGS.token}", BEARER, TOKEN),
        ("{'type': 'bearer', 'token': '%s'}", BEARER, TOKEN),
        ("{'type': 'bearer'}", BEARER, TOKEN),
        ("'bearer'", "bearer", TOKEN),
        ("{'token': ''}", BEARER, TOKEN),
        ("BearerTokenAuth('%s')", BEARER, TOKEN),
        ("None", None, set()),
        (
            "{'type': 'api_key', 'name': 'X-Key', 'api_key': f'Key {dlt.secrets.value}', 'location': 'query'}",
            {"type": "api_key", "name": "X-Key", "location": "query"},
            API_KEY,
        ),
        (
            "APIKeyAuth('X-Key', '%s', 'header')",
            {"type": "api_key", "name": "X-Key", "location": "header"},
            API_KEY,
        ),
        (
            "HttpBasicAuth(dlt.secrets['user'], '')",
            {"type": "http_basic", "password": ""},
            {"TAP_ANALYTICS_USERNAME"},
        ),
        (
            "{'type': 'http_basic', 'username': 'me', 'password': '%s'}",
            {"type": "http_basic"},
            {"TAP_ANALYTICS_USERNAME", "TAP_ANALYTICS_PASSWORD"},
        ),
        (
            (
                "OAuth2ClientCredentials('%s', 'https://id.example.com/token', client_id='%s', client_secret='%s',"
                " access_token_request_data={'scope': 'read', 'password': '%s'}, session=print)"
            ),
            {
                "type": "oauth2_client_credentials",
                "access_token_url": "https://id.example.com/token",
                "access_token_request_data": {"scope": "read"},
            },
            {"TAP_ANALYTICS_CLIENT_ID", "TAP_ANALYTICS_CLIENT_SECRET"},
        ),
    ],
)
def test_secrets_of_auth_are_left_to_the_environment(
    convert: Convert,
    auth: str,
    expected: object,
    variables: set[str],
) -> None:
    outcome = convert(source(client=f"'auth': {auth.replace('%s', CANARY)}"))
    assert outcome.code == 0, outcome.stderr
    assert outcome.config["client"]["auth"] == expected
    assert outcome.variables == variables
    assert CANARY not in outcome.stdout + outcome.stderr


@pytest.mark.parametrize("auth", ["MyAuth('%s')", "{'type': 'custom', 'token': '%s'}", "{'name': '%s'}", "'%s'", "[1]"])
def test_an_auth_of_other_kinds_is_left_out(convert: Convert, auth: str) -> None:
    outcome = convert(source(client=f"'auth': {auth.replace('%s', CANARY)}"))
    assert outcome.config["client"] == {"base_url": "https://api.example.com"}
    assert "oauth2_client_credentials" in outcome.line("client.auth")
    assert CANARY not in outcome.stdout + outcome.stderr


def test_a_class_of_the_same_name_from_elsewhere_is_not_dlts(convert: Convert) -> None:
    outcome = convert("from mine import BearerTokenAuth\n" + source(client="'auth': BearerTokenAuth('x')"))
    assert "auth" not in outcome.config["client"]


def test_a_secret_in_the_file_is_said_to_be_there(convert: Convert) -> None:
    outcome = convert(f"KEY = '{CANARY}'\n" + source(client="'auth': {'token': KEY}"))
    line = outcome.line("client.auth.token")
    assert line.startswith(f"  line {HEAD.count(chr(10)) + 1}, ")
    assert "not copied; set TAP_ANALYTICS_TOKEN" in line


def test_what_comes_before_a_secret_is_said(convert: Convert) -> None:
    outcome = convert(source(client="'headers': {'Authorization': f'Token {dlt.secrets.value}'}"))
    assert outcome.config["client"]["auth"] == {"type": "api_key", "name": "Authorization", "location": "header"}
    assert "with 'Token ' before it" in outcome.stderr


@pytest.mark.parametrize(
    ("words", "auth"),
    [
        ({"client": "'headers': {'Authorization': 'Bearer %s'}"}, BEARER),
        ({"client": "'headers': {'authorization': f'Bearer {environ[\"T\"]}'}"}, BEARER),
        ({"client": "'headers': {'Authorization': 'Basic %s'}"}, {"type": "http_basic"}),
        (
            {"client": "'headers': {'X-Api-Key': getenv('K', '%s')}"},
            {"type": "api_key", "name": "X-Api-Key", "location": "header"},
        ),
        (
            {"defaults": "'endpoint': {'params': {'appid': '%s'}}"},
            {"type": "api_key", "name": "appid", "location": "query"},
        ),
        (
            {"client": "'base_url': 'https://api.example.com?access_token=%s'"},
            {"type": "api_key", "name": "access_token", "location": "query"},
        ),
    ],
)
def test_a_secret_outside_of_auth_becomes_one(
    convert: Convert,
    words: dict[str, str],
    auth: object,
) -> None:
    outcome = convert(source(**{word: text.replace("%s", CANARY) for word, text in words.items()}))
    config = outcome.config
    assert config["client"] == {"base_url": "https://api.example.com", "auth": auth}
    assert "became client.auth" in outcome.stderr
    assert CANARY not in outcome.stdout + outcome.stderr


@pytest.mark.parametrize(
    "endpoint",
    ["'params': {'api_key': '%s', 'a': 1}", "'params': {'api_key': dlt.secrets.value, 'a': 1}"],
)
def test_a_secret_parameter_becomes_the_auth_of_its_endpoint(
    convert: Convert,
    endpoint: str,
) -> None:
    outcome = convert(source(endpoint=endpoint.replace("%s", CANARY)))
    assert outcome.config["resources"][0]["endpoint"] == {
        "path": "v1/things",
        "params": {"a": 1},
        "auth": {"type": "api_key", "name": "api_key", "location": "query"},
    }
    assert CANARY not in outcome.stdout + outcome.stderr


@pytest.mark.parametrize("path", ["'v1/x?appid=%s&a=1'", "f'v1/x?appid={environ[\"K\"]}&a=1'"])
def test_a_secret_in_a_path_becomes_the_auth_of_its_endpoint(convert: Convert, path: str) -> None:
    outcome = convert(source(endpoint=f"'path': {path.replace('%s', CANARY)}"))
    assert outcome.config["resources"][0]["endpoint"] == {
        "path": "v1/x?a=1",
        "auth": {"type": "api_key", "name": "appid", "location": "query"},
    }
    assert CANARY not in outcome.stdout + outcome.stderr


@pytest.mark.parametrize(
    ("words", "location"),
    [
        ({"client": "'auth': {'token': '1'}, 'headers': {'X-Api-Key': '%s'}"}, "client.headers.X-Api-Key"),
        ({"client": "'headers': {'Api-Key': '%s', 'App-Key': '%s'}"}, "client.headers.App-Key"),
        ({"endpoint": "'json': {'query': {'password': '%s'}}"}, "resources[0].endpoint.json.query.password"),
        ({"endpoint": "'data': 'grant=x&client_secret=%s'"}, "resources[0].endpoint.data"),
        ({"client": "'base_url': 'https://me:%s@api.example.com'"}, "client.base_url"),
        ({"client": "'base_url': f'https://me:%s@{SETTINGS.host}'"}, "client.base_url"),
        ({"endpoint": "'path': 'https://me:%s@api.example.com/x'"}, "resources[0].endpoint.path"),
        ({"endpoint": "'paginator': MyPaginator(token='%s')"}, "resources[0].endpoint.paginator"),
    ],
)
@pytest.mark.parametrize("format_", ["json", "meltano"])
def test_secrets_that_cannot_come_along_are_left_out(
    convert: Convert,
    words: dict[str, str],
    location: str,
    format_: str,
) -> None:
    pipeline = source(**{word: text.replace("%s", CANARY) for word, text in words.items()})
    outcome = convert(pipeline, "--format", format_)
    assert outcome.code == 0
    assert f", {location}: " in outcome.stderr
    assert CANARY not in outcome.stdout + outcome.stderr


def test_parameters_that_only_sound_secret_are_kept(convert: Convert) -> None:
    params = {
        "key": "id",
        "page_token": "abc",
        "sort_key": "created_at_of_order",
        "token": "{resources.a.token}",
        "appId": "com.example",
    }
    outcome = convert(source(resource="'name': 'a'", endpoint=f"'params': {params!r}"))
    assert outcome.config["resources"][0]["endpoint"]["params"] == params


@pytest.mark.parametrize(
    ("words", "auth"),
    [
        ({"client": "'headers': {'Api-Key': '%s', 'App-Key': '%s', 'Accept': 'x'}"}, None),
        ({"client": "'auth': 'bearer', 'headers': {'App-Key': '%s', 'Accept': 'x'}"}, "bearer"),
        (
            {"client": "'auth': 'bearer', 'headers': {'Accept': 'x'}", "endpoint": "'headers': {'App-Key': '%s'}"},
            "bearer",
        ),
    ],
)
def test_only_one_secret_can_be_an_auth(convert: Convert, words: dict[str, str], auth: object) -> None:
    outcome = convert(source(**words))
    config = outcome.config
    assert config["client"].get("auth") == auth
    assert config["client"]["headers"] == {"Accept": "x"}
    assert config["resources"][0]["endpoint"] == {"path": "v1/things"}
    assert "Write these by hand:" in outcome.stderr


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "apiKey",
        "X-API-Key",
        "Ocp-Apim-Subscription-Key",
        "x-rapidapi-key",
        "access_token",
        "clientSecret",
        "userPassword",
        "APPID",
        "auth",
        "Cookie",
        "Private-Token",
        "key",
    ],
)
def test_secrets_in_the_file_are_known_by_the_names_that_apis_give_them(convert: Convert, name: str) -> None:
    for pipeline in (
        source(client=f"'headers': {{'{name}': '{CANARY}'}}"),
        source(endpoint=f"'params': {{'{name}': '{CANARY}'}}"),
        source(endpoint=f"'json': {{'deep': [{{'{name}': '{CANARY}'}}]}}"),
        source(endpoint=f"'path': 'v1/x?{name}={CANARY}'"),
        f"source = rest_api_source({{'client': SETTINGS, 'resources': ['x?{name}={CANARY}']}})",
    ):
        outcome = convert(pipeline)
        assert outcome.code == 0
        assert CANARY not in outcome.stdout + outcome.stderr


def test_a_second_secret_of_the_same_word_has_to_be_written(convert: Convert) -> None:
    client = "'auth': {'type': 'bearer', 'token': dlt.secrets['one']}"
    endpoint = "'auth': {'type': 'bearer', 'token': dlt.secrets['%s']}"
    same = convert(source(client=client, endpoint=endpoint.replace("%s", "one")))
    other = convert(source(client=client, endpoint=endpoint.replace("%s", "two")))
    assert same.config["resources"][0]["endpoint"]["auth"] == BEARER
    # Empty, so that the tap refuses it instead of sending the client's.
    assert other.config["resources"][0]["endpoint"]["auth"] == {"type": "bearer", "token": ""}
    assert "another secret than that of TAP_ANALYTICS_TOKEN" in other.line("resources[0].endpoint.auth.token")


# Classes of dlt


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("SinglePagePaginator()", {"type": "single_page"}),
        ("HeaderLinkPaginator()", {"type": "header_link"}),
        ("HeaderLinkPaginator('after')", {"type": "header_link", "links_next_key": "after"}),
        (
            "HeaderCursorPaginator('X-Next', 'c')",
            {"type": "header_cursor", "cursor_key": "X-Next", "cursor_param": "c"},
        ),
        ("JSONLinkPaginator('paging.next')", {"type": "json_link", "next_url_path": "paging.next"}),
        ("JSONResponsePaginator(next_url_path='n')", {"type": "json_link", "next_url_path": "n"}),
        (
            "JSONResponseCursorPaginator('c.next', 'after', has_more_path='more')",
            {"type": "cursor", "cursor_path": "c.next", "cursor_param": "after", "has_more_path": "more"},
        ),
        (
            "OffsetPaginator(100, 0, 'from', 'size', None)",
            {
                "type": "offset",
                "limit": 100,
                "offset": 0,
                "offset_param": "from",
                "limit_param": "size",
                "total_path": None,
            },
        ),
        (
            "PageNumberPaginator(1, 2, 'p', None, 9, True)",
            {
                "type": "page_number",
                "base_page": 1,
                "page": 2,
                "page_param": "p",
                "total_path": None,
                "maximum_page": 9,
                "stop_after_empty_page": True,
            },
        ),
    ],
)
@pytest.mark.parametrize("prefix", ["", "paginators."])
def test_paginators_become_their_words(
    convert: Convert,
    call: str,
    words: object,
    prefix: str,
) -> None:
    outcome = convert(source(endpoint=f"'paginator': {prefix}{call}"))
    assert outcome.config["resources"][0]["endpoint"]["paginator"] == words


@pytest.mark.parametrize("paginator", ["'header_link'", "{'type': 'offset', 'limit': 5}", "'auto'", "None"])
def test_declared_paginators_stay(convert: Convert, paginator: str) -> None:
    outcome = convert(source(client=f"'paginator': {paginator}"))
    assert repr(outcome.config["client"]["paginator"]) == paginator


@pytest.mark.parametrize("paginator", ["'mine'", "{'type': 'mine'}", "OffsetPaginator(*range(9))", "[1]"])
def test_other_paginators_are_left_out(convert: Convert, paginator: str) -> None:
    outcome = convert(source(client=f"'paginator': {paginator}"))
    assert "paginator" not in outcome.config["client"]
    assert "known types" in outcome.line("client.paginator")


def test_a_word_that_a_paginator_does_not_have_is_left_out(convert: Convert) -> None:
    outcome = convert(source(client="'paginator': OffsetPaginator(limit=5, initial_offset=0)"))
    assert outcome.config["client"]["paginator"] == {"type": "offset", "limit": 5}
    assert "no word of this paginator" in outcome.line("client.paginator.initial_offset")


@pytest.mark.parametrize(
    ("words", "endpoint"),
    [
        (
            {"endpoint": "'incremental': dlt.sources.incremental('at', '2024-01-01', max)"},
            {"incremental": {"cursor_path": "at", "initial_value": "2024-01-01", "last_value_func": "max"}},
        ),
        (
            {"endpoint": "'params': {'since': dlt.sources.incremental[str]('at', lag=3600)}"},
            {"params": {"since": {"type": "incremental", "cursor_path": "at", "lag": 3600}}},
        ),
        ({"resource": "'incremental': dlt.sources.incremental('at')"}, {"incremental": {"cursor_path": "at"}}),
        (
            {"endpoint": "'incremental': {'cursor_path': 'at', 'last_value_func': len, 'convert': lambda v: v}"},
            {"incremental": {"cursor_path": "at"}},
        ),
    ],
)
def test_cursors_become_their_words(
    convert: Convert,
    words: dict[str, str],
    endpoint: dict[str, object],
) -> None:
    outcome = convert(source(**words))
    assert outcome.config["resources"] == [{"name": "things", "endpoint": {"path": "v1/things", **endpoint}}]


# Paths, names and addresses that only running shows


def test_an_unknown_piece_of_a_path_becomes_a_placeholder(convert: Convert) -> None:
    outcome = convert(
        "def make(team, when):\n    "
        + source(endpoint="'path': f'teams/{team}/games/{when[\"year\"]}/{{resources.a.id}}'", resource="'name': 'a'"),
    )
    endpoint = outcome.config["resources"][0]["endpoint"]
    assert endpoint == {"path": "teams/{team}/games/{year}/{resources.a.id}"}
    lines = [line for line in outcome.stderr.splitlines() if "resources[0].endpoint.path" in line]
    assert [text in lines[0] + lines[1] for text in ("the argument `team`", "{year}", "endpoint.params")] == [True] * 3


def test_an_address_with_an_unknown_piece_has_to_be_written(convert: Convert) -> None:
    outcome = convert("A = environ['DOMAIN']\n" + source(client="'base_url': f'https://{A}.example.com/v2'"))
    assert outcome.config["client"] == {}
    line = outcome.line("client.base_url")
    assert "https://{DOMAIN}.example.com/v2" in line
    assert 'os.environ["DOMAIN"]' in line
    assert "Write these by hand:" in outcome.stderr


# Words whose whole value only running shows, and words that are what they are


@pytest.mark.parametrize(
    ("words", "location"),
    [
        ({"client": "'headers': SETTINGS"}, "client.headers"),
        ({"client": "'paginator': SETTINGS"}, "client.paginator"),
        ({"client": "'session': print"}, "client.session"),
        ({"defaults": "'endpoint': SETTINGS, 'write_disposition': SETTINGS"}, "resource_defaults.write_disposition"),
        ({"resource": "'table_name': lambda row: row"}, "resources[0].table_name"),
        ({"resource": "'processing_steps': steps"}, "resources[0].processing_steps"),
        ({"endpoint": "'params': SETTINGS"}, "resources[0].endpoint.params"),
        ({"endpoint": "'data': SETTINGS"}, "resources[0].endpoint.data"),
        ({"endpoint": "'response_actions': SETTINGS"}, "resources[0].endpoint.response_actions"),
        ({"endpoint": "'incremental': SETTINGS"}, "resources[0].endpoint.incremental"),
    ],
)
def test_words_that_only_running_shows_are_left_out(
    convert: Convert,
    words: dict[str, str],
    location: str,
) -> None:
    outcome = convert(source(**words))
    assert outcome.code == 0
    assert outcome.line(location)
    assert location.rpartition(".")[2] not in outcome.stdout


def test_words_that_say_nothing_are_no_findings(convert: Convert) -> None:
    outcome = convert(source(resource="'processing_steps': []", endpoint="'path': None, 'data': {'a': 1}"))
    assert outcome.config["resources"] == [{"name": "things", "endpoint": {"path": None, "data": {"a": 1}}}]
    assert "line " not in outcome.stderr.partition("\n")[2]


@pytest.mark.parametrize("client", ["SETTINGS", "make()"])
def test_a_client_that_only_running_shows_has_to_be_written(convert: Convert, client: str) -> None:
    outcome = convert(f"rest_api_source({{'client': {client}, 'resources': ['a'], 'more': 1}})")
    assert outcome.config == {"client": {}, "resources": ["a"]}
    assert outcome.line("client")
    assert "no word of a configuration" in outcome.line("more")


def test_resources_with_different_secrets_do_not_share_one(convert: Convert) -> None:
    resource = "{'name': '%s', 'endpoint': {'path': '%s', 'params': {'api_key': dlt.secrets['%s']}}}"
    resources = ", ".join(resource.replace("%s", name) for name in "ab")
    outcome = convert(f"rest_api_source({{'client': {{'base_url': 'https://x'}}, 'resources': [{resources}]}})")
    auth = {"type": "api_key", "name": "api_key", "location": "query"}
    endpoints = [resource["endpoint"] for resource in outcome.config["resources"]]
    assert endpoints == [{"path": "a", "auth": auth}, {"path": "b", "auth": {**auth, "api_key": ""}}]


@pytest.mark.parametrize("entry", ["seeds", "seeds()", "SETTINGS", "make()"])
def test_resources_in_python_are_left_out_with_their_children(convert: Convert, entry: str) -> None:
    child = (
        "{'name': 'child', 'endpoint': {'path': 'x/{id}', "
        "'params': {'id': {'type': 'resolve', 'resource': 'seeds', 'field': 'id'}}}}"
    )
    outcome = convert(
        "@dlt.resource(selected=False)\ndef seeds():\n    yield []\n"
        f"rest_api_source({{'client': {{'base_url': 'https://x'}}, 'resources': [{entry}, {child},\n"
        "    {'name': 'grandchild', 'endpoint': 'x/{resources.child.id}'}, 'other']})\n",
    )
    assert outcome.config["resources"] == ["other"]
    assert "children" in outcome.line("resources[0]")
    assert "needs seeds" in outcome.line("resources[1]")
    assert "needs child" in outcome.line("resources[2]")


# Where configurations are


CONFIG = "{'client': {'base_url': 'https://x'}, 'resources': ['a']}"


@pytest.mark.parametrize(
    "pipeline",
    [
        f"rest_api_source({CONFIG})",
        f"rest_api_resources(config={CONFIG})",
        f"print((s := rest_api_source({CONFIG})), sep='')",
        f"config: RESTAPIConfig = {CONFIG}",
        f"def f() -> RESTAPIConfig:\n    return {CONFIG}",
        f"def f():\n    config: 'RESTAPIConfig' = {CONFIG}\n    yield from rest_api_resources(config)",
        f"def f():\n    def g():\n        return rest_api_source({CONFIG})\n    return g",
        f"def f(config):\n    return rest_api_source(config)\nf({CONFIG})",
        f"def make():\n    return {CONFIG}\nrest_api_source(make()).with_resources('a')",
        f"class A:\n    def run(self):\n        return rest_api_source({CONFIG})",
        f"async def f():\n    return rest_api_source({CONFIG})",
        f"from rest_api import rest_api_source as source\nsource({CONFIG})",
        f"from dlt.sources import rest_api\nrest_api.rest_api_source({CONFIG})",
        f"import dlt.sources.rest_api as r\nr.rest_api_source(r.RESTAPIConfig(**{CONFIG}))",
        f"if getenv('X'):\n    rest_api_source({CONFIG})",
        f"while True:\n    rest_api_source({CONFIG})",
        "def rest_api_source():\n    c: RESTAPIConfig = " + CONFIG + "\n    yield from rest_api_resources(c)",
        (
            f"@app.cell\ndef _():\n    c = {CONFIG}\n    return (c,)\n@app.cell\ndef _(c, rest_api_source):\n"
            "    rest_api_source(c)"
        ),
    ],
)
def test_a_configuration_is_found_wherever_it_is(convert: Convert, pipeline: str) -> None:
    outcome = convert(pipeline)
    assert outcome.code == 0, outcome.stderr
    assert outcome.config == {"client": {"base_url": "https://x"}, "resources": ["a"]}


def test_what_the_file_passes_to_a_function_counts(convert: Convert) -> None:
    outcome = convert(
        "@dlt.source\ndef shop(region: str, size=10):\n"
        "    yield from rest_api_resources({'client': {'base_url': 'https://x'}, 'resources': [\n"
        "        {'name': 'a', 'endpoint': {'path': region, 'params': {'size': size}}}]})\n"
        "def load(region, default='south'):\n    pipeline.run(shop(region))\n"
        "if __name__ == '__main__':\n    load('north')\n",
    )
    assert outcome.config["resources"] == [{"name": "a", "endpoint": {"path": "north", "params": {"size": 10}}}]


def test_a_function_is_not_gone_through_with_its_defaults_where_it_is_called(convert: Convert) -> None:
    outcome = convert(
        "def make(name='wrong') -> RESTAPIConfig:\n"
        "    return {'client': {'base_url': 'https://x'}, 'resources': [name]}\n"
        "def load():\n    return rest_api_source(make('right'))\n",
    )
    assert outcome.config["resources"] == ["right"]


def test_a_function_of_the_same_name_from_elsewhere_is_not_dlts(convert: Convert) -> None:
    outcome = convert(f"from mine import rest_api_source\nrest_api_source({CONFIG})\n")
    assert outcome.code == 1
    assert "no configuration" in outcome.reason


def test_of_several_configurations_at_one_line_the_first_is_taken_and_said(convert: Convert) -> None:
    outcome = convert(
        "for name in 'a', 'b':\n"
        "    rest_api_source({'client': {'base_url': 'https://x'}, 'resources': [name]}, name='both')\n",
    )
    assert outcome.config["resources"] == ["a"]
    assert "several configurations" in outcome.line("both")


@pytest.mark.parametrize(
    "call",
    ["source.a.apply_hints(primary_key='x')", "source.add_filter(f)", "source.with_resources('a')"],
)
def test_what_is_done_to_a_source_is_listed(convert: Convert, call: str) -> None:
    outcome = convert(f"source = rest_api_source({CONFIG})\n{call}\n")
    assert outcome.code == 0
    assert f"line {HEAD.count(chr(10)) + 2}, {call.partition('(')[0]}()" in outcome.stderr


# What is written


MELTANO = {
    "true": "yes",
    "null": "on",
    "a b": "${HOME} $HOME $ $.x $[0]",
    "deep": {"list": [[1, 2], {"x": []}, {}, "é\u2028😀\x7f"]},
}


def test_meltano_reads_what_the_tap_would_read(convert: Convert) -> None:
    pipeline = source(endpoint=f"'params': {MELTANO!r}, 'data_selector': '$', 'paginator': None")
    expected = convert(pipeline).config
    outcome = convert(pipeline, "--format", "meltano")
    project = YAML(typ="safe").load(outcome.stdout)
    schema = json.loads((files("meltano") / "schemas" / "meltano.schema.json").read_text())
    jsonschema.validate({"version": 1, **project}, schema)
    (plugin,) = project["plugins"]["extractors"]
    assert plugin["name"] == "tap-analytics"
    assert expand_env_vars(plugin["config"], {"HOME": "wrong"}) == expected
    assert "meltano" in outcome.reason


def test_a_file_is_written_where_one_is_named(convert: Convert, tmp_path: Path) -> None:
    target = tmp_path / "made.json"
    outcome = convert(f"rest_api_source({CONFIG})", "--output", str(target))
    assert outcome.stdout == ""
    assert json.loads(target.read_text())["resources"] == ["a"]
    assert f"--config {target}" in outcome.reason


# What cannot be converted


@pytest.mark.parametrize(
    ("pipeline", "reason"),
    [
        ("", "no configuration of rest_api_source()"),
        ("def (", "line 11: is not valid Python 3."),
        ("\x00", "is not valid Python 3."),
        ("A = " + " + ".join(["a"] * 5000), "too deeply"),
        (
            "rest_api_source(SETTINGS)",
            "line 11: the configuration cannot be read: `elsewhere.SETTINGS` is not in this file",
        ),
        ("rest_api_source(load('x'))", "cannot be read: `load('…')` is Python code"),
        ("rest_api_source()", "`rest_api_source()` is Python code"),
        ("rest_api_source(5)", "cannot be read: is not valid here"),
        (
            "rest_api_source({'client': {}, 'resources': make()})",
            "line 11: the resources cannot be read: `make()` is Python code",
        ),
        ("rest_api_source({'client': {}, 'resources': 'a'})", "the resources cannot be read: is not valid here"),
        ("rest_api_source({'client': {}, 'resources': []})", "the source has no resources"),
        ("rest_api_source({'client': {}})", "the source has no resources"),
        ("rest_api_source({'client': {}, 'resources': [make()]})", "no resource could be carried over"),
        ("A = 0\nfor i in range(9999):\n    for j in range(9999):\n        A += 1", "repeats something too often"),
        ("A = [1 for i in range(9999) for j in range(9999)]", "repeats something too often"),
        ("def f(n):\n    f(n)\n    f(n)\nf(1)", "repeats something too often"),
    ],
)
def test_a_pipeline_without_a_configuration_is_refused_with_the_reason(
    convert: Convert,
    pipeline: str,
    reason: str,
) -> None:
    outcome = convert(pipeline)
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.reason.partition(": ")[0].endswith("pipeline.py")
    assert reason in outcome.reason


def test_texts_and_numbers_without_end_are_not_worked_out(convert: Convert) -> None:
    outcome = convert(
        "A, B, C = 9, 'x', [1]\nfor i in range(99):\n    A, B, C = A * A, B + B, C + C\n"
        + source(endpoint="'params': {'a': A, 'b': B, 'c': C, 'd': 1}"),
    )
    assert outcome.config["resources"][0]["endpoint"]["params"] == {"d": 1}


def test_an_unknown_source_is_refused_with_those_that_are_there(convert: Convert) -> None:
    outcome = convert(PIPELINES / "tracker.py", "--source", "stranger")
    assert outcome.code == 1
    assert "stranger" in outcome.reason
    assert "tracker_source (line 53)" in outcome.reason


def test_files_that_cannot_be_read_or_written_are_refused(convert: Convert, tmp_path: Path) -> None:
    unread = convert(tmp_path / "missing.py")
    unwritten = convert(f"rest_api_source({CONFIG})", "--output", str(tmp_path / "no" / "config.json"))
    assert (unread.code, unwritten.code) == (1, 1)
    assert unread.reason == f"{tmp_path / 'missing.py'}: No such file or directory"
    assert unwritten.reason == f"{tmp_path / 'no' / 'config.json'}: No such file or directory"


def test_warnings_about_the_file_are_not_shown(convert: Convert) -> None:
    assert convert("A = '\\d'\n" + source()).code == 0  # in the tests, a warning is an error


def test_the_command_is_installed() -> None:
    command = Path(sys.executable).with_name("tap-analytics-from-dlt")
    run = [str(command), str(PIPELINES / "tracker.py"), "--source", "tracker"]
    result = subprocess.run(run, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == TRACKER
    helped = subprocess.run([str(command), "--help"], capture_output=True, text=True, check=True)
    assert "exit codes" in helped.stdout
