"""The documentation: its links lead somewhere, it is up to date, and what it shows really runs."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import jsonschema
import pytest
from ruamel.yaml import YAML

from benchmarks import report
from benchmarks.__main__ import RESULTS
from demo.postgres import postgres
from demo.project import ROOT
from docs.generate import pages
from docs.recording import STREAMS, unmeasured
from sandbox import Sandbox
from sandbox.world import GENERIC, RESOURCES
from tap_analytics.config.resources import SECRET_SETTINGS
from tap_analytics.tap import TapAnalytics
from tests.pages import BIN, Block, Reader, Version, blocks, clean, loaded, versions
from tests.singer import stream_names

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
PROSE = [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]

EXAMPLE = "https://api.example.com"
"""The address that pages show for an API of the reader's own."""


def prose(page: Path) -> str:
    """Return the text of a page without its code."""
    text = re.sub(r"(?ms)^\s*(```+)\w*$.*?^\s*\1$", "", page.read_text(encoding="utf-8"))
    return re.sub(r"(`+).+?\1", "", text)


ALL_BLOCKS = [block for page in PROSE for block in blocks(page)]


def of(language: str) -> list[Block]:
    return [block for block in ALL_BLOCKS if block.language == language]


# The pages


def test_every_page_is_in_the_navigation() -> None:
    navigation = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    named = [name for entry in navigation for name in entry.values()]
    assert sorted(named) == [page.name for page in PAGES]


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.name)
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not target.startswith(("https://", "#")):
            path = (page.parent / target.partition("#")[0]).resolve()
            assert path.exists(), f"{page.name}: {target}"
            assert ROOT in path.parents, f"{page.name}: {target}"
            # A page of the site can lead only to what is in the site.
            assert page.parent != DOCS or DOCS in path.parents, f"{page.name}: {target}"


def test_the_page_about_performance_tells_what_was_measured(tmp_path: Path) -> None:
    report.write(RESULTS, tmp_path)
    for made in tmp_path.iterdir():
        assert made.read_text(encoding="utf-8") == (DOCS / made.name).read_text(encoding="utf-8"), made.name


def test_pages_that_tell_facts_of_the_code_are_up_to_date() -> None:
    old = [path.name for path, text in pages().items() if path.read_text(encoding="utf-8") != text]
    assert old == [], "`make docs` writes them anew"


# The terminal of the README


def test_the_terminal_is_small_and_knows_only_what_readers_have() -> None:
    drawn = (DOCS / "terminal.svg").read_text(encoding="utf-8")
    assert len(drawn) < 200_000
    count = len(STREAMS)
    assert f"{count}&#160;of&#160;{count}&#160;streams&#160;work." in drawn
    assert re.search(r">\d{3,}<", drawn), "the records that came"
    assert not re.search(r"url\(.?https?:|127\.0\.0|localhost|/work/|/home/|/tmp/|@font-face", drawn)


def test_a_recording_is_new_where_more_than_numbers_differ() -> None:
    assert unmeasured("clients &#160; 1,234") == unmeasured("clients 5")
    assert unmeasured("clients 5") != unmeasured("labels 5")


# What pages show


def test_blocks_of_code_name_their_language() -> None:
    known = {"sh", "json", "yaml", "toml", "python", "sql", "text"}
    assert [str(block) for block in ALL_BLOCKS if block.language not in known] == []


@pytest.mark.parametrize("block", of("json"), ids=str)
def test_json_is_json_and_settings_are_settings(block: Block) -> None:
    for text in re.split(r"(?m)^(?=\{)", block.text):
        shown = json.loads(text) if text.strip() else {}
        if "base_url" in shown or "client" in shown:
            TapAnalytics(config=shown | dict.fromkeys(SECRET_SETTINGS, "a secret"), setup_mapper=False)


@pytest.mark.parametrize("block", of("yaml"), ids=str)
def test_yaml_is_yaml_and_project_files_are_valid(block: Block) -> None:
    shown = YAML(typ="safe").load(block.text)
    if isinstance(shown, dict) and "plugins" in shown:
        jsonschema.validate(
            shown, json.loads((files("meltano") / "schemas" / "meltano.schema.json").read_text(encoding="utf-8"))
        )


@pytest.mark.parametrize("block", of("python"), ids=str)
def test_python_is_python(block: Block) -> None:
    ast.parse(block.text)


def commands(block: Block) -> Iterator[list[str]]:
    """Yield the words of each command in a block of shell, without variables that are set before them."""
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        command: list[str] = []
        for word in [*words, ";"]:
            if word in {"|", "||", "&&", ";", "&"} or word.endswith(";"):
                if command:
                    yield command
                command = []
            elif command or not re.match(r"[A-Z_]+=", word):
                command.append(word)


@pytest.mark.parametrize("block", of("sh"), ids=str)
def test_commands_and_their_options_exist(block: Block) -> None:
    options = {name for option in TapAnalytics.get_singer_command().params for name in option.opts} | {"--help"}
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    for command, *words in commands(block):
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        if Path(command).name == "tap-analytics":
            assert used <= options, block.text
        elif command == "make":
            assert {word for word in words if re.fullmatch("[a-z]+", word)} <= targets, block.text
        elif command == "meltano":
            assert words[0] in {"config", "el", "install", "invoke", "job", "run", "schedule", "select", "state"}


def reader(directory: Path, sandbox: Sandbox, **environment: str) -> Reader:
    """Return someone whose API is the sandbox, with what the first page shows of each file."""
    own = {
        EXAMPLE: sandbox.url,
        '"api_key": "..."': f'"api_key": "{sandbox.api_key}"',
        "API_KEY=...": f"API_KEY={sandbox.api_key}",
        ". .venv/bin/activate": "",
    }
    return Reader(directory, own, sandbox.api_key, clean(os.environ) | environment)


PIPE = r"(?m)^tap-analytics .*\| target-"
"""What loads without Meltano."""

FIRST_STEPS = DOCS / "first-steps.md"


def served(sandbox: Sandbox, *resources: str) -> set[Version]:
    return versions(json.loads(record) for name in resources for record in sandbox.world.select(name))


SHIPPED = set(RESOURCES) - {GENERIC}


@pytest.mark.slow
def test_the_first_steps_can_be_taken(sandbox: Sandbox, tmp_path: Path) -> None:
    person = reader(tmp_path, sandbox)
    person.follow(FIRST_STEPS, only=r"(?s)^(?!.*\bmeltano\b).*\btap-analytics\b")
    messages = [json.loads(line) for line in (tmp_path / "messages.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {message["type"] for message in messages} == {"SCHEMA", "RECORD", "STATE"}
    assert "registrations_incremental" in json.loads((tmp_path / "state.json").read_text(encoding="utf-8"))["bookmarks"]
    expected = served(sandbox, *SHIPPED)
    assert loaded(tmp_path / "output") == expected

    sandbox.advance(1)
    person.follow(FIRST_STEPS, only=PIPE)
    assert loaded(tmp_path / "output") == expected | served(sandbox, *SHIPPED)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "location", "resources"),
    [(ROOT / "README.md", "header", SHIPPED), (DOCS / "from-dlt.md", "query", {GENERIC})],
    ids=["README.md", "from-dlt.md"],
)
def test_what_one_run_has_loaded_another_keeps(
    page: Path, location: Literal["header", "query"], resources: set[str], tmp_path: Path
) -> None:
    with Sandbox(days=20, registrations=120, sessions=60, resources=30, auth_location=location) as sandbox:
        person = reader(tmp_path, sandbox)
        for block in [*blocks(FIRST_STEPS), *reversed(list(blocks(page)))]:
            if block.language == "json":
                person.write(block)
        (block,) = (block for block in blocks(page) if re.search(PIPE, block.text))
        person.export(block)
        person.run(block)
        expected = served(sandbox, *resources)

        sandbox.advance(1)
        person.run(block._replace(text="\n".join(re.findall(f"{PIPE}.*", block.text))))
        assert loaded(tmp_path) | loaded(tmp_path / "output") == expected | served(sandbox, *resources)


def test_every_page_with_a_pipe_is_tried_twice() -> None:
    pages = {block.page for block in of("sh") if re.search(PIPE, block.text) and not block.page.startswith("tutorial")}
    assert pages == {"README.md", "first-steps.md", "from-dlt.md"}


@pytest.mark.slow
def test_the_steps_with_meltano_can_be_taken(sandbox: Sandbox, tmp_path: Path) -> None:
    shutil.copy(ROOT / "meltano.yml", tmp_path)
    with postgres() as server:
        person = reader(
            tmp_path,
            sandbox,
            HOME=str(tmp_path),  # Meltano keeps a cache there, and the user's may not be writable
            TARGET_POSTGRES_HOST=server.host,
            TARGET_POSTGRES_PORT=str(server.port),
            TARGET_POSTGRES_USER=server.user,
            TARGET_POSTGRES_PASSWORD=server.password,
            TARGET_POSTGRES_DATABASE=server.database,
        )
        person.follow(FIRST_STEPS, only=r"\bmeltano\b")
    expected = served(sandbox, *SHIPPED)
    assert loaded(tmp_path / "output") == expected

    sandbox.advance(1)
    for block in blocks(FIRST_STEPS):
        for command in re.findall(r"(?m)^meltano run .* target-csv$", block.text):
            person.run(block._replace(text=command))
    assert loaded(tmp_path / "output") == expected | served(sandbox, *SHIPPED)


def test_the_readme_names_no_meltano_command_that_the_first_steps_do_not_run() -> None:
    shown, taken = (
        {tuple(command) for block in blocks(page) for command in commands(block) if command[0] == "meltano"}
        for page in (ROOT / "README.md", DOCS / "first-steps.md")
    )
    assert shown
    assert shown <= taken


@pytest.mark.slow
def test_the_block_on_log_lines_runs(sandbox: Sandbox, tmp_path: Path) -> None:
    reader(tmp_path, sandbox).follow(DOCS / "command-line.md", only="LOGLEVEL")
    catalog = json.loads((tmp_path / "catalog.json").read_text(encoding="utf-8"))
    assert [stream["tap_stream_id"] for stream in catalog["streams"]] == stream_names()


# Messages, as the page on them quotes them


@cache
def templates() -> list[str]:
    """Return every text of the code but docstrings, with an ellipsis for each value that is put into it."""
    texts = []
    for path in sorted((ROOT / "tap_analytics").rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            if isinstance(node, ast.JoinedStr):
                pieces = [piece.value if isinstance(piece, ast.Constant) else "…" for piece in node.values]
                texts.append("".join(map(str, pieces)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                texts.append(node.value.replace("%s", "…"))
    return texts


def quoted_messages() -> list[str]:
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    return re.findall(r"(?m)^\| `(.+?)` \| ", page)


def test_the_page_about_messages_has_enough_of_them() -> None:
    assert len(quoted_messages()) >= 25


@pytest.mark.parametrize("message", quoted_messages())
def test_messages_are_quoted_as_they_are(message: str) -> None:
    assert re.search(r"\w{4}", message), "an ellipsis alone is in every text"
    pattern = re.compile(".*".join(map(re.escape, message.split("…"))), re.DOTALL)
    assert any(pattern.search(text) for text in templates())


# The command line, as the page on it says


def tap(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "tap-analytics"), *arguments],
        env=clean(os.environ) | environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("code", [0, 1, 2])
def test_exit_codes_are_those_of_the_page(code: int) -> None:
    shown = {
        int(code) for code in re.findall(r"(?m)^\| (\d+) \|", (DOCS / "command-line.md").read_text(encoding="utf-8"))
    }
    assert shown == {0, 1, 2, 130, 143}
    result = tap({0: "--about", 1: "--config=ENV", 2: "--no-such-option"}[code])
    assert result.returncode == code
    assert bool(result.stdout) is (code == 0)


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_with_the_exit_codes_of_the_page(signum: int, code: int, sandbox: Sandbox) -> None:
    environment = {"TAP_ANALYTICS_BASE_URL": sandbox.url, "TAP_ANALYTICS_API_KEY": sandbox.api_key}
    command = [str(BIN / "tap-analytics"), "--config=ENV"]
    # A pipe that nobody reads to its end keeps the tap from ending by itself.
    with subprocess.Popen(
        command, env=clean(os.environ) | environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        process.send_signal(signum)
        assert process.wait(timeout=10) == code


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(shell: str) -> None:
    if shell == "bash" and not shutil.which("bash"):
        pytest.skip("click asks bash for its version")
    result = tap(_TAP_ANALYTICS_COMPLETE=f"{shell}_source")
    assert result.returncode == 0, result.stderr
    assert "_TAP_ANALYTICS_COMPLETE" in result.stdout
    assert f"_TAP_ANALYTICS_COMPLETE={shell}_source" in (DOCS / "command-line.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_completion_completes() -> None:
    result = tap(_TAP_ANALYTICS_COMPLETE="bash_complete", COMP_WORDS="tap-analytics --", COMP_CWORD="1")
    assert {f"plain,{name}" for name in ("--discover", "--plan", "--preview", "--test")} <= {*result.stdout.split()}
    result = tap(_TAP_ANALYTICS_COMPLETE="bash_complete", COMP_WORDS="tap-analytics --config c", COMP_CWORD="2")
    assert result.stdout == "file,c\n", "the shell completes files"


# Habits of the ecosystem


def example_environment() -> dict[str, str]:
    """Return the variables of .env.example, those that are commented out, too."""
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(match.groups() for line in lines if (match := re.fullmatch(r"#?([A-Z_]+)=(.*)", line)))  # type: ignore[misc]


def test_the_example_environment_knows_the_settings() -> None:
    plugins = YAML(typ="safe").load(ROOT / "meltano.yml")["plugins"]
    known = {
        f"{plugin['namespace']}_{setting['name']}".upper(): setting
        for kind in plugins.values()
        for plugin in kind
        for setting in plugin.get("settings", [])
    }
    shown = example_environment()
    assert shown.keys() <= known.keys()
    examples = {"TAP_ANALYTICS_RESOURCES", "TAP_ANALYTICS_START_DATE", "TARGET_POSTGRES_HOST"}
    for name, text in shown.items():
        if name.startswith("TAP_") and "value" in known[name]:
            value: Any = known[name]["value"]
            assert text == (value if isinstance(value, str) else json.dumps(value)), name
        else:
            assert text, name
    assert examples <= shown.keys()


def test_the_example_environment_is_accepted() -> None:
    result = tap(
        "--config=ENV", "--test=schema", **{k: v for k, v in example_environment().items() if "TARGET" not in k}
    )
    assert result.returncode == 0, result.stderr
    streams = {message["stream"] for message in map(json.loads, result.stdout.splitlines()) if "schema" in message}
    assert streams == {"workers"}


def test_actions_are_pinned_and_forms_are_yaml() -> None:
    for path in sorted((ROOT / ".github").rglob("*.yml")):
        assert YAML(typ="safe").load(path)
        for action, pin in re.findall(r"uses: (\S+)@(.*)", path.read_text(encoding="utf-8")):
            assert re.fullmatch(r"[0-9a-f]{40} # v\d+\.\d+\.\d+", pin), f"{path.name}: {action}"
