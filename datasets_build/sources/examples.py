"""From one row of a data set to examples: a question, a long chain of thought and its conclusion.

A row goes three steps: its layout says where everything stands (:mod:`datasets_build.sources.layouts`), each
generation is filtered and split into chain and conclusion, and a selection takes one or all of those that are left.
Whatever isn't taken has a reason; no row raises.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from datasets_build.sources.generations import Generation, split_generation
from datasets_build.sources.layouts import LAYOUTS, check_roles, detect_layout
from datasets_build.sources.losses import Loss, Reason
from datasets_build.sources.records import Candidate, Record, read_record
from inftythink_graph.errors import InvalidInputError

__all__ = ["Example", "Outcome", "Rules", "Selection", "Verifier", "content_hash", "row_examples"]

Selection: TypeAlias = Literal["first_verified", "shortest_verified", "all_verified", "first", "all"]
"""Which of a row's usable generations become examples. ``first`` and ``shortest`` (in characters of the chain) take
one, ``all`` takes each; the ``verified`` ones consider correct generations only."""
Verifier: TypeAlias = Literal["fallback", "math_verify", "llama", "either"]
"""Who says that a generation is correct: Math-Verify, and where that says nothing the judge model (``fallback``), one
of the two, or ``either``. A column ``correct`` counts where neither says anything."""


@dataclass(frozen=True, slots=True)
class Example:
    """A chain of thought to be cut into segments.

    Attributes:
        uuid: stable, and unique in a build: the row's id, with the generation's index where several may be taken.
        source: name of the data set or the file.
        question: the question, stripped.
        chain: what stood between the think tags, outer white space stripped.
        conclusion: what followed the chain, stripped.
        system: the system prompt, "" if there is none.
        answer: the reference answer as the row has it, None if it has none.
    """

    uuid: str
    source: str
    question: str
    chain: str
    conclusion: str
    system: str = ""
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What is taken from a row, and how it is read.

    Attributes:
        selection: which of the usable generations.
        verifier: who says that a generation is correct.
        correct: leave out what isn't verified as correct. Always true for the ``verified`` selections.
        complete: leave out what isn't complete by its flags (``is_reasoning_complete``, ``finish_reasons``): None
            leaves out what is marked as incomplete, True also what isn't marked at all, False ignores the flags. A
            chain that was never closed is left out anyway.
        min_chars: fewest characters of a chain.
        max_chars: most characters of a chain; None for no limit.
        system: ``keep`` or ``drop`` system prompts. Those of OpenThoughts ask for that data set's own tags.
        layout: a name of :data:`~datasets_build.sources.layouts.LAYOUTS`, or ``auto``.
        columns: columns by role, where they have other names than the layout's.

    Raises:
        InvalidInputError: a value is outside what is allowed.
    """

    selection: Selection = "first_verified"
    verifier: Verifier = "fallback"
    correct: bool = False
    complete: bool | None = None
    min_chars: int = 1
    max_chars: int | None = None
    system: Literal["keep", "drop"] = "keep"
    layout: str = "auto"
    columns: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        choices: dict[str, tuple[str, ...]] = {
            "selection": get_args(Selection),
            "verifier": get_args(Verifier),
            "system": ("keep", "drop"),
            "layout": ("auto", *LAYOUTS),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise InvalidInputError(f"{name} {getattr(self, name)!r} is unknown; allowed: {', '.join(allowed)}")
        if self.min_chars < 1:
            raise InvalidInputError(f"min_chars must be at least 1, got {self.min_chars}")
        if self.max_chars is not None and self.max_chars < self.min_chars:
            raise InvalidInputError(f"max_chars must be at least min_chars ({self.min_chars}), got {self.max_chars}")
        check_roles(self.columns)

    @property
    def needs_correct(self) -> bool:
        """Whether a generation must be verified as correct."""
        return self.correct or self.selection.endswith("_verified")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row.

    Attributes:
        examples: what was taken, in the order of the generations.
        generations: how many generations the row had.
        losses: why each generation that wasn't taken was left out.
        loss: why the row brought no example: its own fault, or that of its generations; None if it brought one.
    """

    examples: tuple[Example, ...] = ()
    generations: int = 0
    losses: tuple[Loss, ...] = ()
    loss: Loss | None = None


def content_hash(question: str, chain: str, conclusion: str, system: str = "") -> str:
    """16 hexadecimal digits that say whether two examples have the same text."""
    digest = hashlib.blake2b(digest_size=8)
    for part in (question, chain, conclusion, system):
        text = part.encode()
        digest.update(len(text).to_bytes(8, "big") + text)
    return digest.hexdigest()


def _is_correct(candidate: Candidate, verifier: Verifier) -> bool:
    math, llama = candidate.math_verify, candidate.llama
    if verifier == "math_verify":
        said = math
    elif verifier == "llama":
        said = llama
    elif verifier == "either":
        said = None if math is None and llama is None else bool(math or llama)
    else:
        said = llama if math is None else math
    return bool(candidate.correct if said is None else said)


def _judge(candidate: Candidate, rules: Rules) -> Generation | Loss:
    """One generation, if it is usable by the rules."""
    if candidate.text is not None:  # a null one is called that, whatever its flags
        if candidate.complete is False and rules.complete is not False:
            return Loss(Reason.NOT_COMPLETE)
        if candidate.complete is None and rules.complete is True:
            return Loss(Reason.NOT_COMPLETE, "not marked at all")
    split = split_generation(candidate.text, candidate.reasoning)
    if isinstance(split, Loss):
        return split
    if rules.needs_correct and not _is_correct(candidate, rules.verifier):
        return Loss(Reason.NOT_CORRECT)
    if len(split.chain) < rules.min_chars:
        return Loss(Reason.TOO_SHORT)
    if rules.max_chars is not None and len(split.chain) > rules.max_chars:
        return Loss(Reason.TOO_LONG)
    return split


def _select(record: Record, rules: Rules) -> tuple[list[tuple[int, Generation]], list[Loss]]:
    """The generations that are taken, with their indices, and why the others aren't."""
    taken: list[tuple[int, Generation]] = []
    losses: list[Loss] = []
    for candidate in record.candidates:
        if taken and rules.selection.startswith("first"):
            losses.append(Loss(Reason.NOT_TAKEN))
            continue
        judged = _judge(candidate, rules)
        if isinstance(judged, Loss):
            losses.append(judged)
        else:
            taken.append((candidate.index, judged))
    if taken and rules.selection.startswith("shortest"):
        losses += [Loss(Reason.NOT_TAKEN)] * (len(taken) - 1)
        taken = [min(taken, key=lambda item: len(item[1].chain))]
    return taken, losses


def row_examples(row: object, rules: Rules, source: str) -> Outcome:
    """Read one row. Never fails, whatever the row: what can't be used has a reason.

    Args:
        row: the row's values by column.
        rules: what to take.
        source: name of the data set or the file.
    """
    if not isinstance(row, Mapping):
        return Outcome(loss=Loss(Reason.NOT_AN_OBJECT, type(row).__name__))
    columns = detect_layout(row.keys(), rules.layout, rules.columns)
    if columns is None:
        return Outcome(loss=Loss(Reason.UNKNOWN_LAYOUT, ", ".join(map(str, row.keys()))))
    record = read_record(row, columns)
    if isinstance(record, Loss):
        return Outcome(loss=record)
    taken, losses = _select(record, rules)
    several = rules.selection.startswith("all") and len(record.candidates) > 1
    system = record.system if rules.system == "keep" else ""
    examples = []
    for index, generation in taken:
        chain, conclusion = generation.chain, generation.conclusion
        uuid = record.uuid or content_hash(record.question, chain, conclusion, system)
        uuid += f"-{index}" if several else ""
        examples.append(Example(uuid, source, record.question, chain, conclusion, system, record.answer))
    return Outcome(tuple(examples), len(record.candidates), tuple(losses), None if examples else _row_loss(losses))


def _row_loss(losses: list[Loss]) -> Loss:
    """Why a row brought nothing: what all its generations have in common."""
    reasons = sorted({loss.reason for loss in losses})
    if len(reasons) == 1:
        return losses[0]
    return Loss(Reason.SEVERAL_REASONS, ", ".join(reasons))
