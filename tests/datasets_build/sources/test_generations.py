"""A generation is split into chain and conclusion, or has its reason."""

from __future__ import annotations

import pytest
from example_rows import JUNK
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_build.sources.generations import Generation, split_generation
from datasets_build.sources.losses import Loss, Reason
from inftythink_graph.protocol import TAGS, Protocol, parse


@pytest.mark.parametrize(
    ("text", "reasoning"),
    [
        ("<think>\nc c\n</think>\n\ne e\n", None),
        (" \n\t<think>c c</think>e e", None),
        ("c c\n</think>\n\ne e", None),
        (
            "<|begin_of_thought|>\n\nc c\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\ne e\n\n<|end_of_solution|>",
            None,
        ),
        ("<|begin_of_thought|>c c<|end_of_thought|>e e", None),
        ("e e", "\nc c\n"),
        ("e e", "<think>\nc c\n</think>"),
        ("<think>\nc c\n</think>\n\ne e", "c c"),
        ("<think>\nc c\n</think>\n\ne e", ""),
    ],
)
def test_a_generation_is_a_chain_and_a_conclusion(text: str, reasoning: str | None) -> None:
    assert split_generation(text, reasoning) == Generation("c c", "e e")


@pytest.mark.parametrize(
    ("text", "reasoning", "reason"),
    [
        (None, None, Reason.NULL_GENERATION),
        ("", None, Reason.EMPTY_GENERATION),
        (" \n", None, Reason.EMPTY_GENERATION),
        (3, None, Reason.BAD_GENERATION),
        (["a"], None, Reason.BAD_GENERATION),
        ({}, "c", Reason.BAD_GENERATION),
        ("e", 3, Reason.BAD_GENERATION),
        ("just an answer", None, Reason.NO_CHAIN),
        ("<think>\nnever closed", None, Reason.INCOMPLETE_CHAIN),
        ("<|begin_of_thought|> never closed", None, Reason.INCOMPLETE_CHAIN),
        ("<|begin_of_thought|>c<|end_of_thought|><|begin_of_solution|>half", None, Reason.INCOMPLETE_CONCLUSION),
        ("<think>a<think>b</think>c</think>e", None, Reason.REPEATED_TAGS),
        ("<think>a</think>b<think>c</think>e", None, Reason.REPEATED_TAGS),
        ("<think>a</think>e</think>", None, Reason.REPEATED_TAGS),
        ("</think><think>a", None, Reason.REPEATED_TAGS),
        ("<think><|begin_of_thought|>a<|end_of_thought|></think>e", None, Reason.REPEATED_TAGS),
        ("<think>a</think><|begin_of_solution|>a<|end_of_solution|><|end_of_solution|>", None, Reason.REPEATED_TAGS),
        ("<think>one</think>e", "another", Reason.REPEATED_TAGS),
        ("e", "<think>c</think> and more", Reason.REPEATED_TAGS),
        ("Sure! <think>c</think>e", None, Reason.TEXT_BEFORE),
        ("<think>\n\n</think>e", None, Reason.EMPTY_CHAIN),
        ("</think>e", None, Reason.EMPTY_CHAIN),
        ("e", " \n", Reason.EMPTY_CHAIN),
        ("<think>c</think>\n ", None, Reason.EMPTY_CONCLUSION),
        ("<think>c</think><|begin_of_solution|> <|end_of_solution|>", None, Reason.EMPTY_CONCLUSION),
        ("", "c", Reason.EMPTY_CONCLUSION),
        (None, "c", Reason.EMPTY_CONCLUSION),
        ("<think>a <summary> b</think>e", None, Reason.CHAIN_TAGS),
        ("e", "a </history>", Reason.CHAIN_TAGS),
        ("<think>c</think>e </summary>", None, Reason.CONCLUSION_TAGS),
        ("<think>c \ud83d</think>e", None, Reason.NOT_UNICODE),
        ("e", "c \udc00", Reason.NOT_UNICODE),
    ],
)
def test_what_is_no_chain_with_its_conclusion_has_its_reason(text: object, reasoning: object, reason: Reason) -> None:
    split = split_generation(text, reasoning)
    assert isinstance(split, Loss)
    assert split.reason is reason


@settings(max_examples=300)
@given(text=JUNK | st.none(), reasoning=JUNK | st.none())
def test_what_is_taken_replays_as_the_reasoner_reads_it(text: str | None, reasoning: str | None) -> None:
    split = split_generation(text, reasoning)
    if isinstance(split, Loss):
        return
    assert split.chain == split.chain.strip() != ""
    assert split.conclusion == split.conclusion.strip() != ""
    assert not any(tag in part for part in (split.chain, split.conclusion) for tag in TAGS)
    parsed = parse(Protocol().completion(split.chain, conclusion=split.conclusion), "stop")
    assert (parsed.kind, parsed.segment, parsed.conclusion) == ("conclusion", split.chain, split.conclusion)
