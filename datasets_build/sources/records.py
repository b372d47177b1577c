"""One row of a data set, read by its layout: the question, and each generation with what is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from datasets_build.sources.generations import clean_text, has_protocol_tags
from datasets_build.sources.layouts import Columns
from datasets_build.sources.losses import Loss, Reason

__all__ = ["Candidate", "Record", "read_record"]

_ROLES = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "system": "system",
    "developer": "system",
}
_REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")
_FINISHED = ("stop", "eos", "eos_token", "end_turn")
_FLAGS = ("math_verify", "llama", "correct", "complete", "finish_reason")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One generation as it stands in the row. A flag is None where the row doesn't say."""

    index: int
    text: object
    reasoning: object = None
    math_verify: bool | None = None
    llama: bool | None = None
    correct: bool | None = None
    complete: bool | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A question and its generations. ``uuid`` is None where the row has no id."""

    question: str
    candidates: tuple[Candidate, ...]
    system: str = ""
    answer: str | None = None
    uuid: str | None = None


def _scalar(value: object) -> str | None:
    """An answer or an id as text; None where there is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = clean_text(str(value), Reason.NO_QUESTION, Reason.NO_QUESTION)
    return None if isinstance(text, Loss) else text


def _content(value: object, missing: Reason, wrong: Reason) -> str | Loss:
    """A turn's text: a string, or content blocks that are all text."""
    if not isinstance(value, list | tuple):
        return clean_text(value, missing, wrong)
    parts: list[str] = []
    for block in value:
        text = block if isinstance(block, str) else block.get("text") if isinstance(block, Mapping) else None
        if not isinstance(text, str):
            return Loss(wrong, "a content block that is no text")
        parts.append(text)
    return clean_text("\n".join(parts), missing, wrong)


def _flag(value: object) -> bool | Loss | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    return Loss(Reason.BAD_FLAGS, repr(value)[:40])


def _finish(value: object) -> bool | Loss | None:
    if value is None:
        return None
    return value in _FINISHED if isinstance(value, str) else Loss(Reason.BAD_FLAGS, repr(value)[:40])


def _both(first: bool | None, second: bool | None) -> bool | None:
    """Whether neither says no; None where neither says anything."""
    known = [flag for flag in (first, second) if flag is not None]
    return all(known) if known else None


def _with_flags(row: Mapping[Any, Any], columns: Columns, candidates: list[Candidate]) -> tuple[Candidate, ...] | Loss:
    """The candidates with the row's flags: lists are parallel to the generations, a single flag is for a single one."""
    flagged = [dict.fromkeys(_FLAGS) for _ in candidates]
    for role in _FLAGS:
        values = columns.value(row, role)
        if values is None:
            continue
        values = list(values) if isinstance(values, list | tuple) else [values]
        if len(values) != len(candidates):
            return Loss(Reason.FLAGS_MISMATCH, f"{len(values)} of {columns.of[role]}, {len(candidates)} generations")
        for flags, value in zip(flagged, values, strict=True):
            flag = _finish(value) if role == "finish_reason" else _flag(value)
            if isinstance(flag, Loss):
                return replace(flag, detail=f"{columns.of[role]}: {flag.detail}")
            flags[role] = flag
    result = []
    for candidate, flags in zip(candidates, flagged, strict=True):
        known: dict[str, Any] = dict(flags)
        complete = _both(known.pop("complete"), known.pop("finish_reason"))
        result.append(replace(candidate, complete=complete, **known))
    return tuple(result)


@dataclass(frozen=True, slots=True)
class _Dialog:
    question: str
    system: str
    candidate: Candidate


def _read_turns(turns: object) -> _Dialog | Loss:
    """A dialog of one user turn and one assistant turn, system turns first.

    More turns are left out: the reasoner asks one question in one user turn, and earlier assistant turns mostly have no
    chain, so no rendering of such a dialog would be what the model is asked later.
    """
    if not isinstance(turns, list | tuple):
        return Loss(Reason.BAD_MESSAGES, f"{type(turns).__name__} where a list of turns belongs")
    read: list[tuple[str, Mapping[Any, Any]]] = []
    for turn in turns:
        name = (turn.get("role") or turn.get("from")) if isinstance(turn, Mapping) else None
        if not isinstance(turn, Mapping) or not isinstance(name, str):
            return Loss(Reason.BAD_MESSAGES, "a turn without role")
        if name.lower() not in _ROLES:
            return Loss(Reason.OTHER_ROLES, name[:40])
        read.append((_ROLES[name.lower()], turn))
    roles = [role for role, _ in read]
    if not roles or roles[-1] != "assistant":
        return Loss(Reason.NO_ASSISTANT)
    if "user" not in roles:
        return Loss(Reason.NO_QUESTION)
    leading = roles.index("user")
    if roles[leading:] != ["user", "assistant"] or set(roles[:leading]) - {"system"}:
        return Loss(Reason.SEVERAL_TURNS, f"{roles.count('user')} user, {roles.count('assistant')} assistant")

    def text(turn: Mapping[Any, Any]) -> object:
        return turn.get("content") if "content" in turn else turn.get("value")

    systems = []
    for _, turn in read[:leading]:
        system = _content(text(turn), Reason.BAD_SYSTEM, Reason.BAD_SYSTEM)
        if isinstance(system, str):
            systems.append(system)
        elif text(turn) not in (None, "") and not _blank(text(turn)):
            return system
    question = _content(text(read[leading][1]), Reason.NO_QUESTION, Reason.BAD_QUESTION)
    if isinstance(question, Loss):
        return question
    last = read[-1][1]
    reasoning = next((last[name] for name in _REASONING_FIELDS if last.get(name)), None)
    body = text(last)
    if isinstance(body, list | tuple):  # content blocks; anything but text is left to the split to refuse
        joined = _content(body, Reason.EMPTY_GENERATION, Reason.BAD_GENERATION)
        body = joined if isinstance(joined, str) else "" if joined.reason is Reason.EMPTY_GENERATION else body
    return _Dialog(question, "\n\n".join(systems), Candidate(0, body, reasoning))


def _blank(value: object) -> bool:
    return isinstance(value, str) and not value.strip()


def _is_turns(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(turn, Mapping) for turn in value)


def _question(row: Mapping[Any, Any], columns: Columns) -> str | Loss:
    text = clean_text(columns.value(row, "question"), Reason.NO_QUESTION, Reason.BAD_QUESTION)
    # Alpaca's form: the instruction says what to do with the input.
    if isinstance(text, str) and columns.of.get("question") == "instruction" and "input" not in columns.of.values():
        given = clean_text(row.get("input"), Reason.NO_QUESTION, Reason.BAD_QUESTION)
        if isinstance(given, str):
            return f"{text}\n\n{given}"
        if given.reason is not Reason.NO_QUESTION:
            return given
    return text


def _candidates(row: Mapping[Any, Any], columns: Columns) -> list[Candidate] | Loss:
    texts, chains = columns.value(row, "generation"), columns.value(row, "reasoning")
    if "generation" not in columns.of:  # all there is stands in the reasoning column: both parts, or no conclusion
        values = list(chains) if isinstance(chains, list | tuple) else [chains]
        tagged = [isinstance(value, str) and ("</think>" in value or "_of_thought|>" in value) for value in values]
        pairs = [(value, None) if tag else ("", value) for value, tag in zip(values, tagged, strict=True)]
        return [Candidate(index, *pair) for index, pair in enumerate(pairs)] or Loss(Reason.NO_GENERATIONS)
    texts = list(texts) if isinstance(texts, list | tuple) else [texts]
    chains = list(chains) if isinstance(chains, list | tuple) else [chains] * len(texts)
    if not texts:
        return Loss(Reason.NO_GENERATIONS)
    if len(chains) != len(texts):
        return Loss(Reason.FLAGS_MISMATCH, f"{len(chains)} of {columns.of['reasoning']}, {len(texts)} generations")
    return [Candidate(index, *pair) for index, pair in enumerate(zip(texts, chains, strict=True))]


def _asked(row: Mapping[Any, Any], columns: Columns) -> tuple[str, str, list[Candidate]] | Loss:
    """(question, system prompt of the turns, generations) of a row."""
    turns = columns.value(row, "messages")
    if "messages" not in columns.of and _is_turns(columns.value(row, "question")):
        # TRL's conversational form: the prompt's turns and the completion's, in two columns.
        completion, reasoning = columns.value(row, "generation"), columns.value(row, "reasoning")
        written = [{"role": "assistant", "content": completion, "reasoning": reasoning}]
        turns = [*columns.value(row, "question"), *(completion if _is_turns(completion) else written)]
    if turns is not None or "messages" in columns.of:
        dialog = _read_turns(turns)
        return dialog if isinstance(dialog, Loss) else (dialog.question, dialog.system, [dialog.candidate])
    question = _question(row, columns)
    if isinstance(question, Loss):
        return question
    candidates = _candidates(row, columns)
    return candidates if isinstance(candidates, Loss) else (question, "", candidates)


def read_record(row: Mapping[Any, Any], columns: Columns) -> Record | Loss:
    """Read one row. Never fails, whatever its values."""
    asked = _asked(row, columns)
    if isinstance(asked, Loss):
        return asked
    question, system, candidates = asked
    if has_protocol_tags(question):
        return Loss(Reason.QUESTION_TAGS)
    value = columns.value(row, "system")
    if not system and value is not None and not _blank(value):
        text = clean_text(value, Reason.BAD_SYSTEM, Reason.BAD_SYSTEM)
        if isinstance(text, Loss):
            return text
        system = text
    flagged = _with_flags(row, columns, candidates)
    if isinstance(flagged, Loss):
        return flagged
    return Record(question, flagged, system, _scalar(columns.value(row, "answer")), _scalar(columns.value(row, "uuid")))
