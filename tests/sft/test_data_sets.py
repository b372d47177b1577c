"""Data sets of others: what they must hold is said in one line, and their examples are told apart by any uuid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from small_bases import BASES, small_tokenizer
from transformers import PreTrainedTokenizerFast

from datasets_build.row_tokens import tokenize_row
from inftythink_graph.protocol import Protocol
from sft.arguments import DataArguments
from sft.data import load_rows
from sft.held_out import picked
from sft.prepared import Sources, prepare
from sft.template_check import probe_rows


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return small_tokenizer(BASES["Qwen2.5"])


def _write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def _load(name: str, **options: Any) -> Any:
    return load_rows(DataArguments(dataset=name, **options), lambda texts: [0 for _ in texts])


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_rows_of_a_file(tokenizer: PreTrainedTokenizerFast, tmp_path: Path, suffix: str) -> None:
    rows = [dict(row) for row in probe_rows(Protocol())]
    path = tmp_path / f"rows.{suffix}"
    data = Dataset.from_list(rows)
    data.to_json(str(path)) if suffix == "jsonl" else data.to_parquet(str(path))
    expected = [tokenize_row(row, tokenizer) for row in rows]
    assert [tokenize_row(row, tokenizer) for row in _load(str(path))] == expected


def test_wrong_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"lacks the columns \['completion'\]; it has \['prompt', 'text'\]"):
        _load(_write(tmp_path / "rows.jsonl", [{"prompt": [], "text": "x"}]))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "Why?", "completion": "So."}, r"column 'prompt' .* holds 'Why\?'; it must hold a list of messages"),
        ({"prompt": [{"role": "user", "content": "Why?"}], "completion": "So."}, "column 'completion' .* holds 'So.'"),
        ({"prompt": [{"text": "Why?"}], "completion": "So."}, "column 'prompt'"),
        ({"prompt": [], "completion": "So."}, "column 'prompt'"),
    ],
)
def test_columns_without_messages_are_refused_with_one_line(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        _load(_write(tmp_path / "rows.jsonl", [row]))
    assert "\n" not in str(caught.value)


def test_a_configuration_and_a_split_of_a_data_set_can_be_named(tmp_path: Path) -> None:
    """A folder stands for a data set of the Hub: both are read by their card."""
    rows = [dict(row) for row in probe_rows(Protocol())]
    card = "configs:\n- config_name: inftythink\n  default: true\n  data_files:\n"
    card += "  - {split: train, path: train.jsonl}\n  - {split: test, path: test.jsonl}\n"
    card += "- config_name: vanilla\n  data_files: whole.jsonl\n"
    (tmp_path / "README.md").write_text(f"---\n{card}---\n")
    for name, part in (("train", rows[:3]), ("test", rows[3:4]), ("whole", rows[4:])):
        _write(tmp_path / f"{name}.jsonl", part)
    name = str(tmp_path)
    assert len(_load(name)) == 3
    assert len(_load(name, dataset_split="test")) == 1
    (whole,) = _load(name, dataset_config="vanilla")
    assert whole["completion"] == rows[4]["completion"]
    with pytest.raises(ValueError, match=r'Unknown split "dev"'):
        _load(name, dataset_split="dev")
    with pytest.raises(ValueError, match="'long' not found"):
        _load(name, dataset_config="long")


def test_examples_may_be_numbered_and_each_must_have_a_uuid(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    numbered = [{**row, "uuid": number} for number in range(30) for row in probe_rows(Protocol())]
    args = DataArguments(dataset=_write(tmp_path / "numbered.jsonl", numbered), eval_share=0.3)
    found = prepare(args, Sources.open(args, tokenizer), tokenizer, 2000)
    assert {problem.uuid for problem in found.problems} < {str(number) for number in range(30)}
    assert len(picked(found.problems, 2, 9)) == 2
    numbered[7]["uuid"] = None
    args = DataArguments(dataset=_write(tmp_path / "nameless.jsonl", numbered), eval_share=0.3)
    with pytest.raises(ValueError, match=r"a row of data set .*nameless\.jsonl has none"):
        prepare(args, Sources.open(args, tokenizer), tokenizer, 2000)
