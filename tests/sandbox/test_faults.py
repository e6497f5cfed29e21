"""Each way to misbehave, as a client sees it."""

import gzip
import json
import socket
import time
import zlib
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import urllib3

from sandbox import Fault, Sandbox

from . import conftest
from .conftest import Get

LABELS = "/v1/master/labels"


def ids(response: requests.Response) -> list[str]:
    """Return the keys of the records of a good response."""
    response.raise_for_status()
    return [record["id"] for record in response.json()["data"]]


def test_unknown_faults_are_refused() -> None:
    with pytest.raises(ValueError, match="no fault 'sloth'; there are big_error, "):
        Fault("sloth")


def test_faults_come_in_order_after_some_and_so_often(sandbox: Sandbox, get: Get) -> None:
    sandbox.misbehave(Fault("status", status=503, times=2), Fault("status", status=429), Fault("html", after=4))
    seen = [get(LABELS).status_code for _ in range(4)]
    assert seen == [503, 503, 429, 200]
    assert get(LABELS).headers["Content-Type"].startswith("text/html")
    assert get(LABELS).json()["data"]


def test_faults_choose_their_requests(sandbox: Sandbox, get: Get) -> None:
    sandbox.misbehave(Fault("status", "/v1/master/w*", times=None), Fault("empty_body", params={"offset": "2"}))
    assert get("/v1/master/workers").status_code == 500
    assert get("/v1/master/workergroups").status_code == 500
    assert get(LABELS, offset=1).content
    assert not get(LABELS, offset=2).content


def test_behaving_again(sandbox: Sandbox, get: Get) -> None:
    sandbox.misbehave(Fault("status", times=None))
    assert get(LABELS).status_code == 500
    sandbox.behave()
    assert get(LABELS).status_code == 200


def test_status_with_headers_and_body(sandbox: Sandbox, get: Get) -> None:
    sandbox.misbehave(
        Fault("status", status=429, headers={"Retry-After": "7"}, body="slow down"),
        Fault("status", status=520),
    )
    response = get(LABELS)
    assert (response.status_code, response.text) == (429, "slow down")
    assert response.headers["Retry-After"] == "7"
    assert get(LABELS).json() == {"error": {"code": 520, "message": "Unknown"}}


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("reset", "reset by peer"),
        ("reset_in_body", "reset by peer"),
        ("silence", "timed out"),
        ("silence_in_body", "timed out"),
        ("long_content_length", "more expected"),
        ("cut_chunked", "ended prematurely"),
    ],
)
def test_cut_connections(sandbox: Sandbox, get: Get, monkeypatch: pytest.MonkeyPatch, kind: str, problem: str) -> None:
    sandbox.misbehave(Fault(kind))
    with monkeypatch.context() as patch:
        patch.setattr(conftest, "PATIENCE", 0.5 if problem == "timed out" else conftest.PATIENCE)
        with pytest.raises(requests.RequestException, match=problem):
            get(LABELS)
    assert sandbox.requests[-1].status is None
    assert get(LABELS).status_code == 200
    assert sandbox.requests[-1].status == 200


@pytest.mark.parametrize("kind", ["silence", "silence_in_body"])
def test_silence_does_not_hold_up_the_end(kind: str) -> None:
    with Sandbox(days=5, registrations=9) as sandbox:
        sandbox.misbehave(Fault(kind))
        address = urlsplit(sandbox.url)
        with socket.create_connection((address.hostname or "", address.port or 0)) as client:
            client.sendall(b"GET /v1/master/labels HTTP/1.1\r\nHost: x\r\n\r\n")
            while not sandbox.requests:
                time.sleep(0.01)
            start = time.monotonic()
            sandbox.stop()
            assert time.monotonic() - start < 10


def test_silence_ends_when_the_client_hangs_up(sandbox: Sandbox) -> None:
    sandbox.misbehave(Fault("silence"))
    url, headers = sandbox.url + LABELS, {"api_key": sandbox.api_key}
    with pytest.raises(requests.ReadTimeout):
        requests.get(url, headers=headers, timeout=0.1)
    time.sleep(0.05)
    assert requests.get(url, headers=headers, timeout=30).ok
    assert sandbox.requests[-1].in_flight == 1


def test_drip(sandbox: Sandbox, get: Get) -> None:
    good = get(LABELS)
    sandbox.misbehave(Fault("drip", bytes_per_second=len(good.content) * 4))
    start = time.monotonic()
    assert get(LABELS).content == good.content
    assert time.monotonic() - start > 0.2


def test_cut_gzip(sandbox: Sandbox) -> None:
    sandbox.misbehave(Fault("cut_gzip"))
    address = urlsplit(sandbox.url).netloc
    with urllib3.HTTPConnectionPool(address) as pool:
        headers = {"api_key": sandbox.api_key}
        response = pool.request("GET", LABELS, headers=headers, decode_content=False)
    assert response.headers["Content-Encoding"] == "gzip"
    with pytest.raises(EOFError):
        gzip.decompress(response.data)
    assert zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(response.data).startswith(b'{"data"')


@pytest.mark.parametrize("kind", ["empty_body", "invalid_json", "html"])
def test_bodies_that_are_no_json(sandbox: Sandbox, get: Get, kind: str) -> None:
    sandbox.misbehave(Fault(kind))
    response = get(LABELS)
    assert response.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        response.json()


def test_invalid_utf8(sandbox: Sandbox, get: Get) -> None:
    sandbox.misbehave(Fault("invalid_utf8"))
    with pytest.raises(UnicodeDecodeError):
        get(LABELS).content.decode()


def test_bom(sandbox: Sandbox, get: Get) -> None:
    good = get(LABELS).content
    sandbox.misbehave(Fault("bom"))
    assert get(LABELS).content == b"\xef\xbb\xbf" + good


@pytest.mark.parametrize(("kind", "word"), [("nan", "NaN"), ("infinity", "Infinity")])
@pytest.mark.parametrize("path", ["/v1/master/rows", LABELS])
def test_numbers_that_are_none(sandbox: Sandbox, get: Get, kind: str, word: str, path: str) -> None:
    for empty in (False, True):
        if empty:
            sandbox.world.clear(path.rsplit("/", 1)[1])
        sandbox.misbehave(Fault(kind))
        words: list[str] = []
        json.loads(get(path).content, parse_constant=words.append)
        assert words == [word]


def test_duplicate_keys(sandbox: Sandbox, get: Get) -> None:
    sandbox.misbehave(Fault("duplicate_keys"))
    pairs: list[Any] = []
    json.loads(get(LABELS).content, object_pairs_hook=pairs.append)
    assert [name for name, _ in pairs[0]].count("id") == 2


def test_redirect(sandbox: Sandbox, get: Get) -> None:
    sandbox.misbehave(Fault("redirect", location="https://elsewhere.example/x", status=307))
    response = get(LABELS)
    assert response.status_code == 307
    assert response.headers["Location"] == "https://elsewhere.example/x"


def test_any_body(sandbox: Sandbox, get: Get) -> None:
    sandbox.misbehave(Fault("body", body=b'{"error":"no"}', headers={"X-Served-By": "cache"}))
    response = get(LABELS)
    assert (response.status_code, response.content) == (200, b'{"error":"no"}')
    assert response.headers["X-Served-By"] == "cache"


def test_echo_key(sandbox: Sandbox, get: Get) -> None:
    sandbox.misbehave(Fault("echo_key"))
    response = get(LABELS, token="in-the-query")
    assert response.status_code == 400
    assert sandbox.api_key in response.text
    assert "in-the-query" in response.text


def test_big_error(sandbox: Sandbox, get: Get) -> None:
    sandbox.misbehave(Fault("big_error"))
    response = get(LABELS)
    assert response.status_code == 500
    assert len(response.content) >= 3_000_000


def test_gzip_bomb(sandbox: Sandbox, get: Get) -> None:
    sandbox.misbehave(Fault("gzip_bomb", size=5_000_000))
    response = get(LABELS)
    assert int(response.headers["Content-Length"]) < 10_000
    assert len(response.content) > 5_000_000
    assert response.json() == {"data": []}


def test_delay_goes_with_other_faults(sandbox: Sandbox, get: Get) -> None:
    sandbox.misbehave(Fault("delay", seconds=0.2), Fault("status", status=502))
    start = time.monotonic()
    assert get(LABELS).status_code == 502
    assert time.monotonic() - start >= 0.2


def test_no_node(sandbox: Sandbox, get: Get) -> None:
    sandbox.misbehave(Fault("no_node"))
    assert "data" not in get(LABELS).json()


@pytest.mark.parametrize(
    ("fault", "first", "last"),
    [
        (Fault("cap", limit=2), 3, 5),
        (Fault("ignore_offset"), 0, 4),
        (Fault("ignore_limit"), 3, 8),
        (Fault("clamp_offset", offset=2), 2, 6),
        (Fault("result_window", offset=5), 3, 5),
        (Fault("empty_page"), 0, 0),
    ],
)
def test_pages_that_are_not_what_was_asked(sandbox: Sandbox, get: Get, fault: Fault, first: int, last: int) -> None:
    every = ids(get(LABELS))
    sandbox.misbehave(fault)
    assert ids(get(LABELS, offset=3, limit=4)) == every[first:last]
    assert ids(get(LABELS, offset=3, limit=4)) == every[3:7]


def test_last_page_again_and_again(sandbox: Sandbox, get: Get) -> None:
    every = ids(get(LABELS))
    sandbox.misbehave(Fault("repeat_last_page", times=None))
    assert ids(get(LABELS, offset=3, limit=3)) == every[3:6]
    assert ids(get(LABELS, offset=9, limit=3)) == every[6:]
    sandbox.world.clear("labels")
    assert ids(get(LABELS, offset=0, limit=3)) == []


def test_stale_page(sandbox: Sandbox, get: Get) -> None:
    every = ids(get(LABELS))
    sandbox.misbehave(Fault("stale_page", times=2, after=1))
    asked = [ids(get(LABELS, offset=offset, limit=2)) for offset in (0, 2, 4, 6)]
    assert asked == [every[:2], every[:2], every[:2], every[6:]]
