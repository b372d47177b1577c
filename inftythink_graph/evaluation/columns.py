"""From the rows of a data set to questions: which columns hold what, and what a row must have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.choices import gold_index, shuffled
from inftythink_graph.evaluation.trials import Question

__all__ = ["Columns", "found_columns", "read_questions"]

_QUESTION = ("question", "problem")
_ANSWER = ("answer", "gold")
_ID = ("id", "unique_id")
_OPTIONS = ("options", "choices")
_LONGEST_LABEL = 80  # characters: what is longer is a text, not something to group by


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a data set.

    Attributes:
        question: the question's text.
        answer: the known answer; of multiple choice the letter or the text of the right option.
        id: the question's id; None where rows have none, and their number takes its place.
        options: a column that lists the options; None for none.
        wrong: columns with one wrong option each; the answer's column then holds the right one.
        meta: what else is kept, as {name in the question's ``meta``: column}; None keeps every short value.
    """

    question: str
    answer: str
    id: str | None = None
    options: str | None = None
    wrong: tuple[str, ...] = ()
    meta: Mapping[str, str] | None = field(default_factory=dict)

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that every row must have."""
        return tuple(name for name in (self.id, self.question, self.answer, self.options, *self.wrong) if name)


def found_columns(names: Collection[str], place: str) -> Columns:
    """The columns of a file of one's own, by their names.

    Args:
        names: the columns that its first row has.
        place: where that row stands, for the error.

    Raises:
        InvalidInputError: no question or no answer is among them.
    """

    def first(allowed: tuple[str, ...]) -> str | None:
        return next((name for name in allowed if name in names), None)

    question, answer = first(_QUESTION), first(_ANSWER)
    for role, found, allowed in (("question", question, _QUESTION), ("answer", answer, _ANSWER)):
        if found is None:
            raise InvalidInputError(
                f"{place} has no {role}: a column {' or '.join(allowed)}; it has {', '.join(names) or 'none'}"
            )
    assert question is not None
    assert answer is not None
    return Columns(question, answer, first(_ID), first(_OPTIONS), meta=None)


def read_questions(rows: Iterable[tuple[str, Any]], columns: Columns | None, *, seed: int) -> list[Question]:
    """The questions that rows hold, in their order.

    Args:
        rows: each with its place, for errors.
        columns: which columns hold what; None finds them by the names in the first row.
        seed: of the order of options.

    Raises:
        InvalidInputError: a row lacks something, or two rows have the same id; the error names the place.
    """
    questions: list[Question] = []
    seen: dict[str, str] = {}
    for number, (place, row) in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise InvalidInputError(f"{place} is no object with columns, but {_kind(row)}")
        columns = columns or found_columns(row.keys(), place)
        question = _question(row, columns, place, str(number), seed)
        if question.id in seen:
            raise InvalidInputError(f"{place} has the id {question.id!r}, which {seen[question.id]} has as well")
        seen[question.id] = place
        questions.append(question)
    return questions


def _question(row: Mapping[str, Any], columns: Columns, place: str, number: str, seed: int) -> Question:
    missing = [name for name in columns.needed if name not in row]
    if missing:
        raise InvalidInputError(f"{place} lacks {', '.join(missing)}; it has {', '.join(row) or 'no columns'}")
    id = _text(row, columns.id, place) if columns.id else number
    text = _text(row, columns.question, place)
    answer = _text(row, columns.answer, place)
    meta = _meta(row, columns)
    if not columns.options and not columns.wrong:
        return Question(id, text, answer, "math", meta)
    try:
        if columns.wrong:
            options, right = [answer, *(_text(row, name, place) for name in columns.wrong)], 0
        else:
            options = _options(row, str(columns.options), place)
            right = gold_index(options, answer)
        choices = shuffled(options, right, seed=seed, question_id=id)
    except InvalidInputError as error:
        message = str(error)
        raise InvalidInputError(message if message.startswith(place) else f"{place}: {message}") from error
    return Question(id, choices.render(text), choices.gold, "choice", {**meta, "options": list(choices.options)})


def _text(row: Mapping[str, Any], name: str, place: str) -> str:
    """A value that is text or a number, without the space around it."""
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidInputError(f"{place}: {name} must be text or a number, not {_kind(value)}")
    text = str(value).strip()
    if not text:
        raise InvalidInputError(f"{place}: {name} is empty")
    return text


def _options(row: Mapping[str, Any], name: str, place: str) -> list[str]:
    value = row[name]
    if not isinstance(value, list | tuple):
        raise InvalidInputError(f"{place}: {name} must be a list of texts, not {_kind(value)}")
    return [_text({f"{name}[{index}]": item}, f"{name}[{index}]", place) for index, item in enumerate(value)]


def _meta(row: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    if columns.meta is not None:
        return {name: row[column] for name, column in columns.meta.items() if row.get(column) is not None}
    return {name: value for name, value in row.items() if name not in columns.needed and _is_label(value)}


def _is_label(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_LABEL and "\n" not in value
    return isinstance(value, bool | int | float)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)
