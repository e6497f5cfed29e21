"""Styles of authentication, and the stand-ins for public APIs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import pytest

from sandbox.styles import apis, auth

from .conftest import ALL, ids

if TYPE_CHECKING:
    import requests

    from sandbox import Sandbox

    from .conftest import Ask


# Authentication

BASIC = (auth.USERNAME.encode(), auth.PASSWORD.encode())
RIGHT: dict[str, dict[str, Any]] = {
    "header": {"headers": {"Authorization": auth.KEY}},
    "named_header": {"headers": {"X-Api-Key": auth.KEY}},
    "query": {"params": {"api_key": auth.KEY}},
    "query_kept": {"params": {"api_key": auth.KEY}},
    "query_once": {"params": {"api_key": auth.KEY}},
    "cookie": {"cookies": {"session": auth.COOKIE}},
    "bearer": {"headers": {"Authorization": f"Bearer {auth.TOKEN}"}},
    "user": {"auth": (auth.TOKEN, "")},
    "basic": {"auth": BASIC},
}


@pytest.mark.parametrize("name", RIGHT)
def test_credentials(ask: Ask, name: str) -> None:
    assert ids(ask(f"auth/{name}", **RIGHT[name])) == ALL[:10]
    assert ask(f"auth/{name}").status_code == 401
    wrong: dict[str, Any] = {"params": {"api_key": "wrong"}, "cookies": {"session": "wrong"}, "auth": ("a", "b")}
    assert ask(f"auth/{name}", **wrong).status_code == 401


def test_a_key_in_links(ask: Ask) -> None:
    assert "api_key" not in ask("auth/query", **RIGHT["query"]).json()["next"]
    kept = ask("auth/query_kept", **RIGHT["query"]).json()["next"]
    assert ids(ask(kept, params={"api_key": auth.KEY})) == ALL[10:20]
    assert ask("auth/query_once", params={"api_key": [auth.KEY, auth.KEY]}).status_code == 401


CLIENT = {
    "grant_type": "client_credentials",
    "client_id": auth.CLIENT_ID,
    "client_secret": auth.CLIENT_SECRET,
}


def bearer(answer: requests.Response) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {answer.json()['access_token']}"}}


def test_only_the_last_token_is_good(sandbox: Sandbox, ask: Ask) -> None:
    first, second = (ask("auth/oauth/token", data=CLIENT) for _ in range(2))
    assert first.json() == {"access_token": "style-token-1", "token_type": "Bearer", "expires_in": 3600}
    assert sandbox.styles.tokens["oauth"].issued == 2
    assert ids(ask("auth/oauth/things", **bearer(second))) == ALL[:10]
    assert ask("auth/oauth/things", **bearer(first)).status_code == 401
    assert ask("auth/oauth/things").status_code == 401
    assert ask("auth/oauth/token", data=CLIENT | {"client_secret": "wrong"}).status_code == 401
    assert ask("auth/oauth/token", json=CLIENT).status_code == 415


def test_tokens_wear_out(ask: Ask) -> None:
    token = bearer(ask("auth/brief/token", data=CLIENT))
    assert [ask("auth/brief/things", **token).status_code for _ in range(3)] == [200, 200, 401]
    assert ids(ask("auth/brief/things", **bearer(ask("auth/brief/token", data=CLIENT)))) == ALL[:10]


def test_how_token_servers_differ(ask: Ask) -> None:
    assert ask("auth/ending/token", data=CLIENT).json()["expires_in"] == 0
    assert ask("auth/worded/token", data=CLIENT).json()["expires_in"] == "3600"
    assert "expires_in" not in ask("auth/silent/token", data=CLIENT).json()
    assert ask("auth/scoped/token", data=CLIENT).status_code == 401
    assert ask("auth/scoped/token", data=CLIENT | {"scope": "read"}).status_code == 200
    token = bearer(ask("auth/useless/token", data=CLIENT))
    assert ask("auth/useless/things", **token).status_code == 401


# Stand-ins for public APIs

TOKEN = {"Authorization": f"Bearer {auth.TOKEN}"}


def test_issues_and_comments(ask: Ask) -> None:
    issues = "apis/issues/repos/octo/hello/issues"
    assert ask(issues).status_code == 401
    pages = [ask(issues, headers=TOKEN, params={"state": "all", "per_page": 100})]
    while "next" in pages[-1].links:
        pages.append(ask(pages[-1].links["next"]["url"], headers=TOKEN))
    assert [len(ids(page)) for page in pages] == [10, 10, 3]
    assert [one for page in pages for one in page.json()] == list(apis.ISSUES)
    assert {issue["state"] for issue in ask(issues, headers=TOKEN).json()} == {"open"}
    assert ids(ask(f"{issues}/5/comments", headers=TOKEN)) == [501, 502]
    assert ask(f"{issues}/99/comments", headers=TOKEN).status_code == 404
    since = {"since": apis.ISSUES[-1]["updated_at"], "state": "all"}
    assert ids(ask(issues, headers=TOKEN, params=since)) == [apis.ISSUES[-1]["id"]]


def test_a_crm(ask: Ask) -> None:
    objects = "apis/crm/crm/v3/objects"
    page = ask(f"{objects}/companies", headers=TOKEN, params={"limit": 100}).json()
    assert page["paging"] == {"next": {"after": "10"}}
    last = ask(f"{objects}/companies", headers=TOKEN, params={"after": "20"}).json()
    assert page["results"] + last["results"] == [*apis.COMPANIES[:10], *apis.COMPANIES[20:]]
    assert "paging" not in last
    condition = {"propertyName": "email", "operator": "HAS_PROPERTY"}
    body = {"filterGroups": [{"filters": [condition]}], "limit": 2}
    result = ask(f"{objects}/contacts/search", headers=TOKEN, json={**body, "after": "3"}).json()
    assert (result["total"], result["paging"]["next"]["after"]) == (24, "5")
    assert [one["id"] for one in result["results"]] == ["104", "106"]
    assert ask(f"{objects}/contacts/search", headers=TOKEN, json={"after": "x"}).status_code == 400
    other = {"filterGroups": [{"filters": [{**condition, "operator": "LT"}]}]}
    assert ask(f"{objects}/contacts/search", headers=TOKEN, json=other).status_code == 400
    assert ask(f"{objects}/contacts/search", json=body).status_code == 401


def test_a_shop(ask: Ask) -> None:
    shop = "apis/shop/wp-json/wc/v3"
    products = ask(f"{shop}/products", auth=BASIC, params={"page": 3, "per_page": 100})
    assert products.headers["X-Total-Pages"] == "3"
    assert ids(products) == [21, 22, 23]
    after = {"modified_after": apis.ORDERS[-3]["date_modified_gmt"]}
    assert ids(ask(f"{shop}/orders", auth=BASIC, params=after)) == [920, 921]
    assert ask(f"{shop}/orders").status_code == 401


def test_documents_of_json_api(ask: Ask) -> None:
    accept = {"Accept": "application/vnd.api+json"}
    answers = [ask("apis/jsonapi/articles", headers=accept, params={"page[size]": 100})]
    assert answers[0].headers["Content-Type"] == "application/vnd.api+json"
    while link := answers[-1].json()["links"]["next"]:
        answers.append(ask(link, headers=accept))
    assert [one for answer in answers for one in answer.json()["data"]] == list(apis.ARTICLES)
    assert len(ids(ask("apis/jsonapi/people", headers=accept))) == 4
    assert ask("apis/jsonapi/articles").status_code == 406


@pytest.mark.parametrize(("path", "records"), [("Customers", apis.CUSTOMERS), ("Orders", apis.SALES)])
def test_entities_of_odata(ask: Ask, path: str, records: tuple[Any, ...]) -> None:
    answer = ask(f"apis/odata/{path}")
    entities = answer.json()["value"]
    links = []
    while link := answer.json().get("@odata.nextLink"):
        links.append(link)
        answer = ask(urljoin(answer.url, link))
        entities += answer.json()["value"]
    assert entities == list(records)
    assert bool(urlsplit(links[0]).netloc) == (path == "Orders")


def test_a_filter_of_odata(ask: Ask) -> None:
    least = apis.SALES[11]["OrderDate"]
    first = ask("apis/odata/Orders", params={"$filter": f"OrderDate ge {least}"}).json()
    second = ask(first["@odata.nextLink"]).json()
    assert first["value"] + second["value"] == list(apis.SALES[11:])
    assert ask("apis/odata/Orders", params={"$filter": "OrderDate gt soon"}).status_code == 400
