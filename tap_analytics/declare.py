"""A word is a field: check, build and document frozen classes from JSON.

A class of words is a frozen dataclass whose fields are made by `word`. The type of a field says what is valid, so the
class that is checked is the class that works, and its page is made from it.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, field, fields, is_dataclass
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from typing import Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Problems = Iterator[str]
T = TypeVar("T")

_TYPE_NAMES: Mapping[Any, str] = {
    str: "text that is not empty",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    Mapping: "an object",
    type(None): "null",
}


class Words:
    """Base of the classes whose fields are words."""

    type: ClassVar[str] = ""
    """The value of the word `type` that chooses this class among others."""
    shorthand: ClassVar[str] = ""
    """The word that a bare text stands for."""
    unsupported: ClassVar[Mapping[str, str]] = {}
    """Words that are refused by name, each with what to do instead."""
    ignored: ClassVar[frozenset[str]] = frozenset()
    """Words that have no effect on a tap; they are accepted."""


def word(
    doc: str,
    *,
    default: Any = None,  # noqa: ANN401 - of whatever type the field has
    required: bool = False,
    check: Callable[[Any], str | None] | None = None,
    secret: bool = False,
) -> Any:  # noqa: ANN401 - as `dataclasses.field`
    """Return a field that users may write.

    Args:
        doc: One sentence for the page of the words.
        default: The value where the word is left out.
        required: Whether the word may not be left out.
        check: Returns what would be valid, where a value of the right type is not.
        secret: Whether no text may show the value.
    """
    metadata = {"doc": doc, "check": check, "secret": secret}
    return field(default=MISSING if required else default, metadata=metadata, kw_only=True, repr=not secret)


def at_least(least: float) -> Callable[[Any], str | None]:
    """Return a check for numbers that are not smaller than a limit."""
    return lambda value: None if value >= least else f"expected {least} or more"


@cache
def words(cls: type) -> dict[str, tuple[Any, Field[Any]]]:
    """Return the words of a class, each with its type and its field."""
    hints = get_type_hints(cls)
    return {item.name: (hints[item.name], item) for item in fields(cls) if "doc" in item.metadata}


def problems(kind: Any, value: object, path: str) -> Problems:  # noqa: ANN401 - any type
    """Yield a line for each mistake in a value, with its path and what would be valid."""
    origin, args = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        yield from _object_problems(kind, value, path)  # type: ignore[arg-type] # it is a class of words
    elif origin in (Union, types.UnionType):
        yield from _union_problems([one for one in args if one is not type(None)], value, path)
    elif origin is list:
        yield from _list_problems(args[0], value, path)
    elif origin is Literal:
        if value not in args:
            yield f"{path}: {quoted(value)} is not valid; expected one of {', '.join(map(str, args))}"
    elif not _fits(kind, value):
        yield f"{path}: {quoted(value)} is not valid; expected {_type_name(kind)}"


def _list_problems(kind: Any, value: object, path: str) -> Problems:  # noqa: ANN401 - any type
    if not isinstance(value, list) or not value:
        yield f"{path}: {quoted(value)} is not valid; expected a list that is not empty"
        return
    for index, item in enumerate(value):
        yield from problems(kind, item, f"{path}[{index}]")


def _object_problems(cls: type[Words], value: object, path: str) -> Problems:
    known = words(cls)  # type: ignore[arg-type] # mypy takes the class for an instance of it
    if isinstance(value, str) and cls.shorthand:
        value = {cls.shorthand: value}
    if not isinstance(value, dict):
        yield f"{path}: {quoted(value)} is not valid; expected an object with {_listed(cls)}"
        return
    for name, item in value.items():
        if name in known:
            if item is not None:  # null leaves a word to its default
                yield from _word_problems(*known[name], item, f"{path}.{name}")
        elif name in cls.unsupported:
            yield f"{path}.{name}: is not supported; {cls.unsupported[name]}"
        elif name not in cls.ignored and not (name == "type" and cls.type):
            yield f"{path}.{name}: is unknown; {suggestion(str(name), known)}"
    for name, (_, item) in known.items():
        if item.default is MISSING and value.get(name) is None:
            yield f"{path}.{name}: is missing. {item.metadata['doc']}"


def _word_problems(kind: Any, spec: Field[Any], value: object, path: str) -> Problems:  # noqa: ANN401 - any type
    mistakes = list(problems(kind, value, path))
    yield from mistakes
    check = spec.metadata["check"]
    if not mistakes and check and (expected := check(value)):
        yield f"{path}: {quoted(value)} is not valid; {expected}"


def _union_problems(kinds: Sequence[Any], value: object, path: str) -> Problems:
    tagged = {kind.type: kind for kind in kinds if getattr(kind, "type", "")}
    if len(kinds) == 1:
        yield from problems(kinds[0], value, path)
    elif tagged:
        yield from _tagged_problems(tagged, value, path)
    else:
        for kind in kinds:
            if _fits(kind, value) or (is_dataclass(kind) and isinstance(value, dict)):
                yield from problems(kind, value, path)
                return
        expected = " or ".join(_type_name(kind) for kind in kinds)
        yield f"{path}: {quoted(value)} is not valid; expected {expected}"


def _tagged_problems(tagged: Mapping[str, type[Words]], value: object, path: str) -> Problems:
    if not isinstance(value, dict | str):
        yield f"{path}: {quoted(value)} is not valid; expected an object with a type, one of {', '.join(tagged)}"
        return
    cls = _tagged_class(tagged, value)
    if cls is None:
        tag, at = (value.get("type"), f"{path}.type") if isinstance(value, dict) else (value, path)
        wrong = "is missing" if tag is None else f"{quoted(tag)} is not valid"
        yield f"{at}: {wrong}; expected one of {', '.join(tagged)}"
    else:
        yield from _object_problems(cls, value if isinstance(value, dict) else {}, path)


def _tagged_class(tagged: Mapping[str, type[Words]], value: dict[str, Any] | str) -> type[Words] | None:
    """Return the class that a `type` chooses; without one, the class marked as the one that is meant."""
    tag = value if isinstance(value, str) else value.get("type")
    if tag is None:
        return next((cls for cls in tagged.values() if getattr(cls, "without_type", False)), None)
    aliases = {alias: cls for cls in tagged.values() for alias in getattr(cls, "aliases", ())}
    return {**aliases, **tagged}.get(tag) if isinstance(tag, str) else None


def build(kind: Any, value: Any) -> Any:  # noqa: ANN401 - any type
    """Return what a value that has no problems stands for."""
    if get_origin(kind) in (Union, types.UnionType):
        kinds = [one for one in get_args(kind) if one is not type(None)]
        if tagged := {one.type: one for one in kinds if getattr(one, "type", "")}:
            return _build_object(_tagged_class(tagged, value), {} if isinstance(value, str) else value)
        return next((build(one, value) for one in kinds if _is_meant(one, value)), value)
    if is_dataclass(kind):
        return _build_object(kind, value)
    if get_origin(kind) is list:
        return tuple(build(get_args(kind)[0], item) for item in value)
    return float(value) if kind is float else value


def _is_meant(kind: Any, value: object) -> bool:  # noqa: ANN401 - any type
    return (is_dataclass(kind) and isinstance(value, dict)) or (get_origin(kind) is list and isinstance(value, list))


def _build_object(cls: Any, value: dict[str, Any] | str) -> Any:  # noqa: ANN401 - an instance of it
    known = words(cls)
    stated = {cls.shorthand: value} if isinstance(value, str) else value
    return cls(
        **{name: build(known[name][0], item) for name, item in stated.items() if name in known and item is not None}
    )


def _fits(kind: Any, value: object) -> bool:  # noqa: ANN401 - any type
    """Tell whether a value is of a plain type, as JSON has it."""
    if get_origin(kind) is Literal:
        return isinstance(value, type(get_args(kind)[0]))
    if kind is str:
        return isinstance(value, str) and bool(value.strip())
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return kind is Any or (not is_dataclass(kind) and isinstance(value, get_origin(kind) or kind))


def _type_name(kind: Any) -> str:  # noqa: ANN401 - any type
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    return _TYPE_NAMES.get(get_origin(kind) or kind, "an object")


def _listed(cls: type[Words]) -> str:
    known = words(cls)  # type: ignore[arg-type] # as above
    return ", ".join(["type", *known] if cls.type else known)


def suggestion(name: str, valid: Mapping[str, Any] | Sequence[str]) -> str:
    """Return what to write instead of an unknown name."""
    close = get_close_matches(name, valid, 1)
    return f"did you mean {close[0]}?" if close else f"valid are {', '.join(valid)}"


def quoted(value: object) -> str:
    """Return a value as a message quotes it."""
    return str(value) if isinstance(value, Decimal) else repr(value)


def ignored_words(cls: type[Words], value: object) -> list[str]:
    """Return the words of an object that are accepted without effect."""
    return sorted(cls.ignored & value.keys()) if isinstance(value, dict) else []


def documentation(cls: type) -> Iterator[tuple[str, str]]:
    """Yield each word of a class with its meaning, for the page that documents it."""
    for name, (_, item) in words(cls).items():
        yield name, item.metadata["doc"]
