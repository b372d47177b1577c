"""The text format: what is rendered, what is read back, and that nothing a model writes can break it."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inftythink_graph.protocol import TAGS, Message, Parsed, Protocol, neutralize, parse, parse_summary, question_text

NATIVE = Protocol()
AUTHORS = Protocol(history="assistant")
PROMPTED = Protocol(kind="prompted")
BOTH_HISTORIES = pytest.mark.parametrize("protocol", [NATIVE, AUTHORS], ids=["user", "assistant"])

_TAG = re.compile("|".join(map(re.escape, TAGS)))
_PARTS = st.sampled_from([*TAGS, "<thi", "nk>", "</", "<", "a", " ", "\n", "\\boxed{7}", "word"])
noise = st.one_of(st.text(), st.lists(_PARTS, max_size=20).map("".join))
reasons = st.sampled_from([None, "stop", "length", "repetition", "max_tokens", "tool_calls"])
# What a segment is: text with something in it and no tags, or parts of tags, of its own.
plain = st.text(alphabet=st.characters(exclude_characters="<", exclude_categories=["Cs"])).map(str.strip).filter(bool)


def _text(messages: list[Message]) -> str:
    return "\n".join(question_text(message["content"]) for message in messages)


# --- reading ---------------------------------------------------------------------------------------------------------


@settings(max_examples=500)
@given(noise, reasons, st.one_of(st.none(), noise))
def test_parsing_never_fails_and_leaves_no_tag(text: str, reason: str | None, reasoning: str | None) -> None:
    parsed = parse(text, reason, reasoning=reasoning)
    for part in (parsed.segment, parsed.summary, parsed.conclusion, parse_summary(text, reasoning=reasoning)):
        assert not _TAG.search(part)
        assert part == part.strip()
    assert bool(parsed.summary) == (parsed.kind == "summary")
    assert bool(parsed.conclusion) == (parsed.kind == "conclusion")
    if parsed.kind == "cut":
        assert parsed.segment


@pytest.mark.parametrize("text", [None, "", "  \n"])
def test_nothing_is_malformed(text: str | None) -> None:
    assert parse(text, "stop") == Parsed("malformed")
    assert parse(text, "length") == Parsed("malformed")
    assert parse_summary(text) == ""


@BOTH_HISTORIES
@given(segment=plain, ending=plain)
def test_a_completion_parses_back_to_what_it_was_made_of(protocol: Protocol, segment: str, ending: str) -> None:
    summarized = parse(protocol.completion(segment, summary=ending), "stop")
    assert summarized == Parsed("summary", segment=segment, summary=ending)
    concluded = parse(protocol.completion(segment, conclusion=ending), "stop")
    assert concluded == Parsed("conclusion", segment=segment, conclusion=ending)


@BOTH_HISTORIES
@given(segment=plain, ending=plain)
def test_where_the_template_opened_the_think_tag(protocol: Protocol, segment: str, ending: str) -> None:
    for end in ({"summary": ending}, {"conclusion": ending}):
        whole = protocol.completion(segment, **end)
        assert parse(whole.removeprefix("<think>\n"), "stop") == parse(whole, "stop")


@BOTH_HISTORIES
@settings(max_examples=60)
@given(segment=plain.map(lambda text: text[:20].strip()), ending=plain.map(lambda text: text[:20].strip()))
def test_cut_anywhere_a_summarized_epoch_keeps_what_there_is(protocol: Protocol, segment: str, ending: str) -> None:
    whole = protocol.completion(segment, summary=ending)
    reasoning_ends = whole.index("</think>")
    for position in range(len(whole)):
        parsed = parse(whole[:position], "length")
        assert segment.startswith(parsed.segment), position
        if position >= reasoning_ends:
            assert parsed.segment == segment
        assert parsed.kind in ("cut", "malformed", "summary"), position
        if parsed.kind == "summary":
            assert parsed.truncated == (position < whole.index("</summary>") + len("</summary>"))
            assert ending.startswith(parsed.summary)
        elif parsed.kind == "malformed":
            assert not parsed.segment


@BOTH_HISTORIES
@settings(max_examples=60)
@given(segment=plain.map(lambda text: text[:20].strip()), ending=plain.map(lambda text: text[:20].strip()))
def test_cut_anywhere_a_conclusion_is_known_to_be_cut(protocol: Protocol, segment: str, ending: str) -> None:
    whole = protocol.completion(segment, conclusion=ending)
    for position in range(len(whole)):
        parsed = parse(whole[:position], "length")
        assert segment.startswith(parsed.segment)
        assert parsed.kind in ("cut", "malformed", "conclusion")
        if parsed.kind == "conclusion":
            assert parsed.truncated
            assert ending.startswith(parsed.conclusion)


@pytest.mark.parametrize(
    ("text", "reason", "expected"),
    [
        ("<think>\nabc", "length", Parsed("cut", segment="abc")),
        ("<think>\nabc", "stop", Parsed("malformed", segment="abc")),
        ("<think>\nabc\n</think>", "length", Parsed("cut", segment="abc")),
        ("<think>\nabc\n</think>\n<summ", "length", Parsed("cut", segment="abc")),
        ("<think>\nabc\n</thi", "length", Parsed("cut", segment="abc")),
        ("<think>\nif x <t", "length", Parsed("cut", segment="if x <t")),
        ("<think>\nabc\n</thi", "stop", Parsed("malformed", segment="abc\n</thi")),
        ("plain words that go on", "length", Parsed("cut", segment="plain words that go on")),
        ("plain words", "stop", Parsed("conclusion", conclusion="plain words")),
        ("<summary>s</summary>", "stop", Parsed("summary", summary="s")),
        ("abc <summary>s", "stop", Parsed("summary", segment="abc", summary="s")),
        ("<think>a</think><summary></summary>", "stop", Parsed("malformed", segment="a")),
        # repeated, nested and stray tags
        ("<think><think>a</think></think>\nend", "stop", Parsed("conclusion", segment="a", conclusion="end")),
        ("<think>a</think>\nend\n</think>", "stop", Parsed("conclusion", segment="a", conclusion="end")),
        ("<think>a</think></think>", "stop", Parsed("malformed", segment="a")),
        ("<think>a</think><summary>x <summary>y</summary></summary>", "stop", Parsed("summary", "a", "x y")),
        ("<think>a</think><summary>see </think></summary>", "stop", Parsed("summary", "a", "see")),
        ("<history>h</history><think>a</think>end", "stop", Parsed("conclusion", segment="ha", conclusion="end")),
        ("<think>a<thi<think>nk>b</think>end", "stop", Parsed("conclusion", segment="a< think>b", conclusion="end")),
        # summarized and concluded all the same
        (
            "<think>a</think><summary>s</summary>\n\\boxed{7}",
            "stop",
            Parsed("conclusion", segment="a", conclusion="\\boxed{7}"),
        ),
        ("<think>a</think><summary>s</summary>\nbye", "stop", Parsed("summary", segment="a", summary="s")),
    ],
)
def test_readings(text: str, reason: str, expected: Parsed) -> None:
    assert parse(text, reason) == expected


@pytest.mark.parametrize(
    ("text", "reasoning", "reason", "expected"),
    [
        ("", "abc", "length", Parsed("cut", segment="abc")),
        ("", "abc", "stop", Parsed("malformed", segment="abc")),
        (None, "abc </thi", "length", Parsed("cut", segment="abc")),
        ("end", "abc", "stop", Parsed("conclusion", segment="abc", conclusion="end")),
        ("end", "abc", "length", Parsed("conclusion", segment="abc", conclusion="end", truncated=True)),
        ("<summary>\ns\n</summary>", "abc", "stop", Parsed("summary", segment="abc", summary="s")),
        ("<summary>\ns", "abc", "length", Parsed("summary", segment="abc", summary="s", truncated=True)),
        ("", "abc</think>end", "stop", Parsed("conclusion", segment="abc", conclusion="end")),
    ],
)
def test_reasoning_in_a_field_of_its_own(text: str | None, reasoning: str, reason: str, expected: Parsed) -> None:
    assert parse(text, reason, reasoning=reasoning) == expected


@pytest.mark.parametrize(
    ("reply", "reasoning", "summary"),
    [
        ("just words", None, "just words"),
        ("<summary>\ns\n</summary>", None, "s"),
        ("s\n</summary>", None, "s"),  # after a prefill that opened the tag
        ("<think>hm</think>\n<summary>s</summary> bye", None, "s"),
        ("hm</think>\ns", None, "s"),
        ("", "only reasoning", "only reasoning"),
        ("<think>only reasoning", None, "only reasoning"),
    ],
)
def test_reading_a_summary(reply: str, reasoning: str | None, summary: str) -> None:
    assert parse_summary(reply, reasoning=reasoning) == summary


def test_long_texts_are_read_in_linear_time() -> None:
    for text in ("</think>" * 50_000, "<think>" * 50_000, "<summary>" * 50_000, "<" * 400_000, "<thi<think>" * 40_000):
        parsed = parse(text, "length")
        assert not _TAG.search(parsed.segment + parsed.conclusion)


# --- writing ---------------------------------------------------------------------------------------------------------


def test_native_prompt_with_the_summary_after_the_question() -> None:
    assert NATIVE.render("Q") == [{"role": "user", "content": "Q"}]
    assert NATIVE.render("Q", "S") == [{"role": "user", "content": "Q\n\n<history>\nS\n</history>"}]


def test_native_prompt_as_in_the_authors_code() -> None:
    assert AUTHORS.render("Q") == [{"role": "user", "content": "Q"}]
    assert AUTHORS.render("Q", "S") == [
        {"role": "user", "content": "Q"},
        {"role": "assistant", "content": "<history>\nS\n</history>"},
    ]


def test_completions_of_both_variants() -> None:
    assert NATIVE.completion("r", summary="s") == "<think>\nr\n</think>\n<summary>\ns\n</summary>"
    assert NATIVE.completion("r", conclusion="c") == "<think>\nr\n</think>\n\nc"
    assert AUTHORS.completion("r", summary="s") == "<think>\nr\n</think><summary>\ns\n</summary>"
    assert AUTHORS.completion("r", conclusion="c") == "<think>\nr\n</think>\nc"


@pytest.mark.parametrize("ending", [{}, {"summary": "s", "conclusion": "c"}])
def test_a_completion_needs_exactly_one_ending(ending: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        NATIVE.completion("r", **ending)


@BOTH_HISTORIES
@pytest.mark.parametrize("summary", [None, "S"])
def test_a_rescue_prefill_and_its_rest_are_one_trained_completion(protocol: Protocol, summary: str | None) -> None:
    """What the reasoner asks for after a cut is the very text that a model writes by itself."""
    prefilled = protocol.render_summarize("Q", summary, "r", budget=9)
    normal = protocol.render("Q", summary)
    begun = normal[-1]["content"] if normal[-1]["role"] == "assistant" else ""
    assert prefilled[-1]["role"] == "assistant"
    whole = prefilled[-1]["content"] + protocol.rest_of_summary("s")
    assert whole == begun + protocol.completion("r", summary="s")
    assert prefilled[:-1] == [message for message in normal if message["role"] == "user"]


@BOTH_HISTORIES
def test_a_forced_answer_prefill_begins_a_conclusion(protocol: Protocol) -> None:
    for segment in ("", "r"):
        last = protocol.render_forced_answer("Q", "S", segment)[-1]
        assert last["role"] == "assistant"
        assert parse(last["content"] + "\\boxed{7}", "stop").conclusion == "\\boxed{7}"
    assert protocol.completion("r", conclusion="c").startswith(
        protocol.render_forced_answer("Q", None, "r")[-1]["content"]
    )


@pytest.mark.parametrize("protocol", [NATIVE, PROMPTED], ids=["native", "prompted"])
def test_requests_without_prefill_end_with_a_user_turn_that_says_it_all(protocol: Protocol) -> None:
    for messages in (
        protocol.render_summarize("QUESTION", "SUMMARY", "SEGMENT", budget=77, prefill=False),
        protocol.render_forced_answer("QUESTION", "SUMMARY", "SEGMENT", prefill=False),
    ):
        assert [message["role"] for message in messages] == ["user"]
        text = messages[0]["content"]
        assert text.index("QUESTION") < text.index("SUMMARY") < text.index("SEGMENT")
    assert "77 tokens" in _text(protocol.render_summarize("Q", None, "r", budget=77, prefill=False))


def test_the_prompted_protocol_says_the_format_in_words() -> None:
    first, later = PROMPTED.render("Q"), PROMPTED.render("Q", "S")
    assert "\\boxed{}" in _text(first)
    assert "history" not in _text(first)
    assert "<history>\nS\n</history>" in _text(later)
    assert _text(later).startswith(_text(first)), "the constant part comes first, for the server's prefix cache"
    assert PROMPTED.render_summarize("Q", "S", "r", budget=5)[-1]["role"] == "user"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"kind": "other"}, "'native', 'prompted'"),
        ({"history": "system"}, "'user', 'assistant'"),
        ({"kind": "prompted", "history": "assistant"}, "history='user'"),
    ],
)
def test_unknown_protocols_are_refused(options: dict[str, str], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Protocol(**options)


# --- what a question and a summary can't do --------------------------------------------------------------------------


@given(noise)
def test_neutralized_text_holds_no_tag_and_is_otherwise_the_same(text: str) -> None:
    broken = neutralize(text)
    assert not _TAG.search(broken)
    assert neutralize(broken) == broken
    if not _TAG.search(text):
        assert broken == text


@pytest.mark.parametrize("protocol", [NATIVE, AUTHORS, PROMPTED], ids=["user", "assistant", "prompted"])
@given(question=noise, summary=noise)
def test_a_question_or_a_summary_cannot_pose_as_the_format(protocol: Protocol, question: str, summary: str) -> None:
    found = _TAG.findall(_text(protocol.render(question, summary or None)))
    assert found == (["<history>", "</history>"] if summary else [])


def test_content_blocks_stay_blocks() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    question = ["What <think>is</think> this?", image, {"type": "text", "text": "<history>no</history>", "id": "t"}]
    (turn,) = NATIVE.render(question, "S")
    assert turn["content"] == [
        {"type": "text", "text": "What < think>is< /think> this?"},
        image,
        {"type": "text", "text": "< history>no< /history>", "id": "t"},
        {"type": "text", "text": "\n\n<history>\nS\n</history>"},
    ]
    assert question[2] == {"type": "text", "text": "<history>no</history>", "id": "t"}, "the input is left as it was"
    assert question_text(question) == "What <think>is</think> this?\n<history>no</history>"
    assert AUTHORS.render(question, "S")[-1] == {"role": "assistant", "content": "<history>\nS\n</history>"}
    for messages in (
        NATIVE.render_summarize(question, "S", "r", budget=5),
        PROMPTED.render_summarize(question, "S", "r", budget=5),
        PROMPTED.render_forced_answer(question, "S"),
    ):
        assert image in messages[0]["content"]


def test_a_question_in_one_block_of_text_is_asked_like_plain_text() -> None:
    block = {"type": "text", "text": "Q"}
    (turn,) = NATIVE.render([block], "S")
    assert turn["content"] == [{"type": "text", "text": NATIVE.render("Q", "S")[0]["content"]}]
    assert block == {"type": "text", "text": "Q"}, "the input is left as it was"


@pytest.mark.parametrize("protocol", [NATIVE, AUTHORS, PROMPTED], ids=["user", "assistant", "prompted"])
def test_a_prompt_is_as_long_as_question_and_summary_whatever_the_depth(protocol: Protocol) -> None:
    """The paper's bound: nothing of earlier segments is carried along but the summary."""
    overhead = len(_text(protocol.render("q", "s"))) - 2
    summary = "s" * 50
    for epoch in range(200):
        messages = protocol.render("q" * 100, summary)
        assert len(_text(messages)) == overhead + 150
        answer = protocol.completion(f"segment {epoch} " * 50, summary=f"{epoch}".ljust(50, "x"))
        summary = parse(answer, "stop").summary
        assert len(summary) == 50


def test_the_tags_are_six() -> None:
    names = ("think", "summary", "history")
    assert set(TAGS) == {f"<{slash}{name}>" for slash, name in itertools.product(("", "/"), names)}
