"""The records that the styles serve: small tables that never change."""

from typing import Any, Final

from sandbox.instants import DAY, HOUR, SECOND, parse, stamp

Record = dict[str, Any]

PAGE: Final = 10
"""Records in a page of a style that is not asked for a size."""

START: Final = parse("2026-01-01T00:00:00Z") or 0
"""When the first thing was made, in ms."""

_ORGS: Final = ("a/b", "c d", "e?f=1", "g#h", "ü%20", "plain")


def _thing(number: int) -> Record:
    # Half a day apart, but for three that share one instant.
    steps = 9 if number in (11, 12) else number - 1
    made = START + steps * 12 * HOUR
    return {
        "id": number,
        "name": f"thing {number:02d}",
        "at": stamp(made),
        "day": stamp(made // DAY * DAY)[:10],
        "epoch": made // SECOND,
        # Each of 0 to 24 once, in no order.
        "n": number * 7 % 25,
        "nested": {"at": stamp(made), "size": {"width": number, "height": 2}},
        "tags": ["all", "even" if number % 2 == 0 else "odd"],
    }


def _org(number: int, name: str) -> Record:
    return {"id": name, "no": number, "name": f"org {number}", "meta": {"slug": name, "no": number}, "boss": None}


MANY: Final[tuple[Record, ...]] = (
    *({"id": number, "n": number} for number in range(1, 2301)),
    *({"id": number, "n": number + 0.5, "late": True} for number in range(2301, 2501)),
)
"""More than the sample of a schema; the last two hundred have a field more, and a number of another kind."""

THINGS: Final = tuple(map(_thing, range(1, 26)))
ORGS: Final = tuple(_org(number, name) for number, name in enumerate(_ORGS, 1))


def org(key: str) -> Record | None:
    """Return the organisation with an `id` or a `no`."""
    return next((org for org in ORGS if key in (org["id"], str(org["no"]))), None)


def repos_of(org: Record) -> list[Record]:
    """Return the repositories of an organisation: one, two or three, whose ids hold a slash."""
    numbers = range(1, (org["no"] - 1) % 3 + 2)
    return [{"id": f"{org['no']}/{number}", "no": org["no"] * 10 + number, "org": org["id"]} for number in numbers]


def repo(key: str) -> Record | None:
    """Return the repository with an `id` or a `no`."""
    every = (repo for org in ORGS for repo in repos_of(org))
    return next((repo for repo in every if key in (repo["id"], str(repo["no"]))), None)


def issues_of(repo: Record) -> list[Record]:
    """Return the two issues of a repository."""
    return [{"id": repo["no"] * 10 + number, "repo": repo["id"], "title": f"issue {number}"} for number in (1, 2)]


def events_of(org: Record) -> list[Record]:
    """Return the four events of an organisation; the later its number, the earlier they are."""
    first = START + (10 - org["no"]) * DAY
    return [
        {"id": org["no"] * 10 + number, "org": org["id"], "at": stamp(first + number * 6 * HOUR)}
        for number in (1, 2, 3, 4)
    ]
