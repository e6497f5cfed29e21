"""About the limit for Python: fetch, split into records, write RECORD lines; nothing is checked or remembered."""

import sys

import msgspec
import requests

LIMIT = 10_000
BEFORE, AFTER = b'{"type":"RECORD","stream":"registrations","record":', b"}\n"


class Body(msgspec.Struct):
    """A page, its records as the bytes they came in."""

    data: list[msgspec.Raw]


def main(base_url: str) -> None:
    """Write all registrations to standard output."""
    session = requests.Session()
    session.headers["api_key"] = "key"
    decoder = msgspec.json.Decoder(Body)
    offset = 0
    while True:
        response = session.get(
            f"{base_url}/v1/transactional/registrations", params={"offset": offset, "limit": LIMIT}, stream=True
        )
        records = decoder.decode(response.raw.read()).data
        if records:
            sys.stdout.buffer.write(BEFORE + (AFTER + BEFORE).join(records) + AFTER)
        if len(records) < LIMIT:
            return
        offset += LIMIT


if __name__ == "__main__":
    main(sys.argv[1])
