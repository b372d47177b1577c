"""Multiple choice: options in an order of their own for every question, lettered, and the letter that is right."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from inftythink_graph.errors import InvalidInputError

__all__ = ["LETTERS", "Choices", "gold_index", "shuffled"]

LETTERS = "ABCDEFGHIJ"
"""The letters that an answer may name (see :func:`inftythink_graph.answers.choice_letter`), so at most ten options."""


@dataclass(frozen=True, slots=True)
class Choices:
    """The options of one question as they are shown.

    Attributes:
        options: their texts, in the order shown.
        gold: the letter of the right one.
    """

    options: tuple[str, ...]
    gold: str

    def render(self, question: str) -> str:
        """The question with its lettered options below."""
        lines = [f"{letter}) {option}" for letter, option in zip(LETTERS, self.options, strict=False)]
        return "\n".join([question, "", *lines])


def shuffled(options: Sequence[str], right: int, *, seed: int, question_id: str) -> Choices:
    """Options in an order that depends on the seed and the question's id alone.

    So a question looks the same whatever the others are, in whatever order they come, and however many are taken.

    Args:
        options: the options' texts, 2 to 10 of them.
        right: index of the right one.
        seed: of the whole task.
        question_id: the question's id.

    Raises:
        InvalidInputError: there are fewer than two options or more than ten, or one is empty.
    """
    if not 2 <= len(options) <= len(LETTERS):
        raise InvalidInputError(f"{len(options)} options, allowed are 2 to {len(LETTERS)}")
    texts = [option.strip() for option in options]
    if "" in texts:
        raise InvalidInputError(f"option {texts.index('') + 1} is empty")
    order = list(range(len(texts)))
    random.Random(f"{seed}:{question_id}").shuffle(order)
    return Choices(tuple(texts[index] for index in order), LETTERS[order.index(right)])


def gold_index(options: Sequence[str], answer: str) -> int:
    """Which option a row's answer names: by its letter in the row's order, or by the option's whole text.

    Raises:
        InvalidInputError: it names none, or its letter and its text name different ones.
    """
    texts = [option.strip() for option in options]
    answer = answer.strip()
    letter = LETTERS.find(answer) if len(answer) == 1 else -1
    named = {index for index, text in enumerate(texts) if text == answer}
    if 0 <= letter < len(texts):
        named.add(letter)
    if len(named) == 1:
        return named.pop()
    last = LETTERS[min(len(texts), len(LETTERS)) - 1]
    how = "names no option" if not named else "may mean several options"
    raise InvalidInputError(f"the answer {answer!r} {how}: give a letter from A to {last} or the text of one option")
