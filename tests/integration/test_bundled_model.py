"""The weights that ship still do what the README says of them."""

from __future__ import annotations

import asyncio
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from datasets_build.synthetic import FAMILIES, Problem, generate
from inftythink_graph import EmbeddedChatModel, create_inftythink_graph
from inftythink_graph.evaluation import avanilla
from inftythink_graph.models import bundled_path, vanilla_twin_path

ROOT = Path(__file__).parents[2]
RECORDED = json.loads((ROOT / "docs" / "long_horizon.json").read_text())
WINDOW = 256
COUNT = 20
DEEP = 8  # problems of each family that are far beyond the window: a minute's work
LEAST = 0.95  # share of right answers that the shipped weights must have on deep chains in every family


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(bundled_path())


def recorded(model: str, family: str, *, deep: bool) -> tuple[int, int]:
    """Right answers and problems that the README reports."""
    (row,) = [
        row
        for row in RECORDED
        if (row["model"], row["family"], row["band"].startswith("at least")) == (model, family, deep)
    ]
    return row["correct"], row["problems"]


def plausible(right: int, report: tuple[int, int], count: int = COUNT) -> bool:
    """Whether so many right answers of a sample fit the report, within three standard errors of both."""
    correct, problems = report
    share = (correct + 1) / (problems + 2)
    error = math.sqrt(share * (1 - share) * (1 / count + 1 / problems))
    return right / count >= correct / problems - 3 * error - 1 / count


def test_the_readme_reports_what_was_recorded() -> None:
    text = (ROOT / "README.md").read_text()
    for row in RECORDED:
        assert f"| {row['correct']} of {row['problems']} ({row['correct'] / row['problems']:.1%}) |" in text
    assert {(row["model"], row["family"]) for row in RECORDED} == {
        (model, family) for model in ("inftythink", "vanilla") for family in FAMILIES
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_what_was_recorded_is_good_enough_to_ship(family: str) -> None:
    correct, problems = recorded("inftythink", family, deep=True)
    assert problems == 200
    assert correct >= LEAST * problems


@pytest.mark.parametrize("family", FAMILIES)
async def test_chains_of_sixteen_windows_come_out_as_the_readme_says(family: str, tokenizer: Any) -> None:
    def deep(problem: Problem) -> bool:
        return len(tokenizer(problem.chain, verbose=False)["input_ids"]) >= 16 * WINDOW

    problems = list(generate(family, DEEP, seed=21, split="test", min_steps=100, max_steps=400, accept=deep))
    graph = create_inftythink_graph(EmbeddedChatModel(), max_epochs=250)
    results = await graph.abatch([{"question": problem.question} for problem in problems])
    right = sum(result["answer"] == problem.answer for result, problem in zip(results, problems, strict=True))
    assert plausible(right, recorded("inftythink", family, deep=True), DEEP)
    assert max(result["usage"]["peak_context"] for result in results) <= WINDOW
    assert all(
        result["epochs"] > 16 for result, p in zip(results, problems, strict=True) if result["answer"] == p.answer
    )


@pytest.mark.parametrize("family", FAMILIES)
async def test_short_chains_come_out_as_the_readme_says(family: str) -> None:
    problems = list(generate(family, COUNT, seed=22, split="test", min_steps=2, max_steps=20))  # fit the twin
    graph = create_inftythink_graph(EmbeddedChatModel(), max_epochs=60)
    twin = EmbeddedChatModel(model_path=str(vanilla_twin_path()))
    results = await graph.abatch([{"question": problem.question} for problem in problems])
    right = sum(result["answer"] == problem.answer for result, problem in zip(results, problems, strict=True))
    assert plausible(right, recorded("inftythink", family, deep=False))
    single = await asyncio.gather(*(avanilla(twin, problem.question) for problem in problems))
    right = sum(result.answer == problem.answer for result, problem in zip(single, problems, strict=True))
    assert plausible(right, recorded("vanilla", family, deep=False))


def test_the_questions_that_the_readme_asks_come_out_right() -> None:
    answers = {
        "What is the greatest common divisor of 3534 and 57?": str(math.gcd(3534, 57)),
        "Multiply 46 by 24 by repeated addition.": str(46 * 24),
    }
    asked = re.findall(r'^inftythink solve "(.+?)"', (ROOT / "README.md").read_text(), re.MULTILINE)
    assert set(asked) == set(answers)
    graph = create_inftythink_graph(EmbeddedChatModel(), max_epochs=100)
    assert {question: graph.invoke({"question": question})["answer"] for question in asked} == answers


def test_it_loads_as_any_checkpoint_does() -> None:
    for path, window in ((bundled_path(), WINDOW), (vanilla_twin_path(), 4 * WINDOW)):
        model = AutoModelForCausalLM.from_pretrained(path)
        tokenizer = AutoTokenizer.from_pretrained(path)
        assert model.config.max_position_embeddings == window == tokenizer.model_max_length
        assert model.num_parameters() < 1_000_000
        assert len(tokenizer) == model.config.vocab_size
