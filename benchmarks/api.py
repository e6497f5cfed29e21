"""An API that costs next to nothing: each page is one cut of a file, sent by the kernel.

The sandbox makes its pages record by record; on a machine of two cores that would be measured too.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from benchmarks.records import STREAMS, Records

BEFORE = b'{"data":['
LARGEST_PAGE = 10_000


class Api(ThreadingHTTPServer):
    """Serves one stream, at any path: `limit` records from `offset`, of a `page` from 1 on, or after a `cursor`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, records: Records, latency: float) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.records = records
        self.latency = latency
        self.file = os.open(records.file, os.O_RDONLY)
        self.lock = threading.Lock()
        self.requests = self.in_flight = self.most_in_flight = 0

    def after(self, following: int, limit: int) -> bytes:
        """Return the end of a page: that of orders says how much there is, and where it goes on."""
        count = self.records.count
        if self.records.stream == "registrations":
            return b"]}"
        end = {"total": count, "pages": -(-count // limit), "next": str(following) if following < count else None}
        return b"]," + json.dumps(end, separators=(",", ":")).encode()[1:]


class Answer(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Api

    def do_GET(self) -> None:
        """Answer with a page, or with what has been counted since that was asked last."""
        parts = urlsplit(self.path)
        if parts.path == "/counted":
            self._send_counts()
            with self.server.lock:
                self.server.requests = self.server.most_in_flight = 0
            return
        server = self.server
        with server.lock:
            server.requests += 1
            server.in_flight += 1
            server.most_in_flight = max(server.most_in_flight, server.in_flight)
        try:
            time.sleep(server.latency)
            asked = dict(parse_qsl(parts.query))
            limit = min(int(asked.get("limit", LARGEST_PAGE)), LARGEST_PAGE)
            offset = int(asked.get("offset", asked.get("cursor", "")) or (int(asked.get("page", 1)) - 1) * limit)
            self._send_page(*server.records.cut(offset, limit), server.after(offset + limit, limit))
        except ConnectionError:
            self.close_connection = True  # a client that has read ahead wants no more once it has the last page
        finally:
            with server.lock:
                server.in_flight -= 1

    def _send_head(self, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send_page(self, start: int, length: int, after: bytes) -> None:
        self._send_head(len(BEFORE) + length + len(after))
        self.wfile.write(BEFORE)
        socket = self.connection.fileno()
        while length:
            sent = os.sendfile(socket, self.server.file, start, length)
            start, length = start + sent, length - sent
        self.wfile.write(after)

    def _send_counts(self) -> None:
        body = json.dumps({"requests": self.server.requests, "most_in_flight": self.server.most_in_flight}).encode()
        self._send_head(len(body))
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Say nothing: a line a request would be measured too."""


def main() -> None:
    """Serve until standard input closes; the first line of output is the address."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="where the made-up records are kept")
    parser.add_argument("--stream", choices=STREAMS, default="registrations", help="what is served")
    parser.add_argument("--records", type=int, required=True, help="how many there are")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that each answer takes at least")
    options = parser.parse_args()
    api = Api(Records(options.directory, options.stream, options.records), options.latency)
    threading.Thread(target=api.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{api.server_port}", flush=True)
    while os.read(0, 1024):
        pass


if __name__ == "__main__":
    main()
