"""A small sandbox, and a client that knows its key."""

from collections.abc import Callable, Iterator

import pytest
import requests

from sandbox import Sandbox

Get = Callable[..., requests.Response]


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
            return session.get(sandbox.url + path, params=params, timeout=0.5, allow_redirects=False)

        yield get
