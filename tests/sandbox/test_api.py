"""The API over real HTTP when nothing goes wrong."""

import threading
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import pytest
import requests

from sandbox import Request, Sandbox
from sandbox.world import MASTER, TRANSACTIONAL

from .conftest import Get

REGISTRATIONS = "/v1/transactional/registrations"


def at(day: int, hour: int = 0) -> datetime:
    """Return an instant in May 2026."""
    return datetime(2026, 5, day, hour, tzinfo=UTC)


def ids(response: requests.Response) -> list[str]:
    """Return the keys of the records of a good response."""
    response.raise_for_status()
    return [record["id"] for record in response.json()["data"]]


@pytest.mark.parametrize(
    ("path", "resource"),
    [(f"/v1/master/{name}", name) for name in MASTER]
    + [(f"/v1/transactional/{name}", name) for name in TRANSACTIONAL]
    + [("/v1/resource", "resource")],
)
def test_every_resource_is_served(sandbox: Sandbox, get: Get, path: str, resource: str) -> None:
    response = get(path)
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert ids(response) == [record["id"] for record in sandbox.world.records(resource)]


def test_pages_follow_one_another(get: Get) -> None:
    every = ids(get(REGISTRATIONS))
    walked = []
    for offset in range(0, 400, 70):
        walked += ids(get(REGISTRATIONS, offset=offset, limit=70))
    assert walked == every
    assert ids(get("/v1/master/workers", offset=38, limit=5)) == ids(get("/v1/master/workers"))[38:]


def test_pages_are_capped() -> None:
    with Sandbox(page_cap=7, days=20) as sandbox:
        headers = {"api_key": sandbox.api_key}
        for path in (REGISTRATIONS, "/v1/master/workers", "/v1/resource"):
            for params in ({}, {"limit": 10_000}):
                response = requests.get(sandbox.url + path, params=params, headers=headers, timeout=30)
                assert len(ids(response)) == 7


def test_dates_choose_records(sandbox: Sandbox, get: Get) -> None:
    sandbox.world.clear("registrations")
    put = sandbox.world.put
    put("registrations", {"id": "a"}, created=at(1, 23), updated=at(30))
    put("registrations", {"id": "b"}, created=at(2), updated=at(31))
    put("registrations", {"id": "c"}, created=at(3, 23), updated=at(31) + timedelta(days=1))
    put("registrations", {"id": "d"}, created=at(4), updated=at(4))
    assert ids(get(REGISTRATIONS)) == ["a", "b", "c", "d"]
    assert ids(get(REGISTRATIONS, date="20260502", days_from_date=2)) == ["b", "c"]
    assert ids(get(REGISTRATIONS, date="20260502", days_from_date=366)) == ["b", "c", "d"]
    by_update: dict[str, Any] = {"filter_date_by": "UPDATED"}
    assert ids(get(REGISTRATIONS, date="20260530", days_from_date=1, **by_update)) == ["a"]
    assert ids(get(REGISTRATIONS, days_till_date=1, **by_update)) == ["c"]
    assert ids(get(REGISTRATIONS, days_till_date=2, **by_update)) == ["b", "c"]
    assert ids(get(REGISTRATIONS, days_till_date=31, filter_date_by="CREATED")) == ["b", "c", "d"]


def test_dates_that_are_not_given_come_from_the_record(sandbox: Sandbox, get: Get) -> None:
    sandbox.world.put("sessions", {"id": "x", "updatedTimestamp": "2025-01-02T01:00:00+02:00"})
    window: dict[str, Any] = {"date": "20250101", "days_from_date": 1}
    assert ids(get("/v1/transactional/sessions", **window)) == ["x"]
    assert ids(get("/v1/transactional/sessions", **window, filter_date_by="UPDATED")) == ["x"]


@pytest.mark.parametrize(
    "params",
    [
        {"offset": "-1"},
        {"offset": "one"},
        {"limit": "0"},
        {"limit": "1.5"},
        {"limit": ""},
        {"date": "20260501"},
        {"days_from_date": "3"},
        {"date": "20260501", "days_from_date": "367"},
        {"date": "20260501", "days_from_date": "0"},
        {"date": "20260231", "days_from_date": "1"},
        {"date": "2026-05-01", "days_from_date": "1"},
        {"days_till_date": "0"},
        {"filter_date_by": "updated"},
    ],
)
def test_bad_parameters_are_refused(get: Get, params: dict[str, str]) -> None:
    response = get(REGISTRATIONS, **params)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == 400


def test_generic_resource_has_its_own_page_and_filter(sandbox: Sandbox, get: Get) -> None:
    sandbox.world.clear("resource")
    for day in range(1, 32):
        for number in range(4):
            record = {"id": f"{day}-{number}", "timestamp": f"2026-05-{day:02d}T0{number}:00:00Z"}
            sandbox.world.put("resource", record)
    assert len(ids(get("/v1/resource"))) == 100
    assert len(ids(get("/v1/resource", limit=1_000))) == 124
    assert ids(get("/v1/resource", since="2026-05-31T02:00:00Z")) == ["31-2", "31-3"]
    assert ids(get("/v1/resource", since="2026-05-31T05:00:00+02:00")) == ["31-3"]
    assert get("/v1/resource", since="yesterday").status_code == 400


@pytest.mark.parametrize("location", ["header", "query"])
def test_key_travels_where_it_should(location: Literal["header", "query"]) -> None:
    with Sandbox(
        auth_location=location,
        auth_name="token",
        api_key="s3cret",
        days=5,
        registrations=9,
        sessions=9,
    ) as sandbox:
        url = f"{sandbox.url}/v1/master/users"
        key = {"token": "s3cret"}
        in_header = requests.get(url, headers=key, timeout=30).status_code
        in_query = requests.get(url, params=key, timeout=30).status_code
        wrong = requests.get(url, params={"token": "x"}, headers={"token": "x"}, timeout=30)
        assert (in_header, in_query) == ((200, 401) if location == "header" else (401, 200))
        assert wrong.status_code == 401
        assert wrong.json()["error"]["code"] == 401
        assert [request.authorized for request in sandbox.requests].count(True) == 1


def test_unknown_paths_and_methods_are_refused(sandbox: Sandbox, get: Get) -> None:
    assert get("/v1/master/nothing").status_code == 404
    assert get("/v2/master/users").json()["error"]["code"] == 404
    headers = {"api_key": sandbox.api_key}
    posted = requests.post(f"{sandbox.url}/v1/master/users", headers=headers, timeout=30)
    assert posted.status_code == 405


def test_client_may_be_an_object() -> None:
    with Sandbox(client_as_object=True, days=5, registrations=9, sessions=9) as sandbox:
        headers = {"api_key": sandbox.api_key}
        data = requests.get(f"{sandbox.url}/v1/master/client", headers=headers, timeout=30).json()
        assert data == {"data": sandbox.world.records("client")[0]}


def test_wild_dialect() -> None:
    with Sandbox(dialect="wild", days=20) as sandbox:
        assert sandbox.url.endswith("/ext")

        def get(path: str, **params: str) -> requests.Response:
            return requests.get(sandbox.url + path, params=params, headers={"key": sandbox.api_key}, timeout=30)

        client = get("/master/client").json()
        assert "id" not in client
        assert client["name"] == sandbox.world.records("client")[0]["name"]
        assert len(get("/master/workers").json()) == 40
        everything = {"return_archived": "true", "return_breaks": "true", "return_leaves": "true"}
        shown = get("/transactional/registrations").json()["data"]
        whole = get("/transactional/registrations", **everything).json()["data"]
        assert shown == [record for record in whole if not record["isArchived"]]
        assert len(shown) < len(whole) == 3_000
        assert get("/v1/master/workers").json()["error"]["code"] == 404


def test_gzip_for_those_who_accept_it() -> None:
    with Sandbox(gzip=True, days=5, registrations=9, sessions=9) as sandbox:
        url, headers = f"{sandbox.url}/v1/master/rows", {"api_key": sandbox.api_key}
        packed = requests.get(url, headers=headers, timeout=30)
        plain = requests.get(url, headers=headers | {"Accept-Encoding": "identity"}, timeout=30)
        assert packed.headers["Content-Encoding"] == "gzip"
        assert "Content-Encoding" not in plain.headers
        assert packed.content == plain.content


def test_date_header_may_be_off() -> None:
    with Sandbox(date_header=timedelta(days=-3), days=5, registrations=9, sessions=9) as sandbox:
        response = requests.get(f"{sandbox.url}/v1/master/rows", timeout=30)
        off = datetime.now(UTC) - parsedate_to_datetime(response.headers["Date"])
        assert off.days == 3


def test_same_seed_same_bytes(get: Get) -> None:
    with Sandbox(days=20, registrations=300, sessions=100, resources=50) as twin:
        headers = {"api_key": twin.api_key}
        response = requests.get(twin.url + REGISTRATIONS, headers=headers, timeout=30)
    assert get(REGISTRATIONS).content == response.content


def test_requests_are_recorded(sandbox: Sandbox, get: Get) -> None:
    get("/v1/master/users", limit=3)
    get("/v1/master/nothing")
    good, bad = sandbox.requests
    assert (good.method, good.path, good.params) == ("GET", "/v1/master/users", {"limit": "3"})
    assert good.headers["api_key"] == sandbox.api_key
    assert (good.status, bad.status) == (200, 404)
    assert good.in_flight == bad.in_flight == 1
    assert good.time <= bad.time


def test_requests_in_flight_are_counted() -> None:
    with Sandbox(latency=0.1, days=5, registrations=9, sessions=9) as sandbox:
        url, headers = f"{sandbox.url}/v1/master/users", {"api_key": sandbox.api_key}
        threads = [threading.Thread(target=requests.get, args=[url], kwargs={"headers": headers}) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(request.in_flight for request in sandbox.requests) == [1, 2, 3, 4]


def test_rows_can_move_during_a_walk(sandbox: Sandbox, get: Get) -> None:
    first, second, third = ids(get("/v1/resource"))[:3]

    def remove_first(request: Request) -> None:
        if request.params.get("offset") == "1":
            sandbox.world.delete("resource", first)

    sandbox.on_request(remove_first)
    assert ids(get("/v1/resource", offset=0, limit=1)) == [first]
    assert ids(get("/v1/resource", offset=1, limit=1)) == [third]
    assert ids(get("/v1/resource", offset=0, limit=1)) == [second]


def test_clock_moves_the_data(sandbox: Sandbox, get: Get) -> None:
    before = ids(get(REGISTRATIONS))
    sandbox.advance(days=1)
    assert len(ids(get(REGISTRATIONS))) > len(before)
    assert sandbox.now == datetime(2026, 6, 2, 12, tzinfo=UTC)


def test_stop_leaves_nothing_and_start_takes_the_same_port(sandbox: Sandbox, get: Get) -> None:
    url = sandbox.url
    get("/v1/master/users")
    sandbox.stop()
    assert not any(thread.name == "sandbox" for thread in threading.enumerate())
    with pytest.raises(requests.ConnectionError, match="refused"):
        requests.get(url, timeout=30)
    sandbox.start()
    assert sandbox.url == url
    assert get("/v1/master/users").status_code == 200
    with pytest.raises(OSError, match="in use"):
        Sandbox(port=int(url.rsplit(":", 1)[1]), days=5).start()
