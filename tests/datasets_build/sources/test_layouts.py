"""Every layout of rows is read, and a row that fits none has its reason."""

from __future__ import annotations

from typing import Any

import pytest
from example_rows import GOOD, one, read_rows, reason_of, take

from datasets_build.sources.examples import Example
from datasets_build.sources.layouts import detect_layout, parse_columns
from datasets_build.sources.losses import Reason
from inftythink_graph.errors import InvalidInputError


def test_openr1() -> None:
    first, second, third = read_rows("openr1_rows.jsonl")
    outcome = take(first, selection="first_verified")
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
    assert one(second, selection="first_verified").answer == "2, 3, 5, 7"
    assert reason_of(third, selection="first_verified") is Reason.NOT_CORRECT


def test_openthoughts() -> None:
    row, torn = read_rows("openthoughts_rows.jsonl")
    example = one(row)
    assert example.question == row["conversations"][0]["value"]
    assert example.chain == "Seven eights: 8, 16, 24, 32, 40, 48, 56."
    assert example.conclusion == "Seven eights make \\boxed{56}."
    assert example.system == row["system"]
    assert one(row, system="drop").system == ""
    assert reason_of(torn) is Reason.INCOMPLETE_CHAIN


def test_openthoughts_metadata() -> None:
    examples = [one(row) for row in read_rows("openthoughts_metadata_rows.jsonl")]
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
    example = one(row)
    assert (example.question, example.chain, example.conclusion) == ("Q?", "A long chain.", "The end.")


def test_an_instruction_s_input_is_part_of_the_question() -> None:
    assert one({"instruction": "Add.", "input": "2 and 3", "output": GOOD}).question == "Add.\n\n2 and 3"


def test_columns_named_by_the_user_go_before_the_usual_names() -> None:
    row = {"question": "not this", "my_q": "Q?", "response": "nor this", "my_out": GOOD, "key": 7, "id": "wrong"}
    example = one(row, columns=parse_columns("question=my_q, generation=my_out,uuid=key"))
    assert (example.question, example.uuid) == ("Q?", "7")
    assert reason_of({"question": "Q?", "response": GOOD}, columns={"question": "gone"}) is Reason.UNKNOWN_LAYOUT
    assert one({"turns": _messages(("user", "Q?"), ("assistant", GOOD))["messages"]}, columns={"messages": "turns"})


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
    assert one(row).system == "Be brief.\n\nNo lists."
    assert one({**_messages(("user", "Q?"), ("assistant", GOOD)), "system": " S "}).system == "S"
    assert one(_messages(("system", ""), ("user", "Q?"), ("assistant", GOOD))).system == ""


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
    assert reason_of(row) is reason


def test_the_layouts_are_told_apart() -> None:
    found = {
        name: detect_layout(read_rows(f"{name}_rows.jsonl")[0])
        for name in ("openr1", "openthoughts", "openthoughts_metadata")
    }
    assert {name: columns and columns.layout for name, columns in found.items()} == {
        "openr1": "openr1",
        "openthoughts": "conversations",
        "openthoughts_metadata": "openthoughts-metadata",
    }
