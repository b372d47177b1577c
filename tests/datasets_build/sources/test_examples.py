"""Rows to examples: every layout is read, and whatever isn't taken has its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_build.sources.example_ids import ExampleIds
from datasets_build.sources.examples import Example, Outcome, Rules, row_examples
from datasets_build.sources.generations import Generation, split_generation
from datasets_build.sources.layouts import LAYOUTS, detect_layout, parse_columns
from datasets_build.sources.losses import Loss, Reason
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.protocol import TAGS, Protocol, parse

DATA = Path(__file__).parents[2] / "data"
GOOD = "<think>\nA long chain.\n</think>\n\nThe end."


def _rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text().splitlines()]


def _take(row: object, **rules: Any) -> Outcome:
    return row_examples(row, Rules(**{"selection": "all", **rules}), "set")


def _one(row: object, **rules: Any) -> Example:
    (example,) = _take(row, **rules).examples
    return example


def _reason(row: object, **rules: Any) -> Reason:
    outcome = _take(row, **rules)
    assert not outcome.examples
    assert outcome.loss is not None
    return outcome.loss.reason


# --- splitting a generation ------------------------------------------------------------------------------------------


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


pieces = st.sampled_from(
    [*TAGS, "<|begin_of_thought|>", "<|end_of_thought|>", "<|begin_of_solution|>", "\n", " ", "a", "\ud800"]
)
junk_text = st.lists(pieces | st.text(max_size=4), max_size=8).map("".join)


@settings(max_examples=300)
@given(text=junk_text | st.none(), reasoning=junk_text | st.none())
def test_what_is_taken_replays_as_the_reasoner_reads_it(text: str | None, reasoning: str | None) -> None:
    split = split_generation(text, reasoning)
    if isinstance(split, Loss):
        return
    assert split.chain == split.chain.strip() != ""
    assert split.conclusion == split.conclusion.strip() != ""
    assert not any(tag in part for part in (split.chain, split.conclusion) for tag in TAGS)
    parsed = parse(Protocol().completion(split.chain, conclusion=split.conclusion), "stop")
    assert (parsed.kind, parsed.segment, parsed.conclusion) == ("conclusion", split.chain, split.conclusion)


# --- layouts ---------------------------------------------------------------------------------------------------------


def test_openr1() -> None:
    first, second, third = _rows("openr1_rows.jsonl")
    outcome = _take(first, selection="first_verified")
    (example,) = outcome.examples
    assert example == Example(
        uuid=first["uuid"],
        source="set",
        question=first["problem"],
        chain=example.chain,
        conclusion="Counting on from 2 gives \\(\\boxed{5}\\).",
        answer="5",
    )
    assert f"<think>\n{example.chain}\n</think>\n\n{example.conclusion}" == first["generations"][1]
    assert (outcome.generations, [loss.reason for loss in outcome.losses]) == (
        3,
        [Reason.NOT_CORRECT, Reason.NOT_TAKEN],
    )
    assert _one(second, selection="first_verified").answer == "2, 3, 5, 7"
    assert _reason(third, selection="first_verified") is Reason.NOT_CORRECT


def test_openthoughts() -> None:
    row, torn = _rows("openthoughts_rows.jsonl")
    example = _one(row)
    assert example.question == row["conversations"][0]["value"]
    assert example.chain == "Seven eights: 8, 16, 24, 32, 40, 48, 56."
    assert example.conclusion == "Seven eights make \\boxed{56}."
    assert example.system == row["system"]
    assert _one(row, system="drop").system == ""
    assert _reason(torn) is Reason.INCOMPLETE_CHAIN


def test_openthoughts_metadata() -> None:
    examples = [_one(row) for row in _rows("openthoughts_metadata_rows.jsonl")]
    assert examples[0].chain == "Seven eights: 8, 16, 24, 32, 40, 48, 56."
    assert [example.answer for example in examples] == ["$7 \\cdot 8 = \\boxed{56}$", None]
    assert examples[1].conclusion.startswith("```python")


def _messages(*turns: tuple[str, Any], **fields: Any) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": role, "content": content} for role, content in turns]
    messages[-1].update(fields)
    return {"messages": messages}


@pytest.mark.parametrize(
    "row",
    [
        _messages(("user", "Q?"), ("assistant", GOOD)),
        *(
            _messages(("user", "Q?"), ("assistant", "The end."), **{name: "A long chain."})
            for name in ("reasoning_content", "reasoning", "thinking")
        ),
        _messages(("user", [{"type": "text", "text": "Q?"}]), ("assistant", [{"type": "text", "text": GOOD}])),
        {"conversations": [{"from": "human", "value": "Q?"}, {"from": "gpt", "value": GOOD}]},
        {"question": "Q?", "generation": GOOD},
        {"problem": "Q?", "generations": [GOOD]},
        {"prompt": "Q?", "completion": GOOD},
        {"instruction": "Q?", "input": "", "output": GOOD},
        {"question": "Q?", "reasoning": GOOD},
        {"question": "Q?", "reasoning": "A long chain.", "response": "The end."},
        {"prompt": [{"role": "user", "content": "Q?"}], "completion": [{"role": "assistant", "content": GOOD}]},
        {"prompt": [{"role": "user", "content": "Q?"}], "completion": GOOD},
    ],
    ids=lambda row: "+".join(row),
)
def test_generic_layouts(row: dict[str, Any]) -> None:
    example = _one(row)
    assert (example.question, example.chain, example.conclusion) == ("Q?", "A long chain.", "The end.")


def test_an_instruction_s_input_is_part_of_the_question() -> None:
    assert _one({"instruction": "Add.", "input": "2 and 3", "output": GOOD}).question == "Add.\n\n2 and 3"


def test_columns_named_by_the_user_go_before_the_usual_names() -> None:
    row = {"question": "not this", "my_q": "Q?", "response": "nor this", "my_out": GOOD, "key": 7, "id": "wrong"}
    example = _one(row, columns=parse_columns("question=my_q, generation=my_out,uuid=key"))
    assert (example.question, example.uuid) == ("Q?", "7")
    assert _reason({"question": "Q?", "response": GOOD}, columns={"question": "gone"}) is Reason.UNKNOWN_LAYOUT
    assert _one({"turns": _messages(("user", "Q?"), ("assistant", GOOD))["messages"]}, columns={"messages": "turns"})


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("question", "must look like question=NAME"),
        ("question=", "must look like"),
        ("qestion=a", "unknown column role 'qestion'; allowed: question, generation"),
        ("question=a,question=b", "named twice"),
    ],
)
def test_wrong_columns_are_refused(text: str, match: str) -> None:
    with pytest.raises(InvalidInputError, match=match):
        parse_columns(text)


def test_system_turns_are_kept() -> None:
    row = _messages(("system", "Be brief."), ("developer", "No lists."), ("user", "Q?"), ("assistant", GOOD))
    assert _one(row).system == "Be brief.\n\nNo lists."
    assert _one({**_messages(("user", "Q?"), ("assistant", GOOD)), "system": " S "}).system == "S"
    assert _one(_messages(("system", ""), ("user", "Q?"), ("assistant", GOOD))).system == ""


U, A = ("user", "Q?"), ("assistant", GOOD)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (None, Reason.NOT_AN_OBJECT),
        ([1], Reason.NOT_AN_OBJECT),
        ({}, Reason.UNKNOWN_LAYOUT),
        ({"text": "x"}, Reason.UNKNOWN_LAYOUT),
        ({"question": "Q?"}, Reason.UNKNOWN_LAYOUT),
        ({"question": None, "response": GOOD}, Reason.NO_QUESTION),
        ({"question": " ", "response": GOOD}, Reason.NO_QUESTION),
        ({"question": 3, "response": GOOD}, Reason.BAD_QUESTION),
        ({"question": "a <think> b", "response": GOOD}, Reason.QUESTION_TAGS),
        ({"question": "Q?", "system": 3, "response": GOOD}, Reason.BAD_SYSTEM),
        ({"question": "Q?", "response": None}, Reason.NULL_GENERATION),
        ({"question": "Q?", "response": "No tags."}, Reason.NO_CHAIN),
        ({"question": "Q?", "reasoning": "Only the chain."}, Reason.EMPTY_CONCLUSION),
        ({"problem": "Q?", "generations": []}, Reason.NO_GENERATIONS),
        ({"problem": "Q?", "generations": [None, None]}, Reason.NULL_GENERATION),
        ({"problem": "Q?", "generations": [None, ""]}, Reason.SEVERAL_REASONS),
        ({"problem": "Q?", "generations": [GOOD], "correctness_math_verify": [True, True]}, Reason.FLAGS_MISMATCH),
        ({"problem": "Q?", "generations": [GOOD], "correctness_math_verify": ["yes"]}, Reason.BAD_FLAGS),
        ({"problem": "Q?", "generations": [GOOD], "finish_reasons": [3]}, Reason.BAD_FLAGS),
        ({"question": "Q?", "responses": [GOOD, GOOD], "reasoning": ["c"]}, Reason.FLAGS_MISMATCH),
        ({"messages": None}, Reason.BAD_MESSAGES),
        ({"messages": "Q?"}, Reason.BAD_MESSAGES),
        ({"messages": ["Q?", "A"]}, Reason.BAD_MESSAGES),
        ({"messages": []}, Reason.NO_ASSISTANT),
        (_messages(U), Reason.NO_ASSISTANT),
        (_messages(A), Reason.NO_QUESTION),
        (_messages(U, A, U, A), Reason.SEVERAL_TURNS),
        (_messages(U, A, A), Reason.SEVERAL_TURNS),
        (_messages(U, U, A), Reason.SEVERAL_TURNS),
        (_messages(U, ("system", "S"), A), Reason.SEVERAL_TURNS),
        (_messages(U, ("tool", "x"), A), Reason.OTHER_ROLES),
        (_messages(("user", None), A), Reason.NO_QUESTION),
        (_messages(("user", [{"type": "image"}]), A), Reason.BAD_QUESTION),
        (_messages(U, ("assistant", None)), Reason.NULL_GENERATION),
        (_messages(U, ("assistant", [{"type": "image"}])), Reason.BAD_GENERATION),
    ],
)
def test_rows_that_can_not_be_used_have_their_reason(row: object, reason: Reason) -> None:
    assert _reason(row) is reason


# --- selection and filters -------------------------------------------------------------------------------------------


def _openr1(*generations: tuple[str, bool], **columns: Any) -> dict[str, Any]:
    texts = [f"<think>{chain}</think>end" for chain, _ in generations]
    return {"problem": "Q?", "generations": texts, "correctness_math_verify": [ok for _, ok in generations],
            "uuid": "u", **columns}  # fmt: skip


@pytest.mark.parametrize(
    ("selection", "chains", "uuids"),
    [
        ("first", ["cc"], ["u"]),
        ("first_verified", ["bbbb"], ["u"]),
        ("shortest_verified", ["aaa"], ["u"]),
        ("all_verified", ["bbbb", "aaa", "ddd"], ["u-1", "u-2", "u-3"]),
        ("all", ["cc", "bbbb", "aaa", "ddd"], ["u-0", "u-1", "u-2", "u-3"]),
    ],
)
def test_selections(selection: str, chains: list[str], uuids: list[str]) -> None:
    row = _openr1(("cc", False), ("bbbb", True), ("aaa", True), ("ddd", True))
    outcome = _take(row, selection=selection)
    assert [example.chain for example in outcome.examples] == chains
    assert [example.uuid for example in outcome.examples] == uuids
    assert len(outcome.examples) + len(outcome.losses) == outcome.generations == 4


def test_an_index_does_not_depend_on_what_the_filters_leave() -> None:
    row = _openr1(("a", False), ("b", True))
    assert [example.uuid for example in _take(row, selection="all_verified").examples] == ["u-1"]


@pytest.mark.parametrize(
    ("math", "llama", "taken"),
    [
        (True, None, {"fallback", "math_verify", "either"}),
        (False, True, {"llama", "either"}),
        (None, True, {"fallback", "llama", "either"}),
        (True, False, {"fallback", "math_verify", "either"}),
        (None, None, set()),
        (False, False, set()),
    ],
)
def test_who_verifies(math: bool | None, llama: bool | None, taken: set[str]) -> None:
    row = _openr1(("a", True), correctness_llama=[llama]) | {"correctness_math_verify": [math]}
    for verifier in ("fallback", "math_verify", "llama", "either"):
        examples = _take(row, selection="first_verified", verifier=verifier).examples
        assert bool(examples) is (verifier in taken), verifier


def test_a_single_flag_counts_where_no_verifier_says_anything() -> None:
    row = {"question": "Q?", "response": GOOD}
    assert _one({**row, "correct": True}, selection="first_verified")
    assert _reason({**row, "correct": False}, selection="first", correct=True) is Reason.NOT_CORRECT
    assert _reason(row, selection="first_verified") is Reason.NOT_CORRECT


@pytest.mark.parametrize(
    ("flags", "taken_by"),
    [
        ({}, {None, False}),
        ({"is_reasoning_complete": [True]}, {None, True, False}),
        ({"is_reasoning_complete": [False]}, {False}),
        ({"finish_reasons": ["stop"]}, {None, True, False}),
        ({"finish_reasons": ["length"]}, {False}),
        ({"is_reasoning_complete": [True], "finish_reasons": ["length"]}, {False}),
        ({"is_reasoning_complete": [True], "finish_reasons": None}, {None, True, False}),
        ({"is_reasoning_complete": [None], "finish_reasons": [None]}, {None, False}),
    ],
)
def test_completeness(flags: dict[str, Any], taken_by: set[bool | None]) -> None:
    for complete in (None, True, False):
        outcome = _take(_openr1(("a", True), **flags), complete=complete)
        assert bool(outcome.examples) is (complete in taken_by), complete
        assert outcome.loss is None or outcome.loss.reason is Reason.NOT_COMPLETE


def test_chain_lengths() -> None:
    row = _openr1(("a" * 3, True), ("b" * 5, True), ("c" * 8, True))
    outcome = _take(row, min_chars=4, max_chars=7)
    assert [example.chain for example in outcome.examples] == ["bbbbb"]
    assert [loss.reason for loss in outcome.losses] == [Reason.TOO_SHORT, Reason.TOO_LONG]


@pytest.mark.parametrize(
    ("rules", "match"),
    [
        ({"selection": "best"}, "selection 'best' is unknown; allowed: first_verified, shortest_verified"),
        ({"verifier": "me"}, "verifier 'me' is unknown"),
        ({"layout": "csv"}, "layout 'csv' is unknown; allowed: auto, openr1"),
        ({"system": "x"}, "allowed: keep, drop"),
        ({"min_chars": 0}, "min_chars must be at least 1"),
        ({"min_chars": 9, "max_chars": 8}, "max_chars must be at least min_chars"),
        ({"columns": {"q": "x"}}, "unknown column role 'q'"),
    ],
)
def test_wrong_rules_are_refused(rules: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidInputError, match=match):
        Rules(**rules)


# --- ids -------------------------------------------------------------------------------------------------------------


def _example(uuid: str, chain: str) -> Example:
    return Example(uuid, "set", "Q?", chain, "end")


def test_ids_are_unique_and_stay_the_same() -> None:
    examples = [_example("u", "a"), _example("u", "b"), _example("u", "a"), _example("u", "b"), _example("v", "a")]
    given, again = ([ids.give(example) for example in examples] for ids in (ExampleIds(), ExampleIds()))
    assert given == again
    assert given[0] == "u"
    assert str(given[1]).startswith("u-")
    assert given[2:] == [None, None, "v"], "same id and same content: a duplicate"


@given(st.lists(st.tuples(st.sampled_from(["u", "u-1", "v"]), st.sampled_from("abc")), max_size=20))
def test_every_content_of_every_id_gets_one_id(items: list[tuple[str, str]]) -> None:
    ids = ExampleIds()
    given = [uuid for item in items if (uuid := ids.give(_example(*item))) is not None]
    assert len(given) == len(set(given)) == len(set(items))


def test_a_row_without_id_is_called_by_its_content() -> None:
    first, again = _one({"question": "Q?", "response": GOOD}), _one({"response": GOOD, "prompt": "Q?"})
    assert first.uuid == again.uuid != _one({"question": "Q!", "response": GOOD}).uuid


# --- anything at all -------------------------------------------------------------------------------------------------

_columns = {name for roles in LAYOUTS.values() for options in roles.values() for name in options}
_fields = {"input", "role", "content", "from", "value", "type", "text", "thinking", "reasoning_content"}
names = st.sampled_from(sorted(_columns | _fields))
leaves = (
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats() | junk_text | st.binary(max_size=3)
    | st.sampled_from([GOOD, "user", "human", "assistant", "gpt", "system", "stop", "length", "text"])
)  # fmt: skip
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=12
)
junk_rows = values | st.dictionaries(names | st.integers(), values, max_size=6)
all_rules = st.builds(
    Rules,
    selection=st.sampled_from(["first_verified", "shortest_verified", "all_verified", "first", "all"]),
    verifier=st.sampled_from(["fallback", "math_verify", "llama", "either"]),
    complete=st.sampled_from([None, True, False]),
    layout=st.sampled_from(["auto", *LAYOUTS]),
)


@settings(max_examples=400, deadline=None)
@given(row=junk_rows, rules=all_rules)
def test_no_row_raises_and_every_row_has_examples_or_a_reason(row: object, rules: Rules) -> None:
    outcome = row_examples(row, rules, "set")
    assert bool(outcome.examples) is (outcome.loss is None)
    assert len(outcome.examples) + len(outcome.losses) == outcome.generations
    for example in outcome.examples:
        for text in (example.question, example.chain, example.conclusion):
            assert text == text.strip() != ""
            assert not any(tag in text for tag in TAGS)
            text.encode()
        example.uuid.encode()
        example.system.encode()


def test_the_layouts_are_told_apart() -> None:
    found = {
        name: detect_layout(_rows(f"{name}_rows.jsonl")[0])
        for name in ("openr1", "openthoughts", "openthoughts_metadata")
    }
    assert {name: columns and columns.layout for name, columns in found.items()} == {
        "openr1": "openr1",
        "openthoughts": "conversations",
        "openthoughts_metadata": "openthoughts-metadata",
    }
