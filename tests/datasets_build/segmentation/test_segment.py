"""Cutting chains: no segment above eta, nothing lost, nothing reordered."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_build.segmentation.segment import Counter, pack_units


def characters(texts: Sequence[str]) -> list[int]:
    return [len(text) for text in texts]


def merging(texts: Sequence[str]) -> list[int]:
    """A tokenizer that finds more tokens in a joined text than in its parts: sums of parts are too low."""
    return [len(text) + 2 * text.count("\n") for text in texts]


def splitting(texts: Sequence[str]) -> list[int]:
    """A tokenizer that merges over joints: sums of parts are too high."""
    return [max(len(text) - 2 * text.count("\n"), 0) for text in texts]


COUNTERS = pytest.mark.parametrize("count", [characters, merging, splitting])
units_and_eta = st.lists(st.text(alphabet="abc ", max_size=9), max_size=40).flatmap(
    lambda units: st.tuples(st.just(units), st.integers(max([len(unit) for unit in units] + [1]), 60))
)


@COUNTERS
@settings(max_examples=200)
@given(case=units_and_eta, joint=st.sampled_from(["\n", "\n\n"]))
def test_segments_cover_the_chain_and_stay_within_eta(count: Counter, case: tuple[list[str], int], joint: str) -> None:
    units, eta = case
    spans = pack_units(units, eta, count, joint=joint)
    assert [index for span in spans for index in span] == list(range(len(units)))
    segments = [joint.join(units[i] for i in span) for span in spans]
    assert joint.join(segments) == joint.join(units), "concatenation gives the chain back"
    assert all(size <= eta for size in count(segments))
    assert all(len(span) for span in spans)


@settings(max_examples=100)
@given(case=units_and_eta)
def test_packing_is_greedy(case: tuple[list[str], int]) -> None:
    units, eta = case
    spans = pack_units(units, eta, characters)
    for span, following in itertools.pairwise(spans):
        grown = "\n".join(units[i] for i in range(span.start, following.start + 1))
        assert len(grown) > eta, "one more unit would still have fitted"


def test_known_cuts() -> None:
    units = ["aaaa", "bbbb", "cccc", "dd"]
    assert pack_units(units, 9, characters) == [range(0, 2), range(2, 4)]
    assert pack_units(units, 8, characters) == [range(0, 1), range(1, 2), range(2, 4)]
    assert pack_units(units, 100, characters) == [range(0, 4)]
    assert pack_units([], 5, characters) == []


def test_joints_count() -> None:
    assert pack_units(["aa", "bb"], 4, characters) == [range(0, 1), range(1, 2)]
    assert pack_units(["aa", "bb"], 5, characters) == [range(0, 2)]


def test_what_can_not_be_cut_is_refused() -> None:
    with pytest.raises(ValueError, match="one unit alone has 6 tokens, more than eta = 5: 'bbbbbb'"):
        pack_units(["a", "bbbbbb"], 5, characters)
    with pytest.raises(ValueError, match="eta must be at least 1, got 0"):
        pack_units(["a"], 0, characters)
