"""Links to the next page: followed on the same server, and nothing of ours reaches another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.api import Api, Reply, config
from tests.singer import run_tap

if TYPE_CHECKING:
    from tests.faults.api import Asked

TOKEN = "token-that-stays-here"

ELSEWHERE = {
    "another port": "http://{other}/things",
    "without a scheme": "//{other}/things",
    "with what looks like our server before it": "http://{own}@{other}/things",
    "with a backslash, where readers of addresses differ": "http://{other}\\@{own}/things",
    "another name": "http://localhost:{port}/things",
    "another scheme": "https://{own}/things",
}

NOT_ADDRESSES = ["http://[bad", "http://127.0.0.1:x/things", "http://127.0.0.1:99999/things"]


def linking(link: str, kind: str) -> Any:  # noqa: ANN401 - of an API
    """Return the answers of an API whose first page leads to a link."""

    def answer(asked: Asked) -> object:
        first = not asked.params and asked.path == "/things"
        if kind == "header_link":
            return Reply([{"id": 1}] if first else [], headers={"Link": f'<{link}>; rel="next"'} if first else {})
        return {"data": [{"id": 1}] if first else [], "next": link if first else None}

    return answer


def things(kind: str) -> dict[str, Any]:
    endpoint = {"path": "things", "data_selector": "$" if kind == "header_link" else "data", "paginator": kind}
    return {"name": "things", "primary_key": "id", "schema": {"properties": {"id": {}}}, "endpoint": endpoint}


@pytest.mark.parametrize("kind", ["json_link", "header_link"])
@pytest.mark.parametrize("link", ELSEWHERE.values(), ids=ELSEWHERE)
def test_nothing_of_ours_reaches_another_server(link: str, kind: str) -> None:
    with Api(lambda _: {"data": []}) as other, Api(lambda _: None) as api:
        own, elsewhere = (one.url.removeprefix("http://") for one in (api, other))
        api.answer = linking(link.format(own=own, other=elsewhere, port=own.partition(":")[2]), kind)
        run = run_tap(config(api, things(kind), client={"auth": {"token": TOKEN}}))
        assert other.asked == []
        assert [asked.path for asked in api.asked if asked.header("Authorization")] == ["/things"] * len(api.asked)
        assert run.returncode == 1
        assert run.said("Failed: things: GET things: the answer leads to another server")


@pytest.mark.parametrize("kind", ["json_link", "header_link"])
@pytest.mark.parametrize("link", NOT_ADDRESSES)
def test_a_link_that_is_not_an_address_is_said(link: str, kind: str) -> None:
    with Api(linking(link, kind)) as api:
        run = run_tap(config(api, things(kind)))
        assert run.returncode == 1
        assert run.stderr.splitlines()[-1].endswith(
            "Failed: things: GET things: the answer's link to the next page is not a valid address"
        )
