"""The one road to the network: sends a request over a session that the whole tap shares."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.exceptions import InvalidHeader, InvalidSchema, InvalidURL
from urllib3.exceptions import DecodeError, HTTPError, NewConnectionError, ProxyError, SSLError

from tap_analytics import exact
from tap_analytics.rest.body import Body, BufferPool
from tap_analytics.rest.deadline import Adapter, Deadline, TransportError
from tap_analytics.rest.errors import ADVICE, RestError
from tap_analytics.rest.request import Request, as_sent, origin, same_origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REDIRECTS = 5
"""Redirects in a row that are followed."""

ERROR_PATIENCE = 2.0
"""Seconds that the body of an error is waited for at most."""

LARGEST_BODY = 1 << 28
"""Bytes of a body, decompressed, above which it is refused: some 26 kB for each record of a page of 10,000."""

PIECE = 1 << 16
"""Bytes of a body that are read at a time; more would be memory fetched from the system each time."""

ENCODING = "gzip"
"""The content encoding that is asked for."""

_JSON = {"Content-Type": "application/json"}

_OTHER_ENCODINGS = {"br", "compress", "deflate", "zstd"}


class Transport:
    """Sends requests; reads answers within their deadline, whole or not at all."""

    def __init__(self, *, connections: int) -> None:
        self.clock_skew = timedelta(0)
        """How far the server's clock is behind ours."""
        self.buffers = BufferPool()
        self._session = requests.Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers.update({"Accept-Encoding": ENCODING, "Accept": "application/json"})
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, Adapter(pool_maxsize=connections))
        self._environments: dict[object, dict[str, Any]] = {}

    def send(self, request: Request, deadline: Deadline, sign: Callable[[Request], Request]) -> requests.Response:
        """Send a request, follow its redirects, and return the answer with its body still unread.

        Args:
            request: The request without credentials.
            deadline: When the request ends.
            sign: Adds the credentials, each time it is sent.

        Raises:
            TransportError: No answer came before the deadline.
            RestError: The server redirects where the tap does not follow, or the environment is wrong.
        """
        try:
            for _ in range(REDIRECTS + 1):
                deadline.check()
                response = self._send_once(sign(request), deadline)
                location = self._session.get_redirect_target(response)
                if location is None:
                    return response
                response.close()
                request = _redirected(request, location, response)
        except (InvalidHeader, UnicodeEncodeError):
            msg = "cannot be sent: a header has characters that HTTP does not carry. Check client.auth and headers."
            raise RestError(msg) from None
        except (requests.RequestException, HTTPError, OSError) as error:
            deadline.check()
            raise _failure(error, deadline.timeout) from None
        msg = f"redirects more than {REDIRECTS} times in a row. Check base_url."
        raise RestError(msg)

    def _send_once(self, request: Request, deadline: Deadline) -> requests.Response:
        prepared = self._session.prepare_request(
            requests.Request(
                request.method,
                request.with_query().url,
                headers=dict(request.headers if request.json is None else {**_JSON, **request.headers}),
                # Not the `json` of requests, which knows no decimals: values of a parent lose no digit.
                data=request.data if request.json is None else exact.encode(request.json),
                auth=_as_it_is,
            )
        )
        server = origin(prepared.url or "")
        if server not in self._environments:
            # The proxies and certificates that the user's environment names, which are not the same for each server.
            self._environments[server] = dict(
                self._session.merge_environment_settings(prepared.url, {}, stream=True, verify=None, cert=None)
            )
        # Not `session.send`, which reads the body of a redirect, however large.
        adapter = self._session.get_adapter(prepared.url or "")
        response = adapter.send(prepared, timeout=deadline.timeout, **self._environments[server])
        self._compare_clocks(response.headers.get("Date"))
        return response

    def _compare_clocks(self, date: str | None) -> None:
        try:
            served = parsedate_to_datetime(date or "").astimezone(UTC)
        except (ValueError, OverflowError):
            return
        # The header tells whole seconds. What that and a slow answer add does no harm: an instant
        # too early has records read twice, and one too late has them missed.
        self.clock_skew = max(self.clock_skew, datetime.now(UTC) - served)

    def close(self) -> None:
        """Close every connection."""
        self._session.close()


def read_body(response: requests.Response, buffers: BufferPool, deadline: Deadline) -> Body:
    """Return the whole body of an answer, decompressed.

    Raises:
        TransportError: It is cut off, or not there before the deadline.
        RestError: It is larger than any page can be, or compressed in a way that was not asked for.
    """
    body = Body(buffers)
    try:
        for piece in _pieces(response):
            body.feed(piece)
            if body.size > LARGEST_BODY:
                msg = f"was answered with more than {LARGEST_BODY >> 20} MiB, which is refused. Ask for smaller pages."
                raise RestError(msg)
            deadline.check()
    except (requests.RequestException, HTTPError, OSError) as error:
        deadline.check()
        raise TransportError(_cause(error, deadline.timeout)) from None
    finally:
        response.close()
    deadline.check()
    return body


def read_start(response: requests.Response, size: int, deadline: Deadline) -> bytes:
    """Return the first bytes of a body that is read for a message only, whatever happens to it."""
    deadline.hurry(ERROR_PATIENCE)
    start = b""
    try:
        _check_encoding(response)
        # What has come, not what would fill a piece: the rest may never come.
        while len(start) < size and (piece := response.raw.read1(size, decode_content=True)):
            start += piece
    except (HTTPError, OSError, RestError):
        pass  # what has come until then is enough
    finally:
        response.close()
    return start[:size]


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """Yield the body piece by piece, decompressed: never more than a piece in memory."""
    _check_encoding(response)
    if not response.headers.get("Content-Encoding"):
        # Without a decoder between, which would copy every byte once more.
        return iter(lambda: response.raw.read1(PIECE, decode_content=False), b"")
    return iter(response.raw.stream(PIECE, decode_content=True))


def _check_encoding(response: requests.Response) -> None:
    """Raise RestError where a body is compressed in a way that was not asked for."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in _OTHER_ENCODINGS or "," in encoding:
        msg = f"was answered in the encoding {encoding[:40]!r}; only {ENCODING} was asked for."
        raise RestError(msg)


def _redirected(request: Request, location: str, response: requests.Response) -> Request:
    """Return the request that a redirect asks for.

    Raises RestError where it leads to another server, which must not learn the credentials, or would change what is
    asked for.
    """
    try:
        redirected = request.at(location)
        url = as_sent(redirected.url)
        same = same_origin(url, request.url)
        scheme, host, port = origin(url)
    except ValueError:
        msg = "redirects to an address that is not valid. Check base_url."
        raise RestError(msg) from None
    if not same:
        msg = f"redirects to another server ({scheme}, {host}, port {port}), which is refused. Check base_url."
        raise RestError(msg)
    if request.params and not urlsplit(url).query:
        msg = f"redirects to {redirected.path} without the request's parameters. Write the path as the API has it."
        raise RestError(msg)
    keeps_body = response.status_code in {HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT}
    if request.method != "GET" and not keeps_body:
        msg = f"redirects with {response.status_code}, which drops the body. Write the path as the API has it."
        raise RestError(msg)
    return redirected


def _as_it_is(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    """Sign nothing: without this, requests would look for credentials in the user's .netrc."""
    return prepared


def _failure(error: BaseException, timeout: float) -> TransportError | RestError:
    """Return what a request failed with: a RestError where another try cannot help."""
    text = str(error)
    if match := re.search(r"Tunnel connection failed: (\d+)", text):
        refused = f"the proxy answered CONNECT with {match[1]}"
        if int(match[1]) == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return RestError(f"failed: {refused}. {ADVICE[407]}")
        return TransportError(f"{refused}; {_CHECK_PROXY}")
    lasting = next((cause for kind, words, cause in _LASTING if isinstance(error, kind) and words in text), None)
    return RestError(f"failed: {lasting}") if lasting else TransportError(_cause(error, timeout))


def _cause(error: BaseException, timeout: float) -> str:
    """Say what went wrong and what to do, without the URL that the error's own text quotes, and with it a key."""
    if isinstance(error, requests.Timeout | TimeoutError) or "timed out" in str(error):
        return f"no complete answer within {timeout:g} s (request_timeout)"
    if isinstance(error, DecodeError):
        return "the body is not gzip, as its header says"
    reason = getattr(error.args[0], "reason", None) if error.args else None
    text = _system_text(error)
    if isinstance(reason, ProxyError) or isinstance(error, requests.exceptions.ProxyError):
        return f"{text}; {_CHECK_PROXY}"
    if r"BadStatusLine('\x15\x03" in str(error):  # an alert of TLS
        return "the server speaks TLS at this address; try https://"
    if "WRONG_VERSION_NUMBER" in str(error):
        return "the server does not speak TLS at this address; try http://"
    return f"{text}; check base_url and the network" if isinstance(reason, NewConnectionError | SSLError) else text


_CHECK_PROXY = "check the proxy that the environment names (HTTP_PROXY, HTTPS_PROXY, NO_PROXY)"

_LASTING: tuple[tuple[type[BaseException], str, str], ...] = (
    (InvalidSchema, "SOCKS", "the proxy of the environment is a SOCKS proxy; install PySocks to use it"),
    (InvalidURL, "", f"the URL of the proxy, or of the request, is not valid; {_CHECK_PROXY}"),
    (OSError, "invalid path", "the CA bundle does not exist; check REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE"),
    (OSError, "[X509", "the CA bundle holds no certificates; check REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE"),
)
"""What of the environment fails every request, by the error's class and words in its text."""


def _system_text(error: BaseException) -> str:
    """Return what the system says of an error, which may be wrapped several times."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        inner = [getattr(seen, "reason", None), *seen.args, seen.__context__]
        seen = next((one for one in inner if isinstance(one, BaseException)), None)
    return f"the connection broke off ({type(error).__name__})"
