"""What is built to be installed: what it holds, what it says of itself, and that it runs where nothing else is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from typing import TYPE_CHECKING

import pytest
from readme_renderer import markdown

from demo.project import ROOT, TABLES
from tests.singer import stream_names

if TYPE_CHECKING:
    from email.message import Message
    from pathlib import Path

UNREACHABLE = ("failed to fetch", "error sending request", "dns error", "not found in the cache")
"""What uv says where it cannot reach a package index."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both distributions, as an installer does, but with the tools that are here."""
    directory = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return directory


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (wheel,) = built.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def sdist(built: Path) -> Path:
    (sdist,) = built.glob("*.tar.gz")
    return sdist


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_bytes(archive.read(name))


def package() -> set[str]:
    """Return the files of the package, and nothing that tools or runs left beside them."""
    found = (ROOT / "tap_analytics").rglob("*")
    kept = {path.relative_to(ROOT).as_posix() for path in found if path.suffix in {".py", ".json", ".typed"}}
    kept |= {"tap_analytics/py.typed"}
    return {name for name in kept if "_cache/" not in name}


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    held = {name for name in names if ".dist-info/" not in name}
    assert held == package()
    assert "tap_analytics/py.typed" in held
    assert sum(name.startswith("tap_analytics/schemas/") for name in held) == len(TABLES)
    assert {name.partition(".dist-info/")[2] for name in names - held} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }


def test_the_sdist_holds_what_the_wheel_is_built_from(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    others = {"CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", ".gitignore", "PKG-INFO"}
    assert names == package() | others


def test_the_wheel_of_the_sdist_is_the_wheel(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        # As an attribute: the first versions of Python 3.11 do not know it as an argument.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(tmp_path)  # noqa: S202 - of our own making
    (source,) = tmp_path.iterdir()
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_the_readme_renders_on_a_package_index(metadata: Message) -> None:
    assert metadata["Description-Content-Type"] == "text/markdown"
    text = metadata.get_payload()
    assert isinstance(text, str)
    page = markdown.render(text)
    assert page is not None
    assert "<h1" in page
    assert "<table>" in page or "<pre" in page


def test_the_metadata_says_what_the_project_says(metadata: Message) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata["Name"] == "tap-analytics"
    assert metadata["Version"] == project["version"]
    assert metadata["Summary"] == project["description"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    # A page or a repository that does not exist is not named.
    assert metadata.get_all("Project-URL") is None


def test_the_changelog_knows_the_version(metadata: Message) -> None:
    headings = [
        line for line in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines() if line.startswith("## ")
    ]
    assert headings[0] == "## Unreleased" or headings[0].startswith(f"## {metadata['Version']}")


def test_the_package_runs_as_a_module_and_tells_its_version(metadata: Message, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tap_analytics", "--version"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=True)
    assert result.stdout.startswith(f"tap-analytics v{metadata['Version']},")


@pytest.mark.slow
def test_it_runs_where_nothing_else_is_installed(wheel: Path, tmp_path: Path) -> None:
    python = tmp_path / "environment" / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(python.parents[1])], check=True, capture_output=True)
    install = [*uv, "pip", "install", "--python", str(python), "--constraints", str(ROOT / "constraints.txt")]
    # Whoever made the environment has fetched all that this needs.
    result = subprocess.run([*install, "--offline", str(wheel)], capture_output=True, encoding="utf-8", check=False)
    if result.returncode and any(words in result.stderr.lower() for words in UNREACHABLE):
        pytest.skip("what the environment was made of is in no cache of uv")
    assert result.returncode == 0, result.stderr

    bare = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE"))}
    for command in ([str(python.with_name("tap-analytics"))], [str(python), "-m", "tap_analytics"]):
        found = subprocess.run([*command, "--discover"], cwd=tmp_path, env=bare, capture_output=True, check=True)
        assert [stream["tap_stream_id"] for stream in json.loads(found.stdout)["streams"]] == stream_names()
    listed = subprocess.run(
        [*uv, "pip", "list", "--python", str(python)], capture_output=True, encoding="utf-8", check=True
    )
    assert "\nmeltano" not in listed.stdout
