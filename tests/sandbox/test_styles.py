"""Styles of paging: each serves its pages as it says, and refuses what it does not take."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin

import pytest

from sandbox.styles.data import THINGS

from .conftest import ALL, ids

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from sandbox import Sandbox

    from .conftest import Ask


# Pages by number


@pytest.mark.parametrize(
    ("path", "offset", "limit"),
    [(f"offset/{name}", "offset", "limit") for name in ("plain", "bare", "total", "text", "more", "multiples")]
    + [("offset/named", "skip", "take")],
)
def test_offsets(ask: Ask, path: str, offset: str, limit: str) -> None:
    assert ids(ask(path)) == ALL[:10]
    assert [ids(ask(path, params={offset: start, limit: 5})) for start in (0, 20, 25)] == [ALL[:5], ALL[20:], []]
    assert ask(path, params={offset: -1}).status_code == 400
    assert ask(path, params={limit: 0}).status_code == 400


def test_what_offset_pages_announce(ask: Ask) -> None:
    assert ask("offset/total").json()["total"] == 25
    assert ask("offset/text").json()["meta"] == {"count": "25"}
    assert ask("offset/wrong_total").json()["total"] == 40
    assert ask("offset/words").json()["total"] == "many"
    assert ask("offset/plain").json().keys() == {"data"}
    assert [ask("offset/more", params={"offset": at}).json()["has_more"] for at in (0, 14, 15)] == [True, True, False]


def test_offsets_that_are_capped_rounded_refused_or_ignored(ask: Ask) -> None:
    for path in ("offset/capped", "offset/capped_total"):
        assert ids(ask(path, params={"offset": 3, "limit": 10})) == ALL[3:7]
    assert ids(ask("offset/rounded", params={"offset": 19, "limit": 10})) == ALL[10:20]
    assert ask("offset/multiples", params={"offset": 19, "limit": 10}).status_code == 400
    assert ids(ask("offset/ignored", params={"offset": 20, "limit": 5})) == ALL


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("name", ["plain", "total", "total_pages", "records", "text", "header", "more", "bare"])
def test_page_numbers(ask: Ask, first: int, name: str) -> None:
    pages = [ids(ask(f"page/{first}/{name}", params={"page": first + index})) for index in range(4)]
    assert pages == [ALL[:10], ALL[10:20], ALL[20:], []]
    assert ids(ask(f"page/{first}/{name}")) == ALL[:10]
    assert ask(f"page/{first}/{name}", params={"page": first - 1}).status_code == 400


def test_what_numbered_pages_announce(ask: Ask) -> None:
    assert ask("page/0/total").json()["total"] == 3
    assert ask("page/0/records").json()["total"] == 25
    assert ask("page/1/total_pages").json()["total_pages"] == 3
    assert ask("page/1/text").json()["meta"] == {"pages": "3"}
    assert ask("page/1/header").headers["X-Total-Pages"] == "3"
    assert ask("page/1/named", params={"p": 2, "size": 20}).json() == {"data": list(THINGS[20:]), "meta": {"pages": 2}}
    assert [ask("page/1/more", params={"page": page}).json()["meta"]["has_more"] for page in (2, 3)] == [True, False]


def test_pages_beyond_the_last(ask: Ask) -> None:
    for name in ("last", "last_total"):
        assert ids(ask(f"page/1/{name}", params={"page": 9})) == ALL[20:]
    for name in ("refused", "refused_total"):
        assert ask(f"page/1/{name}", params={"page": 4}).status_code == 404


def test_numbers_in_bodies(ask: Ask) -> None:
    assert ids(ask("offset/body", json={"page": {"offset": 20, "limit": 3}})) == ALL[20:23]
    assert ids(ask("page/1/body", json={"paging": {"page": 3}})) == ALL[20:]
    assert ids(ask("page/0/body", json={})) == ALL[:10]
    assert ask("page/1/body", json={"paging": {"page": "3"}}).status_code == 400
    assert ask("page/1/body", json=[]).status_code == 400
    assert ask("page/1/body", data="{}").status_code == 415
    assert ask("page/1/body").status_code == 405


# Pages that name the next one


@pytest.mark.parametrize(
    "path", ["absolute", "relative", "sibling", "query", "other", "absent", "empty", "deep", "odd"]
)
def test_links(ask: Ask, path: str) -> None:
    def following(answer: requests.Response) -> object:
        body = answer.json()
        if path == "deep":
            return body["paging"]["next"] and body["paging"]["next"]["href"]
        return body.get("@odata-next link" if path == "odd" else "next")

    first = ask(f"link/{path}", params={"kept": "a b"})
    second = ask(urljoin(first.url, str(following(first))))
    third = ask(urljoin(second.url, str(following(second))))
    assert [ids(page) for page in (first, second, third)] == [ALL[:10], ALL[10:20], ALL[20:]]
    assert "kept=a+b" in third.url
    if path != "deep":
        assert following(third) == ("" if path == "empty" else None)


def test_how_links_are_written(sandbox: Sandbox, ask: Ask) -> None:
    def link(path: str, page: int = 1) -> object:
        return ask(f"link/{path}", params={"page": page}).json()["next"]

    assert link("absolute") == f"{sandbox.url}/styles/link/absolute?page=2"
    assert link("relative") == "/styles/link/relative?page=2"
    assert link("sibling") == "sibling?page=2"
    assert link("query") == "?page=2"
    assert link("other") == f"{sandbox.url}/styles/link/other?page=2".replace("127.0.0.1", "localhost")
    assert link("circle", 3) == f"{sandbox.url}/styles/link/circle?page=1"
    assert link("itself", 3) == f"{sandbox.url}/styles/link/itself?page=3"
    assert "next" not in ask("link/absent", params={"page": 3}).json()


@pytest.mark.parametrize(
    ("path", "rel"),
    [
        *((name, "next") for name in ("next", "relative", "query", "other", "titled")),
        ("more", "more"),
        ("several", "next up"),
    ],
)
def test_header_links(ask: Ask, path: str, rel: str) -> None:
    pages = [ask(f"header/{path}")]
    while rel in pages[-1].links:
        pages.append(ask(urljoin(pages[-1].url, pages[-1].links[rel]["url"])))
    assert [ids(page) for page in pages] == [ALL[:10], ALL[10:20], ALL[20:]]
    assert pages[0].links.keys() == {"first", rel, "last"}
    assert pages[2].links.keys() == {"first", "prev", "last"}


def test_header_links_in_a_circle_and_with_a_comma(ask: Ask) -> None:
    assert ask("header/circle", params={"page": 3}).links["next"]["url"].endswith("page=1")
    assert ask("header/titled").links["next"]["title"] == "the next, with a comma"


@pytest.mark.parametrize(
    ("path", "param", "cursor"),
    [
        ("header_cursor/next", "cursor", lambda page: page.headers.get("next")),
        ("header_cursor/named", "after", lambda page: page.headers.get("X-Next-Cursor")),
        ("header_cursor/last_id", "after", lambda page: page.headers.get("X-Last-Id")),
        ("header_cursor/zero", "cursor", lambda page: page.headers.get("next")),
        ("header_cursor/empty", "cursor", lambda page: page.headers["next"] or None),
        ("cursor/next", "cursor", lambda page: page.json()["cursors"]["next"]),
        ("cursor/named", "token", lambda page: page.json().get("meta", {}).get("next_token")),
        ("cursor/empty", "cursor", lambda page: page.json()["cursors"]["next"] or None),
        ("cursor/zero", "cursor", lambda page: page.json()["cursors"]["next"]),
        ("cursor/more", "cursor", lambda page: page.json()["cursors"]["next"] if page.json()["has_more"] else None),
        ("cursor/next_cursor", "cursor", lambda page: page.json()["next_cursor"]),
        ("cursor/next_page", "page_token", lambda page: page.json()["next_page"]),
        ("cursor/last_id", "starting_after", lambda page: page.json()["data"][-1]["id"] if ids(page) else None),
    ],
)
def test_cursors(ask: Ask, path: str, param: str, cursor: Callable[[requests.Response], object]) -> None:
    pages = [ask(path)]
    while (following := cursor(pages[-1])) is not None:
        pages.append(ask(path, params={param: following}))
    assert [ids(page) for page in pages if ids(page)] == [ALL[:10], ALL[10:20], ALL[20:]]
    assert ask(path, params={param: "no such"}).status_code == 400


def test_cursors_that_never_end_or_are_a_number(ask: Ask) -> None:
    second = ask("cursor/stuck", params={"cursor": ask("cursor/stuck").json()["cursors"]["next"]})
    assert ids(second) == ALL[10:20]
    assert second.json()["cursors"] == ask("cursor/stuck").json()["cursors"]
    assert ask("header_cursor/stuck").headers["next"] == "p+10/&="
    assert ask("cursor/zero", params={"cursor": 1}).json()["cursors"] == {"next": 0}
    assert ask("cursor/last_id_more", params={"starting_after": 20}).json()["has_more"] is False


def test_cursors_in_bodies(ask: Ask) -> None:
    cursor = ask("cursor/body", json={}).json()["cursors"]["next"]
    assert ids(ask("cursor/body", json={"cursor": cursor})) == ALL[10:20]
    after = ask("cursor/deep_body", json={"page": {}}).json()["page"]["after"]
    assert ids(ask("cursor/deep_body", json={"page": {"after": after}})) == ALL[10:20]
