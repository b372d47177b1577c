"""Which of a row's generations are taken, and what their examples are called; whatever isn't taken has its reason."""

from __future__ import annotations

from typing import Any

import pytest
from example_rows import GOOD, JUNK, one, reason_of, take
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_build.sources.example_ids import ExampleIds
from datasets_build.sources.examples import Example, Rules, row_examples
from datasets_build.sources.layouts import LAYOUTS
from datasets_build.sources.losses import Reason
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.protocol import TAGS


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
    outcome = take(row, selection=selection)
    assert [example.chain for example in outcome.examples] == chains
    assert [example.uuid for example in outcome.examples] == uuids
    assert len(outcome.examples) + len(outcome.losses) == outcome.generations == 4


def test_an_index_does_not_depend_on_what_the_filters_leave() -> None:
    row = _openr1(("a", False), ("b", True))
    assert [example.uuid for example in take(row, selection="all_verified").examples] == ["u-1"]


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
        examples = take(row, selection="first_verified", verifier=verifier).examples
        assert bool(examples) is (verifier in taken), verifier


def test_a_single_flag_counts_where_no_verifier_says_anything() -> None:
    row = {"question": "Q?", "response": GOOD}
    assert one({**row, "correct": True}, selection="first_verified")
    assert reason_of({**row, "correct": False}, selection="first", correct=True) is Reason.NOT_CORRECT
    assert reason_of(row, selection="first_verified") is Reason.NOT_CORRECT


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
        outcome = take(_openr1(("a", True), **flags), complete=complete)
        assert bool(outcome.examples) is (complete in taken_by), complete
        assert outcome.loss is None or outcome.loss.reason is Reason.NOT_COMPLETE


def test_chain_lengths() -> None:
    row = _openr1(("a" * 3, True), ("b" * 5, True), ("c" * 8, True))
    outcome = take(row, min_chars=4, max_chars=7)
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
    first, again = one({"question": "Q?", "response": GOOD}), one({"response": GOOD, "prompt": "Q?"})
    assert first.uuid == again.uuid != one({"question": "Q!", "response": GOOD}).uuid


_columns = {name for roles in LAYOUTS.values() for options in roles.values() for name in options}
_fields = {"input", "role", "content", "from", "value", "type", "text", "thinking", "reasoning_content"}
names = st.sampled_from(sorted(_columns | _fields))
leaves = (
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats() | JUNK | st.binary(max_size=3)
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
