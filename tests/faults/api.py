"""A server whose whole behaviour is one function, for APIs that no style of the sandbox has."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    Answer = Any


@dataclass(frozen=True)
class Asked:
    """A request; a header is found whatever its case."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: str

    def header(self, name: str) -> str:
        return self.headers.get(name.lower(), "")


@dataclass(frozen=True)
class Reply:
    """An answer with more to it than JSON with the status 200."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Api:
    """Answers each request by a function, which returns JSON or a `Reply`, and remembers what was asked."""

    def __init__(self, answer: Callable[[Asked], Answer]) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
                api.asked.append(asked)
                answered = api.answer(asked)
                reply = answered if isinstance(answered, Reply) else Reply(answered)
                text = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = _answer  # noqa: N815 - names of http.server

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of http.server
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        threading.Thread(target=lambda: self._server.serve_forever(0.05), daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"


def config(api: Api, *resources: Any, client: dict[str, Any] | None = None, **settings: object) -> dict[str, Any]:  # noqa: ANN401 - words
    """Return a configuration of dlt's words that reaches a server, and does not wait before it tries again."""
    return {
        "client": {"base_url": api.url, **(client or {})},
        "resources": list(resources),
        "backoff_factor": 0,
        **settings,
    }


def page(rows: list[Any], asked: Asked, size: int, *, base: int = 1) -> list[Any]:
    """Return the rows of the page that a request names by its number."""
    start = (int(asked.params.get("page", base)) - base) * size
    return rows[start : start + size]
