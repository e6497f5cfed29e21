"""The shared REST base of all streams: how a page is asked for, and asked for again."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import backoff
from singer_sdk import RESTStream
from singer_sdk.exceptions import (
    FatalAPIError,
    RetriableAPIError,
)
from singer_sdk.streams.rest import PageContext

from tap_analytics.progress import StreamStats
from tap_analytics.rest.body import UnreadableBodyError
from tap_analytics.rest.deadline import Exchange, TransportError, current_exchange
from tap_analytics.rest.endpoint import (
    ErrorHandler,
    Paginator,
    Params,
    SinglePage,
    Slice,
)
from tap_analytics.rest.transport import Connection, read_body, read_start
from tap_analytics.rest.walk import Page
from tap_analytics.singer.records import (
    RecordError,
    Selector,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    import requests
    from backoff.types import Details
    from singer_sdk import Tap
    from singer_sdk.authenticators import APIKeyAuthenticator
    from singer_sdk.helpers.types import Context

    from tap_analytics.rest.pool import Ticket

P = ParamSpec("P")
T = TypeVar("T")

Token = tuple[Slice, int]
"""What tells one request of a stream from the others: the slice, and the offset in it."""

LONGEST_RETRY_AFTER = 300.0
"""Seconds that a server's `Retry-After` can make the tap wait at the most."""

ETERNITY = 1e9
"""Seconds beyond which it does not matter how many are asked for."""

EXCERPT = 300
"""Characters of a bad answer that a message quotes."""

SHORT = 80
"""Characters of a header that a message quotes."""

READ_AHEAD = 4 * EXCERPT
"""Bytes of a bad answer that are looked at: the key is blotted out before the rest is cut off."""

ADVICE: Mapping[int, str] = {
    400: "The API does not take these parameters; compare the resource's params with its documentation.",
    401: "Check api_key, auth_location and auth_name.",
    403: "The key may not read this; ask for access or deselect the stream.",
    404: "Check base_url and the resource's path.",
}


class ApiStream(RESTStream[Token]):
    """A resource of the API; its class says what it is, and this base how its pages are fetched."""

    path: str
    data_selector: str = "data"
    paginator: Paginator = SinglePage()
    params: Params = MappingProxyType({})
    error_handler: Mapping[str, Any] = MappingProxyType({})
    """What this resource wants otherwise than the settings say."""

    def __init__(self, tap: Tap, connection: Connection) -> None:
        self.connection = connection
        self.stats = StreamStats(self.name)
        super().__init__(tap)
        self._selector = Selector(self.data_selector, warn=self.warn)
        words = ("retry_on_status_codes", "max_retries", "backoff_factor")
        self.errors = ErrorHandler(**{word: self.error_handler.get(word, self.config[word]) for word in words})

    def warn(self, text: str) -> None:
        """Tell the user what may be wrong with the stream."""
        self.logger.warning("%s: %s", self.name, text)

    # Requests

    @property
    def url_base(self) -> str:
        """The address that every path is relative to."""
        return str(self.config["base_url"]).rstrip("/")

    def get_url(self, context: Context | None) -> str:
        """Return the address of the resource."""
        del context
        return f"{self.url_base}/{self.path.lstrip('/')}"

    @property
    def authenticator(self) -> APIKeyAuthenticator:
        """What puts the key into each request."""
        return self.connection.authenticator

    @property
    def requests_session(self) -> requests.Session:
        """The session of the whole tap."""
        return self.connection.session

    @property
    def timeout(self) -> float:  # type: ignore[override] # the SDK says int; requests takes seconds
        """Seconds that a request may take."""
        return float(self.config["request_timeout"])

    def get_url_params(self, context: Context | None, next_page_token: Token | None) -> dict[str, Any]:
        """Return the parameters of a request: the resource's, the slice's and the page's."""
        del context
        params: dict[str, Any] = dict(self.params)
        if next_page_token is not None:
            part, offset = next_page_token
            params |= part.params() | self.paginator.params(offset)
        return {name: _param(value) for name, value in params.items()}

    def ask(self, part: Slice, offset: int) -> Ticket[Page]:
        """Have a page fetched, and tried again where that may help."""
        http = self.get_http_request(page=PageContext(None, (part, offset)))
        prepared = self.build_prepared_request(
            method=http.method,
            url=http.url,
            params=http.encode_params(),
            headers=http.headers,
        )
        told = ", ".join(f"{name}={value}" for name, value in http.params.items())
        name = f"GET {self.path}" + (f" ({told})" if told else "")
        fetch = self.request_decorator(self._fetch)
        return self.connection.flight.submit(lambda ticket: fetch(prepared, name, ticket))

    def _fetch(self, prepared: requests.PreparedRequest, name: str, ticket: Ticket[Page]) -> Page:
        """Return the page that a request is answered with.

        Raises RetriableAPIError where another try may help, FatalAPIError where it can not, and
        RecordError where a good answer does not hold the records.
        """
        self.connection.flight.await_turn()
        redact = self.connection.key.redact
        try:
            with Exchange(self.timeout) as exchange:
                ticket.interrupt = exchange.cut
                if ticket.abandoned:
                    exchange.cut()
                response = self.connection.get(prepared.copy(), exchange)
                self._write_request_duration_log(self.path, response, None, None)
                self.validate_response(response)
                body = read_body(response, self.connection.shelf, exchange)
        except TransportError as error:
            msg = f"{name} failed: {error}"
            raise (FatalAPIError if ticket.abandoned else RetriableAPIError)(redact(msg)) from None
        except RetriableAPIError as error:
            msg = f"{name} {error}"
            raise FatalAPIError(msg) if ticket.abandoned else RetriableAPIError(msg, error.response) from None
        except FatalAPIError as error:
            msg = f"{name} {error}"
            raise FatalAPIError(msg) from None
        try:
            return Page(self._selector.records(body), name, datetime.now(UTC))
        except UnreadableBodyError as error:
            kind = self.connection.key.excerpt(response.headers.get("Content-Type", "an unnamed type"), SHORT)
            told = self._quote(body.start(READ_AHEAD))
            msg = f"{name} was answered with {body.size} bytes of {kind} that {error}{told}"
            raise RetriableAPIError(redact(msg)) from None
        except RecordError as error:
            msg = f"{name} was answered with something else than records: {error}{self._quote(body.start(READ_AHEAD))}"
            raise RecordError(redact(msg)) from None

    def validate_response(self, response: requests.Response) -> None:
        """Raise RetriableAPIError or FatalAPIError, as the status of a response asks for."""
        status = response.status_code
        if status == HTTPStatus.OK:
            return
        msg = self.response_error_message(response)
        if status in self.errors.retry_on_status_codes:
            raise RetriableAPIError(msg, response)
        raise FatalAPIError(msg)

    def response_error_message(self, response: requests.Response) -> str:
        """Say what came instead of records, without the URL, and what to do."""
        body = read_start(response, READ_AHEAD, current_exchange())
        reason = self.connection.key.excerpt(str(response.reason), SHORT)
        told = f"was answered with {response.status_code} {reason}{self._quote(body)}"
        advice = ADVICE.get(response.status_code)
        return self.connection.key.redact(f"{told}. {advice}" if advice else told)

    def _quote(self, body: bytes) -> str:
        text = self.connection.key.excerpt(body, EXCERPT)
        return f": {text}" if text else ""

    # Retries

    def request_decorator(self, func: Callable[P, T]) -> Callable[P, T]:
        """Return a function that is tried again as the settings say."""
        return backoff.on_exception(
            self.backoff_wait_generator,
            RetriableAPIError,
            max_tries=self.backoff_max_tries,
            on_backoff=self.backoff_handler,
            jitter=self.backoff_jitter,
            logger=None,
        )(func)

    def backoff_wait_generator(self) -> Generator[float, Any, None]:
        """Yield the seconds to wait before each retry, given what the try before it raised."""
        error = yield 0.0
        for retry in count():
            error = yield max(self.errors.wait(retry), self._retry_after(error))

    def backoff_max_tries(self) -> int:
        """Return how often a request is sent at the most."""
        return self.errors.max_retries + 1

    def backoff_jitter(self, value: float) -> float:
        """Return a wait a little longer, so that many taps do not come back at once."""
        return value + random.uniform(0, min(value / 4, 1))  # noqa: S311 - nothing secret hangs on it

    def backoff_handler(self, details: Details) -> None:
        """Say what went wrong and when it is tried again; after a 429 hold all requests back."""
        error, wait = details["exception"], details["wait"]
        self.stats.retries += 1
        self.warn(f"{error}. Try {details['tries'] + 1} of {self.backoff_max_tries()} in {wait:.1f} s.")
        response = getattr(error, "response", None)
        if response is not None and response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            self.connection.flight.hold_back(wait)

    def _retry_after(self, error: RetriableAPIError) -> float:
        """Return the seconds that the server asks to wait, capped; 0 where it asks nothing."""
        headers = {} if error.response is None else error.response.headers
        asked = headers.get("Retry-After")
        if asked is None:
            return 0.0
        seconds = _seconds(asked, headers.get("Date"))
        if seconds > LONGEST_RETRY_AFTER:
            self.warn(f"the server asks to wait {seconds:.0f} s; the tap waits {LONGEST_RETRY_AFTER:.0f} s.")
        return min(seconds, LONGEST_RETRY_AFTER)


def _param(value: object) -> object:
    """Return a parameter's value, or values, as a request writes them."""
    if isinstance(value, list):
        return [_param(item) for item in value]
    return str(value).lower() if isinstance(value, bool) else value


def _seconds(asked: str, served: str | None) -> float:
    """Return the seconds that a `Retry-After` names, as a number or a date; 0 where it is neither."""
    try:
        if asked.strip()[:1].isdigit():
            # There may well be too many digits for a float.
            return min(float(asked), ETERNITY)
        now = parsedate_to_datetime(served) if served else datetime.now(UTC)
        seconds = (parsedate_to_datetime(asked) - now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return max(seconds, 0.0)
