"""The summarizer's wording as a data file."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from datasets_build.summaries.prompt import SummaryPrompt, default_prompt, load_prompt
from inftythink_graph import InvalidInputError

DEFAULT = asdict(default_prompt())


def written(folder: Path, content: Any) -> Path:
    path = folder / "mine.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_the_packaged_file_asks_for_what_the_paper_asks_for() -> None:
    text = default_prompt().instruction
    for words in ("achieved", "key steps", "intermediate conclusion", "remains", "voice of the reasoner", "language"):
        assert words in text


def test_a_file_of_ones_own_replaces_it(tmp_path: Path) -> None:
    mine = load_prompt(written(tmp_path, DEFAULT | {"version": 7, "turn": "{segment}\nSummarize \\boxed{{}} now."}))
    assert (mine.version, mine.turn.format(segment="S")) == ("7", "S\nSummarize \\boxed{} now.")


def test_the_identity_changes_with_the_version_and_with_every_word() -> None:
    base = default_prompt()
    others = [replace(base, version="2"), replace(base, instruction=base.instruction + " Now.")]
    assert len({base.identity, *(other.identity for other in others)}) == 3
    assert base.identity == default_prompt().identity


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"turn": "no part"}, r"'turn' lacks \{segment\}; allowed there: \{budget\}, \{number\}, \{segment\}"),
        ({"opening": "{question} {answer}"}, r"'opening' has the unknown placeholder \{answer\}; allowed there: "),
        ({"opening": "{question} {}"}, r"unknown placeholder \{\}"),
        ({"opening": "{question:>10}"}, r"unknown placeholder \{question:>10\}"),
        ({"opening": "{question!r}"}, r"unknown placeholder \{question!r\}"),
        ({"opening": "{question} \\boxed{"}, "unpaired brace.*written twice"),
        ({"instruction": "  "}, "'instruction' must be a text that isn't empty"),
        ({"turn": 3}, "'turn' must be a text"),
        ({"version": None}, "'version' must be a text"),
        ({"extra": "x"}, r"wrong keys \(unknown: extra\)"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_what_is_allowed(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        load_prompt(written(tmp_path, DEFAULT | change))


@pytest.mark.parametrize(
    ("content", "message"),
    [("- a\n- b\n", "must be a YAML mapping"), ("a: [", "is no YAML"), ("version: '1'\n", "missing: instruction")],
)
def test_other_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        load_prompt(written(tmp_path, content))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"none\.yaml can't be read"):
        load_prompt(tmp_path / "none.yaml")


def test_a_prompt_built_in_code_is_checked_too() -> None:
    with pytest.raises(InvalidInputError, match="lacks"):
        SummaryPrompt(**(DEFAULT | {"omitted": "gone"}))
