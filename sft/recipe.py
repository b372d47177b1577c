"""Reading a recipe strictly: a key or a value that can't be meant is an error that says what is allowed.

TRL's own parser ignores unknown command-line prefixes, lets a recipe set environment variables, and doesn't check a
recipe's values against a field's choices.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from sft.arguments import DataArguments, ModelArguments

if TYPE_CHECKING:
    from trl import SFTConfig

__all__ = ["read_recipe"]


def _nearest(key: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else "a key is a field of sft.arguments or of TRL's SFTConfig"


def _check_keys(keys: Iterable[object], known: set[str], where: str) -> None:
    for key in keys:
        if not isinstance(key, str) or key not in known:
            raise ValueError(f"unknown key {str(key)!r} in {where}: {_nearest(str(key), sorted(known))}")


def _load(path: str) -> dict[Any, Any]:
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"recipe {path} is not valid YAML: {' '.join(str(error).split())}") from error
    except (IsADirectoryError, UnicodeDecodeError) as error:
        raise ValueError(f"recipe {path} can't be read: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"recipe {path} must be a mapping of keys to values")
    return content


def read_recipe(arguments: Sequence[str]) -> tuple[DataArguments, ModelArguments, SFTConfig]:
    """Read a command line, and the recipe that its ``--config`` names; the command line overrides the recipe.

    Raises:
        ValueError: an unknown key (the message names the nearest known one), or a value that is not allowed.
        FileNotFoundError: there is no such recipe.
    """
    from trl import SFTConfig, TrlParser

    class Parser(TrlParser):
        def error(self, message: str) -> NoReturn:
            # argparse would print a usage of three hundred lines and end the process.
            raise ValueError(message)

    # No abbreviations: --eta_ or --max_s must not quietly mean something.
    kinds: Any = (DataArguments, ModelArguments, SFTConfig)
    parser = Parser(kinds, allow_abbrev=False)
    known = {action.dest for action in parser._actions} - {"help"}
    words = list(arguments)
    for position, word in enumerate(words):
        if word == "--config":
            if position + 1 == len(words):
                raise ValueError("--config needs the path of a recipe")
            _check_keys(_load(words[position + 1]), known, f"recipe {words[position + 1]}")
        elif word.startswith("--") and word != "--help":
            name = word.removeprefix("--").partition("=")[0]
            options = {option.removeprefix("--") for option in parser._option_string_actions}
            _check_keys([name], options, "the command line")
    data, model, config = parser.parse_args_and_config(words)
    return data, model, config
