"""What a training row teaches, read from its text alone: data sets of other tools have no columns that say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inftythink_graph.protocol import TAGS, parse

__all__ = ["row_kind"]

_SUMMARY, _HISTORY_END = TAGS[2], TAGS[5]


def row_kind(row: Mapping[str, Any]) -> str:
    """One of first, middle and last segment, whole chain, rescue (the summary of a cut segment), and other."""
    last = row["prompt"][-1]
    if last["role"] == "assistant" and str(last["content"]).rstrip().endswith(_SUMMARY):
        return "rescue"
    goes_on = _HISTORY_END in str(last["content"])
    kind = parse(str(row["completion"][-1]["content"]), "stop").kind
    if kind == "summary":
        return "middle segment" if goes_on else "first segment"
    if kind == "conclusion":
        return "last segment" if goes_on else "whole chain"
    return "other"
