"""Stand-ins for public APIs of five kinds: issues, a CRM, a shop, JSON:API and OData."""

from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import quote

from sandbox.faults import Answer
from sandbox.instants import HOUR, parse, stamp
from sandbox.styles.ask import Ask, RefusedError, reply
from sandbox.styles.auth import PASSWORD, TOKEN, USERNAME, Guarded, basic
from sandbox.styles.data import START, Record
from sandbox.styles.linked import HeaderLinks
from sandbox.styles.numbered import NumberedPages

Style = Callable[..., Answer]


def _at(number: int) -> str:
    return stamp(START + number * HOUR)


def _bearer(style: Style) -> Style:
    return Guarded(lambda ask: ask.header("Authorization") == f"Bearer {TOKEN}", style)


def _basic(style: Style) -> Style:
    return Guarded(lambda ask: ask.header("Authorization") == basic(USERNAME, PASSWORD), style)


# Issues and their comments, with links in a header


def _issue(number: int) -> Record:
    state = "closed" if number % 3 == 0 else "open"
    return {
        "id": 5000 + number,
        "number": number,
        "title": f"Issue {number}",
        "state": state,
        "user": {"login": "octo"},
        "comments": number % 3,
        "created_at": _at(number),
        "updated_at": _at(number * 2),
    }


ISSUES: Final = tuple(map(_issue, range(1, 24)))


def comments_of(number: int) -> list[Record]:
    """Return the comments of an issue, by its number."""
    return [
        {"id": number * 100 + which, "body": f"Comment {which}", "updated_at": _at(number * 2)}
        for which in range(1, number % 3 + 1)
    ]


def _since(ask: Ask, records: Sequence[Record]) -> tuple[Record, ...]:
    since = parse(ask.param("since") or "")
    return tuple(one for one in records if since is None or (parse(one["updated_at"]) or 0) >= since)


def _issues(ask: Ask, _owner: str, _repo: str) -> Answer:
    state = ask.param("state") or "open"
    found = [issue for issue in _since(ask, ISSUES) if state in ("all", issue["state"])]
    return HeaderLinks(records=tuple(found))(ask)


def _comments(ask: Ask, _owner: str, _repo: str, number: str) -> Answer:
    if not number.isdecimal() or int(number) > len(ISSUES):
        raise RefusedError(404, "Not Found")
    return HeaderLinks(records=tuple(comments_of(int(number))))(ask)


# A CRM, with a cursor in the body


def _contact(number: int) -> Record:
    return {
        "id": str(100 + number),
        "properties": {"email": f"contact{number}@example.com", "lastmodifieddate": _at(number)},
        "createdAt": _at(number),
        "updatedAt": _at(number * 2),
        "archived": False,
    }


CONTACTS: Final = tuple(map(_contact, range(1, 24)))


def _after(records: Sequence[Record], after: str | None, limit: int) -> dict[str, Any]:
    if after is not None and not after.isdecimal():
        raise RefusedError(400, "after must be a number")
    start = int(after or 0)
    body: dict[str, Any] = {"results": records[start : start + limit]}
    if start + limit < len(records):
        body["paging"] = {"next": {"after": str(start + limit)}}
    return body


def _contacts(ask: Ask) -> Answer:
    return reply(_after(CONTACTS, ask.param("after"), ask.number("limit", 10, least=1)))


def _search_contacts(ask: Ask) -> Answer:
    """Answer with the contacts that were modified since a moment, in ms."""
    filters = [one for group in ask.field("filterGroups") or [] for one in group["filters"]]
    known = {("lastmodifieddate", "GTE")}
    if {(one["propertyName"], one["operator"]) for one in filters} - known:
        raise RefusedError(400, "filterGroups: only lastmodifieddate with GTE")
    since = max((_milliseconds(one["value"]) for one in filters), default=0)
    found = [one for one in CONTACTS if (parse(one["updatedAt"]) or 0) >= since]
    limit = ask.number("limit", 10, least=1, in_body=True)
    return reply({"total": len(found), **_after(found, ask.field("after"), limit)})


def _milliseconds(value: object) -> int:
    instant = int(str(value)) if str(value).isdecimal() else parse(value)
    if instant is None:
        raise RefusedError(400, "value must be an instant")
    return instant


# A shop, with page numbers from 1 and the number of pages in a header


def _product(number: int) -> Record:
    return {"id": number, "name": f"Product {number}", "price": f"{number}.50", "date_modified": _at(number)}


def _order(number: int) -> Record:
    return {"id": 900 + number, "status": "completed", "total": "12.00", "line_items": [{"product_id": number}]}


PRODUCTS: Final = tuple(map(_product, range(1, 24)))
ORDERS: Final = tuple(map(_order, range(1, 21)))


def _shelf(records: tuple[Record, ...]) -> Style:
    return _basic(NumberedPages(first=1, header="X-Total-Pages", bare=True, records=records))


# Documents of JSON:API


def _article(number: int) -> Record:
    return {
        "type": "articles",
        "id": str(number),
        "attributes": {"title": f"Article {number}", "updated": _at(number)},
        "relationships": {"author": {"data": {"type": "people", "id": str(number % 4 + 1)}}},
    }


def _person(number: int) -> Record:
    return {"type": "people", "id": str(number), "attributes": {"name": f"Person {number}"}}


ARTICLES: Final = tuple(map(_article, range(1, 24)))
PEOPLE: Final = tuple(map(_person, range(1, 5)))


def _document(records: tuple[Record, ...]) -> Style:
    def answer(ask: Ask) -> Answer:
        if ask.header("Accept") != "application/vnd.api+json":
            raise RefusedError(406, "Accept must be application/vnd.api+json")
        size, page = ask.number("page[size]", 10, least=1), ask.number("page[number]", 1, least=1)
        more = page * size < len(records)
        links = {"self": ask.url, "next": ask.link(**{"page[number]": page + 1}) if more else None}
        body = {"data": records[(page - 1) * size : page * size], "links": links, "meta": {"total": len(records)}}
        return reply(body, headers={"Content-Type": "application/vnd.api+json"})

    return answer


# Entities of OData


def _customer(number: int) -> Record:
    return {"CustomerID": f"C{number:03d}", "CompanyName": f"Company {number}", "Country": "Norway"}


def _sale(number: int) -> Record:
    return {"OrderID": 10_000 + number, "CustomerID": f"C{number:03d}", "OrderDate": _at(number)}


CUSTOMERS: Final = tuple(map(_customer, range(1, 24)))
SALES: Final = tuple(map(_sale, range(1, 24)))


def _entities(name: str, key: str, records: tuple[Record, ...], *, absolute: bool) -> Style:
    """Return a style whose pages name the last key of the page before, as `$skiptoken`."""

    def answer(ask: Ask) -> Answer:
        token = (ask.param("$skiptoken") or "").strip("'")
        rest = [one for one in records if not token or str(one[key]) > token]
        body: dict[str, Any] = {"@odata.context": f"$metadata#{name}", "value": rest[:10]}
        if len(rest) > len(body["value"]):
            query = quote(f"$skiptoken='{body['value'][-1][key]}'", safe="$='")
            body["@odata.nextLink"] = f"{ask.url.partition('?')[0]}?{query}" if absolute else f"{name}?{query}"
        return reply(body, headers={"OData-Version": "4.0"})

    return answer


_REPO: Final = "apis/issues/repos/*/*/issues"
_CRM: Final = "apis/crm/crm/v3/objects/contacts"
_SHOP: Final = "apis/shop/wp-json/wc/v3"

GET: Final[dict[str, Style]] = {
    _REPO: _bearer(_issues),
    f"{_REPO}/*/comments": _bearer(_comments),
    _CRM: _bearer(_contacts),
    f"{_SHOP}/products": _shelf(PRODUCTS),
    f"{_SHOP}/orders": _shelf(ORDERS),
    "apis/jsonapi/articles": _document(ARTICLES),
    "apis/jsonapi/people": _document(PEOPLE),
    "apis/odata/Customers": _entities("Customers", "CustomerID", CUSTOMERS, absolute=False),
    "apis/odata/Orders": _entities("Orders", "OrderID", SALES, absolute=True),
}
"""What is asked for with GET, by path."""

POST: Final[dict[str, Style]] = {f"{_CRM}/search": _bearer(_search_contacts)}
"""What is asked for with POST, by path."""
