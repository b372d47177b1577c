"""Held-out instances: no example is on both sides, and the problems behind them are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from datasets_build.instances import inftythink_instances, rescue_instance, vanilla_instance
from datasets_build.synthetic import split_of
from inftythink_graph.protocol import Protocol
from sft.arguments import DataArguments
from sft.held_out import HeldOutProblem, Problems, is_held_out, picked, synthetic_eval_rows
from sft.prepared import Sources, prepare
from sft.row_kinds import KINDS, row_kind
from sft.scratch import build_tokenizer
from sft.synthetic_rows import corpus
from sft.token_counts import TokenCounts
from sft.train import main

OPTIONS: dict[str, Any] = {"eta": 48, "synthetic_chains": 15, "synthetic_max_steps": 40}
PLACE: dict[str, Any] = {"source": "test", "uuid": "u"}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(corpus(DataArguments(**OPTIONS), chains=20), vocab_size=400, model_max_length=256)


@pytest.mark.parametrize("history", ["user", "assistant"])
def test_the_kind_of_a_row_is_read_off_its_text(history: str) -> None:
    protocol = Protocol(history=history)
    rows = inftythink_instances("Q?", ["r1", "r2", "r3"], ["s1", "s2"], "C", protocol=protocol, eta=9, **PLACE)
    assert [row_kind(row) for row in rows] == ["first", "middle", "last"]
    (single,) = inftythink_instances("Q?", ["r1"], [], "C", protocol=protocol, eta=9, **PLACE)
    assert row_kind(single) == row_kind(vanilla_instance("Q?", "r", "C", protocol=protocol, **PLACE)) == "whole"
    for before in (None, "s1"):
        row = rescue_instance("Q?", before, "r", "s", protocol=protocol, epoch=2, epochs=3, eta=9, **PLACE)
        assert row_kind(row) == "rescue"
    # A question that quotes the format stays a question.
    (quoting, *_) = inftythink_instances("What is <history>?", ["r"], [], "C", protocol=protocol, eta=9, **PLACE)
    assert row_kind(quoting) == "whole"


def test_a_problem_is_the_question_of_the_first_row_and_the_answer_of_the_last() -> None:
    rows = inftythink_instances("Q?", ["r1", "r2"], ["s1"], "It is \\boxed{7}.", protocol=Protocol(), eta=9, **PLACE)
    whole, half, asked = Problems(), Problems(), Problems()
    for row in rows:
        whole.add(row)
        asked.add({**row, "prompt": [{"role": "system", "content": "Be brief."}, *row["prompt"]]})
    half.add(rows[0])
    assert whole.found() == [HeldOutProblem("u", "Q?", "7", 2)]
    assert half.found() == []  # no answer is known
    assert asked.found() == []  # the graph sends no system prompt


def test_the_picked_problems_are_short_enough_and_the_same_in_any_order() -> None:
    problems = [HeldOutProblem(str(number), "Q", "1", number % 7 + 1) for number in range(100)]
    chosen = picked(problems, 10, 4)
    assert len(chosen) == 10
    assert all(problem.epochs <= 4 for problem in chosen)
    assert picked(problems[::-1], 10, 4) == chosen


def test_a_share_is_held_out_by_example(tokenizer: PreTrainedTokenizerFast) -> None:
    args = DataArguments(**OPTIONS, eval_share=0.3)
    found = prepare(args, Sources.open(args, tokenizer), tokenizer, 200)
    everything = DataArguments(**OPTIONS)
    whole = prepare(everything, Sources.open(everything, tokenizer), tokenizer, 200)
    assert found.funnel["rows"] + found.funnel["held-out rows"] == whole.funnel["rows"]
    assert len(found.held_out) == found.funnel["held-out rows"]
    held = {problem.uuid for problem in found.problems}
    assert 0.1 * 45 < len(held) < 0.5 * 45
    assert all(is_held_out(uuid, 0.3) for uuid in held)
    # Whole examples: no training row asks a held-out question.
    trained = [tokenizer.decode(ids) for ids in found.train["input_ids"]]
    assert not any(problem.question in text for problem in found.problems for text in trained)
    assert {KINDS[kind] for kind in found.held_out["kind"]} >= {"first", "last"}


def test_synthetic_problems_are_held_out_from_the_test_split(tokenizer: PreTrainedTokenizerFast) -> None:
    args = DataArguments(**OPTIONS, synthetic_eval_chains=6, synthetic_families=["gcd", "product", "gcd"])
    rows = list(synthetic_eval_rows(args, TokenCounts(tokenizer)))
    names = {row["uuid"] for row in rows}
    assert len(names) == 12
    for name in names:
        family, *numbers = name.split("-")
        assert split_of(family, tuple(map(int, numbers))) == "test"
    without = DataArguments(**OPTIONS, synthetic_families=["gcd", "product", "gcd"])
    prints = [prepare(each, Sources.open(each, tokenizer), tokenizer, 200).fingerprint for each in (args, without)]
    assert prints[0] == prints[1]  # what is trained on stays the same


def _file(path: Path, *uuids: str | None) -> str:
    rows = []
    for uuid in uuids:
        row = dict(vanilla_instance(f"Q {uuid}?", "r", "\\boxed{1}", protocol=Protocol(), source="t", uuid=uuid or ""))
        rows.append({key: row[key] for key in ("prompt", "completion", *(["uuid"] if uuid else []))})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_rows_of_another_file_are_held_out_unless_their_example_is_trained_on(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    train, other = _file(tmp_path / "train.jsonl", "a", "b"), _file(tmp_path / "eval.jsonl", "c", "d")
    args = DataArguments(dataset=train, eval_dataset=other)
    found = prepare(args, Sources.open(args, tokenizer), tokenizer, 200)
    assert [problem.uuid for problem in found.problems] == ["c", "d"]
    args = DataArguments(dataset=train, eval_dataset=_file(tmp_path / "both.jsonl", "c", "b"))
    with pytest.raises(ValueError, match=r"example 'b' of eval_dataset .*both.jsonl is trained on as well"):
        prepare(args, Sources.open(args, tokenizer), tokenizer, 200)


def test_what_can_not_be_held_out_is_said(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    nameless = DataArguments(dataset=_file(tmp_path / "rows.jsonl", None, None), eval_share=0.5)
    with pytest.raises(ValueError, match=r"has no column 'uuid'; it has \['prompt', 'completion'\]"):
        Sources.open(nameless, tokenizer)
    few = DataArguments(dataset=_file(tmp_path / "few.jsonl", "a"), eval_share=0.0001)
    with pytest.raises(ValueError, match="no row is held out"):
        prepare(few, Sources.open(few, tokenizer), tokenizer, 200)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--eval_share", "0.1"], "never evaluated with eval_strategy 'no'"),
        (["--eval_strategy", "steps", "--eval_steps", "5"], "eval_strategy needs held-out rows"),
        (["--eval_share", "1"], "eval_share must be below 1"),
        (["--eval_share", "0.1", "--synthetic_eval_chains", "3"], "can't be given together"),
        (["--synthetic_eval_chains", "3", "--dataset", "x.jsonl"], "needs 'dataset: synthetic'"),
        (["--generation_problems", "3"], "generation_problems needs held-out examples"),
        (["--generation_every", "0"], "generation_every must be at least 1"),
        (["--sampling_top_p", "1.5"], "sampling_top_p must be above 0 and at most 1"),
        (["--save_dtype", "int8"], "save_dtype"),
        (
            ["--eval_share", "0.1", "--eval_strategy", "epoch", "--eval_packing", "true"],
            "eval_packing must be left out",
        ),
        (
            [
                *("--eval_share", "0.1", "--eval_strategy", "epoch", "--generation_problems", "2"),
                *("--generation_every", "2", "--metric_for_best_model", "eval_generation_accuracy"),
            ],
            "must be known at every evaluation",
        ),
    ],
)
def test_options_that_contradict_each_other_exit_2(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main([*words, "--use_cpu", "true", "--bf16", "false"]) == 2
    assert message in capsys.readouterr().err
