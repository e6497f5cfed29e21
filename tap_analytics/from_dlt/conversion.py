"""Turns a configuration of dlt into one of the tap, and lists what does not come along."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tap_analytics.from_dlt.client import Client, template
from tap_analytics.from_dlt.credentials import secret
from tap_analytics.from_dlt.plain import MISSING, described, instead_of
from tap_analytics.from_dlt.values import Function, PipelineError, Reference, Unknown, Value, literal

if TYPE_CHECKING:
    from collections.abc import Mapping


class Converter(Client):
    """Converts one configuration, word by word."""

    def convert(self, config: Value) -> dict[str, Any]:
        """Return the configuration of the tap.

        Raises:
            PipelineError: If no resource can be carried over.
        """
        handlers = {"client": self._client, "resource_defaults": self._defaults, "resources": self._resources}
        words = config.content if isinstance(config.content, dict) else {}
        self.remark(config, "")
        for word in words.keys() - handlers.keys():
            self.findings.left(words[word].line, word, "is no word of a configuration")
        # The secrets of the client come first, and those of endpoints only where they are the same.
        converted = {word: handlers[word](words[word], word) for word in handlers if word in words}
        if not converted.get("resources"):
            message = "no resource could be carried over" if _listed(words) else "the source has no resources"
            raise PipelineError(message)
        converted["client"] = self.client
        return {word: converted[word] for word in handlers if converted.get(word, MISSING) is not MISSING}

    # Resources

    def _defaults(self, value: Value, location: str) -> Any:  # noqa: ANN401  (words or MISSING)
        converted = self._resource_words(value, location)
        self._sign(self.client, "client")
        return converted

    def _resources(self, value: Value, location: str) -> list[Any]:
        if not isinstance(value.content, list):
            message = f"line {value.line}: the resources cannot be read: {described(value.content)}"
            raise PipelineError(message)
        self.remark(value, location)
        converted = []
        for index, item in enumerate(value.content):
            resource = self._resource(item, f"{location}[{index}]")
            if resource is not MISSING:
                converted.append((item.line, f"{location}[{index}]", resource))
        return [resource for _, _, resource in self._without_orphans(converted)]

    def _resource(self, value: Value, location: str) -> Any:  # noqa: ANN401  (a text, words or MISSING)
        if isinstance(value.content, (Unknown, Reference, Function)):
            text = f"{described(value.content)}; declare a resource, or do without it and its children"
            self.findings.left(value.line, location, text)
            return MISSING
        if isinstance(value.content, str):
            path = self._without_secrets(value.content, {}, value, location)
            signed: dict[str, Any] = {"path": path}
            self._sign(signed, f"{location}.endpoint")
            return {"name": path, "endpoint": signed} if "auth" in signed else path
        if not isinstance(value.content, dict):
            return self.plain(value, location)
        converted: dict[str, Any] = self._resource_words(value, location)
        endpoint = _object(converted.get("endpoint"))
        self._sign(endpoint, f"{location}.endpoint")
        # A hint of the resource filters what came, as that of an endpoint does where no parameter sends it.
        if "incremental" in converted:
            endpoint.setdefault("incremental", converted.pop("incremental"))
        if endpoint != _object(converted.get("endpoint")):
            converted["endpoint"] = endpoint
        return converted

    def _resource_words(self, value: Value, location: str) -> Any:  # noqa: ANN401  (words or MISSING)
        handlers = {
            "name": self._name,
            "endpoint": self._endpoint,
            "processing_steps": self._processing_steps,
            "incremental": self._incremental,
        }
        return self.words(value, location, handlers)

    def _name(self, value: Value, location: str) -> Any:  # noqa: ANN401  (a text or MISSING)
        if isinstance(value.content, Unknown) and value.content.default is None:
            text, _ = template(value.content)
            name = re.sub(r"[{}]", "", text)
            self.findings.check(value.line, location, f"the name is worked out by the pipeline; {name} stands for it")
            return name
        return self.plain(value, location)

    def _processing_steps(self, value: Value, location: str) -> Any:  # noqa: ANN401  (always MISSING)
        steps = value.content if isinstance(value.content, list) else [value]
        words = [word for step in steps for word in (step.content if isinstance(step.content, dict) else ["a step"])]
        if words:
            self.findings.left(value.line, location, f"Python code ({', '.join(words)}); {instead_of(location)}")
        return MISSING

    def _without_orphans(self, resources: list[tuple[int, str, Any]]) -> list[tuple[int, str, Any]]:
        """Leave out what needs a parent that is not there, and then what needs that."""
        names = {str(resource.get("name") if isinstance(resource, dict) else resource) for _, _, resource in resources}
        kept = []
        for line, location, resource in resources:
            missing = sorted(_parents(resource) - names)
            if missing:
                self.findings.left(line, location, f"needs {', '.join(missing)}, which did not come along")
            else:
                kept.append((line, location, resource))
        return kept if len(kept) == len(resources) else self._without_orphans(kept)

    # Endpoints

    def _endpoint(self, value: Value, location: str) -> Any:  # noqa: ANN401  (a text or words)
        if not isinstance(value.content, dict):
            return self._path(value, location)
        handlers = {
            "path": self._path,
            "params": self._params,
            "data": self._data,
            "headers": self._headers,
            "auth": self._auth,
            "paginator": self._paginator,
            "incremental": self._incremental,
            "response_actions": self._response_actions,
        }
        return self.words(value, location, handlers)

    def _path(self, value: Value, location: str) -> Any:  # noqa: ANN401  (a text, or None as it is)
        content = value.content
        if isinstance(content, str):
            return self._without_secrets(content, {}, value, location)
        if content is None or (isinstance(content, Unknown) and content.default):
            return self.plain(value, location)
        self.remark(value, location)
        unknown = content if isinstance(content, Unknown) else Unknown("code", "`path`")
        text, names = template(unknown)
        kept = self._without_secrets(text, names, value, location)
        for name in (name for name in names if f"{{{name}}}" in kept):
            params = location.removesuffix(".path") + ".params"
            text = f"{names[name].what}: write it in the place of {{{name}}}, or add {name} to {params}"
            self.findings.fill(value.line, location, text)
        return kept

    def _data(self, value: Value, location: str) -> Any:  # noqa: ANN401  (words, a text or MISSING)
        pairs = [pair.partition("=") for pair in value.content.split("&")] if isinstance(value.content, str) else []
        if any(secret(name, Value(content, value.line)) for name, _, content in pairs):
            text = "holds a secret; write it here, in a file that only the tap can read"
            self.findings.fill(value.line, location, text)
            return MISSING
        return self.plain(value, location)

    def _response_actions(self, value: Value, location: str) -> Any:  # noqa: ANN401  (a list or MISSING)
        if not isinstance(value.content, list):
            return self.plain(value, location)
        kept = []
        for index, item in enumerate(value.content):
            action = self.plain(item, f"{location}[{index}]")
            if literal(item):  # without a word, it would say something else
                kept.append(action)
        return kept or MISSING


def _listed(words: Mapping[str, Value]) -> bool:
    """Return whether a configuration has resources."""
    return "resources" in words and words["resources"].content != []


def _object(endpoint: Any) -> dict[str, Any]:  # noqa: ANN401  (a text, words or None)
    """Return an endpoint as an object of its own."""
    return dict(endpoint) if isinstance(endpoint, dict) else {} if endpoint is None else {"path": endpoint}


def _parents(resource: Any) -> set[str]:  # noqa: ANN401  (a text or words)
    """Return the resources that a resource refers to."""
    endpoint = resource.get("endpoint", {}) if isinstance(resource, dict) else resource
    named = set(re.findall(r"\{resources\.([^.{}]+)", json.dumps(endpoint, ensure_ascii=False)))
    params = endpoint.get("params") if isinstance(endpoint, dict) else None
    resolved = [
        value for value in (params or {}).values() if isinstance(value, dict) and value.get("type") == "resolve"
    ]
    return named | {str(value.get("resource")) for value in resolved}
