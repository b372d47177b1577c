"""What a training row teaches, read from its text alone: data sets of other tools have no columns that say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inftythink_graph.protocol import TAGS, parse, question_text

__all__ = ["KINDS", "row_kind"]

KINDS = ("first", "middle", "last", "whole", "rescue", "other")
"""Kinds of rows: the first segment of a chain, one in the middle, the last one, a chain in one piece, a rescue (the
summary of a segment that was cut), and what is none of these."""

_SUMMARY, _HISTORY_END = TAGS[2], TAGS[5]


def row_kind(row: Mapping[str, Any]) -> str:
    """One of :data:`KINDS`."""
    last = row["prompt"][-1]
    asked = question_text(last["content"])
    if last["role"] == "assistant" and asked.rstrip().endswith(_SUMMARY):
        return "rescue"
    goes_on = _HISTORY_END in asked
    kind = parse(str(row["completion"][-1]["content"]), "stop").kind
    if kind == "summary":
        return "middle" if goes_on else "first"
    if kind == "conclusion":
        return "last" if goes_on else "whole"
    return "other"
