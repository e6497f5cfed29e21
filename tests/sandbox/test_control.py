"""The sandbox as a program, controlled over HTTP."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest
import requests

from sandbox import Sandbox

Program = tuple["subprocess.Popen[str]", str, dict[str, str]]


@pytest.fixture
def program() -> Iterator[Program]:
    """Return the running program, its address, and the headers with its key."""
    options = ["--days", "5", "--registrations", "20", "--api-key", "k", "--latency", "0.01"]
    command = [sys.executable, "-m", "sandbox", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8") as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield process, ready["url"], {"api_key": ready["api_key"]}
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_program_serves_until_it_is_told_to_end(program: Program, number: signal.Signals) -> None:
    process, url, headers = program
    response = requests.get(f"{url}/v1/transactional/registrations", headers=headers, timeout=30)
    assert len(response.json()["data"]) == 20
    process.send_signal(number)
    assert process.wait(timeout=30) == 0
    assert process.stdout is not None
    assert process.stdout.read() == ""


def test_options_are_explained() -> None:
    command = [sys.executable, "-m", "sandbox", "--help"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert "--registrations" in done.stdout
    assert "seed of the made-up data" in done.stdout


def test_health_needs_no_key_and_is_not_recorded(sandbox: Sandbox) -> None:
    health = requests.get(f"{sandbox.url}/_sandbox/health", timeout=30).json()
    assert health == {"status": "ok", "now": "2026-06-01T12:00:00+00:00"}
    assert sandbox.requests == []


def test_control_works_below_the_base_path() -> None:
    with Sandbox(dialect="wild", days=5) as sandbox:
        assert requests.get(f"{sandbox.url}/_sandbox/health", timeout=30).ok


def test_clock_is_moved(sandbox: Sandbox) -> None:
    then = sandbox.now
    requests.post(f"{sandbox.url}/_sandbox/advance", json={"days": 2}, timeout=30)
    requests.post(f"{sandbox.url}/_sandbox/advance", timeout=30)
    assert sandbox.now == then + timedelta(days=3)


def test_faults_are_set_and_forgotten(sandbox: Sandbox) -> None:
    url, headers = f"{sandbox.url}/v1/master/users", {"api_key": sandbox.api_key}
    faults = [{"kind": "status", "status": 503, "body": "busy", "times": None}]
    requests.post(f"{sandbox.url}/_sandbox/misbehave", json=faults, timeout=30)
    assert requests.get(url, headers=headers, timeout=30).text == "busy"
    requests.post(f"{sandbox.url}/_sandbox/behave", timeout=30)
    assert requests.get(url, headers=headers, timeout=30).ok


def test_requests_are_listed(sandbox: Sandbox) -> None:
    requests.get(f"{sandbox.url}/v1/master/users", timeout=30)
    (listed,) = requests.get(f"{sandbox.url}/_sandbox/requests", timeout=30).json()
    assert (listed["path"], listed["authorized"], listed["status"]) == (
        "/v1/master/users",
        False,
        401,
    )


def test_truth_is_whole() -> None:
    with Sandbox(page_cap=5, days=5) as sandbox:
        listed = requests.get(f"{sandbox.url}/_sandbox/records/registrations", timeout=30)
        assert len(listed.json()) == 3_000


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("misbehave", '[{"kind":"sloth"}]', 400),
        ("misbehave", '[{"kind":"html","wings":2}]', 400),
        ("misbehave", "", 400),
        ("advance", "{", 400),
        ("advance", '{"days":-1}', 400),
        ("dance", "", 404),
    ],
)
def test_bad_control_is_refused(sandbox: Sandbox, name: str, body: str, status: int) -> None:
    response = requests.post(f"{sandbox.url}/_sandbox/{name}", data=body, timeout=30)
    assert response.status_code == status
    assert response.json()["error"]["code"] == status
