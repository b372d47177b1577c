"""Why something was left out of a data set: the reasons that rows, generations and training rows can have."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Loss", "Reason"]


class Reason(StrEnum):
    """Every reason for which the sources and the instances leave something out; its value is what the funnel shows."""

    # a line or a file
    TORN_LINE = "torn last line"
    INVALID_JSON = "invalid JSON line"
    LINE_TOO_LONG = "line too long"
    TORN_FILE = "file torn or damaged"
    # a row
    NOT_AN_OBJECT = "row is not an object"
    UNKNOWN_LAYOUT = "unknown columns"
    NO_QUESTION = "no question"
    BAD_QUESTION = "question is not text"
    QUESTION_TAGS = "protocol tags in the question"
    BAD_SYSTEM = "system prompt is not text"
    BAD_MESSAGES = "messages of a wrong form"
    OTHER_ROLES = "turns of other roles"
    SEVERAL_TURNS = "several turns"
    NO_ASSISTANT = "no assistant turn at the end"
    NO_GENERATIONS = "no generations"
    FLAGS_MISMATCH = "flags and generations differ in number"
    BAD_FLAGS = "flags of a wrong type"
    SEVERAL_REASONS = "no usable generation (several reasons)"
    # a generation
    NULL_GENERATION = "null generation"
    BAD_GENERATION = "generation is not text"
    EMPTY_GENERATION = "empty generation"
    NOT_CORRECT = "not verified as correct"
    NOT_COMPLETE = "incomplete by its flags"
    INCOMPLETE_CHAIN = "incomplete chain"
    INCOMPLETE_CONCLUSION = "incomplete conclusion"
    NO_CHAIN = "no chain of thought"
    REPEATED_TAGS = "nested or repeated think tags"
    TEXT_BEFORE = "text before the chain"
    EMPTY_CHAIN = "empty chain"
    EMPTY_CONCLUSION = "empty conclusion"
    CHAIN_TAGS = "protocol tags in the chain"
    CONCLUSION_TAGS = "protocol tags in the conclusion"
    NOT_UNICODE = "text is not valid Unicode"
    TOO_SHORT = "chain shorter than the minimum"
    TOO_LONG = "chain longer than the maximum"
    NOT_TAKEN = "another generation was taken"
    DUPLICATE = "duplicate of an earlier example"
    # a training row
    OVER_LENGTH = "longer than the training length"
    SIBLING_OVER_LENGTH = "another row of its example is too long"
    UNSUMMARIZED = "left out before its summaries: a row of its example is too long"
    END_TOKEN_INSIDE = "end-of-text token inside"
    SIBLING_END_TOKEN = "end-of-text token in another row of its example"


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing that was left out.

    Attributes:
        reason: which of the reasons it is.
        detail: what exactly, for the few cases that a report shows; "" where the reason says all.
    """

    reason: Reason
    detail: str = ""
