"""Converts what clients and endpoints have in common: secrets, paginators and cursors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tap_analytics.from_dlt import classes
from tap_analytics.from_dlt.credentials import AUTH, Loose, Secrets, auth_of, secret
from tap_analytics.from_dlt.plain import MISSING, Plain
from tap_analytics.from_dlt.values import Instance, Reference, Unknown, Value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

_PAGINATORS: Final = {words.type for words in classes.PAGINATORS.values()} | {"auto", "json_response"}


class Client(Plain):
    """Converts a client, and the words that it shares with endpoints."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets = Secrets(self.findings)
        self.client: dict[str, Any] = {}
        """The words of the client, once it is converted."""
        self._loose: list[Loose] = []

    def _client(self, value: Value, location: str) -> dict[str, Any]:
        handlers = {
            "base_url": self._base_url,
            "headers": self._headers,
            "auth": self._auth,
            "paginator": self._paginator,
        }
        converted = self.words(value, location, handlers)
        self.client = converted if isinstance(converted, dict) else {}
        self._sign(self.client, location)
        return self.client

    def _base_url(self, value: Value, location: str) -> Any:  # noqa: ANN401  (a text or MISSING)
        content = value.content
        if isinstance(content, str):
            return self._without_secrets(content, {}, value, location)
        if isinstance(content, Unknown) and content.pieces and content.default is None:
            text, names = template(content)
            whats = ", ".join(piece.what for piece in names.values())
            form = self._without_secrets(text, names, value, location)
            self.remark(value, location)
            self.findings.fill(value.line, location, f"write the address, of the form {form}, with {whats}")
            return MISSING
        return self.plain(value, location)

    def _auth(self, value: Value, location: str) -> Any:  # noqa: ANN401  (words, a text or MISSING)
        self.remark(value, location)
        content = value.content
        if content is None:
            return None
        words: Mapping[str, Value] | None = {"type": value} if isinstance(content, str) else None
        kind: object = content
        if isinstance(content, Instance) and content.name in classes.AUTHS:
            words, kind = classes.words(content), classes.AUTHS[content.name].type
        elif isinstance(content, dict):
            implied = Value("bearer" if "token" in content else None, value.line)
            words, kind = content, content.get("type", implied).content or implied.content
        if words is None or not isinstance(kind, str) or kind not in AUTH:
            return self.missing(value, location)
        converted = {"type": kind} | self._auth_words(kind, words, value.line, location)
        return kind if isinstance(content, str) else converted

    def _auth_words(self, kind: str, words: Mapping[str, Value], line: int, location: str) -> dict[str, Any]:
        """Return the words of an auth, its secrets left to the settings of their names."""
        converted = {}
        for word in [*words, *(word for word in AUTH[kind] if word not in words)]:
            value = words.get(word, Value(None, line))
            inner = f"{location}.{word}"
            if word in AUTH[kind]:
                empty = value.content == "" and kind == "http_basic"  # some APIs ask for one of the two only
                if empty or not self.secrets.take(word, value, inner):
                    converted[word] = ""
            elif word == "access_token":
                self.findings.left(value.line, inner, "the tap fetches a token by itself")
            elif word != "type" and (known := self.plain(value, inner)) is not MISSING:
                converted[word] = known
        return converted

    def _headers(self, value: Value, location: str) -> Any:  # noqa: ANN401  (words or MISSING)
        return self._named(value, location, "header")

    def _params(self, value: Value, location: str) -> Any:  # noqa: ANN401  (words or MISSING)
        return self._named(value, location, "query")

    def _named(self, value: Value, location: str, carrier: Literal["header", "query"]) -> Any:  # noqa: ANN401
        """Return headers or parameters without those that are secret, which are kept for an auth."""
        if not isinstance(value.content, dict):
            return self.plain(value, location)
        kept = {}
        for name, item in value.content.items():
            if secret(name, item):
                self._loose.append(Loose(name, item, f"{location}.{name}", carrier))
            else:
                kept[name] = item
        converted = self.words(Value(kept, value.line, value.notes), location, {}, self._param)
        return converted if kept or not value.content else MISSING

    def _param(self, value: Value, location: str) -> Any:  # noqa: ANN401  (a value or MISSING)
        if isinstance(value.content, Instance) and value.content.name in classes.INCREMENTALS:
            return {"type": "incremental", **self._incremental(value, location)}
        return self.plain(value, location)

    def _sign(self, owner: dict[str, Any], location: str) -> None:
        """Make an auth of the one secret that headers or parameters carry; list secrets that have to stay outside."""
        loose, self._loose = self._loose, []
        free = owner.get("auth") is None and self.client.get("auth") is None
        for item in loose:
            if len(loose) > 1 or not free:
                text = "the tap sends one secret, by auth; write this one here, in a file that only the tap can read"
                self.findings.fill(item.value.line, item.location, text)
                continue
            auth, value, prefix = auth_of(item)
            owner["auth"] = auth
            self.findings.check(item.value.line, item.location, f"became {location}.auth, {auth['type']}")
            for word in AUTH[auth["type"]]:
                if not self.secrets.take(word, value, f"{location}.auth.{word}", prefix):
                    auth[word] = ""

    def _without_secrets(self, text: str, names: Mapping[str, Unknown], value: Value, location: str) -> str:
        """Return a path or an address without the secrets of its query, which are kept for an auth."""
        path, _, query = text.partition("?")
        start, slashes, rest = path.partition("//")
        host, slash, rest = rest.partition("/")
        if "@" in host:
            self.findings.left(value.line, location, "its user and password; declare an auth of type http_basic")
            path = start + slashes + host.rpartition("@")[2] + slash + rest
        kept = []
        for pair in query.split("&") if query else []:
            name, _, content = pair.partition("=")
            item = Value(names.get(content.strip("{}"), content), value.line)
            if secret(name, item):
                self._loose.append(Loose(name, item, f"{location}?{name}", "query"))
            else:
                kept.append(pair)
        return f"{path}?{'&'.join(kept)}" if kept else path

    def _paginator(self, value: Value, location: str) -> Any:  # noqa: ANN401  (a text, words or MISSING)
        content = value.content
        if isinstance(content, Instance) and content.name in classes.PAGINATORS:
            known = classes.PAGINATORS[content.name]
            words = classes.words(content)
            if words is not None:
                valid = {word: item for word, item in words.items() if word in known.positional + known.others}
                for word in words.keys() - valid.keys():
                    self.findings.left(words[word].line, f"{location}.{word}", "is no word of this paginator")
                return {"type": known.type} | self.words(Value(valid, value.line, value.notes), location, {})
        kind = content.get("type", value).content if isinstance(content, dict) else content
        known_kind = kind is None or (isinstance(kind, str) and kind in _PAGINATORS)
        return self.plain(value, location) if known_kind else self.missing(value, location)

    def _incremental(self, value: Value, location: str) -> Any:  # noqa: ANN401  (words or MISSING)
        if isinstance(value.content, Instance) and value.content.name in classes.INCREMENTALS:
            value = Value(classes.words(value.content) or {}, value.line, value.notes)
        return self.words(value, location, {"last_value_func": self._last_value_func})

    def _last_value_func(self, value: Value, location: str) -> Any:  # noqa: ANN401  (a text or MISSING)
        if isinstance(value.content, Reference) and value.content.path in ("max", "min"):
            return value.content.path
        return self.plain(value, location)


def template(content: Unknown) -> tuple[str, dict[str, Unknown]]:
    """Return a text with a placeholder for each piece that is unknown, and the pieces by their placeholders."""
    names: dict[str, Unknown] = {}
    text = ""
    for piece in content.pieces or (content,):
        if isinstance(piece, str):
            text += piece
        else:
            names.setdefault(piece.name, piece)
            text += f"{{{piece.name}}}"
    return text, names
