"""Redirects: followed on the same server; nothing of ours reaches another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox import Fault, Sandbox
from tests.conftest import settings, shipped
from tests.faults.matrix import PATH, SMALL, Row, both, params
from tests.faults.raw import Raw, answer, head
from tests.singer import run_tap

if TYPE_CHECKING:
    from typing import Literal


def redirect(location: str, times: int | None = 1, status: int = 302) -> tuple[Fault, ...]:
    return (Fault("redirect", PATH, location=location, times=times, status=status),)


ROWS = [
    *(
        Row(what=f"A redirect to the same server ({status})", faults=redirect(PATH, status=status), requests=2)
        for status in (301, 302, 303, 307, 308)
    ),
    Row(what="A redirect to another path", faults=redirect("/v1/master/labels"), records=8, requests=1),
    Row(what="A redirect by a relative address", faults=redirect("workers?x=1"), requests=2),
    Row(what="A redirect in a circle", faults=redirect(PATH, None), requests=6, exit_code=1, records="none",
        says=("Failed: workers: GET", "redirects more than 5 times in a row")),
    Row(what="A redirect to an address that is none", faults=redirect("http://[::1", None), requests=1, exit_code=1,
        records="none", says=("Failed: workers: GET", "redirects")),
    Row(what="A redirect without an address", faults=(Fault("status", PATH, status=302, times=None),), requests=1,
        exit_code=1, records="none", says=("Failed: workers: GET", "302")),
]  # fmt: skip


@pytest.mark.parametrize("row", params(ROWS))
def test_redirect(row: Row) -> None:
    both(row)


ELSEWHERE = {
    "another port": "http://{host}/v1/master/workers",
    "without a scheme": "//{host}/v1/master/workers",
    "with what looks like our server before it": "http://127.0.0.1:80@{host}/v1/master/workers",
    "with a backslash, where readers of addresses differ": "http://{host}\\@127.0.0.1:{own}/v1/master/workers",
    "with the query of the request": "http://{host}/v1/master/workers?api_key=x",
    "another name": "http://localhost:{port}/v1/master/workers",
    "another scheme": "https://{host}/v1/master/workers",
}


@pytest.mark.parametrize("location", ELSEWHERE.values(), ids=ELSEWHERE)
def test_nothing_of_ours_reaches_another_server(location: str, auth_location: Literal["header", "query"]) -> None:
    with Sandbox(**SMALL, auth_location=auth_location) as sandbox, Sandbox(**SMALL) as other:
        host = other.url.removeprefix("http://")
        own, port = (url.rpartition(":")[2] for url in (sandbox.url, other.url))
        sandbox.misbehave(*redirect(location.format(host=host, port=port, own=own), None))
        run = run_tap(settings(sandbox, auth_location=auth_location, resources=[shipped("labels"), shipped("workers")]))
        assert run.returncode == 1
        assert run.said("Failed: workers: GET", "redirects to another server", "which is refused. Check base_url.")
        assert "://" not in "".join(run.problems)
        assert other.requests == []
        assert len(run.records["labels"]) == len(sandbox.world.records("labels"))
        assert len([request for request in sandbox.requests if request.path == PATH]) == 1


def test_the_key_is_sent_once_where_the_redirect_repeats_it() -> None:
    with Sandbox(**SMALL, auth_location="query") as sandbox:
        sandbox.misbehave(*redirect(f"{PATH}?api_key={sandbox.api_key}&x=1"))
        run = run_tap(settings(sandbox, auth_location="query", resources=[shipped("workers")]))
        assert run.returncode == 0, run.stderr
        assert sandbox.requests[-1].params == {"api_key": sandbox.api_key, "x": "1"}


def test_the_body_of_a_redirect_is_not_read() -> None:
    endless = [b"x" * 65_536] * 20_000
    script = answer(head("302 Found", "Location: http://127.0.0.1:1/"), *endless)
    with Raw(script) as server:
        run = run_tap({"base_url": server.url, "api_key": "k-e-y", "resources": [shipped("workers")]}, timeout=5)
    assert run.returncode == 1
    assert run.said("redirects to another server")


def test_a_redirect_that_drops_the_query_is_no_end_of_the_list() -> None:
    things = {
        "name": "things",
        "primary_key": "customer_id",
        "schema": {"properties": {"customer_id": {"type": "string"}}},
        "endpoint": {"path": "/v1/resource", "paginator": {"type": "offset", "limit": 100}},
    }
    with Sandbox(**{**SMALL, "resources": 250}) as sandbox:
        sandbox.misbehave(Fault("redirect", "*/resource", location="/v1/resource", after=1))
        run = run_tap(settings(sandbox, resources=[things]))
    assert run.returncode == 1
    assert run.said("Failed: things: GET /v1/resource", "redirects to /v1/resource without the request's parameters")
