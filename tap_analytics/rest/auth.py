"""How requests are signed: dlt's kinds of authentication as words, and the signers that they stand for."""

from __future__ import annotations

import base64
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qs, urlsplit

from tap_analytics.declare import Words, at_least, word
from tap_analytics.rest.errors import AnswerError
from tap_analytics.rest.request import Request

RENEWED_BEFORE = 60.0
"""Seconds before its end from which on a token is fetched anew."""

Send = Callable[[Request], Any]
"""Sends a request and returns the JSON of its answer."""


class Signer(ABC):
    """Puts credentials into requests as they are sent; safe to use from several threads."""

    @abstractmethod
    def sign(self, request: Request, send: Send) -> Request:
        """Return the request with the credentials.

        Args:
            request: The request as it is about to be sent.
            send: Sends another request first, where a token has to be fetched.
        """

    def renew(self, refused: Request) -> bool:
        """Tell whether a request that was refused (401) may be sent again with new credentials."""
        del refused
        return False


@dataclass(frozen=True)
class Static(Signer):
    """Credentials that are the same in every request."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)

    def sign(self, request: Request, send: Send) -> Request:
        """Return the request with the credentials."""
        del send
        signed = request.with_headers(self.headers) if self.headers else request
        if self.cookies:
            signed = signed.with_headers(
                {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
            )
        # A link may carry the key already: once is enough.
        missing = {name: value for name, value in self.params.items() if not _has_param(signed.url, name)}
        return signed.with_params(missing)


UNSIGNED = Static()


class TokenSigner(Signer):
    """Fetches a bearer token, and fetches it anew before it ends or once it is refused."""

    def __init__(self, request: Request, *, token: str, expiration: float, remember: Callable[[str], None]) -> None:
        self._request = request
        self._expiration = expiration
        self._remember = remember
        self._token = token
        self._ends = time.monotonic() + expiration
        self._lock = threading.Lock()

    def sign(self, request: Request, send: Send) -> Request:
        """Return the request with the token.

        Raises AnswerError where the answer to the token's request has none.
        """
        with self._lock:
            if not self._token or time.monotonic() >= self._ends:
                self._fetch(send)
            return request.with_headers({"Authorization": f"Bearer {self._token}"})

    def renew(self, refused: Request) -> bool:
        """Give up the token that was refused, unless another thread has a new one already."""
        with self._lock:
            if refused.headers.get("Authorization") == f"Bearer {self._token}":
                self._token = ""
        return True

    def _fetch(self, send: Send) -> None:
        answer = send(self._request)
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            msg = f"{self._request.label}: the answer has no access_token. Check client.auth."
            raise AnswerError(msg)
        self._remember(token)
        try:
            seconds = float(answer.get("expires_in") or self._expiration)
        except (TypeError, ValueError):
            seconds = self._expiration
        self._token = token
        self._ends = time.monotonic() + max(seconds - min(RENEWED_BEFORE, seconds / 2), 0.0)


# The words


def _text_problem(value: object) -> str | None:
    return None if isinstance(value, str) else "expected text"


Remember = Callable[[str], None]


@dataclass(frozen=True)
class ApiKeyAuth(Words):
    """A key in a header, a query parameter or a cookie."""

    type: ClassVar[str] = "api_key"
    secret_words: ClassVar[tuple[str, ...]] = ("api_key",)
    api_key: str = word("The key; without it, the setting `api_key`.", default="", secret=True)
    name: str = word("Name of the header, parameter or cookie.", default="Authorization")
    location: Literal["header", "query", "param", "cookie"] = word("Where the key travels.", default="header")

    def signer(self, remember: Remember) -> Signer:
        """Return what signs requests with the key."""
        remember(self.api_key)
        pair = {self.name: self.api_key}
        if self.location == "header":
            return Static(headers=pair)
        return Static(cookies=pair) if self.location == "cookie" else Static(params=pair)


@dataclass(frozen=True)
class BearerAuth(Words):
    """A token in the header Authorization."""

    type: ClassVar[str] = "bearer"
    without_type: ClassVar[bool] = True
    secret_words: ClassVar[tuple[str, ...]] = ("token",)
    token: str = word("The token; without it, the setting `token`.", default="", secret=True)

    def signer(self, remember: Remember) -> Signer:
        """Return what signs requests with the token."""
        remember(self.token)
        return Static(headers={"Authorization": f"Bearer {self.token}"})


@dataclass(frozen=True)
class HttpBasicAuth(Words):
    """A user name and a password in the header Authorization (RFC 7617, UTF-8)."""

    type: ClassVar[str] = "http_basic"
    secret_words: ClassVar[tuple[str, ...]] = ("username", "password")
    username: str = word("The user name; without it, the setting `username`.", default="")
    password: Any = word(
        "The password, which may be empty; without it, the setting `password`.", check=_text_problem, secret=True
    )

    def signer(self, remember: Remember) -> Signer:
        """Return what signs requests with user name and password."""
        pair = base64.b64encode(f"{self.username}:{self.password or ''}".encode()).decode()
        remember(self.password or "")
        remember(pair)
        return Static(headers={"Authorization": f"Basic {pair}"})


@dataclass(frozen=True)
class OAuth2ClientCredentials(Words):
    """A token that is fetched with the credentials of a client (RFC 6749, 4.4)."""

    type: ClassVar[str] = "oauth2_client_credentials"
    aliases: ClassVar[tuple[str, ...]] = ("oauth2",)
    secret_words: ClassVar[tuple[str, ...]] = ("client_id", "client_secret")
    unsupported: ClassVar[Mapping[str, str]] = {"session": "it needs Python; the tap has a session of its own"}
    access_token_url: str = word("Address that issues tokens.", required=True)
    client_id: str = word("The client; without it, the setting `client_id`.", default="")
    client_secret: str = word("Its secret; without it, the setting `client_secret`.", default="", secret=True)
    access_token: str | None = word("A token to begin with.", secret=True)
    access_token_request_data: dict[str, Any] | None = word("More fields of the token's request, such as `scope`.")
    default_token_expiration: int = word(
        "Seconds that a token lasts whose answer does not say.", default=3600, check=at_least(1)
    )

    def signer(self, remember: Remember) -> Signer:
        """Return what signs requests with a token that it fetches."""
        remember(self.client_secret)
        remember(self.access_token or "")
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            **(self.access_token_request_data or {}),
        }
        request = Request(self.access_token_url, "POST", data=form, path="the token")
        return TokenSigner(
            request, token=self.access_token or "", expiration=self.default_token_expiration, remember=remember
        )


Auth = ApiKeyAuth | BearerAuth | HttpBasicAuth | OAuth2ClientCredentials


def _has_param(url: str, name: str) -> bool:
    return name in parse_qs(urlsplit(url).query)
