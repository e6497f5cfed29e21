"""The pages as a site: built, and seen in a browser where there is one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

from demo.project import ROOT
from tests.browser import Browser, browser, chromium

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))

DESKTOP, PHONE = 1280, 360
"""Widths of a window, in pixels."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, as `make docs` does, and fail where the generator warns."""
    directory = tmp_path_factory.mktemp("site")
    shutil.copytree(DOCS, directory / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "zensical.toml", directory)
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--strict"]
    environment = os.environ | {"NO_COLOR": "1"}
    result = subprocess.run(command, cwd=directory, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert result.returncode == 0, re.sub(r"\x1b\[[0-9;]*m", "", result.stdout + result.stderr)
    return directory / "site"


def test_the_site_holds_every_page(site: Path) -> None:
    assert {page.stem for page in site.glob("*.html")} == {page.stem for page in PAGES} | {"404"}
    assert list(site.rglob("*.py")) == []


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in site.glob("*.html"):
        tags = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", page.read_text(encoding="utf-8"))
        loaded = [tag for tag in tags if re.search(r"""(?:src|href)=["']?(?:https?:)?//""", tag)]
        assert loaded == [], page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lists_stay_lists(page: Path, site: Path) -> None:
    text = re.sub(r"(?ms)^( *)(```+)\w*$.*?^\1\2$", r"\1code", page.read_text(encoding="utf-8"))
    numbers = [int(number) for number in re.findall(r"(?m)^ *(\d+)\. ", text)]
    lengths = [number for number, after in pairwise([*numbers, 1]) if after == 1]
    _, _, article = (site / f"{page.stem}.html").read_text(encoding="utf-8").partition("<article")
    article, _, _ = article.partition("</article")
    shown = [inner.count("<li>") for inner in re.findall(r"(?s)<ol>(.*?)</ol>", article)]
    assert shown == lengths, "what belongs to an item is indented by four spaces"
    assert article.count("<li>") == len(re.findall(r"(?m)^ *(?:-|\d+\.) ", text)), "before a list, a line is empty"


# In a browser


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    executable = chromium()
    if executable is None:
        pytest.skip("there is no Chromium here")
    with browser(executable, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def shown(tab: Browser) -> Iterator[Browser]:
    """A window whose pages must not complain."""
    tab.size(DESKTOP)
    tab.prefer("light")
    tab.complaints.clear()
    yield tab
    assert tab.complaints == []


def pages(site: Path) -> list[Path]:
    """Return the pages; the one about missing pages is shown by servers only."""
    return sorted(path for path in site.glob("*.html") if path.stem != "404")


LINKS = """({
    links: [...document.querySelectorAll("a[href]")].map((link) => link.href),
    names: [...document.querySelectorAll("[id]")].map((element) => element.id),
})"""

BROKEN_NAMES = r"""
[...document.querySelectorAll("article code")]
    .filter((code) => !code.closest("pre") && /^[\w.]+$/.test(code.textContent) && code.getClientRects().length > 1)
    .map((code) => code.textContent)
"""

CUT = """
[...document.querySelectorAll("article pre code, article .md-typeset__scrollwrap")]
    .filter((box) => box.scrollWidth > box.clientWidth + 1)
    .map((box) => box.textContent.trim().slice(0, 60))
"""

NEVER_CUT = {DESKTOP: ("index", "how-it-reads"), PHONE: ("index",)}


@pytest.mark.slow
def test_pages_complain_of_nothing_fit_the_window_and_link_to_what_is_there(shown: Browser, site: Path) -> None:
    links: dict[str, set[str]] = {}
    names: dict[Path, set[str]] = {}
    for page in pages(site):
        shown.open(page.as_uri())
        seen = shown.evaluate(LINKS)
        links[page.name], names[page] = set(seen["links"]), set(seen["names"])
        for width, whole in NEVER_CUT.items():
            shown.size(width)
            assert shown.evaluate("document.documentElement.scrollWidth") <= width, page.name
            assert shown.evaluate(BROKEN_NAMES) == [], page.name
            assert page.stem not in whole or shown.evaluate(CUT) == [], page.name
    for name, targets in links.items():
        assert any(target.startswith("file:") for target in targets)
        for target in (urlsplit(one) for one in targets if one.startswith("file:")):
            path = Path(unquote(target.path))
            assert path.is_file(), f"{name}: {target.geturl()}"
            anchor = unquote(target.fragment)
            assert not anchor or anchor.startswith("__") or anchor in names[path], f"{name}: {target.geturl()}"


SEARCH = """
new Promise((resolve) => {
    const look = () => {
        const roots = [...document.querySelectorAll("*")].map((element) => element.shadowRoot).filter(Boolean);
        const found = roots.flatMap((root) => [...root.querySelectorAll("[role=listbox] a")]).map((link) => link.href);
        found.length ? resolve(found) : requestAnimationFrame(look);
    };
    look();
})
"""


@pytest.mark.slow
def test_the_search_finds_pages_that_are_opened_as_files(shown: Browser, site: Path) -> None:
    shown.open((site / "index.html").as_uri())
    shown.evaluate("document.querySelector('.md-search__button').click()")
    shown.call("Input.insertText", text="lookback_days")
    hits = shown.evaluate(SEARCH)
    assert any("settings.html" in link for link in hits), hits


SWITCH = """
[...document.querySelectorAll("[data-md-component=palette] label")].find((label) => !label.hidden).click()
"""


@pytest.mark.slow
def test_a_switch_chooses_between_light_and_dark(shown: Browser, site: Path) -> None:
    def scheme() -> str:
        return str(shown.evaluate("document.body.dataset.mdColorScheme"))

    shown.prefer("dark")
    shown.open((site / "index.html").as_uri())
    seen = [scheme()]
    for _ in range(3):
        shown.evaluate(SWITCH)
        seen.append(scheme())
    dark, light = "slate", "default"
    assert seen == [dark, light, dark, dark], "as the system has it, light, dark, and again as the system has it"
    shown.prefer("light")
    shown.open((site / "index.html").as_uri())
    assert scheme() == light


@pytest.mark.slow
@pytest.mark.parametrize(("stem", "width"), [("index", DESKTOP), ("operations", DESKTOP), ("settings", PHONE)])
def test_pages_can_be_looked_at(shown: Browser, site: Path, stem: str, width: int) -> None:
    pictures = ROOT / ".cache" / "screenshots"
    pictures.mkdir(parents=True, exist_ok=True)
    shown.size(width)
    shown.open((site / f"{stem}.html").as_uri())
    shown.screenshot(pictures / f"{stem}.png")
    assert (pictures / f"{stem}.png").read_bytes().startswith(b"\x89PNG")
