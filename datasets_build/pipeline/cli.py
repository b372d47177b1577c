"""``inftythink build-data``: long chains of thought into InftyThink training instances.

Run as: ``python -m datasets_build.pipeline.cli SOURCE --tokenizer NAME --output FOLDER``. Exit codes: 0 done; 1
incomplete, and the same command goes on; 2 for input that can't be used.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import types
from collections.abc import Sequence
from dataclasses import MISSING, fields
from importlib.util import find_spec
from typing import Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

from httpx2 import HTTPError
from langchain_core.exceptions import ModelError

from datasets_build.pipeline.options import ABOUT, BuildOptions, read_options
from inftythink_graph.errors import InftyThinkError, InvalidInputError, ModelNotServedError
from inftythink_graph.plain_text import one_line_text
from inftythink_graph.recipes import check_keys

__all__ = ["build_parser", "main", "parse"]

_PREFIX = "inftythink build-data: "
_NEEDED = ("datasets", "filelock", "matplotlib", "pyarrow", "tenacity", "transformers", "yaml")
_GO_ON = "run the same command again to go on"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidInputError(message)


def _kind(hint: Any) -> tuple[Any, bool]:
    """The type of an option's value without None, and whether it is a choice."""
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(each for each in get_args(hint) if each is not type(None))
    return hint, get_origin(hint) is Literal


def build_parser() -> argparse.ArgumentParser:
    """The command's parser: an option for each field of :class:`~datasets_build.pipeline.options.BuildOptions`."""
    parser = _Parser(
        prog="inftythink build-data",
        description="Make InftyThink training rows of any data set with long chains of thought. Killed at any moment,"
        " the same command goes on where it was.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--config", metavar="RECIPE", help="YAML file with any of these options (eta: 4096)")
    hints, defaults = get_type_hints(BuildOptions), {item.name: item.default for item in fields(BuildOptions)}
    listed = [(parser.add_argument_group(title), *each) for title, part in ABOUT.items() for each in part.items()]
    for group, name, text in listed:
        hint, choice = _kind(hints[name])
        given = defaults[name]
        if given not in (None, "", False, True, MISSING) and "default" not in text:
            text += f" (default: {given})"
        option = f"--{name.replace('_', '-')}"
        if name == "source":
            group.add_argument("source", nargs="?", metavar="SOURCE", help=text)
        elif hint is bool:
            group.add_argument(option, action=argparse.BooleanOptionalAction, help=text)
        elif choice:
            group.add_argument(option, choices=get_args(hint), help=text)
        elif get_origin(hint) is list:
            group.add_argument(option, action="append", metavar="URL", help=text)
        else:
            group.add_argument(option, type=hint if hint in (int, float) else str, help=text)
    return parser


def parse(argv: Sequence[str]) -> BuildOptions:
    """Read a command line, and the recipe that its ``--config`` names.

    Raises:
        InvalidInputError: an option is unknown (the message names the nearest one), or a value is not allowed.
    """
    parser = build_parser()
    given, extra = parser.parse_known_args(list(argv))
    known = re.findall(r"--[a-z][a-z-]*", parser.format_help())
    for word in extra:
        if word.startswith("--"):
            check_keys([word.partition("=")[0]], known, "the command line", "see --help")
        raise InvalidInputError(f"one source at a time; what is {word!r}?")
    values = vars(given)
    return read_options(values, values.pop("config", None))


def _check_libraries(options: BuildOptions) -> None:
    # Now, not after days of work.
    if options.engine == "ray" and not options.dry_run and find_spec("ray") is None:
        raise InvalidInputError("engine 'ray' needs ray: pip install 'inftythink-graph[ray]'")
    extra = ("sklearn", "networkx") if options.summarizer_used == "extractive" else ()
    for names, package in ((_NEEDED, "data"), (extra, "preview")):
        if missing := [name for name in names if find_spec(name) is None]:
            raise InftyThinkError(f"{', '.join(missing)} is missing: pip install 'inftythink-graph[{package}]'")


def _dry_run(options: BuildOptions) -> int:
    from rich.console import Console

    from datasets_build.pipeline.dry_run import dry_run
    from inftythink_graph.progress import say

    console = Console()
    estimate = dry_run(options)
    console.print(estimate.funnel.table())
    sizes = estimate.segment_tokens.as_json()
    console.print(
        f"segments: {sizes['number']:,}, tokens of one: mean {sizes['mean']}, most {sizes['max']}", highlight=False
    )
    for line in estimate.lines():
        say(console, line)
    console.print("nothing was written", highlight=False)
    return 0


def _build(options: BuildOptions) -> int:
    from rich.console import Console

    from datasets_build.pipeline.build import build_dataset
    from datasets_build.pipeline.folder import BuildFolder
    from inftythink_graph.progress import say

    result = build_dataset(options)
    console, funnel = Console(), result.report.funnel
    console.print(funnel.table())
    if result.report.preview:
        console.print("a preview: the summaries are extracts, not to be trained on", highlight=False)
    say(console, f"report: {BuildFolder(options.output).file('report.md')}")
    if not result.complete:
        print(f"{_PREFIX}{result.unanswered:,} examples got no reply from the summarizer: {_GO_ON}", file=sys.stderr)
        return 1
    if not funnel.passed("instances"):
        print(f"{_PREFIX}no training row came of it; the funnel says why", file=sys.stderr)
        return 2
    if options.push_to_hub:
        from datasets_build.pipeline.hub_upload import upload

        address = upload(BuildFolder(options.output), options.push_to_hub, private=options.private)
        say(console, f"uploaded: {address}")
    return 0


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    try:
        options = parse(sys.argv[1:] if argv is None else argv)
        _check_libraries(options)
        if options.dry_run:
            return _dry_run(options)
        before = signal.signal(signal.SIGTERM, _interrupt)  # schedulers end a job so: the same as Ctrl-C
        try:
            return _build(options)
        finally:
            signal.signal(signal.SIGTERM, before)
    except (InvalidInputError, ModelNotServedError) as error:
        code, said = 2, str(error)
    except (InftyThinkError, ModelError, HTTPError, OSError) as error:
        code, said = 1, str(error) or type(error).__name__
        if "same command" not in said:
            said = f"{said.rstrip('.')}. What is finished is kept: {_GO_ON}"
    except KeyboardInterrupt:
        code, said = 1, f"interrupted; what is finished is kept: {_GO_ON}"
    print(f"{_PREFIX}{one_line_text(said)}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
