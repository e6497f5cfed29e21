"""The picture of speed, in SVG that is legible on light and on dark: bars in panels, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from textwrap import wrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMES = "\N{MULTIPLICATION SIGN}"
OURS, LIMIT, OTHER = "ours", "limit", "bar"

EDGE, GAP, PANEL = 20, 24, 400
HEAD, ROW, LINE = 66, 40, 18
LONGEST_BAR = PANEL - 125
"""Beside it, there has to be room for its number."""
CHARACTERS = 118
"""How many fit on a line of the foot."""

STYLE = """\
.card { fill: #ffffff; stroke: #d0d7de } .ink { fill: #1f2328 } .dim { fill: #59636e }
.bar { fill: #8c959f } .ours { fill: #1a7f37 } .limit { fill: #c9d1d9 }
@media (prefers-color-scheme: dark) {
.card { fill: #0d1117; stroke: #3d444d } .ink { fill: #f0f6fc } .dim { fill: #9198a1 }
.bar { fill: #6e7681 } .ours { fill: #3fb950 } .limit { fill: #3d444d } }
text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif }
.title { font-size: 15px } .title, .strong { font-weight: 600 } .foot { font-size: 12px }
"""


@dataclass(frozen=True)
class Bar:
    """What somebody took: seconds, and how many times those of whom it is compared with."""

    name: str
    seconds: float
    times: float | None
    kind: str


@dataclass(frozen=True)
class Panel:
    """Bars that have one scale."""

    title: str
    below: str
    bars: Sequence[Bar]


def draw(panels: Sequence[Panel], foot: Sequence[str]) -> str:
    """Return panels side by side, with lines of text below them."""
    lines = [line for text in foot for line in wrap(text, CHARACTERS)]
    width = 2 * EDGE + PANEL * len(panels) + GAP * (len(panels) - 1)
    bottom = HEAD + ROW * max(len(panel.bars) for panel in panels)
    height = bottom + LINE * len(lines) + EDGE
    title = escape("; ".join(panel.title for panel in panels))
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    text = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{title}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="card" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
    ]
    for number, panel in enumerate(panels):
        text += _panel(panel, EDGE + number * (PANEL + GAP))
    text += [
        f'<text class="dim foot" x="{EDGE}" y="{bottom + LINE * (number + 1)}">{escape(line)}</text>'
        for number, line in enumerate(lines)
    ]
    return "\n".join([*text, "</svg>"]) + "\n"


def _panel(panel: Panel, x: int) -> list[str]:
    scale = LONGEST_BAR / max((bar.seconds for bar in panel.bars), default=1.0)
    text = [
        f'<text class="ink title" x="{x}" y="30">{escape(panel.title)}</text>',
        f'<text class="dim" x="{x}" y="49">{escape(panel.below)}</text>',
    ]
    for number, bar in enumerate(panel.bars):
        y = HEAD + ROW * number
        ink = "ink strong" if bar.kind == OURS else "ink"
        length = max(bar.seconds * scale, 1.0)
        value = f"{bar.seconds:.1f} s" + (f"  ({bar.times:.1f} {TIMES})" if bar.times else "")
        text += [
            f'<text class="{ink}" x="{x}" y="{y + 11}">{escape(bar.name)}</text>',
            f'<rect class="{bar.kind}" x="{x}" y="{y + 16}" width="{length:.1f}" height="16" rx="3"/>',
            f'<text class="{ink}" x="{x + length + 8:.1f}" y="{y + 29}">{value}</text>',
        ]
    return text
