"""The preview summarizer keeps the limits of the real one, needs nothing, and gives the same every time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_build.summaries.extractive import create_extractive_summarizer, rank_sentences, split_sentences
from inftythink_graph import InvalidInputError
from inftythink_graph.protocol import neutralize

CHAIN = (
    "First I look at the two numbers. The first number is 12. The second number is 30.\n"
    "Let me think about their divisors. Divisors of 12 and of 30 are small numbers. "
    "I wonder whether there is a trick. Therefore the greatest common divisor of 12 and 30 is 6."
)


def characters(texts: Sequence[str]) -> list[int]:
    return [len(text) for text in texts]


@given(st.lists(st.text(min_size=1, max_size=120).filter(str.strip), min_size=1, max_size=4), st.integers(1, 60))
@settings(max_examples=25, deadline=None)
def test_summaries_keep_the_limits_whatever_the_text(segments: list[str], budget: int) -> None:
    graph = create_extractive_summarizer(summary_budget=budget, count=characters)
    example = {"question": "q", "segments": segments}
    result = graph.invoke(example)
    if result["status"] == "failed":
        assert result["summaries"] == []
        assert result["defect"]
        assert "segment " in result["reason"]
        assert min(map(len, map(str.strip, segments[:-1]))) <= 2  # only what can't be shortened fails
        return
    assert len(result["summaries"]) == len(segments) - 1
    for summary, segment in zip(result["summaries"], segments, strict=False):
        assert summary.strip()
        assert len(summary) <= budget
        assert len(summary) < len(segment)
        assert neutralize(summary) == summary
    assert graph.invoke(example) == result


def test_it_takes_whole_sentences_and_the_result_is_among_them() -> None:
    (summary,) = create_extractive_summarizer(summary_budget=40).invoke({"question": "q", "segments": [CHAIN, "end"]})[
        "summaries"
    ]
    assert "Therefore the greatest common divisor of 12 and 30 is 6." in summary
    assert set(summary.split("\n")) <= set(split_sentences(CHAIN))


def test_a_later_result_is_preferred_to_an_earlier_one() -> None:
    sentences = ["So the value of x is 4.", "The weather is nice.", "So the value of y is 9."]
    assert rank_sentences(sentences)[0] == 2


def test_what_was_found_earlier_may_be_carried_over() -> None:
    segments = ["We count. " * 10 + "Therefore the total is 42 apples.", "The apples are red. " * 3 + "Green.", "end"]
    first, second = create_extractive_summarizer(summary_budget=25).invoke({"question": "q", "segments": segments})[
        "summaries"
    ]
    assert "42 apples" in first
    assert "42 apples" in second


def test_chinese_is_cut_at_its_own_full_stops() -> None:
    text = "我们先看这两个数。让我想一想它们的因数。天气很好。因此最大公因数是6。"
    assert split_sentences(text) == [
        "我们先看这两个数。",
        "让我想一想它们的因数。",
        "天气很好。",
        "因此最大公因数是6。",
    ]
    (summary,) = create_extractive_summarizer(summary_budget=12, count=characters).invoke(
        {"question": "q", "segments": [text, "完"]}
    )["summaries"]
    assert summary == "因此最大公因数是6。"


def test_a_decimal_point_ends_no_sentence() -> None:
    assert split_sentences("Pi is 3.14 or so. Done.") == ["Pi is 3.14 or so.", "Done."]


def test_one_long_sentence_is_cut_between_words_and_one_long_word_anywhere() -> None:
    graph = create_extractive_summarizer(summary_budget=10, count=characters)
    summaries = graph.invoke({"question": "q", "segments": ["alpha beta gamma delta", "x" * 50, "end"]})["summaries"]
    assert summaries[0] == "delta"
    assert set(summaries[1]) <= set("x delta")


def test_a_segment_that_cant_be_shortened_fails_with_its_number() -> None:
    result = create_extractive_summarizer().invoke({"question": "q", "segments": ["x", "end"]})
    assert (result["status"], result["defect"]) == ("failed", "not-shorter")
    assert result["reason"].startswith("segment 1 of 2: ")


def test_one_segment_gets_no_summary() -> None:
    result = create_extractive_summarizer().invoke({"question": "q", "segments": ["x"]})
    assert (result["summaries"], result["status"], result["attempts"]) == ([], "done", [])


async def test_async_gives_the_same() -> None:
    graph = create_extractive_summarizer(summary_budget=30)
    example = {"question": "q", "segments": [CHAIN, "end"]}
    assert await graph.ainvoke(example) == graph.invoke(example)


def test_bad_input_is_named() -> None:
    with pytest.raises(InvalidInputError, match="summary_budget"):
        create_extractive_summarizer(summary_budget=0)
    with pytest.raises(InvalidInputError, match="the question must be"):
        create_extractive_summarizer().invoke({"question": "", "segments": ["a"]})
