"""The client of an API: sends the requests of all resources, signed, limited in rate and retried, and reads pages."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, Any

import backoff
import msgspec

from tap_analytics.rest.auth import UNSIGNED, Auth, Signer
from tap_analytics.rest.deadline import Deadline, TransportError, Watchdog
from tap_analytics.rest.errors import (
    AnswerError,
    CancelledRequestError,
    PagingError,
    RestError,
    RetryPolicy,
    StatusError,
    TransientError,
    UnreadableBodyError,
    advice,
)
from tap_analytics.rest.pages import Content, Page, PageReader
from tap_analytics.rest.pool import Pending, RequestPool, Slot
from tap_analytics.rest.request import Request, as_sent, same_origin
from tap_analytics.rest.transport import LARGEST_BODY, Transport, read_body, read_start

if TYPE_CHECKING:
    import requests
    from backoff.types import Details

    from tap_analytics.rest.body import Body
    from tap_analytics.rest.secrets import Secrets

LONGEST_RETRY_AFTER = 300.0
"""Seconds that a server's `Retry-After` can make the tap wait at most."""

LONGEST_WAIT = 1e9
"""Seconds beyond which it does not matter how many are asked for."""

EXCERPT = 300
"""Characters of a bad answer that a message quotes."""

SHORT_EXCERPT = 80
"""Characters of a header that a message quotes."""

LOOKED_AT = 4 * EXCERPT
"""Bytes of a bad answer that are looked at: secrets are redacted before the rest is cut off."""

RATE_LIMITED = frozenset([HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE])

Notify = Callable[[str], None]


class Client:
    """What all resources of an API share: the transport, the credentials, the requests in flight.

    Args:
        timeout: Seconds that a request may take, from connecting to the last byte.
        max_in_flight: Requests that may be in flight at once.
        secrets: Keeps credentials out of every text.
    """

    def __init__(self, *, timeout: float, max_in_flight: int, secrets: Secrets) -> None:
        self.timeout = timeout
        self.max_in_flight = max_in_flight
        self.secrets = secrets
        self.pool = RequestPool(max_in_flight)
        self.transport = Transport(connections=max_in_flight)
        self.watchdog = Watchdog()
        self._signers: list[tuple[Auth, Signer]] = []
        self._lock = threading.Lock()
        self._reasons: set[str] = set()

    def signer(self, auth: Auth | None) -> Signer:
        """Return what signs requests; one for each authentication, so that a token is fetched once."""
        if auth is None:
            return UNSIGNED
        with self._lock:
            for known, signer in self._signers:
                if known == auth:
                    return signer
            signer = auth.signer(self.secrets.add)
            self._signers.append((auth, signer))
            return signer

    def is_new_reason(self, reason: str) -> bool:
        """Tell whether no stream has failed for this reason before."""
        is_new = reason not in self._reasons
        self._reasons.add(reason)
        return is_new

    def close(self) -> None:
        """Close every connection, and let every thread end."""
        self.pool.close()
        self.watchdog.close()
        self.transport.close()


class Sender:
    """Sends the requests of one resource, each once, and reads what they are answered with.

    Args:
        client: What all resources share.
        signer: Signs the resource's requests.
        policy: Judges their answers.
        reader: Finds records in their bodies.
        warn: Is given what may be wrong.
        timed: Is given the seconds that each request took, to the last byte of its answer.
    """

    def __init__(  # noqa: PLR0913 - one for each thing that resources do not share
        self,
        client: Client,
        *,
        signer: Signer,
        policy: RetryPolicy,
        reader: PageReader,
        warn: Notify,
        timed: Callable[[float], None],
    ) -> None:
        self.client = client
        self.policy = policy
        self.ignored = 0
        """Answers that response_actions took for pages without records."""
        self._signer = signer
        self._reader = reader
        self._warn = warn
        self._timed = timed

    def send(self, request: Request, nodes: Sequence[str], pending: Pending[Page]) -> Page:
        """Return the page that a request is answered with.

        Raises TransientError where another try may help, and RestError where it can not.
        """
        label, secrets, began = request.label, self.client.secrets, time.monotonic()
        with Deadline(self.client.timeout, self.client.watchdog) as deadline:
            pending.interrupt = deadline.cut
            if pending.abandoned:
                deadline.cut()
            try:
                response = self._signed(request, deadline)
                body = self._read(request, response, deadline)
            except TransportError as error:
                raise TransientError(secrets.redact(f"{label} failed: {error}")) from None
            except TransientError as error:
                msg = secrets.redact(f"{label} {error}")
                raise TransientError(msg, status=error.status, headers=error.headers) from None
            except StatusError as error:
                raise StatusError(secrets.redact(f"{label} {error}"), error.status) from None
            except RestError as error:
                raise type(error)(secrets.redact(f"{label} {error}")) from None
            finally:
                self._timed(time.monotonic() - began)
        if body is None or response.status_code == HTTPStatus.NO_CONTENT:
            return Page([], secrets.redact(label), datetime.now(UTC))
        return self._page(request, response, body, nodes)

    def _signed(self, request: Request, deadline: Deadline) -> requests.Response:
        """Return the answer to a request with credentials; with new ones where the first are refused."""
        sent: list[Request] = []

        def sign(unsigned: Request) -> Request:
            sent.append(self._signer.sign(unsigned, lambda other: self._json(other, deadline)))
            return sent[-1]

        response = self.client.transport.send(request, deadline, sign)
        if response.status_code == HTTPStatus.UNAUTHORIZED and self._signer.renew(sent[-1]):
            response.close()
            response = self.client.transport.send(request, deadline, sign)
        return response

    def _json(self, request: Request, deadline: Deadline) -> Any:  # noqa: ANN401 - any JSON
        """Return the JSON that a request is answered with, for tokens; raises what `_judge` raises."""
        try:
            response = self.client.transport.send(request, deadline, lambda unsigned: unsigned)
            self._judge(request, response, deadline, label=f"{request.label} ")
            body = read_body(response, self.client.transport.buffers, deadline)
        except TransportError as error:
            msg = f"{request.label}: {error}"
            raise TransportError(msg) from None
        try:
            return msgspec.json.decode(body.text(_charset(response.headers.get("Content-Type", ""))))
        except ValueError as error:
            msg = f"{request.label} was answered with something else than JSON ({error})"
            raise AnswerError(msg) from None

    def _read(self, request: Request, response: requests.Response, deadline: Deadline) -> Body | None:
        """Return the body of an answer, or None where it counts as a page without records.

        Raises what `_judge` raises.
        """
        buffers, status = self.client.transport.buffers, response.status_code
        body = read_body(response, buffers, deadline) if self.policy.needs_body(status) else None
        text = body.start(LARGEST_BODY) if body is not None else None
        if self.policy.ignores(status, (text or b"").decode(errors="replace")):
            self.ignored += 1
            response.close()
            return None
        self._judge(request, response, deadline, start=text)
        return read_body(response, buffers, deadline) if body is None else body

    def _judge(
        self,
        request: Request,
        response: requests.Response,
        deadline: Deadline,
        *,
        label: str = "",
        start: bytes | None = None,
    ) -> None:
        """Raise TransientError where an answer is none and another try may help, StatusError where it can not."""
        status = response.status_code
        outcome = self.policy.judge(status)
        if outcome == "ok":
            return
        body = read_start(response, LOOKED_AT, deadline) if start is None else start[:LOOKED_AT]
        secrets = self.client.secrets
        reason = secrets.excerpt(str(response.reason), SHORT_EXCERPT)
        quoted = secrets.excerpt(body, EXCERPT, cut=len(body) == LOOKED_AT)
        msg = f"{label}was answered with {status} {reason}" + (f": {quoted}" if quoted else "")
        if outcome == "retry":
            raise TransientError(msg, status=status, headers=response.headers)
        what_to_do = advice(status, request.url, request.path)
        raise StatusError(f"{msg}. {what_to_do}" if what_to_do else msg, status)

    def _judge_error(self, label: str, content: Content, body: Body) -> None:
        """Raise AnswerError where an answer says that the request failed; warn where it holds records all the same."""
        start = self.client.secrets.excerpt(body.start(LOOKED_AT), EXCERPT, cut=body.size > LOOKED_AT)
        msg = f"{label}: {content.evidence.error!r} in the answer says that the request failed"
        if not content.records:
            msg = f"{msg}: {start}"
            raise AnswerError(msg)
        self._warn(f"{msg}, but it holds {len(content.records)} records.")

    def _page(self, request: Request, response: requests.Response, body: Body, nodes: Sequence[str]) -> Page:
        secrets, label = self.client.secrets, self.client.secrets.redact(request.label)
        kind = response.headers.get("Content-Type", "")
        try:
            content = self._reader.read(body, nodes=nodes, charset=_charset(kind), headers=response.headers)
        except UnreadableBodyError as error:
            start = secrets.excerpt(body.start(LOOKED_AT), EXCERPT, cut=body.size > LOOKED_AT)
            named = secrets.excerpt(kind or "an unnamed type", SHORT_EXCERPT)
            msg = f"{label} was answered with {body.size} bytes of {named} that {error}" + (
                f": {start}" if start else ""
            )
            raise TransientError(secrets.redact(msg)) from None
        except AnswerError as error:
            msg = f"{label}: {error}"
            raise AnswerError(secrets.redact(msg)) from None
        if content.evidence.error:
            self._judge_error(label, content, body)
        # A link may have several relations (RFC 8288, 3.3).
        links = {relation: link["url"] for link in response.links.values() for relation in link.get("rel", "").split()}
        return Page(
            content.records,
            label,
            datetime.now(UTC),
            nodes=content.nodes,
            headers=response.headers,
            links=links,
            evidence=content.evidence if "next" not in links else replace(content.evidence, next="Link"),
        )


class Source:
    """Fetches the pages of one resource, again where that may help.

    Args:
        sender: Sends the resource's requests.
        warn: Is given what may be wrong.
        on_retry: Is called before each retry.
    """

    def __init__(self, sender: Sender, *, warn: Notify, on_retry: Callable[[], None]) -> None:
        self.sender = sender
        self._pool = sender.client.pool
        self._warn = warn
        self._on_retry = on_retry

    def fetch(self, request: Request, nodes: Sequence[str] = (), *, base: Request | None = None) -> Pending[Page]:
        """Ask for a page; send the request again where that may help.

        Args:
            request: The request for the page.
            nodes: Paths whose values the page carries.
            base: The resource's first request; no request of it may lead to another server.

        Raises:
            PagingError: The request leads to another server, which must not learn the credentials.
        """
        if base is not None and request.url != base.url and not same_origin(as_sent(request.url), base.url):
            msg = f"{base.label}: the answer leads to another server, which is refused"
            raise PagingError(msg)
        tries = self._retried(self._try)
        return self._pool.submit(lambda pending: tries(request, tuple(nodes), pending))

    def _try(self, request: Request, nodes: Sequence[str], pending: Pending[Page]) -> Page:
        """Send a request once, or again where it was refused for what was in flight beside it."""
        while True:
            with self._pool.slot(pending) as slot:
                try:
                    page = self.sender.send(request, nodes, pending)
                except TransientError as error:
                    if pending.abandoned:
                        raise CancelledRequestError(str(error)) from None
                    if not self._is_refused_for_others(error, slot):
                        raise
                else:
                    self._pool.speed_up()
                    return page

    def _is_refused_for_others(self, error: TransientError, slot: Slot) -> bool:
        """Tell whether a request was refused because others were in flight; then it costs no try."""
        asked = self._retry_after(error)
        if error.status not in RATE_LIMITED or (error.status != HTTPStatus.TOO_MANY_REQUESTS and not asked):
            return False
        wait = max(asked, 0.0 if slot.alone else min(self.sender.policy.wait(0), 1.0))
        self._pool.slow_down(wait)
        if not slot.alone:
            self._on_retry()
            self._warn(f"{error}. Fewer requests are sent at once; this one is sent again in {wait:.1f} s.")
        return not slot.alone

    # Retries

    def _retried(self, function: Callable[..., Page]) -> Callable[..., Page]:
        """Return a function that is called again as the policy says."""
        return backoff.on_exception(
            self._waits,
            TransientError,
            max_tries=self.sender.policy.max_retries + 1,
            on_backoff=self._before_retry,
            jitter=_longer,
            logger=None,
        )(function)

    def _waits(self) -> Generator[float, Any, None]:
        """Yield the seconds to wait before each retry, given what the try before it raised."""
        error = yield 0.0
        for retry in count():
            error = yield max(self.sender.policy.wait(retry), self._retry_after(error))

    def _before_retry(self, details: Details) -> None:
        """Say what went wrong and when it is tried again; after a 429 hold all requests back."""
        error, wait = details["exception"], details["wait"]
        self._on_retry()
        tries = self.sender.policy.max_retries + 1
        self._warn(f"{error}. Try {details['tries'] + 1} of {tries} in {wait:.1f} s.")
        if isinstance(error, TransientError) and error.status == HTTPStatus.TOO_MANY_REQUESTS:
            self._pool.slow_down(wait)

    def _retry_after(self, error: TransientError) -> float:
        """Return the seconds that the server asks to wait, capped; 0 where it asks nothing."""
        asked = error.headers.get("Retry-After")
        if asked is None:
            return 0.0
        seconds = _seconds(asked, error.headers.get("Date"))
        if seconds > LONGEST_RETRY_AFTER:
            self._warn(f"the server asks to wait {seconds:.0f} s; the tap waits {LONGEST_RETRY_AFTER:.0f} s.")
        return min(seconds, LONGEST_RETRY_AFTER)


def _longer(value: float) -> float:
    """Return a wait a little longer, so that many taps do not come back at once."""
    return value + random.uniform(0, min(value / 4, 1))  # noqa: S311 - nothing secret hangs on it


def _charset(content_type: str) -> str:
    """Return the encoding that a Content-Type names; JSON without one is UTF-8 (RFC 8259, 8.1)."""
    match = re.search(r"charset\s*=\s*\"?([\w.:-]+)", content_type, re.IGNORECASE)
    return match[1] if match else "utf-8"


def _seconds(asked: str, served: str | None) -> float:
    """Return the seconds that a `Retry-After` names, as a number or a date; 0 where it is neither."""
    try:
        if asked.strip()[:1].isdigit():
            # There may well be too many digits for a float.
            return min(float(asked), LONGEST_WAIT)
        now = parsedate_to_datetime(served) if served else datetime.now(UTC)
        seconds = (parsedate_to_datetime(asked) - now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return max(seconds, 0.0)
