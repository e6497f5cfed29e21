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
    first = ask(issues, headers=TOKEN, params={"state": "all", "per_page": 20})
    assert ids(first) + ids(ask(first.links["next"]["url"], headers=TOKEN)) == [one["id"] for one in apis.ISSUES]
    assert {issue["state"] for issue in ask(issues, headers=TOKEN).json()} == {"open"}
    assert ids(ask(f"{issues}/5/comments", headers=TOKEN)) == [501, 502]
    assert ask(f"{issues}/99/comments", headers=TOKEN).status_code == 404
    since = {"since": apis.ISSUES[-1]["updated_at"], "state": "all"}
    assert ids(ask(issues, headers=TOKEN, params=since)) == [apis.ISSUES[-1]["id"]]


def test_a_crm(ask: Ask) -> None:
    contacts = "apis/crm/crm/v3/objects/contacts"
    page = ask(contacts, headers=TOKEN, params={"limit": 20}).json()
    assert page["paging"] == {"next": {"after": "20"}}
    last = ask(contacts, headers=TOKEN, params={"limit": 20, "after": "20"}).json()
    assert [one["id"] for one in page["results"] + last["results"]] == [one["id"] for one in apis.CONTACTS]
    assert "paging" not in last
    condition = {"propertyName": "lastmodifieddate", "operator": "GTE", "value": apis.CONTACTS[-2]["updatedAt"]}
    body = {"filterGroups": [{"filters": [condition]}], "limit": 1}
    found = ask(f"{contacts}/search", headers=TOKEN, json=body).json()
    assert (found["total"], found["paging"]["next"]["after"]) == (2, "1")
    assert ask(f"{contacts}/search", headers=TOKEN, json={"after": "x"}).status_code == 400
    unknown = {"filterGroups": [{"filters": [{**condition, "operator": "LT"}]}]}
    assert ask(f"{contacts}/search", headers=TOKEN, json=unknown).status_code == 400
    nonsense = {"filterGroups": [{"filters": [{**condition, "value": "soon"}]}]}
    assert ask(f"{contacts}/search", headers=TOKEN, json=nonsense).status_code == 400


def test_a_shop(ask: Ask) -> None:
    products = ask("apis/shop/wp-json/wc/v3/products", auth=BASIC, params={"page": 3})
    assert products.headers["X-Total-Pages"] == "3"
    assert ids(products) == [21, 22, 23]
    assert ask("apis/shop/wp-json/wc/v3/orders", params={"page": 1}).status_code == 401


def test_documents_of_json_api(ask: Ask) -> None:
    accept = {"Accept": "application/vnd.api+json"}
    answer = ask("apis/jsonapi/articles", headers=accept, params={"page[size]": 20})
    assert answer.headers["Content-Type"] == "application/vnd.api+json"
    last = ask(answer.json()["links"]["next"], headers=accept)
    assert ids(answer) + ids(last) == [one["id"] for one in apis.ARTICLES]
    assert last.json()["links"]["next"] is None
    assert len(ids(ask("apis/jsonapi/people", headers=accept))) == 4
    assert ask("apis/jsonapi/articles").status_code == 406


@pytest.mark.parametrize(("path", "records"), [("Customers", apis.CUSTOMERS), ("Orders", apis.SALES)])
def test_entities_of_odata(ask: Ask, path: str, records: tuple[Any, ...]) -> None:
    answer = ask(f"apis/odata/{path}")
    found = answer.json()["value"]
    links = []
    while link := answer.json().get("@odata.nextLink"):
        links.append(link)
        answer = ask(urljoin(answer.url, link))
        found += answer.json()["value"]
    assert found == list(records)
    assert bool(urlsplit(links[0]).netloc) == (path == "Orders")
