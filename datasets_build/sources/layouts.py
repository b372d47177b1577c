"""The layouts of data sets: which column holds the question, the generations and what is known about them.

=========================  ===========================================================================================
``openr1``                 OpenR1-Math-220k: ``problem``, ``generations`` and parallel lists of flags
``openthoughts-metadata``  OpenThoughts-114k, config ``metadata``: ``problem``, ``deepseek_reasoning``,
                           ``deepseek_solution``
``conversations``          turns of ``from`` and ``value``, and a ``system`` column: OpenThoughts-114k, config
                           ``default``, and whatever has the ShareGPT form
``messages``               turns of ``role`` and ``content``; the assistant's may hold its reasoning in a field
``columns``                a column for the question and one for the generation, under one of their usual names
=========================  ===========================================================================================
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from inftythink_graph.errors import InvalidInputError

__all__ = ["LAYOUTS", "ROLES", "Columns", "check_roles", "detect_layout", "parse_columns"]

ROLES = (
    "question",
    "generation",
    "reasoning",
    "messages",
    "system",
    "answer",
    "uuid",
    "math_verify",
    "llama",
    "correct",
    "complete",
    "finish_reason",
)
"""What a column can be used for."""

_QUESTION = ("question", "problem", "prompt", "instruction", "query")
_GENERATION = ("generations", "generation", "responses", "response", "completions", "completion", "outputs", "output")
_COMMON: dict[str, tuple[str, ...]] = {
    "system": ("system", "system_prompt"),
    "answer": ("answer", "gold_answer", "expected_answer", "final_answer"),
    "uuid": ("uuid", "id", "_id"),
    "math_verify": ("correctness_math_verify",),
    "llama": ("correctness_llama",),
    "correct": ("correct", "is_correct", "verified"),
    "complete": ("is_reasoning_complete",),
    "finish_reason": ("finish_reasons", "finish_reason"),
}
LAYOUTS: dict[str, dict[str, tuple[str, ...]]] = {
    "openr1": {**_COMMON, "question": ("problem",), "generation": ("generations",)},
    "openthoughts-metadata": {
        **_COMMON,
        "question": ("problem",),
        "reasoning": ("deepseek_reasoning",),
        "generation": ("deepseek_solution",),
        "answer": ("answer", "ground_truth_solution"),
    },
    "conversations": {**_COMMON, "messages": ("conversations", "conversation")},
    "messages": {**_COMMON, "messages": ("messages",)},
    "columns": {
        **_COMMON,
        "question": _QUESTION,
        "generation": _GENERATION,
        "reasoning": ("reasoning", "reasoning_content", "thinking"),
    },
}
"""For each layout the names that a column of each role may have, the preferred one first."""


@dataclass(frozen=True, slots=True)
class Columns:
    """How the columns of one row are read.

    Attributes:
        layout: name of the layout.
        of: for each role that is filled, the column's name.
    """

    layout: str
    of: Mapping[str, str] = field(default_factory=dict)

    def value(self, row: Mapping[Any, Any], role: str) -> Any:
        """The row's value in a role; None where no column fills it."""
        return row.get(self.of[role]) if role in self.of else None


def _filled(layout: str, present: Collection[Any], given: Mapping[str, str]) -> dict[str, str]:
    found = {
        role: next((name for name in names if name in present and name not in given.values()), None)
        for role, names in LAYOUTS[layout].items()
    }
    return {role: name for role, name in {**found, **given}.items() if name is not None and name in present}


def _sufficient(filled: Mapping[str, str]) -> bool:
    return "messages" in filled or ("question" in filled and ("generation" in filled or "reasoning" in filled))


def _given_layout(given: Mapping[str, str]) -> str | None:
    """The layout that columns named by the user decide."""
    if "messages" in given:
        return "messages"
    return "columns" if given.keys() & {"question", "generation", "reasoning"} else None


def detect_layout(
    present: Collection[Any], layout: str = "auto", given: Mapping[str, str] | None = None
) -> Columns | None:
    """How a row of these columns is read; None where it can't be.

    Args:
        present: names of the row's columns.
        layout: a layout by name, or ``auto``: the first one that fits, in the order of :data:`LAYOUTS`.
        given: columns named by the user, by role; they go before the layout's own names, and no other column takes
            their role.
    """
    given = given or {}
    if any(name not in present for role, name in given.items() if role in ("question", "generation", "messages")):
        return None  # what the user named isn't there: no other column may stand in for it
    wanted = _given_layout(given) if layout == "auto" else layout
    for name in LAYOUTS if wanted is None else (wanted,):
        if wanted is None and name == "openthoughts-metadata" and "deepseek_reasoning" not in present:
            continue
        filled = _filled(name, present, given)
        if _sufficient(filled):
            return Columns(name, filled)
    return None


def parse_columns(text: str) -> dict[str, str]:
    """Read ``question=my_question,generation=my_output``.

    Raises:
        InvalidInputError: a role is unknown or named twice, or a part has no name.
    """
    columns: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        role, equals, name = (piece.strip() for piece in part.partition("="))
        if not equals or not name:
            raise InvalidInputError(f"columns must look like question=NAME,generation=NAME; got {part!r}")
        if role in columns:
            raise InvalidInputError(f"the column of {role} is named twice: {columns[role]!r} and {name!r}")
        columns[role] = name
    check_roles(columns)
    return columns


def check_roles(columns: Mapping[str, str]) -> None:
    """Raise :class:`InvalidInputError` for a role that there isn't."""
    if unknown := sorted(set(columns) - set(ROLES)):
        raise InvalidInputError(f"unknown column role {unknown[0]!r}; allowed: {', '.join(ROLES)}")
