"""Interim answers (1xx) before the answer itself: none leaves its answer on the connection for the next request."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.raw import Raw
from tests.singer import run_tap

if TYPE_CHECKING:
    import socket

ONE_PAGE = {"paginator": "single_page"}

INTERIM = {
    "103 Early Hints": (b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n",),
    "102 Processing, twice": (b"HTTP/1.1 102 Processing\r\n\r\n",) * 2,
    "100 Continue": (b"HTTP/1.1 100 Continue\r\n\r\n",),
    "several": (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
}


@pytest.mark.parametrize("interim", INTERIM.values(), ids=INTERIM)
def test_each_stream_gets_its_own_records(interim: tuple[bytes, ...]) -> None:
    paths: list[str] = []

    def script(connection: socket.socket) -> None:
        request = server.asked[-1].encode()
        while request:
            path = request.split()[1].decode()
            paths.append(path)
            for one in interim:
                connection.sendall(one)
                time.sleep(0.2)
            body = json.dumps({"data": [{"id": path}]}).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            request = connection.recv(65536)

    schema = {"properties": {"id": {"type": "string"}}}
    resources = [
        {
            "name": name,
            "schema": schema,
            "endpoint": {"path": name, "data_selector": "data", "paginator": "single_page"},
        }
        for name in ("first", "second", "third")
    ]
    with Raw(script) as server:
        run = run_tap({"base_url": server.url, "resources": resources, "max_in_flight": 1})
        assert len(server.asked) == 1, "one connection serves all requests"
    assert run.returncode == 0, run.stderr
    assert paths == ["/first", "/second", "/third"]
    assert {name: [record["id"] for record in records] for name, records in run.records.items()} == {
        "first": ["/first"],
        "second": ["/second"],
        "third": ["/third"],
    }
