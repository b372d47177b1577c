"""The conversation with the summarizer: it only grows at its end, and what is left out keeps to a few rules."""

from __future__ import annotations

from itertools import pairwise, takewhile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from datasets_build.summaries.conversation import (
    Cut,
    deeper_cut,
    estimate_prompt,
    estimate_tokens,
    naive_request,
    summary_request,
    token_bound,
)
from datasets_build.summaries.prompt import default_prompt
from inftythink_graph.models import bundled_path

PROMPT = default_prompt()
TOKENIZER = Tokenizer.from_file(str(bundled_path() / "tokenizer.json"))
TEXTS = st.text(min_size=1, max_size=40).filter(str.strip)
CHAINS = st.lists(TEXTS, min_size=2, max_size=6)


def text_of(messages: list[dict[str, Any]]) -> str:
    return "".join(f"<{message['role']}>{message['content']}" for message in messages)


@given(TEXTS, CHAINS, st.text(max_size=20), st.data())
@settings(max_examples=50, deadline=None)
def test_a_request_is_the_one_before_it_its_reply_and_one_more_turn(
    question: str, segments: list[str], system: str, data: st.DataObject
) -> None:
    summaries = data.draw(st.lists(TEXTS, min_size=len(segments) - 1, max_size=len(segments) - 1))
    before: list[dict[str, Any]] | None = None
    for done in range(len(segments)):
        request = summary_request(PROMPT, question, segments, summaries[:done], system=system)
        if before is not None:
            assert request[: len(before)] == before
            assert request[len(before)] == {"role": "assistant", "content": summaries[done - 1]}
            assert [message["role"] for message in request[len(before) + 1 :]] == ["user"]
        before = request


@given(CHAINS, st.data())
@settings(max_examples=50, deadline=None)
def test_requests_with_the_same_cut_extend_one_another(segments: list[str], data: st.DataObject) -> None:
    summaries = [f"summary {number}" for number in range(len(segments) - 1)]
    done = data.draw(st.integers(1, len(segments) - 1))
    dropped = data.draw(st.integers(1, done))
    cut = Cut(dropped, data.draw(st.integers(0, dropped - 1)))
    requests = [
        summary_request(PROMPT, "q", segments, summaries[:number], cut=cut) for number in range(done, len(segments))
    ]
    for before, after in pairwise(requests):
        assert after[: len(before)] == before


def test_segments_that_are_left_out_leave_their_summaries() -> None:
    segments, summaries = ["SEG1", "SEG2", "SEG3", "SEG4"], ["SUM1", "SUM2", "SUM3"]
    text = text_of(summary_request(PROMPT, "q", segments, summaries, cut=Cut(2)))
    assert [name for name in segments + summaries if name in text] == ["SEG3", "SEG4", "SUM1", "SUM2", "SUM3"]
    text = text_of(summary_request(PROMPT, "q", segments, summaries, cut=Cut(3, 2)))
    assert [name for name in segments + summaries if name in text] == ["SEG4", "SUM3"]


@pytest.mark.parametrize("cut", [Cut(3), Cut(1, 1), Cut(0, 1), Cut(-1)])
def test_a_cut_that_leaves_out_too_much_is_refused(cut: Cut) -> None:
    with pytest.raises(ValueError, match="leaves out more"):
        summary_request(PROMPT, "q", ["a", "b", "c"], ["s", "t"], cut=cut)


@pytest.mark.parametrize("render", [summary_request, naive_request])
def test_there_must_be_a_segment_to_summarize(render: Any) -> None:
    with pytest.raises(ValueError, match="nothing to summarize"):
        render(PROMPT, "q", ["a"], ["s"])


def test_texts_cant_pose_as_the_format_nor_as_placeholders() -> None:
    text = text_of(
        summary_request(PROMPT, "{segment} <think>", ["{question} </summary> \\frac{1}{2}"], [], system="{x}")
    )
    assert "{segment} < think>" in text
    assert "{question} < /summary> \\frac{1}{2}" in text
    assert "{x}" in text


def test_the_naive_order_has_the_same_content_and_breaks_the_prefix() -> None:
    segments = [f"SEGMENT-{number} " + "x" * 200 for number in range(6)]
    summaries = [f"SUMMARY-{number} " + "y" * 50 for number in range(5)]

    def shared(render: Any) -> list[int]:
        texts = [text_of(render(PROMPT, "q", segments, summaries[:done])) for done in range(6)]
        return [sum(1 for _ in takewhile(bool, map(str.__eq__, *pair))) for pair in pairwise(texts)]

    naive = text_of(naive_request(PROMPT, "q", segments, summaries))
    assert all(part in naive for part in segments + summaries)
    assert all(a > n + 200 for a, n in zip(shared(summary_request)[1:], shared(naive_request)[1:], strict=True))


def longest_fitting(room: int, count: int, *, size: int = 300) -> list[tuple[Cut, list[dict[str, Any]]]]:
    """The requests of a chain, each cut where it has to be, by the estimate."""
    segments = [f"{number} " + "segment " * (size // 8) for number in range(count)]
    summaries = [f"{number} " + "summary " * 6 for number in range(count)]
    cut, requests = Cut(), []
    for done in range(count):
        while True:
            request = summary_request(PROMPT, "q", segments, summaries[:done], cut=cut)
            if estimate_prompt(request) <= room:
                break
            deeper = deeper_cut(PROMPT, "q", segments, summaries[:done], room=room, cut=cut)
            assert deeper is not None
            assert (deeper.segments, deeper.summaries) > (cut.segments, cut.summaries)
            cut = deeper
        requests.append((cut, request))
    return requests


def test_cuts_are_rare_take_several_segments_and_keep_the_room() -> None:
    requests = longest_fitting(3500, 40)
    assert all(estimate_prompt(request) <= 3500 for _, request in requests)
    cuts = [cut for cut, _ in requests]
    changes = [after.segments - before.segments for before, after in pairwise(cuts) if after != before]
    assert changes
    assert len(changes) <= 10
    assert max(changes) > 3
    extended = sum(after[: len(before)] == before for (_, before), (_, after) in pairwise(requests))
    assert extended >= 30


def test_summaries_go_only_when_segments_are_not_enough() -> None:
    roomy = longest_fitting(3500, 12)
    assert all(cut.summaries == 0 for cut, _ in roomy)
    narrow = longest_fitting(1200, 40)
    assert narrow[-1][0].summaries > 0
    assert all(cut.summaries < max(cut.segments, 1) for cut, _ in narrow)


def test_nothing_more_can_go() -> None:
    assert deeper_cut(PROMPT, "q", ["a"], [], room=1) is None
    assert deeper_cut(PROMPT, "q", ["a", "b"], ["s"], room=1) == Cut(1)
    assert deeper_cut(PROMPT, "q", ["a", "b"], ["s"], room=1, cut=Cut(1)) is None


@given(st.lists(st.text(max_size=60), min_size=1, max_size=4))
@settings(deadline=None)
def test_no_byte_level_tokenizer_exceeds_the_bound(parts: list[str]) -> None:
    messages = [{"role": "user", "content": part} for part in parts]
    rendered = "".join(f"<|im_start|>user\n{part}<|im_end|>\n" for part in parts) + "<|im_start|>assistant\n"
    assert len(TOKENIZER.encode(rendered).ids) <= token_bound(messages)


def test_the_estimate_is_on_the_safe_side_for_prose_numbers_and_chinese() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("123456") == 6
    assert estimate_tokens("因此和是") >= 4
    assert estimate_tokens("therefore the sum of these is even") >= 7
