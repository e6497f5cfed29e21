"""Proxies, TLS and certificates: each trouble with them is named as what it is, and bounded by the deadline."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.raw import Raw, answer, head
from tests.singer import run_tap

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

THINGS: dict[str, Any] = {
    "name": "things",
    "schema": {"properties": {"id": {"type": "integer"}}},
    "endpoint": {"path": "things", "data_selector": "data", "paginator": "single_page"},
}

NOWHERE = "api.example.com"
"""A host that only a proxy knows."""


def settings(url: str, **others: object) -> dict[str, Any]:
    return {
        "client": {"base_url": url},
        "resources": [THINGS],
        "max_retries": 0,
        "backoff_factor": 0,
        **others,
    }


def dripping(text: bytes) -> Callable[[socket.socket], None]:
    """Return a script that sends a text for ever, one byte after the other."""

    def script(connection: socket.socket) -> None:
        while True:
            for byte in text:
                connection.sendall(bytes([byte]))
                time.sleep(0.02)

    return script


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_answers_byte_by_byte_is_given_up_in_time(scheme: str) -> None:
    with Raw(dripping(b"HTTP/1.1 200 OK\r\n" + b"X-Header: more\r\n" * 10_000)) as proxy:
        config = settings(f"{scheme}://{NOWHERE}", request_timeout=0.4)
        run = run_tap(config, env={f"{scheme}_proxy": proxy.url}, timeout=20)
        asked = proxy.asked[0].split()[0]
    assert asked == ("CONNECT" if scheme == "https" else "GET")
    assert run.returncode == 1
    assert run.said("Failed: things", "no complete answer within 0.4 s (request_timeout)"), run.stderr


@pytest.mark.parametrize("is_proxied", [False, True], ids=["direct", "through a proxy"])
def test_a_tls_handshake_byte_by_byte_is_given_up_in_time(*, is_proxied: bool) -> None:
    record = b"\x16\x03\x03\x40\x00"  # the beginning of a long handshake

    def script(connection: socket.socket) -> None:
        if is_proxied:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            connection.recv(65536)
        dripping(record + bytes(10_000))(connection)

    with Raw(script) as server:
        url = f"https://{NOWHERE}" if is_proxied else server.url.replace("http:", "https:")
        config = settings(url, request_timeout=0.4)
        run = run_tap(config, env={"https_proxy": server.url} if is_proxied else {}, timeout=20)
    assert run.returncode == 1
    assert run.said("Failed: things", "no complete answer within 0.4 s (request_timeout)"), run.stderr


REFUSED = head("407 Proxy Authentication Required", "Proxy-Authenticate: Basic", "Content-Length: 0")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_credentials_is_named(scheme: str) -> None:
    with Raw(answer(REFUSED)) as proxy:
        run = run_tap(settings(f"{scheme}://{NOWHERE}"), env={f"{scheme}_proxy": proxy.url})
    assert run.returncode == 1
    assert run.said("Failed: things", "407", "put them into the proxy's URL in the environment"), run.stderr
    assert "Try 2" not in run.stderr


def test_a_proxy_that_refuses_to_connect_is_named() -> None:
    with Raw(answer(head("503 No way out", "Content-Length: 0"))) as proxy:
        run = run_tap(settings(f"https://{NOWHERE}", max_retries=1), env={"https_proxy": proxy.url})
        assert len(proxy.asked) == 2
    assert run.returncode == 1
    assert run.said("Failed: things", "the proxy answered CONNECT with 503; check the proxy"), run.stderr


@pytest.mark.parametrize("url", ["http://:3128", "http://[::1", "http://127.0.0.1:port"])
def test_a_proxy_whose_url_is_not_valid_is_named(url: str) -> None:
    run = run_tap(settings(f"http://{NOWHERE}", max_retries=1), env={"http_proxy": url})
    assert run.returncode == 1
    assert run.said("Failed: things", "the URL of the proxy", "is not valid; check the proxy that the"), run.stderr
    assert "Try 2" not in run.stderr


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_down_is_named(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    run = run_tap(settings(f"{scheme}://{NOWHERE}"), env={f"{scheme}_proxy": f"http://127.0.0.1:{port}"})
    assert run.returncode == 1
    assert run.said("Failed: things", "Connection refused; check the proxy that the environment names"), run.stderr


def test_a_proxy_whose_name_is_not_known_is_named() -> None:
    run = run_tap(settings(f"http://{NOWHERE}"), env={"http_proxy": "http://no-such-proxy.invalid:3128"})
    assert run.returncode == 1
    assert run.said("Failed: things", "check the proxy that the environment names"), run.stderr


def test_a_socks_proxy_without_its_library_is_named() -> None:
    run = run_tap(settings(f"http://{NOWHERE}"), env={"http_proxy": "socks5://127.0.0.1:9"})
    assert run.returncode == 1
    assert run.said("Failed: things", "SOCKS proxy", "install PySocks"), run.stderr


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize(("is_there", "says"), [(False, "does not exist"), (True, "holds no certificates")])
def test_a_ca_bundle_that_cannot_be_used_is_named(tmp_path: Path, variable: str, *, is_there: bool, says: str) -> None:
    bundle = tmp_path / "bundle.pem"
    if is_there:
        bundle.write_text("not a certificate", encoding="utf-8")
    env = {"REQUESTS_CA_BUNDLE": "", variable: str(bundle)}
    with Raw(answer()) as server:
        run = run_tap(settings(server.url.replace("http:", "https:"), max_retries=1), env=env)
    assert run.returncode == 1
    assert run.said("Failed: things", f"the CA bundle {says}", variable), run.stderr
    assert "Try 2" not in run.stderr
