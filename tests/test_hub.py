"""The settings of the tap are the same wherever they are told: by the tap, to Meltano, to Meltano Hub, on the pages."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from demo.project import ROOT
from docs.generate import ask, hub_definition

Facts = dict[str, Any]

TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}

SETTING = {
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        **dict.fromkeys(
            ("name", "label", "description", "placeholder", "tooltip", "documentation", "docs", "env"), TEXT
        ),
        "value": {},
        "aliases": TEXTS,
        "hidden": {"type": "boolean"},
        "sensitive": {"type": "boolean"},
        "kind": {
            "enum": [
                *("array", "boolean", "date_iso8601", "decimal", "email", "file", "hidden"),
                *("integer", "oauth", "object", "options", "password", "string"),
            ]
        },
        "options": {"type": "array", "items": {"type": "object", "properties": {"label": TEXT, "value": TEXT}}},
    },
}

DEFINITION = {
    "type": "object",
    "required": ["name", "namespace", "variant", "quality"],
    "additionalProperties": False,
    "properties": {
        **dict.fromkeys(
            ("name", "namespace", "variant", "label", "description", "executable", "pip_url", "repo"), TEXT
        ),
        **dict.fromkeys(("definition", "next_steps", "settings_preamble", "usage", "prereq", "log_parser"), TEXT),
        **dict.fromkeys(("logo_url", "domain_url"), TEXT),
        "keywords": TEXTS,
        "select": TEXTS,
        "settings": {"type": "array", "items": SETTING},
        "settings_group_validation": {"type": "array", "items": TEXTS},
        "maintenance_status": {"enum": ["active", "beta", "development", "inactive", "unknown"]},
        "quality": {"enum": ["gold", "silver", "bronze", "unknown"]},
        "supported_python_versions": {"type": "array", "items": {"type": "string", "pattern": r"^3\.\d+$"}},
        "capabilities": {
            "type": "array",
            "uniqueItems": True,
            "items": {
                "enum": [
                    *("about", "activate-version", "batch", "catalog", "discover", "log-based", "properties"),
                    *("schema-flattening", "state", "stream-maps", "structured-logging", "test"),
                ]
            },
        },
    },
}
"""What the Hub asks of the definition of an extractor, as far as ours has it."""


@pytest.fixture(scope="module")
def about() -> Facts:
    return ask("--about", "--format=json")


@pytest.fixture(scope="module")
def plugin() -> Facts:
    (plugin,) = YAML(typ="safe").load(ROOT / "meltano.yml")["plugins"]["extractors"]
    return dict(plugin)


@pytest.fixture(scope="module")
def definition() -> Facts:
    loaded: Facts = YAML(typ="safe").load(ROOT / "docs" / "meltano-hub.yml")
    return loaded


def test_the_definition_is_what_the_hub_asks_for(definition: Facts) -> None:
    jsonschema.validate(definition, DEFINITION)


def test_a_published_definition_has_what_all_of_the_hub_have(about: Facts) -> None:
    text = hub_definition(about, repository="https://github.com/Acme/tap-analytics")
    published = YAML(typ="safe").load(text)
    jsonschema.validate(published, DEFINITION)
    everywhere = "variant repo quality namespace name maintenance_status logo_url label capabilities settings pip_url"
    assert published.keys() >= {*everywhere.split(), "keywords", "domain_url", "description"}
    assert (published["variant"], published["repo"]) == ("acme", "https://github.com/Acme/tap-analytics")
    lines = [line for line in text.splitlines() if re.match(r"\w+:", line)]
    assert lines == sorted(lines), "the Hub's linter asks for an order"


def test_meltano_takes_the_definition_for_a_plugin(definition: Facts) -> None:
    of_hub = {
        *("variant", "maintenance_status", "quality", "keywords", "supported_python_versions"),
        *("logo_url", "log_parser", "settings_preamble", "usage"),
    }
    extractor = {name: value for name, value in definition.items() if name not in of_hub}
    schema = json.loads((files("meltano") / "schemas" / "meltano.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate({"version": 1, "plugins": {"extractors": [extractor]}}, schema)


def test_capabilities_are_the_same_everywhere(about: Facts, plugin: Facts, definition: Facts) -> None:
    (listed,) = re.findall(r"## Capabilities\n\n(.+)\n", page())
    expected = sorted(about["capabilities"])
    assert sorted(plugin["capabilities"]) == expected
    assert sorted(definition["capabilities"]) == expected
    assert re.findall(r"`([^`]+)`", listed) == expected


def test_settings_are_the_same_everywhere(about: Facts, plugin: Facts, definition: Facts) -> None:
    described = about["settings"]["properties"]
    names = list(described)
    assert sorted(setting["name"] for setting in plugin["settings"]) == sorted(names)
    assert sorted(setting["name"] for setting in definition["settings"]) == sorted(names)
    assert list(rows()) == names
    assert "required" not in about["settings"]
    assert definition["settings_group_validation"] == plugin["settings_group_validation"]
    assert {name for group in plugin["settings_group_validation"] for name in group} <= set(names)


def test_defaults_kinds_and_meanings_are_the_same_everywhere(about: Facts, plugin: Facts, definition: Facts) -> None:
    in_meltano = {setting["name"]: setting for setting in plugin["settings"]}
    in_hub = {setting["name"]: setting for setting in definition["settings"]}
    on_page = rows()
    for name, facts in about["settings"]["properties"].items():
        assert in_hub[name] == in_meltano[name], name
        setting, (kind, default, meaning) = in_hub[name], on_page[name]
        assert setting.get("value") == facts.get("default"), name
        assert setting["description"] == facts["description"] == meaning.replace("\\|", "|"), name
        assert setting["label"] == facts["title"], name
        assert setting.get("sensitive", False) is facts.get("secret", False) is ("secret" in kind), name
        assert ([json.loads(default.strip("`"))] if default.startswith("`") else []) == (
            [facts["default"]] if "default" in facts else []
        ), name
        choices = [option["value"] for option in setting.get("options", [])]
        assert choices == facts.get("enum", []) == (re.findall(r"`(\w+)`", kind)), name
        if not choices:
            (expected,) = set(facts["type"]) - {"null"}
            assert kind.startswith(expected), name
            assert setting["kind"] in {expected, *{"number": ["string"], "string": ["date_iso8601"]}.get(expected, [])}


def test_the_definition_knows_the_pythons(about: Facts, definition: Facts) -> None:
    assert definition["supported_python_versions"] == about["supported_python_versions"]


def page() -> str:
    return (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def rows() -> dict[str, tuple[str, str, str]]:
    """Return type, default and meaning of each setting on the page."""
    table = {}
    for line in page().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 4 and cells[0].startswith("`"):
            table[cells[0].strip("`")] = (cells[1], cells[2], cells[3])
    return table
