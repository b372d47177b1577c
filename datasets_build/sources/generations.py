"""What a model wrote, split into its chain of thought and its conclusion.

Models and data sets mark the chain in several ways: ``<think>`` tags (the opening one may stand in the chat template
and so be missing), the ``<|begin_of_thought|>`` tags of OpenThoughts, or a field of its own beside the text.
"""

from __future__ import annotations

from dataclasses import dataclass

from datasets_build.sources.losses import Loss, Reason
from inftythink_graph.protocol import TAGS

__all__ = ["Generation", "clean_text", "has_protocol_tags", "split_generation"]

_THINK = ("<think>", "</think>")
_THOUGHT = ("<|begin_of_thought|>", "<|end_of_thought|>")
_SOLUTION = ("<|begin_of_solution|>", "<|end_of_solution|>")


@dataclass(frozen=True, slots=True)
class Generation:
    """A chain of thought and what followed it, both stripped and not empty."""

    chain: str
    conclusion: str


def has_protocol_tags(text: str) -> bool:
    """Whether the text holds a tag of the InftyThink format, which would then be read as the format."""
    return any(tag in text for tag in TAGS)


def clean_text(value: object, missing: Reason, wrong: Reason) -> str | Loss:
    """A text without outer white space, or why it is none: ``missing`` where it is null or empty, ``wrong`` otherwise.

    Half a surrogate pair, which JSON can spell and UTF-8 can't, makes a text unusable for tokenizers and files.
    """
    if value is None:
        return Loss(missing)
    if not isinstance(value, str):
        return Loss(wrong, type(value).__name__)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return Loss(Reason.NOT_UNICODE, f"{error.object[error.start]!r} at character {error.start}")
    return value.strip() or Loss(missing)


def _between(text: str, tags: tuple[str, str]) -> tuple[str, str] | Loss:
    """(chain, rest) of a text that holds at least one of a pair of tags."""
    opening, closing = tags
    opened, closed = text.count(opening), text.count(closing)
    if opened > 1 or closed > 1:
        return Loss(Reason.REPEATED_TAGS, f"{opened} {opening}, {closed} {closing}")
    if not closed:
        return Loss(Reason.INCOMPLETE_CHAIN)
    head, _, rest = text.partition(closing)
    before, found, chain = head.rpartition(opening)
    if opened and not found:  # opened after it was closed
        return Loss(Reason.REPEATED_TAGS, f"{closing} before {opening}")
    if before.strip():
        return Loss(Reason.TEXT_BEFORE, before.strip()[:80])
    return chain, rest


def _solution(text: str) -> str | Loss:
    """The conclusion between the solution tags, where it has them."""
    opening, closing = _SOLUTION
    if opening not in text and closing not in text:
        return text
    if text.count(opening) > 1 or text.count(closing) > 1:
        return Loss(Reason.REPEATED_TAGS, f"{text.count(opening)} {opening}, {text.count(closing)} {closing}")
    before, opened, body = text.rpartition(opening)
    solution, closed, after = body.partition(closing)
    if not opened or not closed:
        return Loss(Reason.INCOMPLETE_CONCLUSION)
    # Text around the solution, where there is any, is part of what the model concluded with.
    return "\n\n".join(part.strip() for part in (before, solution, after) if part.strip())


def _split_tagged(text: str) -> tuple[str, str] | Loss | None:
    """(chain, conclusion) of a text with tags; None where it has none."""
    found = [tags for tags in (_THINK, _THOUGHT) if tags[0] in text or tags[1] in text]
    if not found:
        return None
    if len(found) > 1:
        return Loss(Reason.REPEATED_TAGS, "both kinds of think tags")
    return _between(text, found[0])


def _unwrapped(reasoning: str) -> str | Loss:
    """A reasoning field without the tags that some data sets leave around it."""
    split = _split_tagged(reasoning)
    if split is None:
        return reasoning
    if isinstance(split, Loss):
        return split
    chain, rest = split
    return Loss(Reason.REPEATED_TAGS, "text after the chain in the reasoning field") if rest.strip() else chain


def _parts(text: str, reasoning: object) -> tuple[str, str] | Loss:
    tagged = _split_tagged(text)
    if isinstance(tagged, Loss):
        return tagged
    if reasoning is None or reasoning == "":
        return tagged or Loss(Reason.NO_CHAIN)
    field = clean_text(reasoning, Reason.EMPTY_CHAIN, Reason.BAD_GENERATION)
    chain = field if isinstance(field, Loss) else _unwrapped(field)
    if isinstance(chain, Loss):
        return chain
    if tagged is None:
        return chain, text
    if tagged[0].strip() != chain.strip():
        return Loss(Reason.REPEATED_TAGS, "a chain in the text and another one in the reasoning field")
    return tagged


def split_generation(text: object, reasoning: object = None) -> Generation | Loss:
    """Split one generation. Never fails, whatever the values.

    Args:
        text: what the model wrote, as it stands in the data set.
        reasoning: the chain, where the data set has it in a field of its own; None or "" where it has not. A text that
            repeats the same chain between tags is accepted.
    """
    body = clean_text(text, Reason.NULL_GENERATION if text is None else Reason.EMPTY_GENERATION, Reason.BAD_GENERATION)
    if isinstance(body, Loss):
        # With a chain of its own, what is missing is the conclusion.
        apart = isinstance(reasoning, str) and reasoning.strip() and body.reason is not Reason.BAD_GENERATION
        return Loss(Reason.EMPTY_CONCLUSION) if apart and body.reason is not Reason.NOT_UNICODE else body
    parts = _parts(body, reasoning)
    if isinstance(parts, Loss):
        return parts
    chain = clean_text(parts[0], Reason.EMPTY_CHAIN, Reason.BAD_GENERATION)
    if isinstance(chain, Loss):
        return chain
    solution = _solution(parts[1])
    if isinstance(solution, Loss):
        return solution
    if not solution.strip():
        return Loss(Reason.EMPTY_CONCLUSION)
    if has_protocol_tags(chain):
        return Loss(Reason.CHAIN_TAGS)
    if has_protocol_tags(solution):
        return Loss(Reason.CONCLUSION_TAGS)
    if any(tag in chain for tag in (*_THOUGHT, *_SOLUTION)) or any(tag in solution for tag in (*_THOUGHT, *_SOLUTION)):
        return Loss(Reason.REPEATED_TAGS, "tags of OpenThoughts inside")
    return Generation(chain, solution.strip())
