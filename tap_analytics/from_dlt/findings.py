"""What a user must know of a conversion."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """What a finding asks for, as the heading of its list."""

    FILL = "Write these by hand"
    LEFT = "Not carried over"
    CHECK = "Check these"


@dataclass(frozen=True)
class Finding:
    """Something in a configuration that did not come along as it is."""

    kind: Kind
    line: int
    location: str
    """Where in the configuration; empty for all of it."""

    text: str


@dataclass
class Findings:
    """Collects the findings of a conversion."""

    items: list[Finding] = field(default_factory=list)

    def fill(self, line: int, location: str, text: str) -> None:
        """Add a value that the user has to write."""
        self.items.append(Finding(Kind.FILL, line, location, text))

    def left(self, line: int, location: str, text: str) -> None:
        """Add something that was left out."""
        self.items.append(Finding(Kind.LEFT, line, location, text))

    def check(self, line: int, location: str, text: str) -> None:
        """Add something that was decided for the user, unless it was for all of what is around it."""
        around = [item.location for item in self.items if item.kind is Kind.CHECK and item.text == text]
        if not any(location.startswith((f"{outer}.", f"{outer}[")) or not outer for outer in around):
            self.items.append(Finding(Kind.CHECK, line, location, text))
