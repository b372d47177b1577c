"""Runs a method on a task: bounded concurrency, no barrier, every trial kept as soon as it is scored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.folder import TRACES, TRIALS, prepare_folder, read_run, trial_key
from inftythink_graph.evaluation.methods import Method, Outcome
from inftythink_graph.evaluation.scoring import ascore
from inftythink_graph.evaluation.tasks import Task
from inftythink_graph.evaluation.trials import Question, Run, Trace, Trial
from inftythink_graph.journal import Journal
from inftythink_graph.path_state import SEED_STRIDE

__all__ = ["aevaluate", "evaluate"]

OnTrial = Callable[[Trial], None]


def _missing(questions: Sequence[Question], samples: int, done: Journal) -> Iterator[tuple[Question, int]]:
    """What is left to do: all questions once, then all of them again, so that an early look is at all of them."""
    for sample in range(samples):
        for question in questions:
            if trial_key(question.id, sample) not in done:
                yield question, sample


def _trial(question: Question, sample: int, seed: int, outcome: Outcome, scoring: Any, seconds: float) -> Trial:
    return Trial(
        question=question.id,
        sample=sample,
        seed=seed,
        answer=outcome.answer,
        scoring=scoring,
        correct=scoring == "equal",
        status=outcome.status,
        forced=outcome.forced,
        malformed=outcome.malformed,
        contexts=outcome.contexts,
        usage=outcome.usage,
        seconds=seconds,
    )


async def aevaluate(
    task: Task,
    method: Method,
    folder: str | Path,
    *,
    samples: int = 16,
    seed: int = 0,
    concurrency: int = 64,
    traces: int = 1,
    label: str | None = None,
    settings: Mapping[str, Any] | None = None,
    on_start: Callable[[Sequence[Trial]], None] | None = None,
    on_trial: OnTrial | None = None,
) -> Run:
    """Run a method on a task and keep every trial in a folder.

    A folder that holds part of the same run is gone on with: after a kill, or to add samples or questions. A server
    that is away or overloaded is waited for; an error that would hit every question ends the run, with all trials kept.

    Args:
        task: the questions.
        method: :class:`~inftythink_graph.evaluation.methods.InftyThink`, ``Vanilla`` or one of your own.
        folder: where the run is kept, one folder for each run.
        samples: runs of each question; the paper takes 16.
        seed: of the first sample; those of the others lie a million apart, since epochs count on from there.
        concurrency: most questions under way at once.
        traces: keep the texts of that many samples of each question.
        label: what tables call the run; by default the method's name.
        settings: further entries for the run's config, for the record.
        on_start: called with the trials of an earlier command.
        on_trial: called with every new trial.

    Returns:
        The run, with the trials of earlier commands.

    Raises:
        InvalidInputError: an option is outside what is allowed, or the folder holds another run.
        JournalBusyError: another process is at it.
        JournalWriteError: the disk is full; what was written before is kept.
    """
    for name, value, lowest in (("samples", samples, 1), ("concurrency", concurrency, 1), ("traces", traces, 0)):
        if value < lowest:
            raise InvalidInputError(f"{name} must be at least {lowest}, got {value}")
    config = await method.aconfig()
    if samples > 1 and config.get("temperature") == 0:
        raise InvalidInputError(
            f"samples={samples} at temperature 0 would be the same answer {samples} times; allowed: samples=1, or a"
            " temperature above 0"
        )
    folder = Path(folder)
    await method.acheck([question.text for question in task.questions])
    config |= {"seed": seed, "source": task.source, "revision": task.revision, "prompt": task.prompt}
    config |= {"samples": samples, **(settings or {})}
    prepare_folder(folder, label=label or method.name, task=task.name, config=config, questions=task.questions)
    with Journal(folder / TRIALS) as trials, Journal(folder / TRACES) as texts:
        if on_start is not None:
            on_start(read_run(folder, traces=False).trials)
        todo = _missing(task.questions, samples, trials)

        async def work() -> None:
            for question, sample in todo:
                start, drawn = time.perf_counter(), seed + sample * SEED_STRIDE
                outcome = await method.arun(question.text, drawn)
                seconds = time.perf_counter() - start
                scoring = await ascore(question, outcome.answer)
                trial = _trial(question, sample, drawn, outcome, scoring, seconds)
                key = trial_key(question.id, sample)
                if sample < traces:  # before the trial: what is finished has its text
                    texts.append(key, Trace(question=question.id, sample=sample, epochs=outcome.epochs))
                trials.append(key, trial)
                if on_trial is not None:
                    on_trial(trial)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            # The first one says what is wrong; the others were under way and met the same, or were cancelled.
            raise errors.exceptions[0] from errors
    return read_run(folder)


def evaluate(task: Task, method: Method, folder: str | Path, **options: Any) -> Run:
    """As :func:`aevaluate`, from where no event loop runs."""
    return asyncio.run(aevaluate(task, method, folder, **options))
