"""The generation check: the graph solves held-out problems with the weights that the trainer holds."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from datasets_build.synthetic import generate
from inftythink_graph import EmbeddedChatModel
from inftythink_graph.models import ModelCard, bundled_path, vanilla_twin_path
from sft.generation_check import GenerationCheck, solve
from sft.held_out import HeldOutProblem

pytestmark = pytest.mark.integration


def _problems(number: int) -> list[HeldOutProblem]:
    drawn = generate("product", number, seed=1, split="test", min_steps=8, max_steps=16)
    return [HeldOutProblem(str(item.params), item.question, item.answer, 5) for item in drawn]


class _Trainer:
    """What the check needs of a trainer."""

    def __init__(self, folder: Path) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(folder)
        self.processing_class = AutoTokenizer.from_pretrained(folder)
        self.accelerator = SimpleNamespace(unwrap_model=lambda model, **_: model)
        self.logged: list[dict[str, float]] = []

    def log(self, logs: dict[str, float]) -> None:
        assert not self.model.training  # else TRL would close its training figures
        self.logged.append(logs)


def _check(folder: Path, number: int = 4, **options: Any) -> tuple[GenerationCheck, _Trainer]:
    trainer, card = _Trainer(folder), ModelCard.read(folder)
    assert card is not None
    return GenerationCheck(trainer, _problems(number), card, **{"every": 1, "max_epochs": 12, **options}), trainer


def test_a_trained_model_solves_its_problems_and_a_ruined_one_does_not() -> None:
    check, trainer = _check(bundled_path())
    trained = check.figures()
    assert trained["eval_generation_accuracy"] >= 0.75
    assert trained["eval_generation_malformed"] == 0
    assert 2 <= trained["eval_generation_epochs"] <= 12
    with torch.no_grad():  # the live weights are what is asked
        trainer.model.model.norm.weight.zero_()
    ruined = check.figures()
    assert ruined["eval_generation_accuracy"] == 0
    assert ruined["eval_generation_exhausted"] == 1


def test_problems_that_need_more_epochs_than_allowed_are_exhausted() -> None:
    check, _ = _check(bundled_path(), number=2, max_epochs=1)
    figures = check.figures()
    assert figures["eval_generation_exhausted"] == 1
    assert figures["eval_generation_epochs"] == 1


def test_a_vanilla_model_thinks_in_one_chain() -> None:
    check, _ = _check(vanilla_twin_path(), number=2)
    figures = check.figures()
    assert figures["eval_generation_epochs"] == 1
    assert figures["eval_generation_exhausted"] == 0


def test_it_leaves_random_states_and_modes_as_they_were() -> None:
    check, trainer = _check(bundled_path(), number=1, max_epochs=2)
    trainer.model.train()
    frozen = trainer.model.model.layers[0]
    frozen.eval()
    before = random.getstate(), torch.get_rng_state().tolist()
    check.figures()
    assert (random.getstate(), torch.get_rng_state().tolist()) == before
    assert trainer.model.training
    assert not frozen.training
    loss = trainer.model(input_ids=torch.tensor([[5, 6, 7]]), labels=torch.tensor([[5, 6, 7]])).loss
    loss.backward()  # nothing of the generation is left that training couldn't use
    assert trainer.model.model.norm.weight.grad is not None


def test_it_comes_at_every_so_many_evaluations_and_names_its_figures() -> None:
    check, trainer = _check(bundled_path(), number=1, every=2, max_epochs=1)
    metrics: dict[str, float] = {"eval_loss": 1.0}
    for evaluations, logs in ((1, 0), (2, 1), (3, 1), (4, 2)):
        state = SimpleNamespace(is_world_process_zero=True, log_history=[{"eval_loss": 1.0}] * evaluations)
        check.on_evaluate(None, state, None, metrics)
        assert len(trainer.logged) == logs
    assert metrics["eval_generation_exhausted"] == 1


@pytest.mark.parametrize("folder", [bundled_path(), vanilla_twin_path()], ids=["inftythink", "vanilla"])
def test_a_problem_that_does_not_fit_the_window_is_counted_and_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = ModelCard.read(folder)
    assert card is not None
    model = EmbeddedChatModel(model_path=str(folder))
    problems = [HeldOutProblem("a", "Why? " * 1000, "1", 1), HeldOutProblem("b", "Why? " * 1200, "1", 1)]
    solved = solve(model, problems, card, max_epochs=2)
    assert [(each.right, each.finished, each.epochs) for each in solved] == [(False, False, 0)] * 2
    assert capsys.readouterr().err.count("can't be asked") == 1
