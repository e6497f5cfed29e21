"""What `--preview` shows of the records of a stream."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.faults import Fault
from tests.faults.api import Api, Asked
from tests.faults.api import config as api_config
from tests.singer import COLD, Run, catalog_of, run_tap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox import Sandbox


def preview(config: Mapping[str, Any], stream: str, *, encoding: str = "utf-8", **given: Any) -> Run:  # noqa: ANN401 - what run_tap takes
    env = {"COLUMNS": "80", "PYTHONIOENCODING": encoding}
    return run_tap(config, args=["--preview", stream], env=env, **given)


def rows(run: Run) -> dict[str, list[str]]:
    """Return the cells of each row of a table without blanks in its cells, by the first one."""
    lines = [re.split(r" {2,}", line.rstrip()) for line in run.stdout.splitlines()[:-1]]
    return {line[0]: line[1:] for line in lines}


def declare(sandbox: Sandbox, config: dict[str, Any], *records: dict[str, Any]) -> dict[str, Any]:
    """Have the generic resource hold some records and no others, and return settings that read it."""
    sandbox.world.clear("resource")
    for record in records:
        sandbox.world.put("resource", record)
    return config | {"resources": [{"name": "readings", "endpoint": {"path": "/v1/resource"}}]}


def test_fields_that_fit_stand_side_by_side(sandbox: Sandbox, config: dict[str, Any]) -> None:
    records = [{"id": f"r{index}", "count": index, "ok": None} for index in range(9)]
    run = preview(declare(sandbox, config, *records), "readings")
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "readings: 5 records (all records)"
    assert rows(run) == {"id": ["count", "ok"]} | {f"r{index}": [str(index), "null"] for index in range(5)}


def test_fields_that_do_not_fit_stand_below_each_other_and_only_text_is_cut(
    sandbox: Sandbox, config: dict[str, Any]
) -> None:
    records = [{"id": f"r{index}", "a" * 40: "x" * 100, "number": 123_456_789_012} for index in range(5)]
    run = preview(declare(sandbox, config, *records), "readings")
    shown = rows(run)
    assert shown["field"] == ["1", "2", "3", "4", "5"]
    assert shown["number"] == ["123456789012"] * 5
    assert shown["a" * 9 + "…"] == ["x" * 11 + "…"] * 5
    assert max(map(len, run.stdout.splitlines())) <= 80


def test_one_small_request_is_enough(sandbox: Sandbox, config: dict[str, Any]) -> None:
    run = preview(config, "registrations_initial")
    assert "registrations_initial: 5 records" in run.stdout
    assert [request.params["limit"] for request in sandbox.requests] == ["5"]


def test_pages_smaller_than_the_preview_are_followed() -> None:
    def answer(asked: Asked) -> object:
        start = int(asked.params.get("cursor", 0))
        return {"data": [{"id": start}, {"id": start + 1}], "cursors": {"next": start + 2 if start < 10 else None}}

    with Api(answer) as api:
        resource = {"name": "rows", "endpoint": {"path": "rows", "paginator": "cursor", "data_selector": "data"}}
        run = preview(api_config(api, resource), "rows")
    assert list(rows(run)) == ["id", "0", "1", "2", "3", "4"]


def test_records_are_shown_as_they_would_leave(config: dict[str, Any]) -> None:
    maps = {"stream_maps": {"workers": {"name": "name.upper()"}}}
    run = preview(config | maps, "workers", catalog=catalog_of("workers", without={"workers": ["notes"]}))
    shown = rows(run)
    assert "notes" not in shown
    assert all(name == name.upper() for name in shown["name"])


def test_a_stream_that_is_not_selected_can_be_looked_at(config: dict[str, Any]) -> None:
    run = preview(config, "workers", catalog=catalog_of("users"))
    assert "workers: 5 records" in run.stdout


def test_children_of_several_parents_are_shown() -> None:
    def answer(asked: Asked) -> object:
        return [{"id": asked.path}] if asked.path != "/parents" else [{"id": number} for number in range(9)]

    with Api(answer) as api:
        parents = {"name": "parents", "selected": False, "endpoint": "parents"}
        endpoint = {"path": "of/{resources.parents.id}/all", "paginator": "single_page"}
        child = {"name": "children", "endpoint": endpoint, "include_from_parent": ["id"]}
        run = preview(api_config(api, parents, child), "children")
    assert rows(run) == {"_parents_id": ["id"]} | {str(number): [f"/of/{number}/all"] for number in range(5)}


def test_no_other_stream_is_asked_for(sandbox: Sandbox, config: dict[str, Any]) -> None:
    config = declare(sandbox, config, {"id": "one"})
    other = {"name": "other", "endpoint": "/v1/master/users"}
    preview(config | {"resources": [*config["resources"], other]}, "readings")
    assert {request.path for request in sandbox.requests} == {"/v1/resource"}


def test_what_a_terminal_would_obey_or_cannot_write_is_taken_away(sandbox: Sandbox, config: dict[str, Any]) -> None:
    key = config["api_key"]
    config = declare(sandbox, config, {"id": "\x1b[31mred\nblue", "name": "José", "key": f"it is {key}"})
    run = preview(config, "readings", encoding="ascii", command=COLD)
    assert run.returncode == 0, run.stderr
    assert "[31mred blue" in run.stdout
    assert "\x1b" not in run.stdout
    assert "Jos?" in run.stdout
    assert "it is ***" in run.stdout


def test_a_resource_without_records_is_no_failure(sandbox: Sandbox, config: dict[str, Any]) -> None:
    run = preview(declare(sandbox, config), "readings")
    assert run.returncode == 0, run.stderr
    assert run.stdout == "readings: 0 records (all records)\n"


def test_records_without_fields_are_shown_beside_others() -> None:
    answers: list[dict[str, object]] = [{}, {"long": "x" * 100}, {"id": 1}]
    with Api(lambda _: answers) as api:
        resource = {"name": "rows", "endpoint": {"path": "rows", "paginator": "single_page"}}
        shown = rows(preview(api_config(api, resource), "rows"))
        answers[1:] = []
        schema = {"properties": {"long": {"type": ["string", "null"]}}}
        run = preview(api_config(api, resource | {"schema": schema}), "rows")
    assert list(shown) == ["field", "long", "id"]
    assert run.stdout == "rows: 1 record (all records)\n"


def test_a_stream_that_cannot_be_read_ends_with_why(sandbox: Sandbox, config: dict[str, Any]) -> None:
    sandbox.misbehave(Fault("status", status=403, path="/v1/master/users", times=None))
    run = preview(config, "users")
    assert run.returncode == 1
    assert run.stdout == ""
    assert "Failed: users: GET /v1/master/users was answered with 403" in run.stderr.splitlines()[-1]


@pytest.mark.parametrize("stream", ["nobody", ""])
def test_a_stream_that_is_not_there_is_refused_with_the_names_of_those_that_are(
    sandbox: Sandbox, config: dict[str, Any], stream: str
) -> None:
    run = preview(config, stream)
    assert run.returncode == 2
    assert f"there is no stream {stream!r}; there are clients, labels, " in run.stderr.splitlines()[-1]
    assert sandbox.requests == []
