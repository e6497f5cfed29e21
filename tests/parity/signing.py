"""Cases of authentication and of what else a client says."""

from __future__ import annotations

from typing import Unpack

from sandbox.styles.auth import CLIENT_ID, CLIENT_SECRET, COOKIE, KEY, PASSWORD, TOKEN, USERNAME
from tests.parity.case import EVERY, Case, Outcome, Words, things


def _auth(name: str, path: str, auth: object, **outcome: Unpack[Outcome]) -> Case:
    """Return a case in which the client signs requests for pages that are linked to each other."""
    endpoint = {"path": f"auth/{path}", "paginator": {"type": "json_link"}, "data_selector": "data"}
    return Case(name=f"auth: {name}", about="auth", config=things(endpoint, client={"auth": auth}), **outcome)


def _oauth(name: str, server: str, words: Words | None = None, **outcome: Unpack[Outcome]) -> Case:
    auth = {
        "type": "oauth2_client_credentials",
        "access_token_url": f"{{base}}/auth/{server}/token",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        **(words or {}),
    }
    return _auth(f"oauth2_client_credentials, {name}", f"{server}/things", auth, **outcome)


def _api_keys() -> list[Case]:
    key = {"type": "api_key", "api_key": KEY}
    query = {**key, "name": "api_key", "location": "query"}
    return [
        _auth("api_key in the usual header", "header", key),
        _auth("api_key in a header", "named_header", {**key, "name": "X-Api-Key", "location": "header"}),
        _auth("api_key in the query", "query", query),
        _auth("api_key in the query, by its other name", "query", {**query, "location": "param"}),
        _auth("api_key in the query, and in links", "query_kept", query),
        _auth(
            "api_key in the query, and in links, once",
            "query_once",
            query,
            departure="a link that carries the key already does not get it twice",
            records=EVERY,
        ),
        _auth(
            "api_key in a cookie",
            "cookie",
            {"type": "api_key", "api_key": COOKIE, "name": "session", "location": "cookie"},
            departure="a key in a cookie is sent",
            records=EVERY,
        ),
        _auth("a wrong api_key", "header", {**key, "api_key": "not the right key"}, error="401"),
        _auth("no auth where it is needed", "header", None, error="401"),
    ]


def _tokens() -> list[Case]:
    bearer = {"type": "bearer", "token": TOKEN}
    basic = {"type": "http_basic", "username": USERNAME, "password": PASSWORD}
    endpoint = {"paginator": {"type": "json_link"}, "data_selector": "data"}
    return [
        _auth("bearer", "bearer", bearer),
        _auth("bearer without its type", "bearer", {"token": TOKEN}),
        _auth("http_basic", "basic", basic),
        _auth("http_basic with a token and no password", "user", {**basic, "username": TOKEN, "password": ""}),
        _auth("a wrong password", "basic", {**basic, "password": "not the right one"}, error="401"),
        _auth("a wrong token", "bearer", {**bearer, "token": "not the right one"}, error="401"),
        Case(
            name="auth: of an endpoint, over the client's",
            about="auth",
            config=things({"path": "auth/basic", "auth": basic, **endpoint}, client={"auth": bearer}),
        ),
        Case(
            name="auth: of the defaults' endpoint",
            about="auth",
            config=things({"path": "auth/bearer", **endpoint}, defaults={"endpoint": {"auth": bearer}}),
        ),
        Case(
            name="auth: another one for each resource",
            about="auth",
            config=things(
                {"path": "auth/bearer", "auth": bearer, **endpoint},
                others=[{"name": "others", "endpoint": {"path": "auth/basic", "auth": basic, **endpoint}}],
            ),
            streams=("things", "others"),
        ),
    ]


def _oauths() -> list[Case]:
    renewed = "a token that is refused is renewed once"
    return [
        _oauth("a token that lasts", "oauth"),
        _oauth("a token that has ended when it comes", "ending"),
        _oauth("a token that does not tell how long it lasts", "silent", {"default_token_expiration": 60}),
        _oauth("a token that tells it as a text", "worded"),
        _oauth("more fields in the request", "scoped", {"access_token_request_data": {"scope": "read"}}),
        _oauth("a token that is refused after two requests", "brief", departure=renewed, records=EVERY),
        _oauth("a token that is refused always", "useless", error="401"),
        _oauth("a wrong secret", "oauth", {"client_secret": "not the right secret"}, error="401"),
    ]


def _clients() -> list[Case]:
    """Return cases of the address and the headers that a client says."""
    headers = {"X-Tenant": "north", "X-Version": "2"}

    def case(name: str, config: Words, **outcome: Unpack[Outcome]) -> Case:
        return Case(name=f"client: {name}", about="client", config=config, **outcome)

    return [
        case("headers", things("params/headers", client={"headers": headers})),
        case(
            "headers of an endpoint over the client's",
            things(
                {"path": "params/headers", "headers": {"X-Version": "2"}},
                client={"headers": {**headers, "X-Version": "1"}},
            ),
        ),
        case("a slash at the end of base_url", things("shapes/data", client={"base_url": "{base}/"})),
        case("a slash before the path", things("/shapes/data")),
        case("both slashes", things("/shapes/data", client={"base_url": "{base}/"})),
        case("a path that is an address", things("{base}/shapes/data", client={"base_url": "{base}/elsewhere"})),
        case("no base_url, and a path that is an address", things("{base}/shapes/data", client={"base_url": ""})),
        case("a query in the path", things({"path": "page/1/total?page=3&per_page=12", "paginator": "single_page"})),
        case("a paginator", things("page/1/more", client={"paginator": _PAGES})),
        case(
            "a paginator, and a resource that is a text",
            {"client": {"base_url": "{base}/shapes"}, "resources": ["data"]},
            streams=("data",),
        ),
        case(
            "words that only steer the loader",
            things(
                "shapes/data",
                parallelized=True,
                max_table_nesting=2,
                table_format="delta",
                file_format="parquet",
                columns={"id": {"data_type": "bigint"}},
            ),
        ),
        case(
            "a write disposition that is an object",
            things("shapes/data", write_disposition={"disposition": "merge", "strategy": "upsert"}),
        ),
        case("defaults of resources", things("shapes/data", key=None, defaults={"primary_key": ["id", "name"]})),
        case(
            "defaults that a resource takes back",
            things(
                {"path": "offset/total", "params": {"limit": None}, "paginator": "single_page"},
                defaults={"endpoint": {"params": {"limit": 5, "kept": 1}}},
            ),
            warning="25",
        ),
    ]


_PAGES = {
    "type": "page_number",
    "base_page": 1,
    "total_path": None,
    "has_more_path": "meta.has_more",
}

CASES = [*_api_keys(), *_tokens(), *_oauths(), *_clients()]
