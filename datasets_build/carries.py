"""How hard a step of a synthetic chain is: how far a carry or a borrow could travel through its digits.

A digit column *propagates* when its carry out equals its carry in (carry-lookahead adders call it so): 9 in a sum of
columns, equal digits in a difference. A model that writes the leading digit first must look through the whole run of
such columns. Runs of length k are about ten times rarer than runs of k - 1, so a random sample hardly shows them.
"""

from __future__ import annotations

import re

__all__ = ["longest_carry_run"]

_OPERATION = re.compile(r"(\d+) ([+-]) (\d+) =")
_TRIPLED = re.compile(r"(\d+) is odd, tripled")
_COUNTER = re.compile(r"(\d+):")


def _longest(flags: list[bool]) -> int:
    longest = run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        longest = max(longest, run)
    return longest


def longest_carry_run(step: str) -> int:
    """Length of the longest run of propagating columns in one step of a chain (0 where nothing is calculated).

    A sum ``a + b`` propagates where its digits add up to 9, a difference ``a - b`` where they are equal, and
    ``3 * a + 1`` where a digit is 3 or 6 (tripled one below a multiple of ten, or two). A counter in front propagates
    where it ends in nines (one more) or in zeros (one less).
    """
    if match := _OPERATION.search(step):
        first, sign, second = match.groups()
        width = max(len(first), len(second))
        columns = zip(map(int, first.zfill(width)), map(int, second.zfill(width)), strict=True)
        return _longest([a + b == 9 if sign == "+" else a == b for a, b in columns])
    run = _longest([digit in "36" for digit in match[1]]) if (match := _TRIPLED.search(step)) else 0
    counter = match[1] if (match := _COUNTER.match(step)) else ""
    return max(run, len(counter) - len(counter.rstrip("9")), len(counter) - len(counter.rstrip("0")))
