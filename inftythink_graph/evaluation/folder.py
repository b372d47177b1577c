"""The folder of a run: what was asked, with what, and every trial, so that a run can be killed and go on.

::

    FOLDER/run.json          the label, the task, and all that the trials depend on
    FOLDER/questions.jsonl   the questions
    FOLDER/trials.jsonl      a journal of trials, each as soon as it was scored
    FOLDER/traces.jsonl      a journal of their texts, where they are kept
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.trials import Question, Run, Trace, Trial
from inftythink_graph.files import write_atomically
from inftythink_graph.journal import read_journal

__all__ = ["GROWS", "find_runs", "prepare_folder", "read_run", "trial_key"]

RUN, QUESTIONS, TRIALS, TRACES = "run.json", "questions.jsonl", "trials.jsonl", "traces.jsonl"

GROWS = ("samples", "limit")
"""What a later command may raise: what is there stays, what is missing is added."""


def trial_key(question: str, sample: int) -> str:
    """The key of a trial in its journals."""
    return f"{sample}/{question}"


def _read_questions(folder: Path) -> list[Question]:
    lines = (folder / QUESTIONS).read_text(encoding="utf-8").splitlines()
    return [Question(**json.loads(line)) for line in lines]


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / RUN
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidInputError(f"{folder} is no folder of an evaluation: it has no {RUN}") from None
    except ValueError as error:
        raise InvalidInputError(f"{path} is no JSON: {error}") from error
    if not isinstance(config, dict) or not {"label", "task", "config"} <= config.keys():
        raise InvalidInputError(f"{path} is not what an evaluation writes: label, task and config must be there")
    return config


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    names = sorted({*before, *now} - set(GROWS))
    return [
        f"{name} was {before.get(name)!r}, is {now.get(name)!r}" for name in names if before.get(name) != now.get(name)
    ]


def prepare_folder(
    folder: Path, *, label: str, task: str, config: Mapping[str, Any], questions: Sequence[Question]
) -> None:
    """Make a run's folder, or check that an earlier command made it for the same run.

    Raises:
        InvalidInputError: the folder holds a run with other options or other questions; says which differ.
    """
    asked = {question.id: question for question in questions}
    if (folder / RUN).is_file():
        before = _read_config(folder)
        differing = _differences(
            {"label": before["label"], "task": before["task"], **before["config"]},
            {"label": label, "task": task, **config},
        )
        if differing:
            raise InvalidInputError(
                f"{folder} holds a run with other options ({'; '.join(differing)}); give another folder, or the same"
                " options to go on with it"
            )
        known = {question.id: question for question in _read_questions(folder)}
        changed = [
            name for name, question in asked.items() if name in known and _content(known[name]) != _content(question)
        ]
        if changed:
            raise InvalidInputError(
                f"{folder} holds a run on other questions: {changed[0]!r} has changed; give another folder"
            )
        questions = [*questions, *(question for name, question in known.items() if name not in asked)]
        for name in GROWS:
            earlier = before["config"].get(name)
            # No limit is more than any.
            if name in config and (earlier is None or (config[name] is not None and earlier > config[name])):
                config = {**config, name: earlier}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / QUESTIONS, "".join(json.dumps(asdict(question)) + "\n" for question in questions))
    write_atomically(folder / RUN, json.dumps({"label": label, "task": task, "config": dict(config)}, indent=2) + "\n")


def _content(question: Question) -> tuple[str, str, str]:
    return question.text, question.gold, question.kind


def _trial(value: dict[str, Any]) -> Trial:
    # JSON has no tuples.
    contexts = [[(prompt, completion) for prompt, completion in epoch] for epoch in value["contexts"]]
    return Trial(**{**value, "contexts": contexts})  # type: ignore[typeddict-item]


def _journal(path: Path) -> Iterator[tuple[str, Any]]:
    if path.is_file():
        yield from read_journal(path)


def read_run(folder: str | Path, *, traces: bool = True) -> Run:
    """A run from its folder; also of one that is still under way.

    Raises:
        InvalidInputError: the folder is not that of a run.
        JournalBrokenError: a line of its trials is no record.
    """
    folder = Path(folder)
    head = _read_config(folder)
    texts: dict[tuple[str, int], Trace] = {}
    if traces:
        for _, value in _journal(folder / TRACES):
            texts[value["question"], value["sample"]] = value
    return Run(
        label=head["label"],
        task=head["task"],
        config=head["config"],
        questions=_read_questions(folder),
        trials=list({key: _trial(value) for key, value in _journal(folder / TRIALS)}.values()),
        traces=texts,
    )


def find_runs(folder: str | Path) -> list[Path]:
    """The folders of all runs in a folder, itself included, in the order of their names.

    Raises:
        InvalidInputError: there is none.
    """
    found = sorted(path.parent for path in Path(folder).rglob(RUN))
    if not found:
        raise InvalidInputError(f"{folder} holds no evaluation: there is no {RUN} in it or below it")
    return found
