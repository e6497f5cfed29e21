"""What is too large is refused, in bounded memory and time."""

from __future__ import annotations

import contextlib
import gzip
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from sandbox import Fault, Sandbox
from tap_analytics.rest.pages import MOST_RECORDS
from tap_analytics.rest.transport import LARGEST_BODY
from tests.conftest import settings, shipped
from tests.faults.matrix import PATH, SMALL
from tests.faults.raw import Raw, answer, head
from tests.singer import Run, Started, run_tap


def peak(config: dict[str, Any]) -> tuple[Run, int]:
    """Return a run and the most memory that it had, in bytes."""
    started = Started(config)
    most = 0
    status = Path(f"/proc/{started.process.pid}/status")
    while started.process.poll() is None:
        with contextlib.suppress(OSError, StopIteration):
            line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
            most = max(most, int(line.split()[1]) * 1024)
        time.sleep(0.01)
    return started.finish(), most


@pytest.mark.slow
def test_a_hostile_gzip_body_is_refused_in_bounded_memory() -> None:
    with Sandbox(**SMALL) as sandbox:
        _, usual = peak(settings(sandbox, resources=[shipped("workers")]))
        sandbox.misbehave(Fault("gzip_bomb", PATH, times=None, size=8 * LARGEST_BODY))
        run, most = peak(settings(sandbox, resources=[shipped("labels"), shipped("workers")]))
    assert run.returncode == 1
    assert run.said("Failed: workers: GET", f"more than {LARGEST_BODY >> 20} MiB, which is refused")
    assert most - usual < 2 * LARGEST_BODY
    assert len(run.records["labels"]) > 0


@pytest.mark.slow
def test_a_hostile_gzip_error_is_not_unpacked() -> None:
    packer = zlib.compressobj(wbits=31)
    packed = b"".join([packer.compress(b"x" * 10_000_000) for _ in range(100)]) + packer.flush()
    script = answer(head("404 Not Found", "Content-Encoding: gzip", f"Content-Length: {len(packed)}"), packed)
    with Raw(script) as server:
        run, most = peak({"base_url": server.url, "api_key": "k-e-y", "resources": [shipped("workers")]})
    assert run.returncode == 1
    assert run.said("Failed: workers", "404 Not Found")
    assert len(run.stderr) < 20_000
    assert most < 300_000_000


BODY = b'{"data":[{"id":"1"}]}'
HALF = gzip.compress(BODY[:9]), gzip.compress(BODY[9:])
PACKED = {
    "one member": gzip.compress(BODY),
    "two members": b"".join(HALF),
    "padding behind it": gzip.compress(BODY) + bytes(100),
    "an empty member": gzip.compress(b"") + gzip.compress(BODY),
}


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("name", ["gzip", "x-gzip", "GZIP"])
def test_gzip_is_unpacked(packed: bytes, name: str) -> None:
    with Raw(answer(head("200 OK", f"Content-Encoding: {name}", f"Content-Length: {len(packed)}"), packed)) as server:
        run = run_tap({"base_url": server.url, "api_key": "k-e-y", "resources": [shipped("workers")]})
    assert run.returncode == 0, run.stderr
    assert run.records["workers"] == [{"id": "1"}]


CUT = {
    "within the data": gzip.compress(BODY)[:-12],
    "within the second member": b"".join(HALF)[:-14],
    "garbled": gzip.compress(BODY)[:20] + b"\xff\xff" + gzip.compress(BODY)[22:],
    "with a wrong checksum": gzip.compress(BODY)[:-8] + bytes(8),
    "not gzip at all": BODY,
}


CUT_SHORT = ("within the data", "within the second member")


@pytest.mark.parametrize("name", CUT)
def test_gzip_that_is_not_whole_is_tried_again(name: str) -> None:
    packed = CUT[name]
    with Raw(answer(head("200 OK", "Content-Encoding: gzip", f"Content-Length: {len(packed)}"), packed)) as server:
        config = {"base_url": server.url, "api_key": "k-e-y", "resources": [shipped("workers")], "backoff_factor": 0}
        run = run_tap(config | {"max_retries": 1})
        assert len(server.asked) == 2
    assert run.returncode == 1
    assert run.said("Failed: workers", "gzip" if name not in CUT_SHORT else "not JSON")
    assert run.records["workers"] == []


@pytest.mark.parametrize("missing", [2, 8])
def test_a_body_that_is_whole_but_for_its_checksum_is_read(missing: int) -> None:
    packed = gzip.compress(BODY)[:-missing]
    with Raw(answer(head("200 OK", "Content-Encoding: gzip", f"Content-Length: {len(packed)}"), packed)) as server:
        run = run_tap({"base_url": server.url, "api_key": "k-e-y", "resources": [shipped("workers")]})
    assert run.returncode == 0, run.stderr
    assert run.records["workers"] == [{"id": "1"}]


def test_an_encoding_that_was_not_asked_for_is_said() -> None:
    with Raw(answer(head("200 OK", "Content-Encoding: br", f"Content-Length: {len(BODY)}"), BODY)) as server:
        run = run_tap({"base_url": server.url, "api_key": "k-e-y", "resources": [shipped("workers")]})
        assert "Accept-Encoding: gzip\r\n" in server.asked[0]
    assert run.returncode == 1
    assert run.said("Failed: workers", "'br'", "only gzip was asked for")


THINGS: dict[str, Any] = {
    "name": "things",
    "schema": {"properties": {"id": {"type": "integer"}}},
    "endpoint": {"path": "things", "data_selector": "data", "paginator": "single_page"},
}


def run_with_body(body: bytes, **endpoint: object) -> tuple[Run, int]:
    """Return a run whose only answer is a body, and the most memory that it had, in bytes."""
    things = {**THINGS, "endpoint": {**THINGS["endpoint"], **endpoint}}
    with Raw(answer(head("200 OK", "Content-Type: application/json", f"Content-Length: {len(body)}"), body)) as server:
        return peak({"client": {"base_url": server.url}, "resources": [things], "max_retries": 0})


@pytest.mark.slow
@pytest.mark.parametrize("record", [b"{}", b"1"])
def test_more_records_than_memory_has_room_for_are_refused(record: bytes) -> None:
    body = b'{"data":[' + b",".join([record] * (3 * MOST_RECORDS)) + b"]}"
    run, most = run_with_body(body)
    _, usual = run_with_body(b'{"data":[]}')
    assert run.returncode == 1
    assert run.said("Failed: things", f"more than {MOST_RECORDS:,} records", "Ask for smaller pages")
    assert most - usual < 72 * MOST_RECORDS + 3 * len(body)


@pytest.mark.slow
def test_many_values_are_not_many_records() -> None:
    values = b",".join([b"1"] * (MOST_RECORDS // 2))
    body = b'{"data":[{"id":1,"values":[' + values + b']},{"id":2,"values":[' + values + b"]}]}"
    run, _ = run_with_body(body)
    assert run.returncode == 0, run.stderr
    assert run.records["things"] == [{"id": 1}, {"id": 2}]
