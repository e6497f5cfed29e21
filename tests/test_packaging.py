"""What is built to be installed: what it holds, what it says of itself, and that it runs where nothing else is."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
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
from docs import release
from tests.singer import stream_names

if TYPE_CHECKING:
    from email.message import Message
    from pathlib import Path

UNREACHABLE = ("failed to fetch", "error sending request", "dns error", "not found in the cache")
"""What uv says where it cannot reach a package index."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the distributions of both packages, as `make dist` does."""
    directory = tmp_path_factory.mktemp("dist")
    for folder in (ROOT, ROOT / "loader"):
        build(folder, directory)
    return directory


def build(folder: Path, directory: Path, *options: str) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(directory), *options]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (wheel,) = built.glob("tap_analytics-*.whl")
    return wheel


@pytest.fixture(scope="module")
def sdist(built: Path) -> Path:
    (sdist,) = built.glob("tap_analytics-*.tar.gz")
    return sdist


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_bytes(archive.read(name))


def package() -> set[str]:
    """Return the files of the package, and nothing that tools or runs left beside them."""
    candidates = (ROOT / "tap_analytics").rglob("*")
    kept = {path.relative_to(ROOT).as_posix() for path in candidates if path.suffix in {".py", ".json", ".typed"}}
    kept |= {"tap_analytics/py.typed"}
    return {name for name in kept if "_cache/" not in name}


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    packed = {name for name in names if ".dist-info/" not in name}
    assert packed == package()
    assert "tap_analytics/py.typed" in packed
    assert sum(name.startswith("tap_analytics/schemas/") for name in packed) == len(TABLES)
    assert {name.partition(".dist-info/")[2] for name in names - packed} == {
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
    build(source, tmp_path, "--target", "wheel")
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_an_index_takes_every_distribution(built: Path) -> None:
    files = sorted(map(str, built.iterdir()))
    assert len(files) == 4
    command = [sys.executable, "-m", "twine", "check", "--strict", *files]
    checked = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert checked.returncode == 0, checked.stdout
    assert checked.stdout.count("PASSED") == 4


def test_the_loader_is_a_package_of_its_own(built: Path) -> None:
    (wheel,) = built.glob("target_postgres_fast-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name or "LICENSE" in name}
    assert {name for name in names if "LICENSE" not in name} == {
        path.relative_to(ROOT / "loader").as_posix()
        for path in (ROOT / "loader" / "target_postgres_fast").iterdir()
        if path.suffix in {".py", ".typed"}
    }
    assert (ROOT / "loader" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert any("LICENSE" in name for name in names)


REPOSITORY = "https://github.com/acme/tap-analytics"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of what is published, released today."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("tap_analytics", "loader"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*_cache", "__pycache__"))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.sub(r"(?m)^## .*$", f"## {version} - 2026-01-31", changelog, count=1)
    (tmp_path / "CHANGELOG.md").write_text(released, encoding="utf-8")
    release.prepare(tmp_path, REPOSITORY, f"v{version}")
    return tmp_path


def test_what_is_published_names_its_repository_and_links_from_anywhere(checkout: Path) -> None:
    build(checkout, checkout / "dist", "--target", "wheel")
    (wheel,) = (checkout / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = message_from_bytes(archive.read(name))
    assert f"Repository, {REPOSITORY}" in metadata.get_all("Project-URL", [])
    for page, shown in (("README.md", ROOT), ("loader/README.md", ROOT / "loader")):
        text = (checkout / page).read_text(encoding="utf-8")
        targets = re.findall(r"(!?)\[[^\]]*\]\(([^)]+)\)", text)
        assert all(target.startswith(("https://", "#")) for _image, target in targets)
        raw = "https://raw.githubusercontent.com/acme/tap-analytics/"
        assert all(target.startswith(raw) for image, target in targets if image)
        own = [target for _image, target in targets if target.startswith((f"{REPOSITORY}/blob/v", raw))]
        for target in own:
            path = re.sub(r".*?/v\d+\.\d+\.\d+/|#.*", "", target)
            assert (ROOT / path).exists(), f"{shown}: {target}"
        assert own


def test_what_does_not_have_the_version_of_its_tag_is_not_published(checkout: Path) -> None:
    with pytest.raises(ValueError, match=r"the first section must be that of 99\.0\.0"):
        release.prepare(checkout, REPOSITORY, "v99.0.0")
    changelog = checkout / "CHANGELOG.md"
    changelog.write_text(
        changelog.read_text(encoding="utf-8").replace("## ", "## 99.0.0 - 2026-01-31\n\n## ", 1), "utf-8"
    )
    with pytest.raises(ValueError, match=r"pyproject\.toml: the version is .*, and the tag v99\.0\.0"):
        release.prepare(checkout, REPOSITORY, "v99.0.0")


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


def instructions() -> list[tuple[str, str]]:
    """Return the steps by which the container is built."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines if line and not line.startswith("#")]


@pytest.mark.slow
def test_the_steps_of_the_container_install_the_packages_where_nothing_else_is(built: Path, tmp_path: Path) -> None:
    """An image cannot be fetched here: a bare environment stands for it, and uv, which fetches nothing, for its pip."""
    root, python, outside = tmp_path / "root", tmp_path / "environment" / "bin" / "python", tmp_path / "outside"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(python.parents[1])], check=True, capture_output=True)
    outside.mkdir()
    shutil.copytree(built, outside / "dist")
    shutil.copy(ROOT / "constraints.txt", outside)
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE"))}
    entry: list[str] = []
    for instruction, text in instructions():
        if instruction == "COPY":
            *sources, target = text.split()
            folder = root / target.lstrip("/")
            folder.mkdir(parents=True)
            for path in (path for source in sources for path in outside.glob(source)):
                shutil.copy(path, folder)
        elif instruction == "RUN":
            script = text.replace("/install/", f"{root}/install/")
            assert script.startswith("pip install ")
            offline = f"{shlex.join(uv)} pip install --python {shlex.quote(str(python))} --offline"
            command = ["sh", "-c", script.replace("pip install", offline)]
            done = subprocess.run(command, env=bare, capture_output=True, encoding="utf-8", check=False)
            if done.returncode and any(words in done.stderr.lower() for words in UNREACHABLE):
                pytest.skip("what the environment was made of is in no cache of uv")
            assert done.returncode == 0, done.stderr
        elif instruction == "ENTRYPOINT":
            entry = json.loads(text)
        else:
            assert instruction in {"FROM", "ENV", "USER", "WORKDIR"}
    shutil.rmtree(root)

    assert entry == ["tap-analytics"]
    for command in ([str(python.with_name(entry[0]))], [str(python), "-m", "tap_analytics"]):
        candidates = subprocess.run([*command, "--discover"], cwd=tmp_path, env=bare, capture_output=True, check=True)
        assert [stream["tap_stream_id"] for stream in json.loads(candidates.stdout)["streams"]] == stream_names()
    loader = [str(python.with_name("target-postgres-fast")), "--version"]
    subprocess.run(loader, cwd=tmp_path, env=bare, capture_output=True, check=True)
    listed = subprocess.run(
        [*uv, "pip", "list", "--python", str(python)], capture_output=True, encoding="utf-8", check=True
    )
    assert "\nmeltano " not in listed.stdout
