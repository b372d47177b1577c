"""Training rows say exactly what the reasoner asks."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

import datasets_build
import inftythink_graph
from datasets_build.instances import (
    fitting_rows,
    inftythink_instances,
    rescue_instance,
    row_loss,
    vanilla_instance,
)
from datasets_build.row_tokens import row_length, tokenize_row
from datasets_build.sources.losses import Reason
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.protocol import PROTOCOL_VERSION, Protocol, parse

PROTOCOLS = pytest.mark.parametrize("protocol", [Protocol(), Protocol(history="assistant")], ids=["user", "assistant"])
QUESTION, SEGMENTS, SUMMARIES, CONCLUSION = "Q?", ["r1", "r2", "r3"], ["s1", "s2"], "It is \\boxed{3}"


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(Path(inftythink_graph.__file__).parent / "models" / "bundled")


def _rows(protocol: Protocol, **changes: Any) -> list[Any]:
    parts = {"segments": SEGMENTS, "summaries": SUMMARIES, "conclusion": CONCLUSION, **changes}
    return inftythink_instances(QUESTION, **parts, protocol=protocol, eta=50, source="test", uuid="u1")


@PROTOCOLS
def test_one_row_for_each_segment_as_the_reasoner_would_ask(protocol: Protocol) -> None:
    rows = _rows(protocol)
    assert [row["prompt"] for row in rows] == [protocol.render(QUESTION, summary) for summary in (None, "s1", "s2")]
    assert [(row["epoch"], row["epochs"]) for row in rows] == [(1, 3), (2, 3), (3, 3)]
    assert {(row["source"], row["uuid"], row["eta"], row["protocol"]) for row in rows} == {
        ("test", "u1", 50, PROTOCOL_VERSION)
    }


@PROTOCOLS
def test_replaying_the_rows_is_a_run(protocol: Protocol) -> None:
    """Each completion, read as the reasoner reads it, leads to the prompt of the next row."""
    rows = _rows(protocol)
    for row, following, segment in zip(rows, rows[1:], SEGMENTS, strict=False):
        (turn,) = row["completion"]
        parsed = parse(turn["content"], "stop")
        assert (parsed.kind, parsed.segment) == ("summary", segment)
        assert protocol.render(QUESTION, parsed.summary) == following["prompt"]
    last = parse(rows[-1]["completion"][0]["content"], "stop")
    assert (last.kind, last.segment, last.conclusion) == ("conclusion", "r3", CONCLUSION)


@PROTOCOLS
def test_a_chain_of_one_segment_needs_no_summary(protocol: Protocol) -> None:
    (row,) = _rows(protocol, segments=["r1"], summaries=[])
    assert row["completion"] == [{"role": "assistant", "content": protocol.completion("r1", conclusion=CONCLUSION)}]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"summaries": ["s1"]}, "3 segments need 2 summaries, got 1"),
        ({"summaries": ["s1", "s2", "s3"]}, "3 segments need 2 summaries, got 3"),
        ({"segments": [], "summaries": []}, "0 segments"),
        ({"summaries": ["s1", "  "]}, "a summary is empty"),
    ],
)
def test_an_example_without_all_its_summaries_is_refused(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        _rows(Protocol(), **changes)


@PROTOCOLS
@pytest.mark.parametrize("before", [None, "s1"])
def test_a_rescue_row_is_what_the_reasoner_asks_after_a_cut(protocol: Protocol, before: str | None) -> None:
    row = rescue_instance(
        QUESTION, before, "r2 cu", "s2", protocol=protocol, epoch=2, epochs=3, eta=50, source="test", uuid="u1"
    )
    assert row["prompt"] == protocol.render_summarize(QUESTION, before, "r2 cu", budget=123)
    prefill = row["prompt"][-1]["content"]
    history = protocol.render(QUESTION, before)[-1]["content"] if protocol.history == "assistant" and before else ""
    whole = prefill.removeprefix(history) + row["completion"][0]["content"]
    assert whole == protocol.completion("r2 cu", summary="s2")
    assert (row["epoch"], row["epochs"]) == (2, 3)


def test_a_vanilla_row_holds_the_whole_chain() -> None:
    row = vanilla_instance(QUESTION, "r1\nr2", CONCLUSION, protocol=Protocol(), source="test", uuid="u1")
    assert row["prompt"] == [{"role": "user", "content": QUESTION}]
    parsed = parse(row["completion"][0]["content"], "stop")
    assert (parsed.segment, parsed.conclusion) == ("r1\nr2", CONCLUSION)
    assert (row["epoch"], row["epochs"], row["eta"]) == (0, 1, 0)


# --- system prompts --------------------------------------------------------------------------------------------------


@PROTOCOLS
def test_a_system_prompt_comes_first_and_changes_nothing_else(protocol: Protocol) -> None:
    common: dict[str, Any] = {"protocol": protocol, "source": "test", "uuid": "u1"}
    place = {"epoch": 2, "epochs": 3, "eta": 50}
    for with_system, without in (
        *zip(_rows(protocol, system="Be exact."), _rows(protocol), strict=True),
        (
            rescue_instance(QUESTION, "s1", "r2 cu", "s2", system="Be exact.", **place, **common),
            rescue_instance(QUESTION, "s1", "r2 cu", "s2", **place, **common),
        ),
        (
            vanilla_instance(QUESTION, "r1", CONCLUSION, system="Be exact.", **common),
            vanilla_instance(QUESTION, "r1", CONCLUSION, **common),
        ),
    ):
        assert with_system["prompt"] == [{"role": "system", "content": "Be exact."}, *without["prompt"]]
        assert with_system["completion"] == without["completion"]
        assert "tokens" not in with_system


# --- tokens ----------------------------------------------------------------------------------------------------------


def _size(tokenizer: PreTrainedTokenizerFast, text: str) -> int:
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])


@PROTOCOLS
@pytest.mark.parametrize("system", ["", "Be exact."])
def test_tokens_are_counted_part_by_part_and_in_all(
    tokenizer: PreTrainedTokenizerFast, protocol: Protocol, system: str
) -> None:
    rows = _rows(protocol, system=system, tokenizer=tokenizer)
    for row, before, segment, after in zip(rows, ["", *SUMMARIES], SEGMENTS, [*SUMMARIES, ""], strict=True):
        texts = {
            "system": system,
            "question": QUESTION,
            "summary_in": before,
            "segment": segment,
            "summary_out": after,
            "conclusion": "" if after else CONCLUSION,
        }
        total = len(tokenize_row(row, tokenizer)["input_ids"])
        assert row["tokens"] == {**{name: _size(tokenizer, text) for name, text in texts.items()}, "total": total}
    vanilla = vanilla_instance(
        QUESTION, "r1\nr2", CONCLUSION, protocol=protocol, source="t", uuid="u", system=system, tokenizer=tokenizer
    )
    assert vanilla["tokens"]["segment"] == _size(tokenizer, "r1\nr2")
    assert vanilla["tokens"]["total"] == row_length(vanilla, tokenizer)
    rescue = rescue_instance(
        QUESTION, "s1", "r2 cu", "s2", protocol=protocol, epoch=2, epochs=3, eta=50, source="t", uuid="u",
        system=system, tokenizer=tokenizer,
    )  # fmt: skip
    assert {name: size for name, size in rescue["tokens"].items() if name not in ("total", "system")} == {
        "question": _size(tokenizer, QUESTION),
        "summary_in": _size(tokenizer, "s1"),
        "segment": _size(tokenizer, "r2 cu"),
        "summary_out": _size(tokenizer, "s2"),
        "conclusion": 0,
    }


# --- training length -------------------------------------------------------------------------------------------------

TEXTS = st.text(alphabet="ab 1\n<>", min_size=1, max_size=30).map(lambda text: f"x{text}x")


@settings(max_examples=40, deadline=None)
@given(segments=st.lists(TEXTS, min_size=1, max_size=5), counted=st.booleans(), share=st.floats(0, 1.1))
def test_a_row_fits_if_and_only_if_its_training_ids_do(
    tokenizer: PreTrainedTokenizerFast, segments: list[str], counted: bool, share: float
) -> None:
    summaries = [f"s{index}" for index in range(len(segments) - 1)]
    counter = {"tokenizer": tokenizer} if counted else {}
    rows = _rows(Protocol(), segments=segments, summaries=summaries, **counter)
    sizes = [len(tokenize_row(row, tokenizer)["input_ids"]) for row in rows]
    limit = max(1, int(max(sizes) * share))
    fits = [row_loss(row, tokenizer, limit) is None for row in rows]
    assert fits == [size <= limit for size in sizes]

    whole = fitting_rows(rows, tokenizer, limit)
    single = fitting_rows(rows, tokenizer, limit, too_long="row")
    assert list(whole.rows) == (rows if all(fits) else []), "a chain is kept from its first segment to its last"
    assert list(single.rows) == [row for row, fit in zip(rows, fits, strict=True) if fit]
    for fitted in (whole, single):
        assert len(fitted.rows) + len(fitted.losses) == len(rows), "every row is kept or has its reason"
        over = [loss for loss in fitted.losses if loss.reason is Reason.OVER_LENGTH]
        assert len(over) == fits.count(False)
        assert {loss.reason for loss in fitted.losses} <= {Reason.OVER_LENGTH, Reason.SIBLING_OVER_LENGTH}


def test_the_bound_is_exact(tokenizer: PreTrainedTokenizerFast) -> None:
    (row,) = _rows(Protocol(), segments=["r1"], summaries=[], tokenizer=tokenizer)
    total = row["tokens"]["total"]
    assert row_loss(row, tokenizer, total) is None
    loss = row_loss(row, tokenizer, total - 1)
    assert loss is not None
    assert (loss.reason, loss.detail) == (Reason.OVER_LENGTH, f"u1, epoch 1: {total} tokens, max_length {total - 1}")


@pytest.mark.parametrize("part", ["question", "segment", "summary", "conclusion"])
def test_the_end_of_text_token_inside_a_text_is_a_reason(tokenizer: PreTrainedTokenizerFast, part: str) -> None:
    end = tokenizer.eos_token
    texts = {name: f"a {end} b" if name == part else name for name in ("question", "segment", "summary", "conclusion")}
    rows = inftythink_instances(
        texts["question"], [texts["segment"], "r2"], [texts["summary"]], texts["conclusion"],
        protocol=Protocol(), eta=9, source="t", uuid="u",
    )  # fmt: skip
    fitted = fitting_rows(rows, tokenizer, 10_000)
    assert not fitted.rows
    assert Reason.END_TOKEN_INSIDE in {loss.reason for loss in fitted.losses}
    assert {loss.reason for loss in fitted.losses} <= {Reason.END_TOKEN_INSIDE, Reason.SIBLING_END_TOKEN}


def test_wrong_limits_are_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(InvalidInputError, match="max_length must be at least 1, got 0"):
        fitting_rows([], tokenizer, 0)
    with pytest.raises(InvalidInputError, match="too_long 'cut' is unknown; allowed: example, row"):
        fitting_rows([], tokenizer, 9, too_long="cut")


def test_a_tokenizer_without_an_end_is_refused() -> None:
    tokenizer = AutoTokenizer.from_pretrained(Path(inftythink_graph.__file__).parent / "models" / "bundled")
    tokenizer.eos_token = None
    with pytest.raises(InvalidInputError, match="no end-of-text token"):
        row_loss(_rows(Protocol())[0], tokenizer, 100)


def test_the_builder_does_not_import_the_trainer() -> None:
    for path in sorted(Path(datasets_build.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "sft" for name in names), path.name
