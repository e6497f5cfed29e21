"""The files that the command line names: settings, a catalog, a state; each holds one object in JSON."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Kind(NamedTuple):
    name: str
    expected: str
    """What to give instead of another file."""
    members: frozenset[str]
    """Members by which an object is recognized."""


_KINDS: Mapping[str, _Kind] = {
    "--config": _Kind(
        "settings",
        'Give a JSON file with settings, like {"base_url": "https://api.example.com"}, or ENV for the environment.',
        frozenset(["base_url", "api_key", "client", "resources"]),
    ),
    "--catalog": _Kind("a catalog", "Give a file that --discover has printed.", frozenset(["streams"])),
    "--state": _Kind(
        "a state", "Give the last STATE of an earlier run.", frozenset(["bookmarks", "singer_state", "value"])
    ),
}
"""What the file of each option holds."""


def read_settings(path: str) -> dict[str, Any]:
    """Return the settings in a file; raise ClickException where it holds none."""
    option = "--config"
    try:
        with Path(path).open(encoding="utf-8") as file:
            return _read(option, file) or {}
    except OSError as error:
        problem = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise _refused(option, path, problem) from None


def read_state(file: IO[str] | None) -> dict[str, Any] | None:
    """Return the state in a file; raise ClickException where it holds none."""
    return _read("--state", file)


def read_catalog(file: IO[str] | None) -> dict[str, Any] | None:
    """Return the catalog in a file; raise ClickException where it holds none."""
    catalog = _read("--catalog", file)
    if catalog is None:
        return None
    entries = catalog.get("streams")
    if not isinstance(entries, list) or not entries:
        msg = "--catalog: the file is not a catalog; it must have a list of streams, as --discover prints it."
        raise click.ClickException(msg)
    for index, entry in enumerate(entries):
        for name, kind in (("tap_stream_id", str), ("schema", dict)):
            if not isinstance(entry, dict) or not isinstance(entry.get(name), kind):
                msg = f"--catalog: streams[{index}].{name}: is missing; write the entry as --discover prints it."
                raise click.ClickException(msg)
        entry.setdefault("key_properties", [])
        entry.setdefault("metadata", [])
    return catalog


def _read(option: str, file: IO[str] | None) -> dict[str, Any] | None:
    if file is None:
        return None
    try:
        return _object(option, file.name, file.read())
    except UnicodeDecodeError:
        raise _refused(option, file.name, "is not UTF-8 text") from None


def _object(option: str, path: str, text: str) -> dict[str, Any]:
    """Return the object that a text holds; raise ClickException where it holds something else, and say what."""
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise _refused(option, path, "is empty")
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        if option == "--state" and _has_several(text):
            msg = f"--state: {path} holds several states; give the last: tail -n 1 {path}"
            raise click.ClickException(msg) from None
        where = f"line {error.lineno}, column {error.colno}"
        raise _refused(option, path, f"is not JSON ({where}: {error.msg})") from None
    except RecursionError:
        raise _refused(option, path, "is nested too deeply") from None
    if not isinstance(content, dict):
        raise _refused(option, path, "does not hold a JSON object")
    if not content.keys() & _KINDS[option].members:
        for other, kind in _KINDS.items():
            if content.keys() & kind.members:
                raise _refused(option, path, f"holds {kind.name}, so give it to {other}")
    return content


def _has_several(text: str) -> bool:
    """Tell whether each of several lines is JSON of its own."""
    lines = [line for line in text.splitlines() if line.strip()]
    with suppress(ValueError):
        return len(lines) > 1 and all(isinstance(json.loads(line), dict) for line in (lines[0], lines[-1]))
    return False


def _refused(option: str, path: str, problem: str) -> click.ClickException:
    return click.ClickException(f"{option}: {path} {problem}. {_KINDS[option].expected}")
