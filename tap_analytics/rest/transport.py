"""What all streams of a tap share: the key, the session, the requests under way; only here one is sent."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urljoin, urlsplit

import requests
from singer_sdk.authenticators import APIKeyAuthenticator
from singer_sdk.exceptions import FatalAPIError
from urllib3.exceptions import HTTPError, NewConnectionError, ProxyError, SSLError

from tap_analytics.rest.body import Body, Shelf
from tap_analytics.rest.deadline import ENCODINGS, LARGEST_BODY, Adapter, Exchange, TransportError, unpacked
from tap_analytics.rest.endpoint import ApiKey, same_origin
from tap_analytics.rest.pool import Flight

if TYPE_CHECKING:
    from collections.abc import Mapping

REDIRECTS = 5
"""Redirects in a row that are followed."""


ERROR_PATIENCE = 2.0
"""Seconds that the body of an error is waited for at the most."""


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
        self.session.headers["Accept-Encoding"] = ENCODINGS
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, Adapter(pool_maxsize=self.max_in_flight))
        self.authenticator = APIKeyAuthenticator(
            key=self.key.name,
            value=self.key.value,
            location="params" if self.key.location == "query" else "header",
        )
        self._environment: dict[str, Any] | None = None
        self._reasons: set[str] = set()

    def is_news(self, reason: str) -> bool:
        """Tell whether no stream has failed for this reason before."""
        news = reason not in self._reasons
        self._reasons.add(reason)
        return news

    def get(self, request: requests.PreparedRequest, exchange: Exchange) -> requests.Response:
        """Send a request and return the response, its body still unread.

        Raises TransportError where none came before the end of the exchange, and FatalAPIError
        where the server redirects to another.
        """
        try:
            return self._follow(request, exchange)
        except (requests.RequestException, HTTPError, OSError) as error:
            exchange.check()
            advice = "; check base_url and the network" if _is_unreachable(error) else ""
            raise TransportError(_cause(error, exchange.timeout) + advice) from None

    def _follow(self, request: requests.PreparedRequest, exchange: Exchange) -> requests.Response:
        if self._environment is None:
            # The proxies and certificates that the user's environment names.
            found = self.session.merge_environment_settings(request.url, {}, stream=True, verify=None, cert=None)
            self._environment = dict(found)
        for _ in range(REDIRECTS + 1):
            exchange.check()
            # Not `session.send`, which reads the body of a redirect, however large.
            adapter = self.session.get_adapter(request.url or "")
            began = time.monotonic()
            response = adapter.send(request, timeout=exchange.timeout, **self._environment)
            response.elapsed = timedelta(seconds=time.monotonic() - began)
            self._compare_clocks(response.headers.get("Date"))
            location = self.session.get_redirect_target(response)
            if location is None:
                return response
            response.close()
            request = self._redirected(request, location)
        msg = f"redirects more than {REDIRECTS} times in a row. Check base_url."
        raise FatalAPIError(msg)

    def _redirected(self, request: requests.PreparedRequest, location: str) -> requests.PreparedRequest:
        """Return the request that a redirect asks for, with the key.

        Raises FatalAPIError where it leads to another server, which must not learn the key.
        """
        redirected = request.copy()
        try:
            # Judged as it will be sent: there are addresses that two readers take for two servers.
            redirected.prepare_url(urljoin(request.url or "", location), None)
            parts = urlsplit(redirected.url or "")
            same = same_origin(redirected.url or "", request.url or "")
        except ValueError:
            msg = "redirects to an address that is none. Check base_url."
            raise FatalAPIError(msg) from None
        if not same:
            server = f"{parts.scheme}, {parts.hostname}" + (f", port {parts.port}" if parts.port else "")
            msg = f"redirects to another server ({server}), which is refused. Check base_url."
            raise FatalAPIError(self.key.redact(msg))
        told = parse_qs(parts.query)
        return redirected if self.key.name in told else self.authenticator(redirected)

    def _compare_clocks(self, date: str | None) -> None:
        try:
            served = parsedate_to_datetime(date or "").astimezone(UTC)
        except (ValueError, OverflowError):
            return
        # The header tells whole seconds. What that and a slow answer add does no harm: an instant
        # too early has records read twice, and one too late has them missed.
        self.behind = max(self.behind, datetime.now(UTC) - served)

    def close(self) -> None:
        """Close every connection, and let every thread end."""
        self.flight.close()
        self.session.close()


def read_body(response: requests.Response, shelf: Shelf, exchange: Exchange) -> Body:
    """Return the body of a response, unpacked, in memory from the shelf.

    Raises TransportError where it is cut off, or not there at the end of the exchange, and
    FatalAPIError where it is larger than any page can be.
    """
    body = Body(shelf)
    try:
        for piece in unpacked(response):
            body.feed(piece)
            if body.size > LARGEST_BODY:
                msg = f"was answered with more than {LARGEST_BODY >> 20} MiB, which is refused. Ask for smaller pages."
                raise FatalAPIError(msg)
            exchange.check()
    except (requests.RequestException, HTTPError, OSError) as error:
        exchange.check()
        raise TransportError(_cause(error, exchange.timeout)) from None
    finally:
        response.close()
    exchange.check()
    return body


def read_start(response: requests.Response, size: int, exchange: Exchange | None) -> bytes:
    """Return the first bytes of the body of a response that is not wanted, whatever comes."""
    if exchange is not None:
        exchange.hurry(ERROR_PATIENCE)
    found = b""
    try:
        for piece in unpacked(response):
            found += piece[:size]
            if len(found) >= size:
                break
    except (HTTPError, OSError, TransportError, FatalAPIError):
        pass  # what has come until then will do
    finally:
        response.close()
    return found[:size]


def _is_unreachable(error: BaseException) -> bool:
    """Tell whether no connection came about."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, (NewConnectionError, ProxyError, SSLError))


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
