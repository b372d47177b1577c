"""Reading a recipe strictly: a key or a value that can't be meant is an error that says what is allowed.

TRL's own parser ignores unknown command-line prefixes, lets a recipe set environment variables, and doesn't check a
recipe's values against a field's choices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from inftythink_graph.recipes import check_keys, load_recipe
from sft.arguments import DataArguments, ModelArguments

if TYPE_CHECKING:
    from trl import SFTConfig

__all__ = ["read_recipe"]


_HINT = "a key is a field of sft.arguments or of TRL's SFTConfig"


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
            check_keys(load_recipe(words[position + 1]), known, f"recipe {words[position + 1]}", _HINT)
        elif word.startswith("--") and word != "--help":
            name = word.removeprefix("--").partition("=")[0]
            options = {option.removeprefix("--") for option in parser._option_string_actions}
            check_keys([name], options, "the command line", _HINT)
    data, model, config = parser.parse_args_and_config(words)
    return data, model, config
