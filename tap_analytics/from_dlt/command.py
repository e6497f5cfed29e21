"""The command `tap-analytics-from-dlt`: a pipeline of dlt's `rest_api` source becomes a configuration of the tap.

The pipeline is read, and never run: nothing of it has to be installed, and nothing that it does happens.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tap_analytics.from_dlt.conversion import Converter
from tap_analytics.from_dlt.findings import Kind
from tap_analytics.from_dlt.sources import chosen, read
from tap_analytics.from_dlt.values import PipelineError
from tap_analytics.from_dlt.writing import as_json, as_meltano

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_analytics.from_dlt.sources import Source

_EPILOG: Final = """\
The configuration goes to standard output, or into a file; what it leaves open goes to standard error. Secrets are
never written: the tap takes them from the environment.

exit codes: 0, a configuration was written; 1, the pipeline holds none that can be carried over; 2, an option is wrong
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    converter = Converter()
    try:
        sources = read(options.pipeline)
        source = chosen(sources, options.source)
        if source.changing:
            converter.findings.check(source.line, source.label, "has several configurations; this is the first")
        for line, call, instead in source.changes:
            converter.findings.left(line, call, instead)
        config = converter.convert(source.config)
        text = as_meltano(config) if options.format == "meltano" else as_json(config)
        if options.output:
            options.output.write_text(text, encoding="utf-8")
        else:
            sys.stdout.write(text)
    except (PipelineError, OSError) as error:
        reason = error if isinstance(error, PipelineError) else f"{options.output}: {error.strerror}"
        where = "" if isinstance(error, OSError) else f"{options.pipeline}: "
        _tell(*_findings(converter), f"{where}{reason}")
        return 1
    _tell(*_report(options, source, converter, len(config["resources"])))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tap-analytics-from-dlt",
        description="Convert a pipeline of dlt's rest_api source into a configuration of tap-analytics.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pipeline", type=Path, help="the Python file of the pipeline; it is read, not run")
    parser.add_argument("--source", metavar="NAME", help="which of several sources: its function or its variable")
    parser.add_argument("--format", choices=["json", "meltano"], default="json", help="config.json, or meltano.yml")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write into a file instead of to standard output")
    return parser


def _tell(*lines: str) -> None:
    """Write lines to standard error: standard output is for the configuration."""
    sys.stderr.write("\n".join(lines) + "\n")


def _report(options: argparse.Namespace, source: Source, converter: Converter, resources: int) -> Iterator[str]:
    """Yield the lines that say what was converted, what is open, and what to do next."""
    counted = "1 resource" if resources == 1 else f"{resources} resources"
    yield f"{options.pipeline}: converted {source.label} (line {source.line}), {counted}."
    variables = converter.secrets.variables
    if variables:
        yield "\nSet these environment variables:"
        yield from (f"  {name}  ({where})" for name, where in variables.items())
    yield from _findings(converter)
    yield "\nThen:" if any(item.kind is Kind.FILL for item in converter.findings.items) else "\nNext:"
    if options.format == "meltano":
        yield "  take the lines of config into tap-analytics in meltano.yml, the variables into .env, and run"
        yield "  meltano invoke tap-analytics --discover"
    else:
        environment = " --config=ENV" if variables else ""
        yield f"  tap-analytics --config {options.output or 'config.json'}{environment} --discover > catalog.json"


def _findings(converter: Converter) -> Iterator[str]:
    """Yield the findings, by what they ask for, in the order of the file."""
    for kind in Kind:
        locations: dict[tuple[int, str], list[str]] = {}
        for item in converter.findings.items:
            if item.kind is kind:
                locations.setdefault((item.line, item.text), []).append(item.location)
        if locations:
            yield f"\n{kind.value}:"
        for (line, text), where in sorted(locations.items()):
            yield f"  line {line}, {', '.join(where) or 'all of it'}: {text}"
