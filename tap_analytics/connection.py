"""What all streams of a tap share, and the only place that makes a request."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from singer_sdk.authenticators import APIKeyAuthenticator
from singer_sdk.exceptions import FatalAPIError
from urllib3.exceptions import HTTPError

from tap_analytics.body import Body, Shelf
from tap_analytics.endpoint import ApiKey, same_origin
from tap_analytics.flight import Flight

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_BODY = 1 << 30
"""Bytes of a response, unpacked, above which it is refused."""

PIECE = 1 << 18
"""Bytes of a body that are read at a time."""

REDIRECTS = 5
"""Redirects in a row that are followed."""


class TransportError(Exception):
    """A request did not come through; its text quotes no URL."""


class Connection:
    """The key, the session, and the requests under way."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.key = ApiKey(
            config.get("api_key", ""),
            config.get("auth_name", "api_key"),
            config.get("auth_location", "header"),
        )
        self.max_in_flight: int = config.get("max_in_flight", 1)
        self.flight = Flight(self.max_in_flight)
        self.shelf = Shelf()
        self.behind = timedelta(0)
        """How far the server's clock is behind ours."""
        self.session = requests.Session()
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, HTTPAdapter(pool_maxsize=self.max_in_flight))
        self.authenticator = APIKeyAuthenticator(
            key=self.key.name,
            value=self.key.value,
            location="params" if self.key.location == "query" else "header",
        )
        self._environment: dict[str, Any] | None = None

    def get(self, request: requests.PreparedRequest, timeout: float) -> requests.Response:
        """Send a request and return the response, its body still unread.

        Raises TransportError where none came within some seconds, and FatalAPIError where the
        server redirects to another.
        """
        try:
            return self._follow(request, timeout)
        except (requests.RequestException, HTTPError, OSError) as error:
            raise TransportError(_cause(error, timeout)) from None

    def _follow(self, request: requests.PreparedRequest, timeout: float) -> requests.Response:
        if self._environment is None:
            # The proxies and certificates that the user's environment names.
            found = self.session.merge_environment_settings(request.url, {}, stream=True, verify=None, cert=None)
            self._environment = dict(found)
        for _ in range(REDIRECTS + 1):
            response = self.session.send(request, timeout=timeout, allow_redirects=False, **self._environment)
            self._compare_clocks(response.headers.get("Date"))
            if response.next is None:
                return response
            response.close()
            if not same_origin(response.next.url or "", request.url or ""):
                host = urlsplit(response.next.url or "").hostname
                msg = f"redirects to another server ({host}), which is refused. Check base_url."
                raise FatalAPIError(self.key.redact(msg))
            request = self.authenticator(response.next)
        msg = f"redirects more than {REDIRECTS} times in a row. Check base_url."
        raise FatalAPIError(msg)

    def _compare_clocks(self, date: str | None) -> None:
        try:
            served = parsedate_to_datetime(date or "").astimezone(UTC)
        except ValueError:
            return
        # The header tells whole seconds; what a slow answer adds does no harm.
        self.behind = max(self.behind, datetime.now(UTC) - served - timedelta(seconds=1))

    def close(self) -> None:
        """Close every connection, and let every thread end."""
        self.flight.close()
        self.session.close()


def read_body(response: requests.Response, shelf: Shelf, *, timeout: float, deadline: float) -> Body:
    """Return the body of a response, unpacked, in memory from the shelf.

    Raises TransportError where it is cut off, or not there at the deadline (`time.monotonic`), and
    FatalAPIError where it is larger than any page can be.
    """
    body = Body(shelf)
    try:
        while piece := response.raw.read1(PIECE, decode_content=True):
            body.feed(piece)
            if body.size > LARGEST_BODY:
                msg = f"answers with more than {LARGEST_BODY >> 20} MiB, which is refused. Ask for smaller pages."
                raise FatalAPIError(msg)
            if time.monotonic() > deadline:
                raise requests.Timeout
    except (requests.RequestException, HTTPError, OSError) as error:
        raise TransportError(_cause(error, timeout)) from None
    finally:
        response.close()
    return body


def read_start(response: requests.Response, size: int) -> bytes:
    """Return the first bytes of the body of a response that is not wanted, whatever comes."""
    try:
        return bytes(response.raw.read(size, decode_content=True))
    except (HTTPError, OSError):
        return b""
    finally:
        response.close()


def _cause(error: BaseException, timeout: float) -> str:
    """Say what went wrong, without the URL that the error's own text quotes, and with it the key."""
    if isinstance(error, (requests.Timeout, TimeoutError)) or "timed out" in str(error):
        return f"no complete answer within {timeout:g} s (request_timeout)"
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        inner = [getattr(seen, "reason", None), *seen.args, seen.__context__]
        seen = next((one for one in inner if isinstance(one, BaseException)), None)
    return f"the connection broke off ({type(error).__name__})"
