"""Where questions come from: data sets on Hugging Face at a pinned commit, and local files of JSON lines."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inftythink_graph.answers import MissingExtraError
from inftythink_graph.errors import InvalidInputError, one_line
from inftythink_graph.evaluation.columns import Columns

__all__ = ["HUB_TASKS", "HubSource", "file_rows", "hub_rows"]

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubSource:
    """A data set on Hugging Face.

    Attributes:
        name: its name there.
        split: the split that holds the questions.
        revision: the commit it is read at, so that a result stays comparable when the data set is edited.
        columns: which of its columns hold what.
        config: its configuration, where it has several.
        gated: it is handed out only to those who accepted its conditions.
    """

    name: str
    split: str
    revision: str
    columns: Columns
    config: str | None = None
    gated: bool = False


HUB_TASKS: dict[str, HubSource] = {
    "math500": HubSource(
        "HuggingFaceH4/MATH-500",
        "test",
        "6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
        Columns("problem", "answer", "unique_id", meta={"subject": "subject", "level": "level"}),
    ),
    "aime24": HubSource(
        "HuggingFaceH4/aime_2024",
        "train",
        "2fe88a2f1091d5048c0f36abc874fb997b3dd99a",
        Columns("problem", "answer", "id"),
    ),
    "aime25": HubSource(
        "math-ai/aime25",
        "test",
        "563bb8404243c5f09de6ec262f2db674fe5bce9b",
        Columns("problem", "answer", "id"),
    ),
    "gpqa_diamond": HubSource(
        "Idavidrein/gpqa",
        "train",
        "633f5ee89ab8ad4522a9f850766b73f62147ffdd",
        Columns(
            "Question",
            "Correct Answer",
            "Record ID",
            wrong=("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3"),
            meta={"subject": "High-level domain", "subdomain": "Subdomain"},
        ),
        config="gpqa_diamond",
        gated=True,
    ),
}
"""The built-in tasks."""


def hub_rows(task: str, source: HubSource) -> list[tuple[str, dict[str, Any]]]:
    """The rows of a built-in task's data set, each with its place.

    Raises:
        InvalidInputError: it can't be read (offline, gated, gone), or the copy on this machine is of another commit.
        MissingExtraError: ``datasets`` isn't installed (extra ``evaluation``).
    """
    if importlib.util.find_spec("datasets") is None:
        raise MissingExtraError(
            f"reading {source.name} needs datasets, which is not installed: pip install 'inftythink-graph[evaluation]'"
        )
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    try:
        data = load_dataset(source.name, source.config, split=source.split, revision=source.revision)
    except (DatasetsError, OSError, ValueError) as error:  # offline is a ConnectionError, a wrong split a ValueError
        raise InvalidInputError(
            f"the data set {source.name} can't be read: {one_line(error).rstrip('.')}. {_hint(task, source)}"
        ) from error
    # Offline, the newest copy in the cache is taken whatever its commit: its folder tells.
    for file in data.cache_files:
        held = Path(file["filename"]).parent.name
        if _COMMIT.fullmatch(held) and held != source.revision:
            raise InvalidInputError(
                f"the copy of {source.name} on this machine is of commit {held}, not of {source.revision},"
                f" and Hugging Face can't be reached. {_hint(task, source)}"
            )
    return [(f"{source.name}, row {number}", dict(row)) for number, row in enumerate(data, 1)]


def _hint(task: str, source: HubSource) -> str:
    local = f"give a local file, {task}=FILE.jsonl"
    if source.gated:
        return (
            f"It is gated: accept its conditions on its page (datasets/{source.name}) and log in with"
            f" `hf auth login`, or {local}"
        )
    return f"Without a network, {local}"


def file_rows(path: Path) -> tuple[list[tuple[str, Any]], str]:
    """The rows of a file of JSON lines, each with its place, and the file's SHA-256.

    Raises:
        InvalidInputError: there is no such file, or a line isn't JSON.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInputError(f"{path} can't be read: {error.strerror or one_line(error)}") from error
    return list(_lines(path, content)), hashlib.sha256(content).hexdigest()


def _lines(path: Path, content: bytes) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        place = f"{path.name}, line {number}"
        try:
            yield place, json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
            raise InvalidInputError(f"{place} isn't JSON: {one_line(error, 120)}") from error
