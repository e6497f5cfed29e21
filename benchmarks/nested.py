"""What nested records, deselected fields and timestamps cost the encoder, beside flat records of the same bytes.

`python -m benchmarks.nested` prints user CPU time, as a ratio to flat records: the ratios of one run
can be compared on a machine that has other things to do.
"""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from tap_analytics.singer.inference import infer
from tap_analytics.singer.records import CHUNK, RecordEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

RECORDS = 20_000
ROUNDS = 9

Words = dict[str, Any]

TEXT = {"type": ["string", "null"]}
NUMBER = {"type": ["number", "null"]}
INSTANT = {"type": ["string", "null"], "format": "date-time"}
ADDRESS = {"type": ["object", "null"], "properties": {"street": TEXT, "city": TEXT, "zip": TEXT, "country": TEXT}}
CUSTOMER = {"type": ["object", "null"], "properties": {"id": TEXT, "name": TEXT, "email": TEXT, "address": ADDRESS}}
LINE = {"type": "object", "properties": {"sku": TEXT, "title": TEXT, "quantity": {"type": "integer"}, "price": NUMBER}}
DECLARED: Words = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "number": {"type": "integer"},
        "placed_at": INSTANT,
        "customer": CUSTOMER,
        "lines": {"type": ["array", "null"], "items": LINE},
        "total": NUMBER,
        "note": TEXT,
    },
}


def order(number: int) -> Words:
    """Return an order with a customer, an address and three lines."""
    address = {"street": f"Lindenstraße {number % 90}", "city": "Köln", "zip": f"{number % 90000:05}", "country": "DE"}
    customer = {"id": f"c{number % 5000}", "name": "Noor van den Berg", "email": f"noor{number}@example.com"}
    lines = [
        {"sku": f"SKU-{number}-{line}", "title": "Tomato, on the vine", "quantity": line, "price": number * 1.25 + line}
        for line in range(1, 4)
    ]
    return {
        "id": f"{number:024x}",
        "number": number,
        "placed_at": f"2026-01-{number % 28 + 1:02}T{number % 24:02}:05:07Z",
        "customer": customer | {"address": address},
        "lines": lines,
        "total": number * 3.5,
        "note": None,
    }


def flat(record: Words, prefix: str = "") -> Words:
    """Return a nested record with all its values at the top, and so with about as many bytes."""
    flattened: Words = {}
    for name, value in record.items():
        members = {f"{n}": item for n, item in enumerate(value)} if isinstance(value, list) else value
        if isinstance(members, dict):
            flattened |= flat(members, f"{prefix}{name}_")
        else:
            flattened[f"{prefix}{name}"] = value
    return flattened


def cost(encoder: RecordEncoder, records: Sequence[Raw]) -> float:
    """Return the seconds of user CPU time that some records take, from their bytes to those that leave."""
    start = time.process_time()
    for first in range(0, len(records), CHUNK):
        for encoded in encoder.process(records[first : first + CHUNK]):
            b"".join(encoded)  # type: ignore[arg-type] # this schema does not change
    return time.process_time() - start


def cases() -> dict[str, tuple[RecordEncoder, list[Raw]]]:
    """Return what is measured: an encoder, and the records that it encodes."""
    orders = [order(number) for number in range(RECORDS)]
    nested = [Raw(msgspec.json.encode(one)) for one in orders]
    at_the_top = [flat(one) for one in orders]
    level = [Raw(msgspec.json.encode(one)) for one in at_the_top]
    offsets = [Raw(bytes(one).replace(b":05:07Z", b":05:07+02:00")) for one in nested]
    shown, shown_flat = infer(orders[:1000], keys=["id"]), infer(at_the_top[:1000], keys=["id"])

    def an_encoder(schema: Words, *without: tuple[str, ...]) -> RecordEncoder:
        return RecordEncoder(schema, selected=lambda path: path not in without, keys=["id"], cursor=None, warn=print)

    return {
        "flat": (an_encoder(shown_flat), level),
        "nested, inferred schema": (an_encoder(shown), nested),
        "nested, declared schema": (an_encoder(DECLARED), nested),
        "flat, a field deselected": (an_encoder(shown_flat, ("note",)), level),
        "nested, a field deselected": (an_encoder(DECLARED, ("note",)), nested),
        "nested, a field of a field deselected": (an_encoder(DECLARED, ("customer", "address", "zip")), nested),
        "nested, timestamps with an offset": (an_encoder(DECLARED), offsets),
    }


def main() -> None:
    """Measure all cases in turn, several times, and print their medians."""
    measured: dict[str, list[float]] = {}
    found = cases()
    for _ in range(ROUNDS):
        for name, (encoder, records) in found.items():
            measured.setdefault(name, []).append(cost(encoder, records))
    base = median(measured["flat"])
    for name, seconds in measured.items():
        size = sum(map(len, map(bytes, found[name][1]))) / RECORDS
        each = median(seconds) * 1e6 / RECORDS
        print(f"{name:40} {each:6.2f} µs a record of {size:5.0f} bytes  {median(seconds) / base:5.2f} x flat")


if __name__ == "__main__":
    main()
