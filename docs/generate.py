"""Makes the pages that tell facts of the code, and the definition for Meltano Hub: `python -m docs.generate`."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
import tomllib
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from ruamel.yaml import YAML

from tap_analytics.sync.replication import Backfill, IncrementalByDay
from tap_analytics.tap import SHIPPED, TapAnalytics

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_analytics.stream import RestStream

    Facts = dict[str, Any]

DOCS = Path(__file__).parent
ROOT = DOCS.parent
PACKAGE = ROOT / "tap_analytics"

NOTE = "<!-- Made by `make docs` from {}; what is written here by hand is lost. -->"

START = "<!-- Made by `make docs`; what is written by hand from here on is lost, -->"
END = "<!-- up to here. -->"


def main() -> int:
    """Write each page that has changed, and name it."""
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"written: {path.relative_to(ROOT)}")  # noqa: T201 - a command speaks on standard output
    return 0


def pages() -> dict[Path, str]:
    """Return the text of each page as it should be."""
    about = ask("--about", "--format=json")
    architecture, command_line = DOCS / "how-it-reads.md", DOCS / "command-line.md"
    return {
        DOCS / "settings.md": settings(about),
        DOCS / "streams.md": streams(ask("--discover")),
        DOCS / "meltano-hub.yml": hub_definition(about),
        architecture: between_marks(architecture, module_table()),
        command_line: between_marks(command_line, f"```text\n$ tap-analytics --help\n{usage()}```"),
    }


@cache
def ask(*options: str) -> Facts:
    """Return what the tap says of itself on its command line."""
    command = [sys.executable, "-m", "tap_analytics", *options]
    facts: Facts = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)  # noqa: S603
    return facts


# Settings

SETTINGS = """\
# Settings

{note}

`base_url` and `api_key` are needed; everything else has a default, or may stay away. In the file that `--config` names
they are JSON. In the environment, which `--config ENV` reads, the name is in capitals and begins with
`TAP_ANALYTICS_`, as in `TAP_ANALYTICS_BASE_URL`; arrays and objects are written as JSON there. Meltano reads both, and
`meltano config print tap-analytics` shows what it found.

A setting that is wrong is refused before the first request, in one line that says what would be valid.

## Of the tap

{own}

`resources` and `resource_defaults` have [a page of their own](from-dlt.md).

## Of every tap that is built with the Singer SDK

The SDK describes them in full: [stream maps](https://sdk.meltano.com/en/latest/stream_maps.html),
[flattening](https://sdk.meltano.com/en/latest/implementation/schema_flattening.html),
[batch messages](https://sdk.meltano.com/en/latest/batch.html).

{sdk}

## What the tap is capable of

{capabilities}
"""


def settings(about: Facts) -> str:
    """Return the page of the settings."""
    builtin: Facts = {"type": "object", "properties": {}}
    TapAnalytics.append_builtin_config(builtin)
    properties = about["settings"]["properties"]
    required = about["settings"].get("required", ())
    rows = {
        name: (f"`{name}`", kind(facts), default(facts, needed=name in required), facts["description"])
        for name, facts in properties.items()
    }
    header = ("setting", "type", "default", "meaning")
    return SETTINGS.format(
        note=NOTE.format("`tap-analytics --about --format json`"),
        own=table(header, (row for name, row in rows.items() if name not in builtin["properties"])),
        sdk=table(header, (row for name, row in rows.items() if name in builtin["properties"])),
        capabilities=", ".join(f"`{name}`" for name in sorted(about["capabilities"])),
    )


def kind(facts: Facts) -> str:
    """Return the type of a setting or a field in words, with what limits it."""
    if "enum" in facts:
        return " or ".join(f"`{value}`" for value in facts["enum"])
    (name,) = set(facts["type"]) - {"null"} if isinstance(facts["type"], list) else {facts["type"]}
    words = "date-time" if facts.get("format") == "date-time" else str(name)
    if name == "array" and isinstance(facts.get("items", {}).get("type"), str | list):
        items = facts["items"]["type"]
        named = [items] if isinstance(items, str) else items
        words = f"array of {' or '.join(f'{item}s' for item in named if item != 'null')}"
    limits = {
        "minimum": "from {}",
        "exclusiveMinimum": "more than {}",
        "maximum": "up to {}",
    }
    told = " ".join(text.format(facts[key]) for key, text in limits.items() if key in facts)
    return ", ".join(part for part in (words, told, "secret" if facts.get("secret") else "") if part)


def default(facts: Facts, *, needed: bool) -> str:
    """Return the default of a setting as it would be written in JSON."""
    if needed:
        return "needed"
    return f"`{json.dumps(facts['default'])}`" if "default" in facts else ""


# Streams

STREAMS_PAGE = """\
# Streams

{note}

Without a catalog, everything is read. A catalog, or `meltano select`, picks streams and fields; what is not picked is
not decoded either. Every field but the key may be null, or missing. Fields that the API has and this page has not are
left out, with one warning that names them. [`resources`](from-dlt.md) declares further streams.

{overview}

The backfill and the tail of one resource are two streams with the same fields. The `__alias__` of a stream map brings
them together in one table, as the `meltano.yml` of the project does: {streams} streams, {tables} tables.

{sections}
"""


def streams(catalog: Facts) -> str:
    """Return the page of the streams and their fields."""
    entries = {entry["tap_stream_id"]: entry for entry in catalog["streams"]}
    # Streams of one path are two ways to read one table.
    groups = [list(group) for _path, group in groupby(SHIPPED, key=lambda name: SHIPPED[name].resource.requests.path)]
    titles = [group[0].removesuffix("_initial") for group in groups]
    overview = (
        (
            f"[`{name}`](#{title})",
            str(SHIPPED[name].__doc__),
            ", ".join(f"`{key}`" for key in entries[name]["key_properties"]),
            replication(SHIPPED[name], entries[name]),
        )
        for title, group in zip(titles, groups, strict=True)
        for name in group
    )
    return STREAMS_PAGE.format(
        note=NOTE.format("`tap-analytics --discover`"),
        overview=table(("stream", "what it holds", "key", "how it is read"), overview),
        streams=len(entries),
        tables=len(groups),
        sections="\n\n".join(
            section(title, group, entries[group[0]]["schema"]) for title, group in zip(titles, groups, strict=True)
        ),
    )


def replication(stream: type[RestStream], entry: Facts) -> str:
    """Return in words how a stream is read from sync to sync."""
    replicated = stream.resource.replicated
    if isinstance(replicated, Backfill):
        return "once, in windows of creation dates, and resumed where it stopped"
    if isinstance(replicated, IncrementalByDay):
        return f"what changed, by `{entry['replication_key']}`"
    return "whole, in every sync"


def section(title: str, names: list[str], schema: Facts) -> str:
    """Return what there is to know of one table."""
    told = "" if names == [title] else f"Of {' and '.join(f'`{name}`' for name in names)}. "
    rows = ((f"`{name}`", kind(facts), facts["description"]) for name, facts in schema["properties"].items())
    path = SHIPPED[names[0]].resource.requests.path
    return f"## {title}\n\n{told}`GET {path}`\n\n{table(('field', 'type', 'meaning'), rows)}"


# The definition for Meltano Hub

HUB = """\
# The definition of the tap for Meltano Hub. Made by `make docs` from meltano.yml and `tap-analytics --about`.
# Who publishes the tap adds `repo` and `pip_url`, and takes the name of their organisation as `variant`.
"""

SHARED = ("name", "namespace", "label", "description", "executable", "capabilities", "settings_group_validation")
"""What the definition says in the words of meltano.yml."""


def hub_definition(about: Facts) -> str:
    """Return the definition of the plugin."""
    yaml = YAML()
    yaml.width, yaml.default_flow_style = 120, False
    (plugin,) = YAML(typ="safe").load(ROOT / "meltano.yml")["plugins"]["extractors"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    definition = {name: plugin[name] for name in SHARED} | {
        "variant": "tap-analytics",
        "maintenance_status": "beta",
        "quality": "unknown",
        "keywords": ["meltano_sdk", *(word for word in project["keywords"] if word not in {"meltano", "singer.io"})],
        "supported_python_versions": about["supported_python_versions"],
        "settings": plugin["settings"],
    }
    stream = io.StringIO()
    yaml.dump(definition, stream)
    return HUB + stream.getvalue()


# The modules


def module_table() -> str:
    """Return the modules, each above all that it builds on."""
    rows = (
        (f"`{name}`", told, ", ".join(f"`{other}`" for other in sorted(imports)))
        for name, told, imports in downwards(dict(modules()))
    )
    return table(("module", "what it is", "builds on"), rows)


def modules() -> Iterator[tuple[str, tuple[str, set[str]]]]:
    """Yield each module with its first line and what it imports of the package."""
    trees = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
        if not path.stem.startswith("__")
    }
    for name, tree in trees.items():
        first_line = str(ast.get_docstring(tree)).partition("\n")[0]
        yield name, (first_line, {other for other in imports(tree) if other in trees})


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield the names, below the package, that an import of a module may mean."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module)) if f"{module}.".startswith(f"{PACKAGE.name}."):
                below = module.removeprefix(PACKAGE.name).lstrip(".")
                yield below
                yield from (f"{below}.{name.name}".lstrip(".") for name in node.names)
            case ast.Constant(value=str(text)) if text.startswith(f"{PACKAGE.name}."):
                yield text.removeprefix(f"{PACKAGE.name}.")  # what `importlib` is given


def downwards(found: dict[str, tuple[str, set[str]]]) -> list[tuple[str, str, set[str]]]:
    """Return the modules so that each stands above all that it builds on.

    Raises ValueError where two build on each other.
    """
    heights: dict[str, int] = {}

    def height(name: str, above: tuple[str, ...] = ()) -> int:
        if name in above:
            msg = f"imports run in a circle: {' -> '.join([*above, name])}"
            raise ValueError(msg)
        if name not in heights:
            heights[name] = 1 + max((height(other, (*above, name)) for other in found[name][1]), default=0)
        return heights[name]

    ordered = sorted(found, key=lambda name: (-height(name), name))
    return [(name, *found[name]) for name in ordered]


# The command line


def usage() -> str:
    """Return what --help prints on a terminal of 80 columns."""
    command = TapAnalytics.get_singer_command()
    return command.get_help(click.Context(command, info_name=TapAnalytics.name, terminal_width=80)) + "\n"


# What all pages use


def between_marks(page: Path, text: str) -> str:
    """Return a page that is written by hand, with the part that is not as it should be."""
    before, _, rest = page.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{text}\n\n{END}{after}"


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table; what would end a cell is escaped."""
    header = tuple(header)
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


if __name__ == "__main__":
    sys.exit(main())
