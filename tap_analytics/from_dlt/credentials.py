"""Keeps secrets out of what is written: the tap takes them from settings of their own, and so from the environment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from tap_analytics.from_dlt.values import Reference, Unknown, Value

if TYPE_CHECKING:
    from tap_analytics.from_dlt.findings import Findings
    from tap_analytics.from_dlt.values import Content

PREFIX: Final = "TAP_ANALYTICS_"

AUTH: Final[dict[str, tuple[str, ...]]] = {
    "bearer": ("token",),
    "api_key": ("api_key",),
    "http_basic": ("username", "password"),
    "oauth2_client_credentials": ("client_id", "client_secret"),
}
"""The secret words of each type of auth. Each is a setting of the tap as well."""

# Names of headers, parameters and words of a body that carry secrets, as APIs call them; and names that may.
_SECRET: Final = re.compile(
    r"(^|[-_. ])(auth|authorization|cookie|appid"
    r"|(api|app|access|auth|account|client|subscription|user)[-_. ]?(key|token)"
    r"|secret|password|passwd|pwd|signature|credentials?)$",
    re.IGNORECASE,
)
_MAYBE: Final = re.compile(r"(^|[-_. ])(key|token)$", re.IGNORECASE)
_PAGES: Final = re.compile(r"page|next|cursor|continu|sync|sort|order|primary", re.IGNORECASE)
_CAPITAL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
"""Where a word begins within a name such as clientSecret."""

_SCHEME: Final = re.compile(r"(Bearer|Basic)\s+", re.IGNORECASE)
_SHORTEST_KEY: Final = 12
"""Characters of a text that counts as a secret where its name, such as `key`, may mean something else."""


@dataclass(frozen=True)
class Loose:
    """A secret outside of auth: in a header or in a parameter."""

    name: str
    value: Value
    location: str
    carrier: Literal["header", "query"]


def secret(name: str, value: Value) -> bool:
    """Return whether a header, a parameter or a word of a body is secret, by its name and its value."""
    content, name = value.content, _CAPITAL.sub("_", name.strip())
    sure, maybe = (bool(pattern.search(name)) and not _PAGES.search(name) for pattern in (_SECRET, _MAYBE))
    if isinstance(content, Unknown):
        return content.secret or ((sure or maybe) and (content.default is None or secret(name, content.default)))
    if not isinstance(content, str) or not content.strip() or "{" in content:  # a placeholder is none
        return False
    return sure or (maybe and len(content) >= _SHORTEST_KEY)


class Secrets:
    """Remembers which secret each setting stands for: it can stand for one only."""

    def __init__(self, findings: Findings) -> None:
        self.variables: dict[str, str] = {}
        """What each environment variable has to hold."""
        self._findings = findings
        self._origins: dict[str, object] = {}

    def take(self, word: str, value: Value, location: str, prefix: str = "") -> bool:
        """Leave a secret to the setting of its name; return whether that setting stands for it.

        Where there is no value, dlt finds one by itself. The setting has to begin with the prefix.
        """
        variable = f"{PREFIX}{word.upper()}"
        kind, origin = _origin(value.content)
        if self._origins.setdefault(word, (kind, origin)) != (kind, origin):
            text = f"another secret than that of {variable}; write it here, in a file that only the tap can read"
            self._findings.fill(value.line, location, text)
            return False
        if kind == "literal":
            text = f"stands in the file, and was not copied; set {variable}"
            others = "" if word in ("username", "client_id") else ", and a new secret if others could read the file"
            self._findings.check(value.line, location, text + others)
        described = "what stands in the file" if kind == "literal" else origin
        begins = f", with {prefix!r} before it" if prefix else ""
        self.variables.setdefault(variable, f"{location}: {described}{begins}")
        return True


def _origin(content: Content) -> tuple[str, str]:
    """Return what tells a secret from another, and whether it stands in the file."""
    if content is None:
        return "unknown", "what dlt finds in its secrets"
    if isinstance(content, Unknown):
        return "unknown", content.what
    return ("unknown", f"`{content.path}`") if isinstance(content, Reference) else ("literal", str(content))


def auth_of(loose: Loose) -> tuple[dict[str, Any], Value, str]:
    """Return the auth that sends a secret as a header or a parameter does, the secret, and what comes before it."""
    line = loose.value.line
    content = loose.value.content
    pieces = content.pieces if isinstance(content, Unknown) and content.pieces else (content,)
    first, *others = pieces
    scheme = _SCHEME.match(first) if isinstance(first, str) else None
    if loose.carrier == "header" and loose.name.lower() == "authorization" and scheme:
        rest = [piece for piece in (str(first)[scheme.end() :], *others) if piece]
        if scheme[1].lower() == "basic":
            return {"type": "http_basic"}, Value(Unknown("secret", f"what {loose.location} encodes"), line), ""
        token = Value(rest[0], line) if len(rest) == 1 else loose.value
        return {"type": "bearer"}, token, ""
    auth = {"type": "api_key", "name": loose.name.strip(), "location": loose.carrier}
    if len(others) == 1 and isinstance(first, str):
        return auth, Value(others[0], line), first
    return auth, loose.value, ""
