"""Headers that cannot be sent, and mistakes that show only while streams are discovered."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.api import Api, config
from tests.singer import run_tap

THINGS = {"name": "things", "endpoint": {"path": "things", "data_selector": "data", "paginator": "single_page"}}

SECRET = "half-of-a-secret"


@pytest.mark.parametrize(
    "client",
    [
        {"auth": {"token": f"{SECRET}\nx"}},
        {"auth": {"type": "api_key", "name": "key", "api_key": f"{SECRET}\u2013"}},
        {"headers": {"x": "line\r\nbreak"}},
        {"headers": {"x": "\u2013"}},
    ],
    ids=["a token with a line break", "a key beyond Latin-1", "a header with a line break", "a header beyond Latin-1"],
)
def test_what_no_header_carries_is_said_and_not_tried_again(client: dict[str, Any]) -> None:
    with Api(lambda _: {"data": [{"id": 1}]}) as api:
        run = run_tap(config(api, THINGS, client=client))
        assert run.returncode == 1
        assert run.problems == [
            line for line in run.problems if "GET things cannot be sent: a header has characters that HTTP" in line
        ]
        assert SECRET not in run.stderr
        assert "stream_maps" not in run.stderr
        assert "Try 2" not in run.stderr
