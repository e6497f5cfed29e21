"""Styles that filter by when a record changed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sandbox.faults import Answer
from sandbox.instants import parse
from sandbox.styles.ask import Ask, RefusedError, reply
from sandbox.styles.data import THINGS, Record
from sandbox.styles.linked import write_link

Read = Callable[[Any], int | str]
"""How a value is read before it is compared; raises ValueError for what the style does not take."""

_PAGE: Final = 5


def _instant(value: object) -> int:
    # A plus sign that nobody escaped arrives as a space.
    instant = parse(str(value).replace(" ", "+"))
    if instant is None:
        message = "must be an RFC 3339 date-time"
        raise ValueError(message)
    return instant


def _day(value: object) -> str:
    if len(str(value)) != len("2026-01-01") or parse(str(value)) is None:
        message = "must be a date such as 2026-01-31"
        raise ValueError(message)
    return str(value)


@dataclass(frozen=True, kw_only=True)
class Filtered:
    """Things whose `field` is at or after a parameter, and before another where the style has one.

    A path may end with a number: then the table holds only that many of the things.
    """

    field: str = "at"
    since: str = "since"
    until: str | None = None
    read: Read = _instant
    inclusive: bool = True
    in_body: bool = False
    backwards: bool = False
    # Whether the records come in pages, linked to each other.
    pages: bool = False

    def __call__(self, ask: Ask, size: str = "25") -> Answer:
        """Answer with the things that pass."""
        since, until = self._bound(ask, self.since), self._bound(ask, self.until)
        things = [thing for thing in THINGS[: int(size)] if self._passes(thing, since, until)]
        if self.backwards:
            things.reverse()
        if not self.pages:
            return reply({"data": things})
        page = ask.number("page", 1, least=1)
        more = page * _PAGE < len(things)
        following = write_link(ask, "absolute", page=page + 1) if more else None
        return reply({"data": things[(page - 1) * _PAGE : page * _PAGE], "next": following})

    def _bound(self, ask: Ask, name: str | None) -> Any:  # noqa: ANN401 - a number or a text, as `read` gives it
        value = None if name is None else ask.field(name) if self.in_body else ask.param(name)
        if value is None:
            return None
        try:
            return self.read(value)
        except ValueError as problem:
            raise RefusedError(400, f"{name}: {problem}") from None

    def _passes(self, thing: Record, since: Any, until: Any) -> bool:  # noqa: ANN401 - as `_bound` gives them
        value: Any = self.read(thing[self.field])
        early = since is not None and (value < since or (value == since and not self.inclusive))
        late = until is not None and value >= until
        return not early and not late


_STYLES: Final = {
    "inclusive": Filtered(),
    "exclusive": Filtered(inclusive=False),
    "epoch": Filtered(field="epoch", read=int),
    "number": Filtered(field="n", read=int),
    "day": Filtered(field="day", read=_day),
    "range": Filtered(until="until"),
    "backwards": Filtered(backwards=True),
    "pages": Filtered(pages=True),
    "unfiltered": Filtered(since="none"),
}

GET: Final = {
    **{f"since/{name}": style for name, style in _STYLES.items()},
    **{f"since/{name}/*": style for name, style in _STYLES.items()},
}
"""What is asked for with GET, by path."""

POST: Final = {"since/body": Filtered(since="filter.since", in_body=True)}
"""What is asked for with POST, by path."""
