"""Solving a few held-out problems with the current weights while a run goes on.

The loss says how well tokens are predicted given the right ones before them; whether the model gets through a chain on
its own is another question. The problems are solved by the very graph that users run, greedily and within bounds.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accelerate.utils import broadcast_object_list
from langchain_core.exceptions import ContextOverflowError
from langchain_core.runnables import Runnable, RunnableLambda
from transformers import TrainerCallback

from inftythink_graph import EmbeddedChatModel, create_inftythink_graph
from inftythink_graph.answers import MissingExtraError, answers_equal, gold_verifier
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation import VanillaResult, vanilla
from inftythink_graph.models.base import ModelCard
from sft.held_out import HeldOutProblem
from sft.random_states import kept_random_states

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["GenerationCheck", "Solved", "solve"]


@dataclass(frozen=True, slots=True)
class Solved:
    """How one problem went.

    Attributes:
        right: the answer is the known one.
        malformed: the share of its epochs whose completion was neither summary nor conclusion nor a cut segment.
        finished: it came to a conclusion by itself: within its epochs, or within the window for a single chain.
        epochs: segments that it took.
    """

    right: bool
    malformed: float
    finished: bool
    epochs: int


def solve(
    chat: EmbeddedChatModel, problems: Sequence[HeldOutProblem], card: ModelCard, *, max_epochs: int
) -> list[Solved]:
    """Solve problems greedily, all at once.

    Args:
        chat: the model.
        problems: what to solve.
        card: how the model is used.
        max_epochs: most segments of a problem.
    """
    ask: Runnable[Any, Any] = (
        RunnableLambda(lambda asked: vanilla(chat, asked["question"], temperature=0.0))
        if card.method == "vanilla"
        else create_inftythink_graph(
            chat,
            max_epochs=max_epochs,
            temperature=0.0,
            on_exhausted="return",
            keep_trace=True,
            stall_after=max_epochs + 1,
        )
    )
    results = ask.batch(
        [{"question": problem.question} for problem in problems],
        config={"max_concurrency": len(problems)},
        return_exceptions=True,
    )
    solved: list[Solved] = []
    for result, problem in zip(results, problems, strict=True):
        # Its prompt leaves no room in the window, as the graph says it and as a model says it.
        if isinstance(result, InvalidInputError | ContextOverflowError):
            if not any(each.epochs == 0 for each in solved):
                print(f"sft.train: a problem of the generation check can't be asked: {result}", file=sys.stderr)
            solved.append(Solved(False, 0.0, False, 0))
            continue
        if isinstance(result, BaseException):
            raise result
        if isinstance(result, VanillaResult):
            broken_off = not result.cut and not result.conclusion
            solved.append(Solved(_right(result.answer, problem), float(broken_off), not result.cut, 1))
            continue
        broken = [record["kind"] == "malformed" for record in result["trace"]]
        finished = result["status"] == "answered"
        right = finished and _right(result["answer"], problem)
        solved.append(Solved(right, sum(broken) / len(broken), finished, result["epochs"]))
    return solved


def _right(answer: str | None, problem: HeldOutProblem) -> bool:
    try:
        return answers_equal(answer, problem.answer)
    except MissingExtraError:  # an answer in algebra to a question whose known answer is a plain number or word
        return False


@contextmanager
def _at_rest(model: PreTrainedModel) -> Iterator[None]:
    """The model in evaluation mode; afterwards every part is in the mode that it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


class GenerationCheck(TrainerCallback):
    """Solves problems at every so many evaluations and logs ``eval_generation_*``.

    Logged are ``accuracy``, ``malformed`` (the share of epochs, as in :class:`Solved`), ``exhausted`` (the share of
    problems without a conclusion of their own) and ``epochs`` (their mean). On several GPUs the main process does it
    and the others wait.

    Args:
        trainer: the trainer whose model is looked at.
        problems: what to solve.
        card: how the model is used: eta, summary budget and format.
        every: check at every that many evaluations.
        max_epochs: most segments of a problem.

    Raises:
        ValueError: a known answer takes algebra to compare and math-verify isn't installed.
    """

    def __init__(
        self, trainer: Any, problems: Sequence[HeldOutProblem], card: ModelCard, *, every: int, max_epochs: int
    ) -> None:
        try:
            for problem in problems:
                gold_verifier(problem.answer)
        except MissingExtraError as error:  # now, and not in the middle of the run
            raise ValueError(f"generation_problems: {error}") from error
        self._trainer = trainer
        self._problems = list(problems)
        self._card = card
        self._every = every
        self._max_epochs = max_epochs
        self._chat: EmbeddedChatModel | None = None

    def figures(self) -> dict[str, float]:
        """Solve the problems now. Random states and the modes of the model's parts are left as they were."""
        model = self._trainer.accelerator.unwrap_model(self._trainer.model, keep_fp32_wrapper=True)
        if self._chat is None:
            self._chat = EmbeddedChatModel.around(model, self._trainer.processing_class, card=self._card)
        with kept_random_states(), _at_rest(model):
            solved = solve(self._chat, self._problems, self._card, max_epochs=self._max_epochs)
        number = len(solved)
        return {
            "eval_generation_accuracy": sum(each.right for each in solved) / number,
            "eval_generation_malformed": sum(each.malformed for each in solved) / number,
            "eval_generation_exhausted": sum(not each.finished for each in solved) / number,
            "eval_generation_epochs": sum(each.epochs for each in solved) / number,
        }

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:
        """Check, if this evaluation's turn has come."""
        # Counted by what is logged, which a checkpoint keeps: a resumed run goes on with the same turns.
        evaluations = sum("eval_loss" in entry for entry in state.log_history)
        if evaluations % self._every:
            return
        found = broadcast_object_list([self.figures() if state.is_world_process_zero else None])[0]
        metrics.update(found)  # so that metric_for_best_model can name them
        with _at_rest(self._trainer.model):  # logged as part of the evaluation, not of training
            self._trainer.log(dict(found))
