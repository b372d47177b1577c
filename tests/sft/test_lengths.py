"""Nothing is cut silently: rows that don't fit are counted by kind, or refused; settings that would cut are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_bases import BASES, small_tokenizer
from tokenized_rows import tokenized
from transformers import PreTrainedTokenizerFast

from datasets_build.row_tokens import row_length
from inftythink_graph.protocol import Protocol
from sft.recipe import read_recipe
from sft.row_kinds import row_kind
from sft.template_check import probe_rows
from sft.trl_guards import check_config, check_prepared

CPU = ["--use_cpu", "--bf16", "false"]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return small_tokenizer(BASES["Qwen2.5"])


def _long(row: Any, words: int = 200) -> dict[str, Any]:
    """The row with a longer question."""
    prompt = [{**row["prompt"][0], "content": "more " * words + row["prompt"][0]["content"]}, *row["prompt"][1:]]
    return {**row, "prompt": prompt}


@pytest.mark.parametrize("history", ["user", "assistant"])
def test_the_kind_of_a_row_is_read_from_its_text(history: Any) -> None:
    kinds = [row_kind(row) for row in probe_rows(Protocol(history=history))]
    assert kinds == ["first", "middle", "last", "rescue", "whole"]
    odd = {"prompt": [{"role": "user", "content": "Q"}], "completion": [{"role": "assistant", "content": "<think>\nr"}]}
    assert row_kind(odd) == "other"


def test_rows_too_long_are_counted_by_kind(tokenizer: PreTrainedTokenizerFast) -> None:
    rows = probe_rows(Protocol())
    limit = max(row_length(row, tokenizer) for row in rows)
    long = [_long(rows[0]), _long(rows[0], 300), _long(rows[3])]
    data, funnel = tokenized([*rows, *long], tokenizer, limit)
    assert len(data) == funnel["rows"] == len(rows)
    assert funnel["rows too long"] == 3
    assert (funnel["too long: first"], funnel["too long: rescue"]) == (2, 1)
    assert funnel["longest row, in tokens"] == row_length(long[1], tokenizer)
    with pytest.raises(ValueError, match=r"3 of 8 rows exceed max_length = \d+ tokens \(2 first, 1 rescue;"):
        tokenized([*rows, *long], tokenizer, limit, rows_too_long="refuse")
    assert len(tokenized(rows, tokenizer, limit, rows_too_long="refuse")[0]) == len(rows)


def test_a_completion_that_holds_the_end_token_is_left_out_and_counted(tokenizer: PreTrainedTokenizerFast) -> None:
    rows = probe_rows(Protocol())
    ended = {**rows[0], "completion": [{"role": "assistant", "content": "<think>\na<|endoftext|>b\n</think>\n\nc"}]}
    data, funnel = tokenized([*rows, ended], tokenizer, 2000)
    assert len(data) == len(rows)
    assert funnel["rows with the end token inside"] == 1
    with pytest.raises(ValueError, match=r"none of 1 rows .* and 1 hold the end token inside"):
        tokenized([ended], tokenizer, 2000)


def test_rows_with_a_system_prompt_are_counted(tokenizer: PreTrainedTokenizerFast) -> None:
    row = probe_rows(Protocol())[0]
    system = {**row, "prompt": [{"role": "system", "content": "Be brief."}, *row["prompt"]]}
    _, funnel = tokenized([row, system], tokenizer, 2000)
    assert funnel["rows with a system prompt, which the graph doesn't send"] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--max_length", "64", "--packing", "--packing_strategy", "wrapped"], "see each other; allowed: bfd"),
        (["--max_length", "64", "--completion_only_loss", "false"], "completion_only_loss can't be false"),
        (["--max_length", "64", "--chat_template_path", "x.jinja"], "set chat_template instead"),
        (["--max_length", "64", "--eos_token", "<x>"], "eos_token would change the format"),
    ],
)
def test_settings_that_would_train_on_something_else_are_refused(
    words: list[str], message: str, tmp_path: Path
) -> None:
    _, _, config = read_recipe([*CPU, *words, "--output_dir", str(tmp_path)])
    with pytest.raises(ValueError, match=message):
        check_config(config)


def test_the_usual_settings_pass(tmp_path: Path) -> None:
    _, _, config = read_recipe([*CPU, "--max_length", "64", "--packing", "--output_dir", str(tmp_path)])
    check_config(config)
    config.max_length = None
    with pytest.raises(ValueError, match="max_length must be set"):
        check_config(config)


def test_a_lost_completion_token_is_noticed(tokenizer: PreTrainedTokenizerFast) -> None:
    data, funnel = tokenized(probe_rows(Protocol()), tokenizer, 2000)
    check_prepared(data, funnel)
    masked = data.map(lambda row: {"labels": [-100, *row["labels"][1:-1], -100]})
    with pytest.raises(ValueError, match="completion tokens"):
        check_prepared(masked, funnel)
    check_prepared(data.shuffle(seed=0), funnel)
    with pytest.raises(ValueError, match="left 4 rows of 5"):
        check_prepared(data.filter(lambda row: row["input_ids"] != data[0]["input_ids"]), funnel)
