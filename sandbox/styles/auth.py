"""Styles that differ in how a request proves who sends it. Their things come in linked pages."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any, Final

from sandbox.faults import Answer
from sandbox.styles.ask import Ask, RefusedError, reply
from sandbox.styles.linked import LinkedPages

KEY: Final = "style-key-1/&+"
"""The API key; it holds characters that a query or a cookie must quote."""

TOKEN: Final = "style-bearer-token"  # noqa: S105 - it opens nothing but made-up data
"""The bearer token."""

COOKIE: Final = "style-session-key"
"""The key in a cookie."""

USERNAME: Final = "stylist"
PASSWORD: Final = "pässword: of style"  # noqa: S105 - as the token
CLIENT_ID: Final = "style-client"
CLIENT_SECRET: Final = "style-client-secret"  # noqa: S105 - as the token

SECRETS: Final = (KEY, TOKEN, COOKIE, PASSWORD, CLIENT_SECRET)
"""What no log and no message may hold."""

Check = Callable[[Ask], bool]

_LINKED: Final = LinkedPages()


def _header(name: str, value: str) -> Check:
    return lambda ask: ask.header(name) == value


def _query(name: str) -> Check:
    # Twice the right key will do: many servers take the last, or the first.
    return lambda ask: set(ask.params.get(name, [])) == {KEY}


def _query_once(ask: Ask) -> bool:
    return ask.params.get("api_key") == [KEY]


def _cookie(ask: Ask) -> bool:
    cookies = SimpleCookie(ask.header("Cookie"))
    return "session" in cookies and cookies["session"].value == COOKIE


def basic(username: str, password: str) -> str:
    """Return the header of basic authentication, in UTF-8."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


@dataclass(frozen=True)
class Guarded:
    """A style behind a check; 401 for whoever does not pass."""

    check: Check
    style: Callable[..., Answer] = _LINKED

    def __call__(self, ask: Ask, *ids: str) -> Answer:
        """Answer as the style does, or refuse."""
        if not self.check(ask):
            raise RefusedError(401, "Missing or wrong credentials")
        return self.style(ask, *ids)


@dataclass
class Tokens:
    """An OAuth 2.0 server and what it protects: each token differs, and only the last one is good."""

    expires_in: int | str | None = 3600
    # How often a token is taken before it is refused; None: always.
    uses: int | None = None
    # Fields that a request for a token must hold beside the usual ones.
    needs: dict[str, str] = field(default_factory=dict)
    issued: int = 0
    used: int = 0

    def token(self, ask: Ask) -> Answer:
        """Answer with a new token for the right client."""
        asked = {name: values[-1] for name, values in ask.form.items()}
        right = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        if not {**right, **self.needs}.items() <= asked.items():
            return reply({"error": "invalid_client"}, status=401)
        self.issued += 1
        self.used = 0
        body: dict[str, Any] = {"access_token": self._token, "token_type": "Bearer"}
        return reply(body if self.expires_in is None else {**body, "expires_in": self.expires_in})

    def things(self, ask: Ask) -> Answer:
        """Answer with things, as often as the token allows."""
        self.used += 1
        worn = self.uses is not None and self.used > self.uses
        if self.issued == 0 or worn or ask.header("Authorization") != f"Bearer {self._token}":
            raise RefusedError(401, "The token is not valid, or not any more")
        return _LINKED(ask)

    @property
    def _token(self) -> str:
        return f"style-token-{self.issued}"


GET: Final = {
    "auth/header": Guarded(_header("Authorization", KEY)),
    "auth/named_header": Guarded(_header("X-Api-Key", KEY)),
    "auth/query": Guarded(_query("api_key"), LinkedPages(without=("api_key",))),
    "auth/query_kept": Guarded(_query("api_key")),
    "auth/query_once": Guarded(_query_once),
    "auth/cookie": Guarded(_cookie),
    "auth/bearer": Guarded(_header("Authorization", f"Bearer {TOKEN}")),
    "auth/user": Guarded(_header("Authorization", basic(TOKEN, ""))),
    "auth/basic": Guarded(_header("Authorization", basic(USERNAME, PASSWORD))),
}
"""What is asked for with GET, by path; what tokens protect is added for each server."""


def token_servers() -> dict[str, Tokens]:
    """Return new servers of tokens, by the name of each below `auth/`."""
    return {
        "oauth": Tokens(),
        "brief": Tokens(uses=2),
        "ending": Tokens(expires_in=0),
        "silent": Tokens(expires_in=None),
        "worded": Tokens(expires_in="3600"),
        "scoped": Tokens(needs={"scope": "read"}),
        "useless": Tokens(uses=0),
    }
