"""About the limit for Python: fetch, split into records, write RECORD lines; nothing is checked or remembered."""

import sys

import msgspec
import requests

AFTER = b"}\n"


class Body(msgspec.Struct):
    """A page, its records as the bytes they came in."""

    data: list[msgspec.Raw]


def main(base_url: str, stream: str, limit: int) -> None:
    """Write all records of a stream to standard output."""
    before = b'{"type":"RECORD","stream":"%b","record":' % stream.encode()
    session = requests.Session()
    session.headers["api_key"] = "key"
    decoder = msgspec.json.Decoder(Body)
    offset = 0
    while True:
        response = session.get(
            f"{base_url}/v1/transactional/{stream}", params={"offset": offset, "limit": limit}, stream=True
        )
        records = decoder.decode(response.raw.read()).data
        if records:
            sys.stdout.buffer.write(before + (AFTER + before).join(records) + AFTER)
        if len(records) < limit:
            return
        offset += limit


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
