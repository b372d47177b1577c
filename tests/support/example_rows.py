"""Rows of data sets, and what becomes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from datasets_build.sources.examples import Example, Outcome, Rules, row_examples
from datasets_build.sources.losses import Reason
from inftythink_graph.protocol import TAGS

__all__ = ["DATA", "GOOD", "JUNK", "one", "read_rows", "reason_of", "take"]

DATA = Path(__file__).parents[1] / "data"
GOOD = "<think>\nA long chain.\n</think>\n\nThe end."

_PIECES = st.sampled_from(
    [*TAGS, "<|begin_of_thought|>", "<|end_of_thought|>", "<|begin_of_solution|>", "\n", " ", "a", "\ud800"]
)
JUNK = st.lists(_PIECES | st.text(max_size=4), max_size=8).map("".join)
"""Texts with tags in any order, and with what is no character."""


def read_rows(name: str) -> list[dict[str, Any]]:
    """The rows of a file of the test data."""
    return [json.loads(line) for line in (DATA / name).read_text().splitlines()]


def take(row: object, **rules: Any) -> Outcome:
    """What becomes of a row, all its generations taken unless the rules say otherwise."""
    return row_examples(row, Rules(**{"selection": "all", **rules}), "set")


def one(row: object, **rules: Any) -> Example:
    """The only example of a row."""
    (example,) = take(row, **rules).examples
    return example


def reason_of(row: object, **rules: Any) -> Reason:
    """Why a row brings no example."""
    outcome = take(row, **rules)
    assert not outcome.examples
    assert outcome.loss is not None
    return outcome.loss.reason
