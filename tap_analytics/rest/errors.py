"""What can go wrong with a request, sorted by what to do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from tap_analytics.declare import Words, at_least, word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ADVICE: Mapping[int, str] = {
    400: "The API rejects these parameters; compare the resource's params with its documentation.",
    401: "Check the credentials: api_key, auth_location and auth_name, or client.auth.",
    403: "The credentials may not read this; ask for access or deselect the stream.",
    404: "Check base_url and the resource's path.",
    405: "Check the resource's method.",
    407: "The proxy asks for credentials; put them into the proxy's URL in the environment.",
}
"""What to do about a status that is not retried."""

_REMEDY = re.compile(
    r"[.;] ((?:Check|Ask|Declare|If|Lower|Raise|Remove|Set|Try|Use|Did you mean)\b.*)", re.DOTALL | re.IGNORECASE
)
"""What to do, at the end of a message: an imperative or a condition after what happened."""


def advice(status: int, url: str, path: str) -> str:
    """Return what to do about a status that is not retried; nothing where that is not known.

    Args:
        status: The status.
        url: The address that was requested.
        path: The path that the resource has below the base URL.
    """
    if status == HTTPStatus.NOT_FOUND and (twice := _doubled(urlsplit(url).path, path)):
        return f"{twice} is twice in the address: base_url ends and the resource's path begins with it. Remove one."
    return ADVICE.get(status, "")


def _doubled(whole: str, path: str) -> str:
    """Return what a base URL ends with and a path begins with, given both joined and the path."""
    base = whole.rstrip("/").removesuffix(path.strip("/")).strip("/").split("/")
    below = path.strip("/").split("/")
    common = (below[:count] for count in range(min(len(base), len(below)), 0, -1) if base[-count:] == below[:count])
    names = next(common, [])
    return f"/{'/'.join(names)}" if any(names) else ""


Outcome = Literal["ok", "retry", "fail"]


class RestError(Exception):
    """A stream cannot be read further; the text says why, without a URL."""


class TransientError(RestError):
    """A request failed in a way that may pass."""

    def __init__(self, message: str, *, status: int | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers: Mapping[str, str] = headers or {}


class StatusError(RestError):
    """A request was answered with a status that is not retried."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class AnswerError(RestError):
    """An answer with a good status does not hold what was asked for."""


class PagingError(RestError):
    """The pages of an answer do not fit together."""


class MisfitError(PagingError):
    """A page does not continue the one before, however often it is read."""


class ResultWindowError(PagingError):
    """A list ends where servers usually stop, whatever there is beyond: all that it showed has been read."""


class UnreadableBodyError(ValueError):
    """A body is not JSON: cut off, garbled, or something else altogether."""


class CancelledRequestError(RestError):
    """Nobody waits for the answer any more."""


def with_remedy(message: str) -> tuple[str, str]:
    """Return what a message says of what happened, and of what to do; the latter is empty where it does not say it."""
    for advice in ADVICE.values():
        if message.endswith(advice):
            return message.removesuffix(advice).rstrip(), advice
    match = _REMEDY.search(message)
    return (message[: match.start() + 1].rstrip(";"), match[1]) if match else (message, "")


@dataclass(frozen=True, slots=True)
class ErrorHandler(Words):
    """Retries of one endpoint, where they differ from the settings."""

    retry_on_status_codes: list[int] | None = word(
        "HTTP statuses after which a request is sent again.",
        check=lambda codes: None if all(400 <= code < 600 for code in codes) else "expected statuses from 400 to 599",  # noqa: PLR2004 - the classes of errors
    )
    max_retries: int | None = word("How often a request is sent again.", check=at_least(0))
    backoff_factor: float | None = word(
        "Seconds before the first retry; twice as many before each further one.", check=at_least(0)
    )


@dataclass(frozen=True, slots=True)
class ResponseAction(Words):
    """What to do about an answer of a certain kind."""

    status_code: int | str | None = word("Status of the answer; `2xx` means all of a class.")
    content: str | None = word("Text that the body holds.")
    action: Literal["ignore"] = word("`ignore` takes the answer for a page without records.", required=True)

    def matches(self, status: int, body: str) -> bool:
        """Tell whether an answer is of this kind."""
        if self.status_code is not None:
            pattern = str(self.status_code).lower().replace("x", r"\d")
            if not re.fullmatch(pattern, str(status)):
                return False
        return self.content is None or self.content in body


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Judges answers, and says how long to wait before the next try."""

    statuses: Sequence[int] = (429, 500, 502, 503, 504)
    max_retries: int = 3
    backoff_factor: float = 2.0
    actions: Sequence[ResponseAction] = ()

    def with_handler(self, handler: ErrorHandler | None) -> RetryPolicy:
        """Return the policy as an endpoint changes it."""
        if handler is None:
            return self
        return replace(
            self,
            statuses=self.statuses if handler.retry_on_status_codes is None else tuple(handler.retry_on_status_codes),
            max_retries=self.max_retries if handler.max_retries is None else handler.max_retries,
            backoff_factor=self.backoff_factor if handler.backoff_factor is None else handler.backoff_factor,
        )

    def needs_body(self, status: int) -> bool:
        """Tell whether the judgement of an answer with this status depends on its text."""
        return any(action.content is not None and action.matches(status, action.content) for action in self.actions)

    def ignores(self, status: int, body: str) -> bool:
        """Tell whether an answer counts as a page without records."""
        return any(action.matches(status, body) for action in self.actions)

    def judge(self, status: int) -> Outcome:
        """Return what to do about an answer that is not ignored."""
        if status in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
            return "ok"
        return "retry" if status in self.statuses else "fail"

    def wait(self, retry: int) -> float:
        """Return the seconds to wait before a retry, counted from 0."""
        return self.backoff_factor * 2.0 ** min(retry, 64)
