"""The questions of a run: a file of JSON lines that is read as it is needed, or any iterable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inftythink_graph.errors import InvalidInputError

__all__ = ["InputFile", "Item", "check_file", "items_of", "read_items"]

_QUESTION_KEYS = ("question", "problem", "prompt")
_ID_KEYS = ("id", "unique_id", "uuid")


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a run.

    Attributes:
        index: its place among all, from 0.
        id: what the caller calls it; None where there is no name.
        input: what the graph is given: ``question`` or ``messages``.
    """

    index: int
    id: str | int | None
    input: dict[str, Any]


@dataclass(frozen=True, slots=True)
class InputFile:
    """What tells one file of questions from another.

    Attributes:
        questions: how many it holds.
        size: its bytes.
        digest: the SHA-256 of its first ``size`` bytes.
    """

    questions: int
    size: int
    digest: str


def _item(index: int, row: Any, place: str) -> Item:
    if isinstance(row, str):
        row = {"question": row}
    if not isinstance(row, Mapping):
        raise InvalidInputError(f"{place} must be a text or an object, got {type(row).__name__}")
    id_ = next((row[key] for key in _ID_KEYS if row.get(key) is not None), None)
    if id_ is not None and not isinstance(id_, str | int):
        raise InvalidInputError(f"{place}: an id must be a text or a number, got {type(id_).__name__}")
    if "messages" in row:
        return Item(index, id_, {"messages": row["messages"]})
    key = next((key for key in _QUESTION_KEYS if key in row), None)
    if key is None:
        raise InvalidInputError(f"{place} has no question; allowed keys: {', '.join(_QUESTION_KEYS)}, messages")
    return Item(index, id_, {"question": row[key]})


def items_of(questions: Iterable[Any]) -> Iterator[Item]:
    """The items of any iterable of texts or mappings, one by one.

    Raises:
        InvalidInputError: one of them is neither, or has no question.
    """
    for index, row in enumerate(questions):
        yield _item(index, row, f"question {index}")


def _rows(path: Path) -> Iterator[tuple[bytes, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                yield line, None
                continue
            try:
                yield line, json.loads(line)
            except ValueError as error:
                raise InvalidInputError(f"line {number} of {path} is no JSON: {error}") from error


def read_items(path: Path) -> Iterator[Item]:
    """The items of a file of JSON lines; empty lines are passed over."""
    index = 0
    for _, row in _rows(path):
        if row is not None:
            yield _item(index, row, f"question {index} of {path}")
            index += 1


def check_file(path: Path, earlier: InputFile | None = None) -> InputFile:
    """Read a file of questions once, from end to end, before anything is asked.

    Args:
        path: the file.
        earlier: what was known of it at an earlier start; questions may have been added since.

    Raises:
        InvalidInputError: there is no such file, a line has no question, or it isn't the file of the earlier start.
    """
    if not path.is_file():
        raise InvalidInputError(f"there is no file {path}")
    digest, size, questions = hashlib.sha256(), 0, 0
    at_earlier_size = digest.hexdigest() if earlier and not earlier.size else ""
    for line, row in _rows(path):
        digest.update(line)
        size += len(line)
        if row is not None:
            _item(questions, row, f"question {questions} of {path}")
            questions += 1
        if earlier and size == earlier.size:
            at_earlier_size = digest.hexdigest()
    if earlier and at_earlier_size != earlier.digest:
        raise InvalidInputError(
            f"{path} isn't what the answers there are to: questions may be added at its end, but not changed;"
            " name another output"
        )
    return InputFile(questions, size, digest.hexdigest())
