"""What one seed makes: a server, a calendar, and runs with all that happens around and within them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.simulation.server import EVENTS, Character, Fault
from tests.simulation.table import FORMS

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0

STARTS = (
    "2026-06-17T18:29:00",
    "2026-06-14T23:59:58",  # a Sunday, about to end
    "2028-02-28T23:30:00",
    "2028-02-29T12:00:00",
    "2027-12-31T23:59:59",
    "2026-03-29T00:59:30",  # Europe's clocks go forward
    "2026-10-25T01:30:00",  # and back
    "2038-01-19T03:14:00",
    "2100-02-28T22:00:00",
)
ZONES = ("UTC", "Europe/Amsterdam", "Pacific/Kiritimati", "America/St_Johns", "Asia/Kathmandu", "Pacific/Pago_Pago")

STYLES = ("offset", "page_number", "cursor", "header_cursor", "json_link", "header_link", "auto")
DETECTED = ("json_link", "cursor", "page_number", "header_link")
"""Styles of pages that `auto` detects."""

PASSING = (
    "reset",
    "reset in the body",
    "cut",
    "no answer",
    "silence in the body",
    "byte by byte",
    "empty",
    "garbage",
    "a page of HTML",
    "500",
    "503",
    "429",
    "wait",
    "refused",
)
FAILING = ("error", "failure", "401", "403", "410")
LYING = ("empty page", "stale page")
"""What the pages around it show, where they overlap."""

INITIAL, TAIL = "registrations_initial", "registrations_incremental"


@dataclass(frozen=True)
class Step:
    """One run, and what happens before and during it."""

    pause: float = HOUR
    """Seconds before it."""
    changes: int = 0
    """Rows that change before it."""
    pace: float = 0.0
    """How many change at a request."""
    seconds: float = 0.0
    """Seconds between two requests."""
    streams: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    dies_at_line: int = 0
    """The line after which the run is killed; 0 for none."""
    dies_at_request: int = 0
    ahead: timedelta = timedelta(0)
    """How far the server's clock is ahead of ours."""
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def is_peaceful(self) -> bool:
        return not (self.faults or self.dies_at_line or self.dies_at_request or self.pace)


@dataclass(frozen=True)
class History:
    """A server, a calendar, and runs."""

    seed: int
    kind: str
    start: datetime
    zone: str
    character: Character
    rows: int
    resources: tuple[dict[str, Any], ...]
    events: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables of the server, the names that streams have in the output."""
        return {"registrations": ("registrations",), "workers": ("workers",), "family": ("items", "parts")}.get(
            self.kind, ("items",)
        )


def history(seed: int) -> History:
    """Return the history of a seed."""
    return _Maker(seed).history()


class _Maker:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.kind = self.one_of("registrations", "registrations", "workers", "list", "list", "feed", "feed", "family")
        self.style = "offset" if self.kind in {"registrations", "workers"} else self.one_of(*STYLES)
        self.shown = self.one_of(*DETECTED) if self.style == "auto" else self.style
        self.limit = self.one_of(1, 2, 3, 5, 10, 50)
        self.infers = self.likely(0.15)
        """Whether schemas are inferred, not declared."""
        self.has_pages = self.kind != "registrations" or self.likely(0.8)
        """Whether a list is read page by page; else the server sends all of it at once."""
        self.disposition = self.one_of("merge", "merge", "replace" if self.kind != "feed" else "append")
        if self.kind == "list" and self.likely(0.2):
            self.disposition = "append"

    def one_of(self, *choices: Any) -> Any:  # noqa: ANN401 - of any kind
        return self.chance.choice(choices)

    def likely(self, share: float) -> bool:
        return self.chance.random() < share

    def history(self) -> History:
        start = datetime.fromisoformat(self.one_of(*STARTS)).replace(tzinfo=UTC)
        rows = self.one_of(0, 1, 5, 20, 40)
        if self.kind == "workers":
            rows = self.one_of(0, 1, 99, 100, 101, 200, 230)
        elif self.kind == "family":
            rows = self.one_of(0, 1, 3, 6)
        character = self.character()
        events = self.events(character)
        resources = self.resources(start, character)
        steps = tuple(self.step(character, events) for _ in range(self.chance.randint(0, 3)))
        last = Step(pause=self.one_of(MINUTE, DAY), streams=(INITIAL, TAIL), settings=self.settings())
        kinds = (self.kind, start, self.one_of(*ZONES), character, rows, resources, events)
        return History(self.seed, *kinds, (*steps, last))

    # The server

    def character(self) -> Character:
        shows_date = self.likely(0.8)
        # Only rows with a key, asked for by offset, show that they moved.
        may_reorder = self.shown == "offset" and self.disposition != "append"
        facts: dict[str, Any] = {
            "style": self.shown,
            "order": self.one_of("key", "created", "newest", "rank", *(["updated"] if may_reorder else [])),
            "cap": self.one_of(2, 3, 7, 10_000) if self.shown == "offset" else self.limit,
            "total": self.one_of("", "", "", "", "body", "header", "body, wrong", "header, wrong"),
            "encoding": self.one_of("", "gzip", "chunked"),
            "has_interim_answers": self.likely(0.15),
            "has_redirects": self.likely(0.1),
            "at_once": self.one_of(100, 100, 100, 1, 2),
            "form": self.one_of("Z", "Z", "seconds", "space", "offset", *(["date"] if self.kind == "feed" else [])),
            "shows_date": shows_date,
            "is_strict": self.likely(0.3),
            "reorders": may_reorder and self.likely(0.1),
            "has_uneven_pages": self.shown != "page_number" and self.likely(0.2),
        }
        if self.kind == "workers":
            facts |= {"cap": 100, "has_uneven_pages": False}
        elif self.kind == "registrations":
            facts["form"] = self.one_of("Z", "seconds")
            facts |= {} if self.has_pages else {"cap": 10_000, "has_uneven_pages": False}
        if self.shown == "offset":
            facts |= self.offsets()
        if self.shown == "page_number":
            facts |= {"past_the_end": self.one_of(200, 200, 404, 400, 204), "order": self.one_of("key", "created")}
        return Character(**facts)

    def offsets(self) -> dict[str, Any]:
        """Return what may be odd about pages by offset."""
        odd: dict[str, Any] = {"past_the_end": self.one_of(200, 200, 404, 400, 204)}
        if self.kind != "workers" and self.limit > 1 and self.likely(0.1):
            odd |= {"rounds_offsets": True, "cap": 10_000, "has_uneven_pages": False}
        elif self.kind == "registrations" and self.likely(0.1):
            odd |= {"window": self.one_of(10, 20), "window_status": self.one_of(0, 200, 400)}
        return odd

    def events(self, character: Character) -> tuple[str, ...]:
        """Return what may happen to rows during a run that this way of paging is promised to bear."""
        if character.style == "page_number":
            return ("update", "create") if self.kind != "feed" else ()
        if character.style == "offset" and character.rounds_offsets:
            return ("update",) if self.kind != "feed" else ()
        if character.style == "offset" and self.limit == 1:  # pages of one record cannot overlap
            return tuple(event for event in EVENTS if event != "delete")
        return EVENTS

    # The settings

    def resources(self, start: datetime, character: Character) -> tuple[dict[str, Any], ...]:
        if self.kind == "registrations":
            pages = {"paginator": {"type": "offset", "limit": self.limit}} if self.has_pages else {}
            return tuple({"name": name, "extends": True, "endpoint": pages} for name in (INITIAL, TAIL))
        if self.kind == "workers":
            return ({"name": "workers", "extends": True, "write_disposition": self.disposition},)
        incremental = None
        if self.kind == "feed" or (self.kind == "family" and self.likely(0.5)):
            incremental = {"cursor_path": "updated_at", "start_param": "since"}
            if self.kind == "feed" and self.likely(0.3):
                day = (start - timedelta(days=10)).replace(hour=0, minute=0, second=0)
                incremental["initial_value"] = day.strftime(FORMS[character.form])
        items = self.resource("items", "/v1/items", character, incremental)
        if self.kind != "family":
            return (items,)
        items |= {"selected": self.likely(0.7), "write_disposition": "merge"}
        parts = self.resource("parts", "/v1/items/{resources.items.id}/parts", character, None)
        return (items, {**parts, "write_disposition": "merge"})

    def resource(self, name: str, path: str, character: Character, incremental: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        endpoint: dict[str, Any] = {"path": path, "data_selector": "data", "paginator": self.paginator()}
        if incremental is not None:
            endpoint["incremental"] = incremental
        declared: dict[str, Any] = {
            "name": name,
            "primary_key": "id",
            "write_disposition": self.disposition,
            "endpoint": endpoint,
        }
        if not self.infers:
            form = "date" if character.form == "date" else "date-time"
            kinds = {"id": "string", "rev": "integer", "owner": ["string", "null"], "note": ["string", "null"]}
            properties: dict[str, Any] = {field: {"type": kind} for field, kind in kinds.items()}
            properties["updated_at"] = {"type": ["string", "null"], "format": form}
            declared["schema"] = {"properties": properties}
        return declared

    def paginator(self) -> Any:  # noqa: ANN401 - JSON
        match self.style:
            case "offset":
                return {"type": "offset", "limit": self.limit}
            case "page_number":
                total = {"total_path": "total_pages"} if self.likely(0.5) else {}
                return {"type": "page_number", "base_page": 1, **total}
            case "cursor":
                return {"type": "cursor", "cursor_path": "next_cursor", "cursor_param": "after"}
            case "header_cursor":
                return {"type": "header_cursor", "cursor_key": "X-Next", "cursor_param": "after"}
        return "auto" if self.style == "auto" else {"type": self.style}

    def settings(self) -> dict[str, Any]:
        """Return settings that may differ from run to run."""
        chosen: dict[str, Any] = {
            "max_in_flight": self.one_of(1, 2, 4, 8),
            "lookback_days": self.one_of(0, 0, 1),
            "window_days": self.one_of(1, 3, 30),
            "backoff_factor": self.one_of(0, 2),
        }
        if self.likely(0.5):
            chosen["start_date"] = self.one_of(30, 55)  # days before the first run
        # With stream maps, a schema that was inferred from nothing keeps nothing, which a warning says.
        if self.likely(0.1) and not (self.infers and self.disposition == "append"):
            chosen["stream_maps"] = {"*": {"__filter__": "True"}}
        return chosen

    # The runs

    def step(self, character: Character, events: tuple[str, ...]) -> Step:
        skew = timedelta(0)
        if character.shows_date and self.likely(0.3):
            skew = timedelta(seconds=self.one_of(-30 * HOUR, -3 * HOUR, -MINUTE, MINUTE, 3 * HOUR, 20 * HOUR))
        death: dict[str, int] = {}
        if self.likely(0.3):
            death["dies_at_line"] = self.chance.randint(1, 40)
        elif self.likely(0.2):
            death["dies_at_request"] = self.chance.randint(1, 15)
        return Step(
            pause=self.one_of(2.0, MINUTE, HOUR, DAY, 40 * DAY),
            changes=self.one_of(0, 1, 4),
            pace=self.one_of(0.0, 0.0, 0.3, 1.0) if events else 0.0,
            seconds=self.one_of(0.0, 1.0, HOUR),
            streams=self.one_of((INITIAL, TAIL), (INITIAL, TAIL), (INITIAL,), (TAIL,)),
            faults=tuple(self.faults(character)),
            ahead=skew,
            settings=self.settings(),
            **death,
        )

    def faults(self, character: Character) -> list[Fault]:
        kinds = [*PASSING, *PASSING, *FAILING]
        if self.kind == "registrations" and self.limit > 3 and character.cap > 3 and not character.has_uneven_pages:
            kinds += LYING if not character.rounds_offsets else ()
        count = self.one_of(0, 0, 1, 2, 3)
        return [Fault(self.one_of(*kinds), self.chance.randint(1, 15), self.one_of(1, 1, 2, 4)) for _ in range(count)]
