"""Makes the pages that tell facts of the code, and the definition for Meltano Hub: `python -m docs.generate`.

What the README says in numbers and the terminal that it shows are made, too.
"""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
import tomllib
from dataclasses import MISSING
from functools import cache
from itertools import groupby
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import click
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from docs.readme import bullets
from docs.recording import recording
from tap_analytics.config.words import ClientWords, Endpoint, Resource, SchemaContractWords, WriteDisposition
from tap_analytics.declare import Words, documentation, words
from tap_analytics.rest.auth import Auth
from tap_analytics.rest.errors import ErrorHandler, ResponseAction
from tap_analytics.rest.paginators import AnyPaginator
from tap_analytics.sync.incremental import Incremental
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
    readme, terminal = ROOT / "README.md", DOCS / "terminal.svg"
    return {
        DOCS / "settings.md": settings(about),
        DOCS / "streams.md": streams(ask("--discover")),
        DOCS / "resources.md": resources(),
        DOCS / "examples.md": examples(),
        DOCS / "meltano-hub.yml": hub_definition(about),
        readme: between_marks(readme, bullets(ROOT)),
        terminal: recording(terminal.read_text(encoding="utf-8") if terminal.exists() else ""),
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

For the shipped streams, `base_url` and `api_key` are required. For any other API, the required settings are `client`,
which describes the API, and `resources`, which lists what to read. All other settings are optional.

Settings come from one or more of these sources:

- **A file**: `--config config.json`. A second `--config` adds to the first, and overrides it.
- **The environment**: `--config ENV`. The name is in capitals and begins with `TAP_ANALYTICS_`, as in
  `TAP_ANALYTICS_BASE_URL`. Arrays and objects are JSON.
- **Meltano**: `config` of the extractor in `meltano.yml`, or the same environment variables.
  `meltano config print tap-analytics` shows the result.

Every wrong setting is refused before the first request, in one line that says where it is and what would be valid.

## Settings of the tap

{own}

[The words of resources](resources.md) lists everything that `client`, `resource_defaults` and `resources` may contain.

## Settings of the Singer SDK

The SDK describes them in full: [stream maps](https://sdk.meltano.com/en/latest/stream_maps.html),
[flattening](https://sdk.meltano.com/en/latest/implementation/schema_flattening.html),
[batch messages](https://sdk.meltano.com/en/latest/batch.html). In the expressions of a stream map, a field that a
record lacks is null. An entry of `stream_maps` that matches no stream is refused: what it masks would leave as it is.

{sdk}

## Capabilities

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
    described = " ".join(text.format(facts[key]) for key, text in limits.items() if key in facts)
    return ", ".join(piece for piece in (words, described, "secret" if facts.get("secret") else "") if piece)


def default(facts: Facts, *, needed: bool) -> str:
    """Return the default of a setting as it would be written in JSON."""
    if needed:
        return "needed"
    return f"`{json.dumps(facts['default'])}`" if "default" in facts else ""


# Streams

STREAMS_PAGE = """\
# Streams

{note}

These are the shipped streams. Without a catalog, all of them are read. A catalog, or `meltano select`, selects streams
and fields; fields that are not selected are not decoded. Every field except the key may be null or missing. A field
that is not listed here is left out, with one warning that names it. To read other resources or other APIs, declare
[`resources`](resources.md).

{overview}

The backfill and the incremental stream of one resource have the same fields. The `__alias__` of a stream map loads both
into one table, as in the `meltano.yml` of the project: {streams} streams, {tables} tables.

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
        overview=table(("stream", "content", "key", "replication"), overview),
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
        return "backfill: once, in windows of creation dates, resumed where it stopped"
    if isinstance(replicated, IncrementalByDay):
        return f"incremental, by `{entry['replication_key']}`"
    return "full table, in every sync"


def section(title: str, names: list[str], schema: Facts) -> str:
    """Return what there is to know of one table."""
    described = "" if names == [title] else f"Of {' and '.join(f'`{name}`' for name in names)}. "
    rows = ((f"`{name}`", kind(facts), facts["description"]) for name, facts in schema["properties"].items())
    path = SHIPPED[names[0]].resource.requests.path
    return f"## {title}\n\n{described}`GET {path}`\n\n{table(('field', 'type', 'meaning'), rows)}"


# The words of dlt's rest_api

RESOURCES = """\
# The words of resources

{note}

Everything that the settings `client`, `resource_defaults` and `resources` may contain. The words are those of dlt's
`rest_api` source, with dlt's meanings and defaults; [From dlt](from-dlt.md) lists the departures. Three words are the
tap's own: `extends` and `schema` of a resource, and `error_handler` of an endpoint. [Other APIs](other-apis.md) has
complete examples.

`resource_defaults` takes the words of a resource, except `name`, `extends` and `endpoint.path`. It is merged into every
resource: word by word, inside `endpoint` word by word again, and `params`, `json`, `headers` and `columns` name by
name. A word that is `null` has its default; in a resource, `null` also cancels what `resource_defaults` says.

An unknown word is refused, with a suggestion.

{sections}
"""

KINDS: tuple[tuple[str, str, Any], ...] = (
    ("client", "the setting `client`", ClientWords),
    ("auth", "`auth` of the client or of an endpoint", Auth),
    ("resource", "an item of the setting `resources`, and the setting `resource_defaults`", Resource),
    ("write_disposition", "`write_disposition` of a resource, as an object", WriteDisposition),
    ("schema_contract", "`schema_contract` of a resource, as an object", SchemaContractWords),
    ("endpoint", "`endpoint` of a resource", Endpoint),
    ("paginator", "`paginator` of the client or of an endpoint", AnyPaginator),
    ("incremental", "`incremental` of an endpoint, or one of its `params`, with `type: incremental`", Incremental),
    ("response_actions", "an item of `response_actions` of an endpoint", ResponseAction),
    ("error_handler", "`error_handler` of an endpoint", ErrorHandler),
)
"""Title and place of each class of words, or of each union of classes that `type` chooses from."""


def resources() -> str:
    """Return the page of the words that declare resources."""
    return RESOURCES.format(
        note=NOTE.format("the classes that check them"), sections="\n\n".join(words_section(*kind) for kind in KINDS)
    )


def words_section(title: str, where: str, kind: Any) -> str:  # noqa: ANN401 - a class, or a union of classes
    """Return what there is to know of one class of words, or of those that `type` chooses from."""
    begin = f"## {title}\n\n{where[0].upper()}{where[1:]}."
    members = get_args(kind)
    if not members:
        return f"{begin} {words_table(kind)}"
    inner = "\n\n".join(f"### {one.type}\n\n{words_table(one)}" for one in members)
    return f"{begin} `type` selects one of {listing(one.type for one in members)}; a text is the type.\n\n{inner}"


def words_table(cls: type[Words]) -> str:
    """Return the words of a class, and those that it refuses or accepts without effect."""
    known = words(cls)  # type: ignore[arg-type] # mypy takes the class for an instance of it
    rows = (
        (f"`{name}`", word_kind(name, known[name][0]), word_default(known[name][1]), meaning)
        for name, meaning in documentation(cls)
    )
    notes = [str(cls.__doc__).partition("\n")[0]]
    if cls.shorthand:
        notes.append(f"A text is its `{cls.shorthand}`.")
    if getattr(cls, "without_type", False):
        notes.append("It is the default where `type` is missing.")
    if aliases := getattr(cls, "aliases", ()):
        notes.append(f"Also called {listing(aliases)}.")
    blocks = [" ".join(notes)]
    if known:
        blocks.append(table(("word", "value", "default", "meaning"), rows))
    if cls.unsupported:
        blocks.append("Refused:")
        blocks.append("\n".join(f"- `{name}`: {advice}." for name, advice in cls.unsupported.items()))
    if ignored := sorted(cls.ignored - {"type"}):
        blocks.append(f"Accepted without effect: {listing(ignored)}.")
    return "\n\n".join(blocks)


def listing(names: Iterable[str]) -> str:
    """Return names as a sentence lists them."""
    return ", ".join(f"`{name}`" for name in names)


TYPE_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", dict: "object", list: "list"}


def word_kind(name: str, hint: Any) -> str:  # noqa: ANN401 - any type
    """Return the type of a word in words; where it has a section, a link to that."""
    kinds = [one for one in get_args(hint) if one is not type(None)] if is_union(hint) else [hint]
    for title, _, kind in KINDS:
        if kind in kinds or (is_union(kind) and {*get_args(kind)} <= {*kinds}):
            others = [word_kind(name, one) for one in kinds if one is not kind and one not in get_args(kind)]
            return " or ".join([*others, f"[{title}](#{title})"])
    return " or ".join(dict.fromkeys(one_kind(name, kind) for kind in kinds))


def is_union(hint: Any) -> bool:  # noqa: ANN401 - any type
    """Tell whether a type is one of several."""
    return get_origin(hint) in (Union, UnionType)


def one_kind(name: str, hint: Any) -> str:  # noqa: ANN401 - any type
    """Return a type that is no union in words."""
    if get_origin(hint) is Literal:
        values = {str(value).lower(): f"`{value}`" for value in reversed(get_args(hint))}
        return " or ".join(reversed(values.values()))
    if get_origin(hint) is list and get_args(hint) != (Any,):
        inner = word_kind(name, *get_args(hint))
        return f"list of {inner}s" if inner in TYPE_NAMES.values() else f"list of {inner}"
    if hint is Any:  # what is valid is for a check to say
        return "JSON" if name in {"json", "data"} else "text"
    return TYPE_NAMES[get_origin(hint) or hint]


def word_default(item: Any) -> str:  # noqa: ANN401 - a field of whatever type
    """Return the default of a word as it would be written in JSON."""
    if item.default is MISSING:
        return "required"
    return "" if item.default in (None, "") else f"`{json.dumps(item.default)}`"


# The examples

EXAMPLES = """\
# Examples

{note}

Every file of the examples, as it is in the project. Each is run by a test.

## Configurations

Each is a whole `config.json`, in `docs/examples/`. [Other APIs](other-apis.md) explains them; secrets come from
[the environment](from-dlt.md#paste-set-secrets-run).

{configurations}

## For production

What [Operations](operations.md) uses, in `examples/production/`.

{production}

## With Dagster

A [backfill in shards](operations.md#backfill-in-shards), in `examples/dagster/`; its README says how to start it.

{dagster}
"""

CONFIGURATIONS = {
    "opuswatch": "OPUSWatch: the shipped streams at another address.",
    "issues": "Links in a header, and a child resource.",
    "crm": "A cursor in the body, of GET and of POST.",
    "shop": "Page numbers and basic authentication.",
    "jsonapi": "JSON:API: links in the body.",
    "odata": "OData: a filter with a placeholder.",
    "generic": "One resource, and the statuses after which its requests are sent again.",
    "analytics": "The fourteen shipped streams, declared in full.",
}

LANGUAGES = {".json": "json", ".py": "python", ".yml": "yaml", ".yaml": "yaml"}


def examples() -> str:
    """Return the page that shows the examples."""
    folder = ROOT / "examples"
    configurations = {path.stem: path for path in (DOCS / "examples").glob("*.json")}
    return EXAMPLES.format(
        note=NOTE.format("the files themselves"),
        configurations="\n\n".join(
            example(configurations[name], f"{about} [The file](examples/{name}.json)\n\n")
            for name, about in CONFIGURATIONS.items()
        ),
        production="\n\n".join(example(path) for path in sorted((folder / "production").iterdir())),
        dagster="\n\n".join(
            example(folder / "dagster" / name) for name in ("backfill.py", "definitions.py", "home/dagster.yaml")
        ),
    )


def example(path: Path, about: str = "") -> str:
    """Return a file of the examples under its name."""
    text = path.read_text(encoding="utf-8").rstrip("\n")
    return f"### {path.name}\n\n{about}```{LANGUAGES.get(path.suffix, 'text')}\n{text}\n```"


# The definition for Meltano Hub

HUB = """\
# The definition of the tap for Meltano Hub. Made by `make docs` from meltano.yml and `tap-analytics --about`.
# `python -m docs.release` completes it with what only its publisher knows: `repo`, and their name as `variant`.
"""

SETTINGS_PREAMBLE = """\
The shipped streams need `base_url` and `api_key`. To read another API, paste a configuration of dlt's `rest_api`
source: `client`, `resource_defaults` and `resources`.
"""

USAGE = """\
`meltano invoke tap-analytics --test` reports for each selected stream whether it works, and what to do where it does
not. `tap-analytics-from-dlt pipeline.py --format meltano` converts a dlt pipeline.
"""

SHARED = ("name", "namespace", "label", "description", "executable", "capabilities", "settings_group_validation")
"""What the definition says in the words of meltano.yml."""


def hub_definition(about: Facts, *, repository: str = "") -> str:
    """Return the definition of the plugin, its keys in order, as the Hub's linter asks for."""
    yaml = YAML()
    yaml.width, yaml.default_flow_style = 120, False
    (plugin,) = YAML(typ="safe").load(ROOT / "meltano.yml")["plugins"]["extractors"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    definition = {name: plugin[name] for name in SHARED} | {
        "variant": repository.rstrip("/").split("/")[-2].lower() if repository else "tap-analytics",
        **({"repo": repository, "domain_url": repository} if repository else {}),
        "logo_url": "/assets/logos/extractors/analytics.png",
        "pip_url": project["name"],
        "log_parser": "singer-sdk",
        "settings_preamble": SETTINGS_PREAMBLE,
        "usage": USAGE,
        "maintenance_status": "beta",
        "quality": "unknown",
        "keywords": ["meltano_sdk", *(word for word in project["keywords"] if word not in {"meltano", "singer.io"})],
        "supported_python_versions": about["supported_python_versions"],
        "settings": plugin["settings"],
    }
    stream = io.StringIO()
    yaml.dump(sorted_keys(definition), stream)
    return HUB + stream.getvalue()


def sorted_keys(value: Any) -> Any:  # noqa: ANN401 - any YAML
    """Return a value with the keys of its objects in order, and its long texts as blocks of lines."""
    if isinstance(value, dict):
        return {name: sorted_keys(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [sorted_keys(item) for item in value]
    return LiteralScalarString(value) if isinstance(value, str) and "\n" in value else value


# The modules


def module_table() -> str:
    """Return the modules, each above all that it builds on."""
    rows = (
        (f"`{name}`", described, ", ".join(f"`{other}`" for other in sorted(imports)))
        for name, described, imports in downwards(dict(modules()))
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


def downwards(graph: dict[str, tuple[str, set[str]]]) -> list[tuple[str, str, set[str]]]:
    """Return the modules so that each stands above all that it builds on.

    Raises ValueError where two build on each other.
    """
    heights: dict[str, int] = {}

    def height(name: str, above: tuple[str, ...] = ()) -> int:
        if name in above:
            msg = f"imports run in a circle: {' -> '.join([*above, name])}"
            raise ValueError(msg)
        if name not in heights:
            heights[name] = 1 + max((height(other, (*above, name)) for other in graph[name][1]), default=0)
        return heights[name]

    ordered = sorted(graph, key=lambda name: (-height(name), name))
    return [(name, *graph[name]) for name in ordered]


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
