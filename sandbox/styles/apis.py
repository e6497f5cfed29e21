"""Stand-ins for public APIs of five kinds: issues, a CRM, a shop, JSON:API and OData."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from sandbox.faults import Answer
from sandbox.instants import HOUR, parse, stamp
from sandbox.styles.ask import Ask, RefusedError, reply
from sandbox.styles.auth import PASSWORD, TOKEN, USERNAME, Guarded, basic
from sandbox.styles.data import START, Record
from sandbox.styles.linked import Form, HeaderLinks, write_link
from sandbox.styles.numbered import NumberedPages

Style = Callable[..., Answer]

_CAP: Final = 10
"""Most records in a page of any stand-in, so that little data makes several pages."""


def _at(number: int) -> str:
    return stamp(START + number * 6 * HOUR)


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
    chosen = [issue for issue in _since(ask, ISSUES) if state in ("all", issue["state"])]
    return HeaderLinks(records=tuple(chosen), cap=_CAP)(ask)


def _comments(ask: Ask, _owner: str, _repo: str, number: str) -> Answer:
    if not number.isdecimal() or int(number) > len(ISSUES):
        raise RefusedError(404, "Not Found")
    return HeaderLinks(records=tuple(comments_of(int(number))), cap=_CAP)(ask)


# A CRM, with a cursor in the body


def _contact(number: int) -> Record:
    email = None if number % 5 == 0 else f"contact{number}@example.com"
    return {**_object(100 + number), "properties": {"email": email}}


def _company(number: int) -> Record:
    return {**_object(300 + number), "properties": {"name": f"Company {number}"}}


def _object(number: int) -> Record:
    return {"id": str(number), "createdAt": _at(number), "updatedAt": _at(number * 2), "archived": False}


CONTACTS: Final = tuple(map(_contact, range(1, 30)))
COMPANIES: Final = tuple(map(_company, range(1, 24)))


def _after(records: Sequence[Record], after: str | None, limit: int) -> dict[str, Any]:
    if after is not None and not after.isdecimal():
        raise RefusedError(400, "after must be a number")
    start, size = int(after or 0), min(limit, _CAP)
    body: dict[str, Any] = {"results": records[start : start + size]}
    if start + size < len(records):
        body["paging"] = {"next": {"after": str(start + size)}}
    return body


def _companies(ask: Ask) -> Answer:
    return reply(_after(COMPANIES, ask.param("after"), ask.number("limit", _CAP, least=1)))


def _search_contacts(ask: Ask) -> Answer:
    """Answer with the contacts that have all the properties which the filters name."""
    filters = [one for group in ask.field("filterGroups") or [] for one in group["filters"]]
    if {one["operator"] for one in filters} - {"HAS_PROPERTY"}:
        raise RefusedError(400, "operator must be HAS_PROPERTY")
    names = [one["propertyName"] for one in filters]
    chosen = [one for one in CONTACTS if all(one["properties"].get(name) for name in names)]
    limit = ask.number("limit", _CAP, least=1, in_body=True)
    return reply({"total": len(chosen), **_after(chosen, ask.field("after"), limit)})


# A shop, with page numbers from 1 and the number of pages in a header


def _product(number: int) -> Record:
    return {"id": number, "name": f"Product {number}", "price": f"{number}.50"}


def _order(number: int) -> Record:
    # Shops write instants in UTC without saying so.
    modified = _at(number).removesuffix(".000Z")
    items = [{"product_id": number, "quantity": 1}]
    return {"id": 900 + number, "status": "completed", "date_modified_gmt": modified, "line_items": items}


PRODUCTS: Final = tuple(map(_product, range(1, 24)))
ORDERS: Final = tuple(map(_order, range(1, 22)))


def _shelf(ask: Ask, records: tuple[Record, ...]) -> Answer:
    return NumberedPages(first=1, header="X-Total-Pages", bare=True, records=records, cap=_CAP)(ask)


def _products(ask: Ask) -> Answer:
    return _shelf(ask, PRODUCTS)


def _orders(ask: Ask) -> Answer:
    """Answer with the orders that were modified after an instant."""
    after = parse(ask.param("modified_after"))
    return _shelf(ask, tuple(one for one in ORDERS if after is None or (parse(one["date_modified_gmt"]) or 0) > after))


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
        size, page = min(ask.number("page[size]", _CAP, least=1), _CAP), ask.number("page[number]", 1, least=1)
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


_FILTER: Final = re.compile(r"(\w+) ge (\S+)")


def _filtered(records: tuple[Record, ...], condition: str | None) -> list[Record]:
    if condition is None:
        return list(records)
    match = _FILTER.fullmatch(condition)
    least = parse(match[2]) if match else None
    if match is None or least is None:
        raise RefusedError(400, "$filter must be a field, ge, and an instant")
    return [one for one in records if (parse(one[match[1]]) or 0) >= least]


def _entities(key: str, records: tuple[Record, ...], form: Form) -> Style:
    """Return a style whose pages name the last key of the page before, as `$skiptoken`."""

    def answer(ask: Ask) -> Answer:
        token = (ask.param("$skiptoken") or "").strip("'")
        rest = [one for one in _filtered(records, ask.param("$filter")) if str(one[key]) > token]
        body: dict[str, Any] = {"@odata.context": "$metadata", "value": rest[:_CAP]}
        if len(rest) > _CAP:
            body["@odata.nextLink"] = write_link(ask, form, **{"$skiptoken": f"'{rest[_CAP - 1][key]}'"})
        return reply(body, headers={"OData-Version": "4.0"})

    return answer


_REPO: Final = "apis/issues/repos/*/*/issues"
_CRM: Final = "apis/crm/crm/v3/objects"
_SHOP: Final = "apis/shop/wp-json/wc/v3"

GET: Final[dict[str, Style]] = {
    _REPO: _bearer(_issues),
    f"{_REPO}/*/comments": _bearer(_comments),
    f"{_CRM}/companies": _bearer(_companies),
    f"{_SHOP}/products": _basic(_products),
    f"{_SHOP}/orders": _basic(_orders),
    "apis/jsonapi/articles": _document(ARTICLES),
    "apis/jsonapi/people": _document(PEOPLE),
    "apis/odata/Customers": _entities("CustomerID", CUSTOMERS, "sibling"),
    "apis/odata/Orders": _entities("OrderID", SALES, "absolute"),
}
"""What is asked for with GET, by path."""

POST: Final[dict[str, Style]] = {f"{_CRM}/contacts/search": _bearer(_search_contacts)}
"""What is asked for with POST, by path."""
