"""What --about says of the tap as text."""

from __future__ import annotations

import json
from textwrap import fill
from typing import TYPE_CHECKING, Any

from singer_sdk.about import AboutFormatter

from tap_analytics.config.settings import type_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_sdk.about import AboutInfo

WIDTH = 79
"""Columns of a line."""


class TextAbout(AboutFormatter, format_name="text"):
    """Settings with their meaning, choices and default, of which the SDK says nothing in text."""

    def format_about(self, about_info: AboutInfo) -> str:
        """Return the text."""
        python = ", ".join(about_info.supported_python_versions or ())
        blocks = [
            f"{about_info.name} {about_info.version}, Meltano SDK {about_info.sdk_version}, Python {python}",
            fill(about_info.description or "", WIDTH),
            fill(f"Capabilities: {', '.join(one.value for one in about_info.capabilities)}", WIDTH),
            "Settings, each with the environment variable that --config ENV reads:",
        ]
        for name, schema in about_info.settings["properties"].items():
            heading = f"{name}  ({about_info.env_var_prefix}{name.upper()})"
            texts = (schema.get("description", ""), f"Valid: {values(schema)}")
            indented = [fill(text, WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 4) for text in texts if text]
            blocks.append("\n".join([heading, *indented]))
        return "\n\n".join(blocks)


def values(schema: Mapping[str, Any]) -> str:
    """Return in words which values a schema allows, and which one is the default."""
    text = " or ".join(schema["enum"]) if "enum" in schema else type_name(schema)
    bounds = (("minimum", "at least"), ("exclusiveMinimum", "more than"), ("maximum", "at most"))
    text += "".join(f", {words} {schema[bound]}" for bound, words in bounds if bound in schema)
    text += ", a secret" if schema.get("secret") else ""
    if "default" in schema:
        default = schema["default"]
        text += f"; default: {default if isinstance(default, str) else json.dumps(default)}"
    return text
