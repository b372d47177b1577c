"""The records as the page's script reads them: an index of all trials, and the details of each."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, TypeAlias, cast

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.trials import Question, Run, Trace, Trial

__all__ = ["Place", "details", "index", "ordered", "texts_kept"]

Place: TypeAlias = tuple[int, int, int]
"""A trial: the run's number, its question's number in that run, and its own number in the run's ``trials``."""

_ANSWER = 200  # characters of an answer that lists show
_NOT_RECORDED, _KEPT, _LEFT_OUT = range(3)


def ordered(runs: Sequence[Run]) -> list[Place]:
    """All trials, by run, question and sample.

    Raises:
        InvalidInputError: a trial of a question that its run doesn't have, or two of the same question and sample.
    """
    places: list[Place] = []
    for number, run in enumerate(runs):
        position = {question.id: place for place, question in enumerate(run.questions)}
        if len(position) < len(run.questions):
            raise InvalidInputError(f"run {run.label!r}: two questions have the same id; ids are unique within a task")
        seen: dict[tuple[int, int], int] = {}
        for which, trial in enumerate(run.trials):
            name = f"question {trial['question']!r}, sample {trial['sample']}"
            if trial["question"] not in position:
                raise InvalidInputError(f"run {run.label!r}: {name} is a trial of none of its questions")
            if seen.setdefault((position[trial["question"]], trial["sample"]), which) != which:
                raise InvalidInputError(f"run {run.label!r}: there are two trials of {name}; there can be one")
        places += [(number, question, which) for (question, _), which in sorted(seen.items())]
    return places


def texts_kept(
    runs: Sequence[Run], places: Sequence[Place], *, most: int | None, characters: int
) -> tuple[frozenset[Place], int]:
    """The trials whose texts go on the page, and how many texts are left out.

    Sample 0 of every question in every run comes first, then sample 1, and so on: what is shown can be compared.

    Args:
        runs: all runs.
        places: all trials.
        most: how many texts at most; None for as many as there are.
        characters: how long all of them may be together. One that doesn't fit is left out; shorter ones after it may
            still fit.
    """
    kept: set[Place] = set()
    recorded, left = 0, characters
    for place in sorted(places, key=lambda each: (_trial(runs, each)["sample"], each[1], each[0])):
        trace = _trace(runs, place)
        if trace is None:
            continue
        recorded += 1
        length = sum(len(text) for epoch in trace["epochs"] for text in _texts(epoch))
        if (most is None or len(kept) < most) and length <= left:
            kept.add(place)
            left -= length
    return frozenset(kept), recorded - len(kept)


def details(runs: Sequence[Run], place: Place, *, with_text: bool) -> dict[str, Any]:
    """What the page shows of one trial beyond what the index has; as JSON."""
    trial, trace = _trial(runs, place), _trace(runs, place) if with_text else None
    epochs = None if trace is None else [[str(epoch["kind"]), *_texts(epoch)] for epoch in trace["epochs"]]
    usage = {name: _number(cast(float, value)) for name, value in trial["usage"].items()}
    return {"answer": trial["answer"], "usage": usage, "contexts": trial["contexts"], "epochs": epochs}


def index(
    runs: Sequence[Run], places: Sequence[Place], kept: AbstractSet[Place], blocks: Sequence[int]
) -> dict[str, Any]:
    """What the page knows of all trials at once; as JSON.

    Args:
        runs: all runs.
        places: all trials, in the page's order.
        kept: those of them whose texts the page holds.
        blocks: for each block of details, the number of the first trial in it.
    """
    tasks: dict[str, dict[tuple[str, ...], int]] = {}
    questions: dict[str, list[dict[str, Any]]] = {}
    numbers: list[list[int]] = []  # for each run, where its questions stand among its task's
    for run in runs:
        known, shown = tasks.setdefault(run.task, {}), questions.setdefault(run.task, [])
        for question in run.questions:
            # The same id with other words is another question: the runs' data sets differ.
            key = (question.id, question.text, question.gold)
            if known.setdefault(key, len(known)) == len(shown):
                shown.append(_question(question))
        numbers.append([known[(each.id, each.text, each.gold)] for each in run.questions])
    names = list(tasks)
    return {
        "tasks": [{"name": name, "questions": questions[name]} for name in names],
        "runs": [
            {"name": name, "key": key, "task": names.index(run.task), **_facts(run)}
            for run, name, key in zip(runs, *_run_names(runs), strict=True)
        ],
        "trials": _columns(runs, places, kept, numbers),
        "blocks": list(blocks),
    }


def _trial(runs: Sequence[Run], place: Place) -> Trial:
    return runs[place[0]].trials[place[2]]


def _trace(runs: Sequence[Run], place: Place) -> Trace | None:
    trial = _trial(runs, place)
    return runs[place[0]].traces.get((trial["question"], trial["sample"]))


def _texts(epoch: Mapping[str, Any]) -> tuple[str, str, str]:
    return epoch["segment"], epoch["summary"], epoch["conclusion"]


def _columns(
    runs: Sequence[Run], places: Sequence[Place], kept: AbstractSet[Place], numbers: Sequence[Sequence[int]]
) -> dict[str, list[Any]]:
    """One list for each fact of a trial: a fraction of the size that a list of objects has."""
    trials = [_trial(runs, place) for place in places]
    texts = [
        _KEPT if place in kept else _NOT_RECORDED if _trace(runs, place) is None else _LEFT_OUT for place in places
    ]
    return {
        "run": [run for run, _, _ in places],
        "question": [numbers[run][question] for run, question, _ in places],
        "text": texts,
        "answer": [None if trial["answer"] is None else trial["answer"][:_ANSWER] for trial in trials],
        "epochs": [len(trial["contexts"]) for trial in trials],
        "tokens": [trial["usage"]["completion_tokens"] for trial in trials],
        "peak": [trial["usage"]["peak_context"] for trial in trials],
        "seconds": [_number(trial["seconds"]) for trial in trials],
        "right": [int(trial["correct"]) for trial in trials],
        "forced": [int(trial["forced"]) for trial in trials],
        **{name: [trial[name] for trial in trials] for name in ("sample", "seed", "status", "scoring", "malformed")},
    }


def _question(question: Question) -> dict[str, Any]:
    return {
        "id": question.id,
        "text": question.text,
        "gold": question.gold,
        "meta": [[str(name), _said(value)] for name, value in question.meta.items()],
    }


def _facts(run: Run) -> dict[str, Any]:
    window, samples = run.config.get("window"), run.config.get("samples")
    return {
        "config": [[str(name), _said(value)] for name, value in run.config.items()],
        "window": window if isinstance(window, int) and window > 0 else None,
        "expected": samples * len(run.questions) if isinstance(samples, int) else None,
        "questions": len(run.questions),
    }


def _run_names(runs: Sequence[Run]) -> tuple[list[str], list[str]]:
    """What each run is called among those of its task, and in addresses: its label as far as that says which it is."""
    names: list[str] = []
    for number, run in enumerate(runs):
        taken = {name for name, other in zip(names, runs[:number], strict=True) if other.task == run.task}
        names.append(_free(run.label, taken))
    keys: list[str] = []
    for name, run in zip(names, runs, strict=True):
        keys.append(_free(name if names.count(name) == 1 else f"{name}@{run.task}", set(keys)))
    return names, keys


def _free(name: str, taken: AbstractSet[str]) -> str:
    """The name, with a number if it is taken."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} ({number})"
    return free


def _number(value: float) -> float | None:
    """JSON knows no infinity and no NaN."""
    return value if math.isfinite(value) else None


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
