"""Writes a converted configuration: as `config.json`, or as a block of `meltano.yml`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLAIN: Final = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)$)[a-z_][\w-]*", re.ASCII | re.IGNORECASE)
"""Keys that YAML takes for text without quotes."""

_UNPRINTABLE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
"""What JSON allows within text, and YAML only as an escape."""

_VARIABLE: Final = re.compile(r"\$(?=\{\w+\}|[A-Z])")
"""What Meltano takes for an environment variable."""


def as_json(config: dict[str, Any]) -> str:
    """Return the text of `config.json`."""
    return json.dumps(config, indent=2) + "\n"


def as_meltano(config: dict[str, Any]) -> str:
    """Return the block of `meltano.yml` that gives the tap its settings."""
    head = ["plugins:", "  extractors:", "  - name: tap-analytics", "    config:"]
    return "\n".join([*head, *_block(config, 6)]) + "\n"


def _block(value: Any, indent: int) -> Iterator[str]:  # noqa: ANN401  (whatever JSON holds)
    """Yield the lines of an object or a list that is not empty; its scalars are JSON, which is YAML as well."""
    margin = " " * indent
    entries = value.items() if isinstance(value, dict) else ((None, item) for item in value)
    for key, item in entries:
        start = "-" if key is None else f"{key if _PLAIN.fullmatch(key) else _scalar(key)}:"
        if not isinstance(item, (dict, list)) or not item:
            yield f"{margin}{start} {_scalar(item)}"
            continue
        lines = _block(item, indent + 2)
        if key is None:
            yield f"{margin}- {next(lines).strip()}"
        else:
            yield f"{margin}{start}"
        yield from lines


def _scalar(value: Any) -> str:  # noqa: ANN401  (whatever JSON holds)
    text = _VARIABLE.sub(r"\\$", value) if isinstance(value, str) else value
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))
