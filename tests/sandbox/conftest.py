"""A small sandbox, and a client that knows its key."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from sandbox import Sandbox

Get = Callable[..., requests.Response]

PATIENCE = 10.0
"""Seconds in which a server that answers does so on any machine."""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Return a running sandbox with little history."""
    with Sandbox(days=20, registrations=300, sessions=100, resources=50) as running:
        yield running


@pytest.fixture
def get(sandbox: Sandbox) -> Iterator[Get]:
    """Return a function that gets a path with parameters as keywords."""
    with requests.Session() as session:
        session.headers["api_key"] = sandbox.api_key

        def get(path: str, **params: str | int) -> requests.Response:
            return session.get(sandbox.url + path, params=params, timeout=PATIENCE, allow_redirects=False)

        yield get


ALL = list(range(1, 26))
"""The ids of the things, in order."""

Ask = Callable[..., requests.Response]


@pytest.fixture
def ask(sandbox: Sandbox) -> Iterator[Ask]:
    """Return a function that asks for a style: with POST where there is a body and no other method, else with GET."""
    with requests.Session() as session:

        def ask(path: str, method: str | None = None, **options: Any) -> requests.Response:  # noqa: ANN401 - as requests has them
            posts = "json" in options or "data" in options
            url = urljoin(f"{sandbox.url}/styles/", path)
            return session.request(method or ("POST" if posts else "GET"), url, timeout=5, **options)

        yield ask


def ids(answer: requests.Response) -> list[Any]:
    """Return the ids of the records of a good answer."""
    answer.raise_for_status()
    body = answer.json()
    return [record["id"] for record in (body if isinstance(body, list) else body["data"])]
