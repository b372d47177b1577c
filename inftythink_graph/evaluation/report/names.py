"""What runs and files are called in a report."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.trials import Run
from inftythink_graph.plain_text import one_line_text

__all__ = ["run_names", "shortly", "shown_value", "slugs"]

_OPTIONS = re.compile(r"(\w+):(\w+=[^,:]*(?:,\w+=[^,:]*)*)")


def shown_value(value: Any) -> str:
    """A value of a config as it is shown: whole numbers with thousands separators."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return one_line_text(str(value))


def run_names(runs: Sequence[Run]) -> list[str]:
    """A name for each run that is the only one of its task: its label, and what tells it from others of that label.

    Runs of one label on one task are told apart by what differs in their configs: ``inftythink (eta 2,048)``. The same
    name on several tasks is one row of the main table.

    Raises:
        InvalidInputError: two runs on one task have the same label and the same config.
    """
    telling: dict[str, set[str]] = {}
    for left, right in combinations(runs, 2):
        if left.label == right.label and left.task == right.task:
            keys = {key for key in {*left.config, *right.config} if left.config.get(key) != right.config.get(key)}
            telling.setdefault(left.label, set()).update(keys)
    names = []
    for run in runs:
        differing = [key for key in run.config if key in telling.get(run.label, ())]
        told = ", ".join(f"{key} {shown_value(run.config[key])}" for key in differing)
        names.append((one_line_text(run.label) or "unnamed") + (f" ({told})" if told else ""))
    seen: set[tuple[str, str]] = set()
    for run, name in zip(runs, names, strict=True):
        if (run.task, name) in seen:
            raise InvalidInputError(f"two runs on {run.task} are both called {name!r}: give them different labels")
        seen.add((run.task, name))
    return names


def shortly(runs: Sequence[Run]) -> list[Run]:
    """The runs, with tasks called without their options where that tells them apart; ``config`` has the options then.

    ``gcd:count=84,windows=0.5-64`` is ``gcd``, unless there is another task of that name.
    """
    parts = {run.task: _OPTIONS.fullmatch(run.task) for run in runs}
    names = [found[1] if found else task for task, found in parts.items()]
    short = []
    for run in runs:
        if (found := parts[run.task]) and names.count(found[1]) == 1:
            run = replace(run, task=found[1], config={**run.config, "options": found[2]})
        short.append(run)
    return short


def slugs(texts: Iterable[str]) -> dict[str, str]:
    """For each text, in order, a part of a file's name that no other of them has: letters, digits, ``_`` and ``-``."""
    made: dict[str, str] = {}
    for text in texts:
        if text not in made:
            base = re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-")[:60] or "task"
            number, slug = 1, base
            while slug in made.values():
                number += 1
                slug = f"{base}-{number}"
            made[text] = slug
    return made
