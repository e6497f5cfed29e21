"""Keeps secrets out of every text that users see, in every form in which servers repeat them."""

from __future__ import annotations

import base64
import html
import json
import logging
import re
from functools import cache
from typing import Any
from urllib.parse import quote, quote_plus

REDACTED = "***"

SHORTEST_PART = 6
"""Characters from which on a secret is redacted within words, too; shorter ones are parts of normal words."""

_SCHEMES = {"bearer", "basic", "token", "apikey"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Secrets:
    """The secrets of a tap; tokens are added as they are fetched."""

    def __init__(self) -> None:
        self._values: dict[str, None] = {}
        self._pattern: re.Pattern[str] | None = None

    def add(self, *values: str) -> None:
        """Keep some values out of all texts from now on."""
        for value in values:
            for form in (value, *value.split()):  # a scheme may stand before the secret
                if form and form not in self._values and form.lower() not in _SCHEMES:
                    self._values[form] = None
                    self._pattern = None

    def redact(self, text: str) -> str:
        """Return a text without the secrets, as they are and in every encoded form."""
        if not self._values:
            return text
        if self._pattern is None:
            forms = {form for value in self._values for form in _forms(value)}
            self._pattern = re.compile("|".join(map(_as_pattern, sorted(forms, key=len, reverse=True))))
        return self._pattern.sub(REDACTED, text)

    def excerpt(self, body: bytes | str, size: int, *, cut: bool = False) -> str:
        """Return the start of what a server sent, in one line, without a secret or a part of one.

        Args:
            body: What the server sent, or the start of it.
            size: Characters to return at most.
            cut: Whether the server sent more: then the text may end within a secret.
        """
        text = self.redact(body if isinstance(body, str) else body.decode(errors="replace"))
        for form in (form for value in self._values for form in _forms(value)) if cut else ():
            if length := next((n for n in range(len(form) - 1, 0, -1) if text.endswith(form[:n])), 0):
                text = text[:-length]
        return " ".join(_CONTROL.sub(" ", text).split())[:size]


class SecretFilter(logging.Filter):
    """Redacts log records: message, arguments and traceback."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self._secrets = secrets

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record; let every record pass."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            # logging itself would print the arguments of a message that they do not fit, as they are.
            message = f"{record.msg} {record.args}"
            record.msg, record.args = message, ()
        redacted = self._secrets.redact(message)
        if redacted != message:
            record.msg, record.args = redacted, ()
        if record.exc_info:
            trace = logging.Formatter().formatException(record.exc_info)
            redacted = self._secrets.redact(trace)
            if redacted != trace:
                record.exc_info, record.exc_text = None, redacted
        return True


def redact_logs(secrets: Secrets) -> None:
    """Redact every log record of the process where it is made, whatever handler writes it."""
    make = logging.getLogRecordFactory()
    make = getattr(make, "replaces", make)  # one tap after another in one process: the last one's secrets count
    judge = SecretFilter(secrets)

    def make_redacted(*args: Any, **options: Any) -> logging.LogRecord:  # noqa: ANN401 - of logging
        record = make(*args, **options)
        judge.filter(record)
        return record

    make_redacted.replaces = make  # type: ignore[attr-defined] # a function may carry attributes
    logging.setLogRecordFactory(make_redacted)


def _as_pattern(form: str) -> str:
    """Return the pattern of a form; short ones are found as whole words only."""
    pattern = re.escape(form)
    return pattern if len(form) >= SHORTEST_PART else rf"(?<!\w){pattern}(?!\w)"


@cache
def _forms(secret: str) -> tuple[str, ...]:
    """Return how a secret may be written where it is repeated."""
    texts = [json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]]
    urls = [quote(secret, safe=""), quote(secret), quote_plus(secret)]
    forms = {
        secret,
        *texts,
        *(text.replace("/", "\\/") for text in texts),
        *(json.dumps(text)[1:-1] for text in texts),
        *urls,
        *(quote(url, safe="") for url in urls),
        *(re.sub("%..", lambda match: match[0].lower(), url) for url in urls),
        secret.encode("unicode_escape").decode(),
        repr(secret)[1:-1],
        html.escape(secret),
        html.escape(secret, quote=False),
        re.sub(r"[^\w]", lambda match: f"&#x{ord(match[0]):X};", secret),
        re.sub(r"[^\w]", lambda match: f"&#{ord(match[0])};", secret),
        re.sub(r"[^\w]", lambda match: f"\\u{ord(match[0]):04x}", secret),
        re.sub(r"[^\w]", lambda match: f"\\u{ord(match[0]):04X}", secret),
        " ".join(secret.split()),
        secret.encode().decode("latin-1"),
    }
    if len(secret) >= SHORTEST_PART:
        forms.add(base64.b64encode(secret.encode()).decode())
    return tuple(form for form in forms if form)
