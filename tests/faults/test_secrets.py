"""The key is in nothing that the tap says; every run of the other tests is checked for it too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault, Sandbox
from tap_analytics.rest.auth import ApiKeyAuth
from tap_analytics.rest.secrets import Secrets
from tests.conftest import settings, shipped
from tests.faults.matrix import PATH, SMALL
from tests.faults.raw import Raw, answer, head
from tests.singer import PREFIX, assert_secret, run_tap

if TYPE_CHECKING:
    from typing import Literal

DEBUG = {"TAP_ANALYTICS_LOGLEVEL": "DEBUG", "LOGLEVEL": "DEBUG"}
"""What makes the SDK say everything."""

HEADER_KEYS = [
    "s3cr3t/key+with=odd&signs%20?#",
    "quo\"ted-key'with-both\\slashes",
    "a key with spaces within",
    "%2Fpercent%2Fkey",
    "<key>&amp;</key>",
]
QUERY_KEYS = [*HEADER_KEYS, "sleutel-één-ключ-鍵", "tab\tand\nline"]
KEYS = [("header", key) for key in HEADER_KEYS] + [("query", key) for key in QUERY_KEYS]

TROUBLE = {
    "nothing": (),
    "an error that echoes the request": (Fault("echo_key", PATH, times=None),),
    "errors to retry that echo it": (Fault("echo_key", PATH, times=None, status=500),),
    "reset": (Fault("reset", PATH, times=None),),
    "silence": (Fault("silence", PATH, times=None),),
    "redirect": (Fault("redirect", PATH, times=None, location="http://127.0.0.1:1/x"),),
}


def _loud(sandbox: Sandbox, location: str, **others: object) -> dict[str, Any]:
    return settings(
        sandbox, auth_location=location, resources=[shipped("workers")], max_retries=1, request_timeout=0.5, **others
    )


@pytest.mark.parametrize(("location", "key"), KEYS)
def test_a_key_of_odd_characters_is_sent_and_never_said(location: Literal["header", "query"], key: str) -> None:
    with Sandbox(**SMALL, api_key=key, auth_location=location) as sandbox:
        run = run_tap(_loud(sandbox, location), env=DEBUG)
        assert run.returncode == 0, run.stderr
        sandbox.misbehave(*TROUBLE["an error that echoes the request"])
        run = run_tap(_loud(sandbox, location), env=DEBUG)
        assert run.returncode == 1
        assert run.said("Failed: workers", "***")


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
def test_no_trouble_brings_the_key_into_a_log(
    trouble: tuple[Fault, ...], auth_location: Literal["header", "query"]
) -> None:
    with Sandbox(**SMALL, api_key=HEADER_KEYS[0], auth_location=auth_location) as sandbox:
        sandbox.misbehave(*trouble)
        run = run_tap(_loud(sandbox, auth_location), env=DEBUG)
        assert run.returncode == bool(trouble)
        assert "DEBUG" in run.stderr


def test_no_url_is_in_a_message(auth_location: Literal["header", "query"]) -> None:
    with Sandbox(**SMALL, auth_location=auth_location) as sandbox:
        for name, trouble in TROUBLE.items():
            if "echo" in name:
                continue  # that quotes what the server said
            sandbox.behave()
            sandbox.misbehave(*trouble)
            run = run_tap(_loud(sandbox, auth_location))
            assert not any("://" in line for line in run.problems)
            assert "127.0.0.1" not in "".join(line for line in run.problems if "redirects" not in line)


def test_an_unreachable_server_quotes_no_url(auth_location: Literal["header", "query"]) -> None:
    config = {"base_url": "http://127.0.0.1:9", "api_key": HEADER_KEYS[0], "auth_location": auth_location}
    run = run_tap(config | {"max_retries": 1, "backoff_factor": 0}, env=DEBUG)
    assert run.returncode == 1
    assert not any("://" in line for line in run.problems)


def test_a_server_that_garbles_its_answer_cannot_have_the_key_quoted() -> None:
    key = HEADER_KEYS[0]
    echo = f'{{"you sent": "{key}"'.encode()
    for script in (
        answer(head(f"500 {key}", f"Content-Length: {len(echo)}", f"Content-Type: {key}"), echo),
        answer(head("200 OK", f"Content-Length: {len(echo)}", f"Content-Type: text/{key}"), echo),
        answer(f"HTTP/1.1 {key}\r\n\r\n".encode()),
        answer(f"{key}\r\n\r\n".encode()),
        answer(head("200 OK", f"Content-Encoding: br{key}, {key}"), echo),
        answer(head("302 Found", f"Location: http://{key}.example/{key}")),
        answer(head("429 Slow", f"Retry-After: {key}", f"Content-Length: {len(echo)}"), echo),
    ):
        with Raw(script) as server:
            config = {"base_url": server.url, "api_key": key, "resources": [shipped("workers")]}
            run = run_tap(config | {"backoff_factor": 0, "max_retries": 1}, env=DEBUG)
            assert run.returncode == 1


@pytest.mark.parametrize("before", range(280, 310))
def test_a_key_that_is_cut_off_is_not_shown_in_part(before: int) -> None:
    secrets = Secrets()
    secrets.add("0123456789abcdefghij")
    for cut in range(1, 21):
        body = b"x" * before + b"0123456789abcdefghij"[:cut]
        assert "0" not in secrets.excerpt(body, 300, cut=True)
    assert "0" not in secrets.excerpt(b"0123456789abcdefghij" * 59 + b"0123456789abcde", 300, cut=True)


@pytest.mark.parametrize("end", ["\n", "\r\n", " ", "\t"])
def test_white_space_around_a_key_is_taken_off_and_said(end: str, auth_location: Literal["header", "query"]) -> None:
    with Sandbox(**SMALL, auth_location=auth_location) as sandbox:
        config = settings(
            sandbox, auth_location=auth_location, resources=[shipped("workers")], api_key=sandbox.api_key + end
        )
        run = run_tap(config)
        assert run.returncode == 0, run.stderr
        assert run.said("WARNING", "api_key: white space around it was removed")
        del config["api_key"]
        run = run_tap(config, args=["--config=ENV"], env={PREFIX + "API_KEY": end + sandbox.api_key + end})
        assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("args", [["--about"], ["--about", "--format=json"], ["--discover"], ["--help"]])
def test_what_the_tap_tells_of_itself_has_no_key(args: list[str]) -> None:
    key = HEADER_KEYS[0]
    config = {"base_url": "http://127.0.0.1:9", "api_key": key}
    run = run_tap(config, args=args, env={PREFIX + "API_KEY": key, **DEBUG})
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        {"window_days": "HERE"},
        {"base_url": "HERE"},
        {"base_url": "http://me:HERE@127.0.0.1/"},
        {"base_url": "http://127.0.0.1/?key=HERE"},
        {"auth_name": "HERE"},
        {"auth_location": "HERE"},
        {"start_date": "HERE"},
        {"resources": ["HERE"]},
        {"resources": [{"name": "x", "endpoint": {"path": "/x", "params": {"HERE": {}}}}]},
        {"resources": [{"name": "x", "endpoint": {"path": "/x", "HERE": {}}}]},
        {"stream_maps": {"workers": {"x": "HERE +"}}},
        {"HERE": 1},
    ],
    ids=str,
)
def test_validation_repeats_no_key(wrong: dict[str, Any]) -> None:
    key = "K3Y-9f8e7d6c5b4a"
    config = {"base_url": "http://127.0.0.1:9", "api_key": key, "max_retries": 0} | wrong
    run = run_tap(json.loads(json.dumps(config).replace("HERE", key)), env=DEBUG)
    assert run.returncode == 1


@pytest.mark.parametrize("key", [12345678901, 1.5e300, ["list-of-key"], {"object": "of-key"}, True])
def test_a_key_of_a_wrong_type_is_not_repeated(key: object) -> None:
    run = run_tap({"base_url": "http://127.0.0.1:9", "api_key": key}, env=DEBUG)
    assert run.returncode == 1
    assert run.said("api_key: must be text")
    for fragment in ("12345678901", "list-of-key", "of-key"):
        assert fragment not in run.stderr + run.stdout


def test_an_unforeseen_error_shows_no_key_in_its_traceback(auth_location: Literal["header", "query"]) -> None:
    # A body that calls the decoder by another name than it has would be one; here a map divides by nothing.
    with Sandbox(**SMALL, auth_location=auth_location, api_key=HEADER_KEYS[0]) as sandbox:
        maps = {"workers": {"name": "record['absent']['deeper']"}}
        run = run_tap(_loud(sandbox, auth_location, stream_maps=maps), env=DEBUG)
        assert run.returncode == 1
        assert run.said("Failed: workers")


def test_what_holds_the_key_does_not_show_it() -> None:
    key = HEADER_KEYS[0]
    auth = ApiKeyAuth(api_key=key, location="query")
    secrets = Secrets()
    shown = f"{auth!r} {auth.signer(secrets.add)!r} {secrets!r}"
    assert_secret(key, shown=shown)
