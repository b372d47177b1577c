"""Text that ends in the same piece over and over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inftythink_graph.repetition import repeated_tail, without_repeated_tail


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("So x = 3. " + "Wait, let me check. " * 40, "So x = 3. Wait, let me check\n[...]"),
        ("a" * 500, "a\n[...]"),
        ("Step 1.\n" + "x = 2\n" * 60 + "x =", "Step 1.\nx = 2\n[...]"),
        ("y" + "ab" * 5000, "y" + "ab" * ((10001 - 8192) // 2) + "ab\n[...]"),
    ],
    ids=["a sentence", "a letter", "cut within a copy", "longer than the window"],
)
def test_one_copy_stays(text: str, kept: str) -> None:
    found = without_repeated_tail(text)
    if len(text) <= 8192:
        assert found == kept
    assert found.endswith("\n[...]")
    assert text.startswith(found.removesuffix("\n[...]"))
    assert len(found) < len(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "The number is 1000000000000000.",
        "ha ha ha ha",
        "no, no, no, no, no.",
        "| a | b |\n" * 3 + "| c | d |\n" * 3,
        "\n".join(f"{n:03}: {7 * n} + 7 = {7 * n + 7}" for n in range(100)),
        "word " * 50 + "and then something else is said at some length, so that the end is no repetition at all.",
    ],
)
def test_what_is_no_repetition_stays_as_it_is(text: str) -> None:
    assert repeated_tail(text) is None
    assert without_repeated_tail(text) == text


@given(st.text(min_size=1, max_size=40), st.text(max_size=60), st.integers(4, 30))
def test_what_was_repeated_is_found_whatever_it_is(piece: str, before: str, count: int) -> None:
    text = before + piece * count
    found = repeated_tail(text)
    if len(piece) * count < 120:
        return
    assert found is not None
    assert found.start <= len(before)
    tail = text[found.start :]
    assert all(a == b for a, b in zip(tail, tail[found.period :], strict=False))
    assert len(tail) >= 4 * found.period


@given(st.text(alphabet="ab", max_size=300))
def test_what_is_found_is_one(text: str) -> None:
    found = repeated_tail(text)
    if found is not None:
        tail = text[found.start :]
        assert len(tail) >= max(120, 4 * found.period)
        assert all(a == b for a, b in zip(tail, tail[found.period :], strict=False))


def test_it_takes_time_in_proportion_to_the_text() -> None:
    """The steps of the prefix function are at most twice the characters: no text makes it slow."""

    class Counting(str):
        compared = 0

        def __getitem__(self, key):  # type: ignore[no-untyped-def]
            Counting.compared += isinstance(key, int)
            return Counting(super().__getitem__(key))

    for text in ("a" * 4000, "ab" * 2000, "a" * 2000 + "b" + "a" * 1999, "abaab" * 800):
        Counting.compared = 0
        repeated_tail(Counting(text))
        assert Counting.compared <= 6 * len(text)
