"""How hard a step of a synthetic chain is: how far a carry or a borrow could travel through its digits.

A digit column *propagates* when its carry out equals its carry in (carry-lookahead adders call it so): 9 in a sum of
columns, equal digits in a difference. A step names its carries one by one, and those of a long run are the ones that a
model gets wrong. Runs of length k are about ten times rarer than runs of k - 1, so a random sample hardly shows them.
"""

from __future__ import annotations

import re

__all__ = ["counter_run", "digits_alike", "longest_carry_run", "most_digits", "repeated_digits"]

_NUMBER = re.compile(r"\d+")
_OPERATION = re.compile(r"(\d+) ([+-]) (\d+) \(")
_TRIPLED = re.compile(r"(\d+) is odd, tripled")
_DIFFERENCE = re.compile(r"- (\d+) \(borrow \d+\) = (\d+)")
_CARRIES = re.compile(r"\((?:carry|borrow) \d+\)")
_COUNTER = re.compile(r"(\d+) [+-] 1 \([^)]*\)")


def _longest(flags: list[bool]) -> int:
    longest = run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        longest = max(longest, run)
    return longest


def _without_counter(step: str) -> str:
    return _COUNTER.sub("", step, count=1)


def counter_run(step: str) -> int:
    """How many digits of a step's counter have just changed, or are about to: 2 for 099, 100, 199, 200 and 300."""
    counter = match[1].lstrip("0") if (match := _COUNTER.match(step)) else ""
    return max(len(counter) - len(counter.rstrip("9")), len(counter) - len(counter.rstrip("0")))


def digits_alike(step: str) -> int:
    """How many digits of a difference are those of what was taken away, where not all are (0 for other steps).

    A chain of differences ends where the two are equal, so these are the steps that look most like an end.
    """
    if not (match := _DIFFERENCE.search(_without_counter(step))) or match[1] == match[2]:
        return 0
    return sum(a == b for a, b in zip(match[1], match[2], strict=True))


def most_digits(step: str) -> int:
    """How many digits the largest number of a step has, leading zeros aside (0 where there is no number)."""
    return max((len(digits.lstrip("0")) for digits in _NUMBER.findall(step)), default=0)


def repeated_digits(step: str) -> int:
    """How many digits of one number of a step repeat an earlier one of it: 2 for 6336, 3 for 10101 (0: no number).

    Who copies such a number digit by digit can't tell from the last one how far it is. Of leading zeros one counts, and
    carries don't.
    """
    numbers = (re.sub(r"^0+(?=\d)", "0", digits) for digits in _NUMBER.findall(_CARRIES.sub("", step)))
    return max((len(digits) - len(set(digits)) for digits in numbers), default=0)


def longest_carry_run(step: str) -> int:
    """Length of the longest run of propagating columns in one step of a chain (0 where nothing is calculated).

    A sum ``a + b`` propagates where its digits add up to 9, a difference ``a - b`` where they are equal, and
    ``3 * a + 1`` where a digit is 3 or 6 (tripled one below a multiple of ten, or two). A counter in front propagates
    where it ends in nines (one more) or in zeros (one less); it counts only where a number is tripled or halved.
    """
    if match := _OPERATION.search(_without_counter(step)):
        first, sign, second = match.groups()
        width = max(len(first), len(second))
        columns = zip(map(int, first.zfill(width)), map(int, second.zfill(width)), strict=True)
        return _longest([a + b == 9 if sign == "+" else a == b for a, b in columns])
    run = _longest([digit in "36" for digit in match[1]]) if (match := _TRIPLED.search(step)) else 0
    return max(run, counter_run(step))
