"""Tasks from local files: what is found, how it is asked, and what a file must not lack."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from shared_data import shared_file, shared_rows

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.sources import HUB_TASKS
from inftythink_graph.evaluation.tasks import CHOICE_PROMPT, MATH_PROMPT, Task, load_task

GPQA = {
    "Question": "What holds?\nThink.",
    "Correct Answer": " right \n",
    "Incorrect Answer 1": "wrong",
    "Incorrect Answer 2": "worse",
    "Incorrect Answer 3": "worst",
    "Record ID": "rec06pnAkLOr2t2mp",
    "High-level domain": "Physics",
    "Subdomain": "Astrophysics",
    "Explanation": "long",
}


def _write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def _load(tmp_path: Path, *rows: Any, **options: Any) -> Task:
    return load_task(str(_write(tmp_path / "mine.jsonl", *rows)), **options)


# --- the benchmarks in local files -----------------------------------------------------------------------------------


def test_math500_from_a_local_file() -> None:
    path = shared_file("math500.jsonl")
    task = load_task(f"math500={path}")
    rows = shared_rows("math500.jsonl")
    assert (task.name, task.source, len(task.questions)) == ("math500", str(path), 500)
    assert task.revision == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert [question.id for question in task.questions] == [row["unique_id"] for row in rows]
    assert [question.gold for question in task.questions] == [row["answer"] for row in rows]
    first = task.questions[0]
    assert (
        first.text
        == f"{rows[0]['problem']}\n\nPlease reason step by step, and put your final answer within \\boxed{{}}."
    )
    assert first.meta == {"subject": "Precalculus", "level": 2}
    assert {question.kind for question in task.questions} == {"math"}
    assert len(Counter(question.meta["subject"] for question in task.questions)) == 7


def test_aime24_from_a_local_file_and_the_same_file_by_its_path() -> None:
    path = shared_file("aime24.jsonl")
    task, plain = load_task(f"aime24={path}"), load_task(str(path))
    assert [question.id for question in task.questions] == [str(number) for number in range(60, 90)]
    assert [(q.id, q.text, q.gold) for q in plain.questions] == [(q.id, q.text, q.gold) for q in task.questions]
    assert plain.name == "aime24"


def test_a_limit_takes_the_first_questions() -> None:
    path = shared_file("math500.jsonl")
    few = load_task(f"math500={path}", limit=7)
    assert few.questions == load_task(f"math500={path}").questions[:7]
    assert few.revision == load_task(f"math500={path}").revision


def test_gpqa_in_its_own_columns(tmp_path: Path) -> None:
    rows = [{**GPQA, "Record ID": f"rec{number}"} for number in range(30)]
    path = _write(tmp_path / "gpqa.jsonl", *rows)
    task = load_task(f"gpqa_diamond={path}", seed=3)
    assert {question.kind for question in task.questions} == {"choice"}
    assert task.prompt == CHOICE_PROMPT
    for question in task.questions:
        assert re.match(r"What holds\?\nThink\.\n\nA\) \w+\nB\) \w+\nC\) \w+\nD\) \w+\n\n", question.text)
        assert f"\n{question.gold}) right\n" in question.text
        assert question.meta["options"]["ABCD".index(question.gold)] == "right"
        assert {**question.meta, "options": 0} == {"subject": "Physics", "subdomain": "Astrophysics", "options": 0}
    assert len({question.gold for question in task.questions}) == 4
    # Independent of the order of the rows and of the limit.
    backwards = load_task(f"gpqa_diamond={_write(tmp_path / 'b.jsonl', *rows[::-1])}", seed=3, limit=9)
    assert backwards.questions == task.questions[:-10:-1]
    assert load_task(f"gpqa_diamond={path}", seed=4).questions != task.questions


# --- files of one's own ----------------------------------------------------------------------------------------------


def test_columns_are_found_by_their_names(tmp_path: Path) -> None:
    task = _load(tmp_path, {"question": " 1+1? ", "gold": 2, "topic": "sums", "text": "x" * 200, "hard": False})
    (question,) = task.questions
    assert (task.name, task.prompt) == ("mine", MATH_PROMPT)
    assert (question.id, question.gold, question.kind) == ("1", "2", "math")
    assert question.text.startswith("1+1?\n\nPlease")
    assert question.meta == {"topic": "sums", "hard": False}


def test_options_are_found_by_their_name(tmp_path: Path) -> None:
    row = {"id": 5, "question": "Which?", "choices": ["red", 7, "blue"], "answer": "blue"}
    (question,) = _load(tmp_path, row, seed=1).questions
    assert question.kind == "choice"
    assert f"{question.gold}) blue" in question.text
    (named,) = _load(tmp_path, {**row, "answer": "C"}, seed=1).questions
    assert named == question


def test_a_prompt_of_ones_own_leaves_braces_alone(tmp_path: Path) -> None:
    row = {"question": "What is {problem} in $\\{1\\}$?", "answer": "1"}
    task = _load(tmp_path, row, prompt="Q: {problem}\nUse \\boxed{} and {this}.")
    assert task.questions[0].text == "Q: What is {problem} in $\\{1\\}$?\nUse \\boxed{} and {this}."
    assert task.prompt == "Q: {problem}\nUse \\boxed{} and {this}."


def test_blank_lines_and_a_byte_order_mark_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"question": "a?", "answer": "1"}\r\n\n  \n{"question": "b?", "answer": "2"}')
    assert [question.gold for question in load_task(str(path)).questions] == ["1", "2"]


GOOD = {"id": "a", "question": "q?", "answer": "1"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no questions"),
        ([{"answer": "1"}], "line 1 has no question: a column question or problem; it has answer"),
        ([{"problem": "q?"}], "line 1 has no answer: a column answer or gold; it has problem"),
        ([GOOD, {"id": "b", "question": "q?"}], "line 2 lacks answer; it has id, question"),
        ([GOOD, {"question": "q?", "answer": "1"}], "line 2 lacks id"),
        ([GOOD, {**GOOD, "id": "b", "question": " \n"}], "line 2: question is empty"),
        ([GOOD, {**GOOD, "id": "b", "answer": ""}], "line 2: answer is empty"),
        ([GOOD, {**GOOD, "id": "b", "answer": None}], "line 2: answer must be text or a number, not null"),
        ([GOOD, {**GOOD, "id": "b", "answer": ["1"]}], "line 2: answer must be text or a number, not a list"),
        ([{**GOOD, "answer": True}], "line 1: answer must be text or a number, not true or false"),
        ([GOOD, {**GOOD, "id": "b"}, GOOD], "line 3 has the id 'a', which mine.jsonl, line 1 has as well"),
        ([GOOD, ["q?", "1"]], "line 2 is no object with columns, but a list"),
        ([{**GOOD, "options": "red"}], "line 1: options must be a list of texts, not text"),
        ([{**GOOD, "options": ["1"]}], "line 1: 1 options, allowed are 2 to 10"),
        ([{**GOOD, "options": ["1", ""]}], r"line 1: options\[1\] is empty"),
        ([{**GOOD, "options": ["2", "3"]}], "line 1: the answer '1' names no option: give a letter from A to B"),
    ],
)
def test_errors_name_the_line_and_what_is_missing(tmp_path: Path, rows: list[Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        _load(tmp_path, *rows)


@pytest.mark.parametrize("line", [b"{", b"\xff\xfe", b'{"question": "q?", "answer": "1"} x', b"[" * 100_000])
def test_a_line_that_is_no_json_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "torn.jsonl"
    path.write_bytes(b'{"question": "q?", "answer": "1"}\n' + line)
    with pytest.raises(InvalidInputError, match=r"torn\.jsonl, line 2 isn't JSON"):
        load_task(str(path))


@pytest.mark.parametrize("name", ["math5000", "no/such/file.jsonl", "math500=no/such/file.jsonl", "gsm8k=x.jsonl", ""])
def test_unknown_names_are_told_what_there_is(name: str) -> None:
    with pytest.raises(InvalidInputError, match="math500, aime24, aime25, gpqa_diamond") as caught:
        load_task(name)
    assert "collatz, gcd, product" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_out_of_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="limit must be at least 1, got 0"):
        _load(tmp_path, GOOD, limit=0)
    with pytest.raises(InvalidInputError, match=r"must contain \{problem\}"):
        _load(tmp_path, GOOD, prompt="Answer!")


def test_revisions_are_whole_commits() -> None:
    assert all(re.fullmatch(r"[0-9a-f]{40}", source.revision) for source in HUB_TASKS.values())


def test_importing_tasks_loads_nothing_heavy() -> None:
    code = (
        "import sys, inftythink_graph.evaluation.tasks, inftythink_graph.evaluation.scoring\n"
        "heavy = ('datasets', 'torch', 'transformers', 'matplotlib', 'numpy', 'datasets_build', 'math_verify')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
