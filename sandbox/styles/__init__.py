"""Endpoints in the styles of other APIs, below `/styles/`: the path alone selects the style.

Each style is a value in one of the tables `GET` and `POST` of the modules. A star in its path stands for any segment,
which the style gets as an argument.
"""

from collections.abc import Callable, Iterator
from typing import Final

from sandbox.faults import Answer, error
from sandbox.styles import apis, auth, linked, numbered, parents, shapes, since
from sandbox.styles.ask import Ask, RefusedError

__all__ = ["Ask", "Styles"]

_MODULES: Final = (apis, linked, numbered, parents, shapes, since)

Style = Callable[..., Answer]


class Styles:
    """All styles of one server; only the tokens that it has issued make it differ from another."""

    def __init__(self) -> None:
        self.tokens = auth.token_servers()
        get: dict[str, Style] = {**auth.GET}
        post: dict[str, Style] = {}
        for module in _MODULES:
            get.update(module.GET)
            post.update(module.POST)
        for name, server in self.tokens.items():
            get[f"auth/{name}/things"] = server.things
            post[f"auth/{name}/token"] = server.token
        self._tables = {"GET": _by_segments(get), "POST": _by_segments(post)}

    def answer(self, ask: Ask) -> Answer:
        """Answer a request; what no style knows, and what a style refuses, is answered with an error."""
        matches = {method: list(_matches(table, ask.segments)) for method, table in self._tables.items()}
        if not any(matches.values()):
            return error(404, "No such style")
        if not matches.get(ask.method):
            return error(405, f"{ask.method} is not allowed")
        style, ids = matches[ask.method][0]
        try:
            return style(ask, *ids)
        except RefusedError as refused:
            return error(refused.status, str(refused))


def _by_segments(table: dict[str, Style]) -> dict[tuple[str, ...], Style]:
    return {tuple(path.split("/")): style for path, style in table.items()}


def _matches(table: dict[tuple[str, ...], Style], segments: tuple[str, ...]) -> Iterator[tuple[Style, list[str]]]:
    """Yield what matches the segments of a path, with what stands for its stars."""
    for pattern, style in table.items():
        if len(pattern) != len(segments):
            continue
        pairs = list(zip(pattern, segments, strict=True))
        if all(wanted in ("*", segment) for wanted, segment in pairs):
            yield style, [segment for wanted, segment in pairs if wanted == "*"]
