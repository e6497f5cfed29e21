"""Structs of msgspec that are made for the names of some JSON members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, UnsetType

if TYPE_CHECKING:
    from collections.abc import Mapping


def struct(fields: Mapping[str, Any], defaults: Mapping[str, Any], *, closed: bool = False) -> type[msgspec.Struct]:
    """Return a struct with some JSON members, which become the attributes `f0`, `f1` … in their order.

    A member without a default is required.
    """
    attributes: list[Any] = []
    for number, (name, kind) in enumerate(fields.items()):
        attribute = f"f{number}"
        attributes.append((attribute, kind, defaults[name]) if name in defaults else (attribute, kind))
    names = {f"f{number}": name for number, name in enumerate(fields)}
    # Where no member is required, values can be given in their order.
    is_mixed = len(defaults) < len(fields)
    return msgspec.defstruct("Row", attributes, rename=names, gc=False, kw_only=is_mixed, forbid_unknown_fields=closed)


def optional(fields: Mapping[str, Any]) -> type[msgspec.Struct]:
    """Return an open struct none of whose members is required; what is missing is UNSET."""
    return struct({name: kind | UnsetType for name, kind in fields.items()}, dict.fromkeys(fields, UNSET))


def can_be_a_field(name: str) -> bool:
    """Tell whether a struct can have a member of this name: msgspec compares names as they are written."""
    return name.isprintable() and '"' not in name and "\\" not in name
