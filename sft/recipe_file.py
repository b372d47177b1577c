"""Recipe files that build on one another: ``extends: base.yaml`` takes the keys of another recipe; own keys go before.

So that what twenty recipes share stands in one place, and a recipe shows only what is special about it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.recipes import load_recipe

__all__ = ["EXTENDS", "read_recipe_file"]

EXTENDS = "extends"
"""The key that names a recipe's parent, relative to the recipe's own folder."""


def read_recipe_file(path: str | Path, check: Callable[[dict[Any, Any], Path], None] | None = None) -> dict[str, Any]:
    """The keys of a recipe and of all recipes that it extends; the nearest one counts.

    Args:
        path: the recipe.
        check: called with the keys of each file and its path, so that an error can name the file.

    Raises:
        InvalidInputError: a file is no recipe, a parent is missing, or recipes extend one another in a circle.
        FileNotFoundError: there is no such recipe.
    """
    chain: list[dict[Any, Any]] = []
    visited: list[Path] = []
    current = Path(path)
    while True:
        if (real := current.resolve()) in visited:
            raise InvalidInputError(f"recipe {path} extends itself: {' -> '.join(map(str, [*visited, real]))}")
        visited.append(real)
        keys = load_recipe(current)
        parent = keys.pop(EXTENDS, None)
        if check is not None:
            check(keys, current)
        chain.append(keys)
        if parent is None:
            break
        if not isinstance(parent, str) or not parent:
            raise InvalidInputError(f"'{EXTENDS}' in recipe {current} must be the path of a recipe, got {parent!r}")
        child, current = current, current.parent / parent
        if not current.is_file():
            raise InvalidInputError(f"recipe {child} extends {parent}, but there is no {current}")
    return {key: value for keys in reversed(chain) for key, value in keys.items()}
