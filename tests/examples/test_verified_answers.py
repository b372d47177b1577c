"""The checks of examples/verified_answers.py: what they let through, and that the example runs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from datasets_build.synthetic import FAMILIES, generate
from inftythink_graph import Candidate

EXAMPLE = Path(__file__).parents[2] / "examples" / "verified_answers.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verified_answers_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("family", list(FAMILIES))
def test_checks_accept_what_is_right_and_hardly_anything_else(example: ModuleType, family: str) -> None:
    problems = list(generate(family, 20, seed=3, split="test", min_steps=5, max_steps=60))
    check = example.checker(problems)

    def accepts(question: str, answer: str | None) -> bool:
        return check(Candidate(question, answer, "", 1)).accepted

    for problem in problems:
        assert accepts(problem.question, problem.answer)
        assert not any(accepts(problem.question, answer) for answer in (None, "", "seven", "-1", "²"))
        right = int(problem.answer)
        passed = [claim for claim in range(max(right - 200, 0), right + 200) if accepts(problem.question, str(claim))]
        assert right in passed
        if family == "product":  # no proof: one wrong number in 990 has the same remainders
            assert len(passed) == 1
            assert accepts(problem.question, str(right + 9 * 10 * 11))
        else:
            assert passed == [right]


@pytest.mark.integration
def test_the_example_prints_a_line_for_every_way(example: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--count", "1", "--min-steps", "5", "--max-steps", "8", "--max-epochs", "4", "--temperature", "0.5"]
    outcomes = example.main(options)
    assert list(outcomes) == ["no verifier", "note", "restart"]
    assert all(found.right + found.wrong + found.none == len(FAMILIES) for found in outcomes.values())
    assert all(found.right >= outcomes["no verifier"].right for found in outcomes.values())
    assert "restart" in capsys.readouterr().out
