"""Reading a recipe strictly: a key or a value that can't be meant is an error that says what is allowed.

TRL's own parser ignores unknown command-line prefixes, lets a recipe set environment variables, and doesn't check a
recipe's values against a field's choices.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.recipes import check_keys
from sft.arguments import DataArguments, ModelArguments
from sft.recipe_file import EXTENDS, read_recipe_file

if TYPE_CHECKING:
    from trl import SFTConfig

__all__ = ["read_recipe"]


_NO_GPU = (
    "the recipe is for a GPU with bf16, and this machine has none: run it where one is, or train on the CPU with"
    " use_cpu: true and bf16: false"
)
_HINT = "a key is a field of sft.arguments or of TRL's SFTConfig"


def read_recipe(arguments: Sequence[str]) -> tuple[DataArguments, ModelArguments, SFTConfig]:
    """Read a command line, and the recipe that its ``--config`` names; the command line overrides the recipe.

    Raises:
        ValueError: an unknown key (the message names the nearest known one), or a value that is not allowed.
        FileNotFoundError: there is no such recipe.
    """
    try:
        from trl import SFTConfig, TrlParser
    except ImportError as error:
        raise InvalidInputError(f"training needs {error.name}: pip install 'inftythink-graph[train]'") from error

    class Parser(TrlParser):
        def error(self, message: str) -> NoReturn:
            # argparse would print a usage of three hundred lines and end the process.
            raise ValueError(message)

    # No abbreviations: --eta_ or --max_s must not quietly mean something.
    kinds: Any = (DataArguments, ModelArguments, SFTConfig)
    parser = Parser(kinds, allow_abbrev=False)
    known = {action.dest for action in parser._actions} - {"help"}
    options = {option.removeprefix("--") for option in parser._option_string_actions}

    def check(keys: dict[Any, Any], path: Path) -> None:
        check_keys(keys, known | {EXTENDS}, f"recipe {path}", _HINT)

    words = [part for word in arguments for part in (word.split("=", 1) if word.startswith("--config=") else [word])]
    while "--config" in words:
        position = words.index("--config")
        if position + 1 == len(words):
            raise ValueError("--config needs the path of a recipe")
        parser.set_defaults_with_config(**read_recipe_file(words[position + 1], check))
        del words[position : position + 2]
    for word in words:
        if word.startswith("--") and word != "--help":
            name = word.removeprefix("--").partition("=")[0]
            check_keys([name], options, "the command line", _HINT)
    try:
        data, model, config = parser.parse_args_into_dataclasses(args=words)
    except ValueError as error:
        if "use_cpu" in str(error):  # transformers' words for a recipe with bf16 on a machine without a GPU
            raise InvalidInputError(_NO_GPU) from error
        raise
    return data, model, config
