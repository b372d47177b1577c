"""Checking command lines without running them: each is parsed by the program's own parser, up to its first action."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import re
import shlex
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["check", "commands"]

ROOT = Path(__file__).parents[2]
_OPERATOR = re.compile(r"[|&;<>()]+")


def commands(text: str) -> list[list[str]]:
    """The simple commands of a shell text, as words: without comments, redirections and assignments before them."""
    found: list[list[str]] = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        skip = False
        for word in [*lexer, ";"]:
            if skip:
                skip = False
            elif not _OPERATOR.fullmatch(word):
                words.append(word)
            elif word.startswith((">", "<")):
                skip = True
            else:
                while words and re.match(r"[A-Za-z_]\w*=", words[0]):
                    del words[0]
                found += [words] if words else []
                words = []
    return found


class _Parsed(BaseException):
    """Raised where a program has read its arguments; carries those that its parser didn't know."""

    def __init__(self, unknown: list[str]) -> None:
        super().__init__(unknown)
        self.unknown = unknown


@contextmanager
def _parsing_only() -> Iterator[None]:
    real: Any = argparse.ArgumentParser.parse_known_args

    def parse_known_args(self: Any, *args: Any, **options: Any) -> NoReturn:
        raise _Parsed(list(real(self, *args, **options)[1]))

    argparse.ArgumentParser.parse_known_args = parse_known_args  # type: ignore[method-assign]
    try:
        yield
    finally:
        argparse.ArgumentParser.parse_known_args = real  # type: ignore[method-assign]


def _parsed(main: Callable[[list[str]], Any], words: list[str]) -> list[str]:
    """Words that the program's parser left over; an option that it refuses is an AssertionError."""
    try:
        with _parsing_only():
            main(words)
    except _Parsed as parsed:
        return parsed.unknown
    except (SystemExit, ValueError) as error:
        raise AssertionError(f"refused: {' '.join(words)} ({error})") from error
    raise AssertionError(f"ended before it had read its options: {' '.join(words)}")


def _strict(main: Callable[[list[str]], Any], words: list[str]) -> None:
    unknown = [word for word in _parsed(main, words) if word.startswith("-")]
    assert not unknown, f"unknown options: {' '.join(unknown)}"


def _train(words: list[str], folder: Path) -> None:
    from sft import estimate, train

    words = _with_recipes([word for word in words if word != "--resume"], folder)
    if "--estimate" in words:
        words = _parsed(estimate.main, [word for word in words if word != "--estimate"])
    _strict(lambda arguments: train.parse(arguments), words)


def _with_recipes(words: list[str], folder: Path) -> list[str]:
    """Put an empty recipe where a command names one that the reader is to write (``RECIPE``, ``my.yaml``)."""
    empty = folder / "empty.yaml"
    empty.write_text("{}\n")
    return [
        str(empty) if before == "--config" and not (ROOT / word).is_file() else word
        for before, word in zip(["", *words], words, strict=False)
    ]


def _inftythink(words: list[str], folder: Path) -> None:
    from datasets_build.pipeline import cli as build_data
    from inftythink_graph import cli

    if words[:1] == ["train"]:
        _train(words[1:], folder)
    elif words[:1] == ["build-data"]:
        _strict(lambda arguments: build_data.parse(arguments), words[1:])
    else:
        _strict(cli.main, words)


def _python(words: list[str], folder: Path) -> None:
    if words[0] == "-m":
        name, words = words[1], words[2:]
        if name == "sft.train":
            return _train(words, folder)
        return _strict(importlib.import_module(name).main, words)
    script = ROOT / words[0]
    assert script.is_file(), f"there is no {words[0]}"
    spec = importlib.util.spec_from_file_location(f"checked_{script.stem}", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        return _strict(module.main, words[1:])
    finally:
        del sys.modules[spec.name]


def _accelerate(words: list[str], folder: Path) -> None:
    from accelerate.commands.launch import launch_command_parser

    assert words[0] == "launch", words
    given = launch_command_parser().parse_args(words[1:])
    assert (ROOT / given.config_file).is_file(), f"there is no {given.config_file}"
    assert given.module, "the package's programs are modules: -m"
    _python(["-m", given.training_script, *given.training_script_args], folder)


def _langgraph(words: list[str], folder: Path) -> None:
    from langgraph_cli.cli import cli

    cli.commands[words[0]].make_context(words[0], words[1:])


def _pip(words: list[str], folder: Path) -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert words[0] == "install", words
    for word in words[1:]:
        for extra in re.findall(r"\[(.*)\]", word):
            assert set(extra.split(",")) <= set(known), f"no such extra: {word}"


def _make(words: list[str], folder: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(words) <= set(targets), f"no such target: {words}"


def _not_ours(words: list[str], folder: Path) -> None:
    """A program of the system's, or of another package that need not be installed."""


_PROGRAMS: dict[str, Callable[[list[str], Path], None]] = {
    "accelerate": _accelerate,
    "inftythink": _inftythink,
    "langgraph": _langgraph,
    "make": _make,
    "pip": _pip,
    "python": _python,
    **dict.fromkeys(("cd", "curl", "git", "ls", "ray"), _not_ours),
}


def check(command: Sequence[str], folder: Path) -> None:
    """Check one command.

    Args:
        command: its words.
        folder: a folder to write in.

    Raises:
        AssertionError: the program is unknown here, or refuses its options.
    """
    program, *words = command
    assert program in _PROGRAMS, f"tests/support/command_lines.py doesn't know how to check {program!r}"
    _PROGRAMS[program](words, folder)
