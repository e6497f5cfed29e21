"""Readies a checkout to be published: `python -m docs.release REPOSITORY TAG`, with the address of the repository.

What only its publisher knows comes in: the links of the pages that package indexes show become absolute, the metadata
name the repository, and the definition for Meltano Hub is completed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from posixpath import normpath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from docs.generate import ROOT, ask, hub_definition

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = (".", "loader")


def main() -> int:
    """Ready this checkout, or say what is wrong."""
    if len(sys.argv) != 3:  # noqa: PLR2004 - the command and two arguments
        print("python -m docs.release https://github.com/OWNER/NAME v1.2.3", file=sys.stderr)  # noqa: T201 - a command speaks
        return 2
    try:
        prepare(ROOT, *sys.argv[1:])
    except ValueError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command speaks
        return 1
    (ROOT / "dist").mkdir(exist_ok=True)
    definition = hub_definition(ask("--about", "--format=json"), repository=sys.argv[1])
    (ROOT / "dist" / "meltano-hub.yml").write_text(definition, encoding="utf-8")
    return 0


def prepare(root: Path, repository: str, tag: str) -> None:
    """Change the files of a checkout that are published; raise ValueError where the tag is not that of the versions."""
    version = tag.removeprefix("v")
    heading = re.search(r"(?m)^## .*$", (root / "CHANGELOG.md").read_text(encoding="utf-8"))
    if not heading or not re.fullmatch(rf"## {re.escape(version)} - \d{{4}}-\d\d-\d\d", heading[0]):
        msg = f"CHANGELOG.md: the first section must be that of {version}, with its date"
        raise ValueError(msg)
    for package in PACKAGES:
        project, readme = root / package / "pyproject.toml", root / package / "README.md"
        text = project.read_text(encoding="utf-8")
        if (stated := tomllib.loads(text)["project"]["version"]) != version:
            msg = f"{package}/pyproject.toml: the version is {stated}, and the tag {tag}"
            raise ValueError(msg)
        urls = {"Repository": repository, "Changelog": f"{repository}/blob/{tag}/CHANGELOG.md"}
        lines = "".join(f'{name} = "{address}"\n' for name, address in urls.items())
        project.write_text(text.replace("[project.scripts]", f"[project.urls]\n{lines}\n[project.scripts]"), "utf-8")
        readme.write_text(with_absolute_links(readme.read_text(encoding="utf-8"), repository, tag, package), "utf-8")


def with_absolute_links(text: str, repository: str, tag: str, folder: str) -> str:
    """Return a page of a folder whose links and images can be followed from anywhere."""
    raw = f"https://raw.githubusercontent.com{urlsplit(repository).path}/{tag}"

    def absolute(match: re.Match[str]) -> str:
        address, fragment = re.fullmatch(r"([^#]*)(.*)", match["target"]).groups()  # type: ignore[union-attr]
        base = raw if match["image"] else f"{repository}/blob/{tag}"
        return f"{match['image']}{match['text']}({base}/{normpath(f'{folder}/{address}')}{fragment})"

    return re.sub(r"(?P<image>!?)(?P<text>\[[^\]]*\])\((?P<target>(?!https?:|#)[^)\s]+)\)", absolute, text)


if __name__ == "__main__":
    sys.exit(main())
