"""Strict recipes: a YAML mapping of options, in which whatever can't be meant is an error that says what is allowed."""

from __future__ import annotations

import difflib
import types
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from inftythink_graph.errors import InvalidInputError, one_line

__all__ = ["check_fields", "check_keys", "load_recipe", "nearest"]


def nearest(key: str, known: Iterable[str]) -> str | None:
    """The known name that ``key`` was probably meant to be; None where none is close."""
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
    return close[0] if close else None


def check_keys(keys: Iterable[object], known: Collection[str], where: str, hint: str) -> None:
    """Refuse keys that there are not.

    Args:
        keys: the keys that were given.
        known: the keys that there are.
        where: where they were given, for the message.
        hint: what a key may be, for one that resembles none.

    Raises:
        InvalidInputError: names the first unknown key and the nearest known one.
    """
    for key in keys:
        if not isinstance(key, str) or key not in known:
            meant = nearest(str(key), sorted(known))
            advice = f"did you mean {meant!r}?" if meant else hint
            raise InvalidInputError(f"unknown key {str(key)!r} in {where}: {advice}")


def load_recipe(path: str | Path) -> dict[Any, Any]:
    """The mapping in a YAML file.

    Raises:
        InvalidInputError: the file can't be read, or holds something else.
        FileNotFoundError: there is no such file.
    """
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InvalidInputError(f"recipe {path} is not valid YAML: {one_line(error)}") from error
    except (IsADirectoryError, PermissionError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"recipe {path} can't be read: {error}") from error
    if not isinstance(content, dict):
        raise InvalidInputError(f"recipe {path} must be a mapping of keys to values")
    return content


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _fits(value: object, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return isinstance(value, str) and value in arguments
    if origin is list:
        return isinstance(value, list) and all(_fits(each, arguments[0]) for each in value)
    if origin in (dict, Mapping):
        key, each = arguments
        return isinstance(value, Mapping) and all(_fits(k, key) and _fits(v, each) for k, v in value.items())
    if hint in (int, float):
        kinds = (int, float) if hint is float else (int,)
        return isinstance(value, kinds) and not isinstance(value, bool)
    return isinstance(value, hint) if isinstance(hint, type) else True


def _wanted(hint: Any) -> str:
    named = [each for each in _alternatives(hint) if each is not type(None)]
    if len(named) == 1 and get_origin(named[0]) is Literal:
        return f"one of {', '.join(get_args(named[0]))}"
    if named == [list[str]]:
        return "a list of names"
    if len(named) == 1 and get_origin(named[0]) in (dict, Mapping):
        return "a mapping of names to names"
    return f"of type {getattr(hint, '__name__', hint)}"


def check_fields(options: Any, lowest: Mapping[str, float], *, filled: Collection[str] = ()) -> None:
    """Check every field of a dataclass against its type, its choices and its lowest value.

    Values of a recipe reach the fields as YAML read them; argparse checks strings only.

    Args:
        options: an instance of the dataclass.
        lowest: the lowest value of some fields; None passes.
        filled: fields whose list must not be empty.

    Raises:
        InvalidInputError: names the field, what is allowed and what was given.
    """
    hints = get_type_hints(type(options))
    for item in fields(options):
        value, hint = getattr(options, item.name), hints[item.name]
        empty = item.name in filled and not value
        if empty or not any(_fits(value, each) for each in _alternatives(hint)):
            raise InvalidInputError(f"{item.name} must be {_wanted(hint)}, got {value!r}")
        if item.name in lowest and value is not None and value < lowest[item.name]:
            raise InvalidInputError(f"{item.name} must be at least {lowest[item.name]}, got {value}")
