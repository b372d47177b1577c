"""Tasks: the questions that methods are evaluated on, by name, from a file of one's own, or made to measure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.columns import read_questions
from inftythink_graph.evaluation.long_horizon import FAMILIES, CountTokens, draw, parse_spec
from inftythink_graph.evaluation.sources import HUB_TASKS, file_rows, hub_rows
from inftythink_graph.evaluation.trials import Question

__all__ = ["BARE_PROMPT", "CHOICE_PROMPT", "MATH_PROMPT", "TASKS", "Task", "load_task"]

MATH_PROMPT = "{problem}\n\nPlease reason step by step, and put your final answer within \\boxed{}."
"""The prompt in use by the field for mathematics."""

CHOICE_PROMPT = (
    "{problem}\n\nPlease reason step by step, and put the letter of the correct option within \\boxed{},"
    " as in \\boxed{A}."
)
"""The prompt of multiple choice; ``{problem}`` includes the lettered options."""

BARE_PROMPT = "{problem}"
"""The question alone: what the bundled model was trained on, and the default of the long-horizon families."""

TASKS = (*HUB_TASKS, *FAMILIES)
"""What :func:`load_task` knows by name."""


@dataclass(frozen=True, slots=True)
class Task:
    """Questions with their known answers.

    Attributes:
        name: what runs and reports call it; of a long-horizon family the specification that it was made by.
        questions: in their order; their text is what the model is asked, prompt included.
        source: the data set's name on Hugging Face, the file's path, or the module that makes the problems.
        revision: the data set's commit, or ``sha256:`` and the digest of the file or of the problems made.
        prompt: the template that the questions were put in.
    """

    name: str
    questions: tuple[Question, ...]
    source: str
    revision: str
    prompt: str


def load_task(
    name_or_path: str,
    *,
    limit: int | None = None,
    seed: int = 0,
    prompt: str | None = None,
    count_tokens: CountTokens | None = None,
) -> Task:
    """Load a task.

    Args:
        name_or_path: a built-in task (``math500``, ``aime24``, ``aime25``, ``gpqa_diamond``), from Hugging Face at a
            pinned commit; the same with a local file of its columns (``math500=FILE.jsonl``); a long-horizon family
            with options (``gcd:windows=16-64,window=256``; see :mod:`inftythink_graph.evaluation.long_horizon`); or a
            file of JSON lines with a column ``question`` or ``problem``, one ``answer`` or ``gold``, and if it has
            them ``id`` or ``unique_id``, and ``options`` or ``choices``.
        limit: most questions that are taken, the first ones; None for all.
        seed: of the order of options and of the long-horizon problems.
        prompt: template with the placeholder ``{problem}``; None for the task's own.
        count_tokens: counts the tokens of a text, for the depth of long-horizon problems.

    Raises:
        InvalidInputError: there is no such task, the data can't be read, a row lacks something, or the prompt has no
            placeholder.
        MissingExtraError: ``datasets`` isn't installed and needed (extra ``evaluation``).
    """
    if limit is not None and limit < 1:
        raise InvalidInputError(f"limit must be at least 1, got {limit}")
    if prompt is not None and "{problem}" not in prompt:
        raise InvalidInputError(f"the prompt must contain {{problem}}, where the question goes; got {prompt!r}")
    task = _load(name_or_path, seed, count_tokens)
    if not task.questions:
        raise InvalidInputError(f"{name_or_path} has no questions")
    template = prompt or task.prompt
    asked = (
        # Not str.format: templates have braces of their own, as in \boxed{}.
        replace(question, text=template.replace("{problem}", question.text))
        for question in task.questions[:limit]
    )
    return replace(task, questions=tuple(asked), prompt=template)


def _load(name_or_path: str, seed: int, count_tokens: CountTokens | None) -> Task:
    """The task with its bare questions and its own prompt."""
    if name_or_path in HUB_TASKS:
        source = HUB_TASKS[name_or_path]
        rows = hub_rows(name_or_path, source)
        questions = read_questions(rows, source.columns, seed=seed)
        return Task(name_or_path, tuple(questions), source.name, source.revision, _default_prompt(questions))
    if name_or_path.partition(":")[0] in FAMILIES:
        spec = parse_spec(name_or_path)
        made = draw(spec, seed=seed, count_tokens=count_tokens)
        return Task(str(spec), made, "datasets_build.synthetic", _digest(made), BARE_PROMPT)
    name, _, file = name_or_path.partition("=")
    columns = HUB_TASKS[name].columns if name in HUB_TASKS else None
    path = Path(file if columns else name_or_path)
    if not path.is_file():
        raise InvalidInputError(
            f"there is no task and no file {str(path)!r}; allowed: {', '.join(HUB_TASKS)} (each also as"
            f" NAME=FILE.jsonl), {', '.join(FAMILIES)} (with options after a colon), or a file of JSON lines"
        )
    lines, digest = file_rows(path)
    questions = read_questions(lines, columns, seed=seed)
    name = name if columns else path.stem
    return Task(name, tuple(questions), str(path), f"sha256:{digest}", _default_prompt(questions))


def _default_prompt(questions: Sequence[Question]) -> str:
    return CHOICE_PROMPT if any(question.kind == "choice" for question in questions) else MATH_PROMPT


def _digest(questions: Sequence[Question]) -> str:
    content = json.dumps([[question.id, question.text, question.gold] for question in questions])
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"
