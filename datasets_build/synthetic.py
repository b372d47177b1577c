"""Long-horizon problems: questions in words whose chain of thought can be made as long as one likes.

Every problem has a verifiable answer, a chain of small steps, and after each step a compact state from which the rest
follows: what InftyThink's summaries need. Three families:

- ``collatz``: the stopping time of n under the 3n + 1 rule; one step a map application.
- ``gcd``: the greatest common divisor by subtraction (Euclid's own form); one step a subtraction.
- ``product``: a product by repeated addition; one step an addition.

Numbers in steps and states have a fixed width: the same digit then stands at the same distance from where it is needed,
which is what lets a small model learn to copy and to carry. A chain therefore begins by setting its numbers down in
that width, and ends by writing its result without it. Whatever is calculated, a step's number too, names the carries
or borrows of its columns before the result, the ones column first: the result's leading digit comes first, and depends
on all of them.

A problem belongs to ``train`` or ``test`` by a hash of its numbers, so the two are disjoint for every seed, size and
depth. Run as: ``python -m datasets_build.synthetic --family gcd --min-steps 200 --count 3``; with ``--layout openr1``,
the output is rows that ``inftythink build-data`` reads.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias, get_args

__all__ = ["FAMILIES", "Problem", "Split", "generate", "openr1_row", "problem", "split_of"]

Split: TypeAlias = Literal["train", "test"]
Params: TypeAlias = tuple[int, ...]

TEST_SHARE = 10  # one problem in ten is held out
_COLLATZ_LIMIT = 100_000
_COLLATZ_PEAK = 1_000_000  # starts whose orbit climbs higher are left out: numbers stay within six digits
_GCD_LIMIT = 10_000
_GCD_SMALLER = 100
_PRODUCT_ADDEND = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem with its worked solution.

    Attributes:
        family: the family's name.
        params: the numbers that define the problem.
        question: the question in words.
        answer: the answer, decimal digits.
        setup: the first line of the chain of thought: the numbers of the question in their fixed width.
        start: a summary of where the chain stands before its first step.
        steps: the chain of thought proper, one line a step.
        states: for each step, a summary of where the chain stands after it.
        closing: the last line of the chain of thought: the result without leading zeros.
        conclusion: the closing text with the boxed answer.
    """

    family: str
    params: Params
    question: str
    answer: str
    setup: str
    start: str
    steps: tuple[str, ...]
    states: tuple[str, ...]
    closing: str
    conclusion: str

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """The whole chain of thought by lines, each with a summary of where the chain stands after it."""
        return ((self.setup, self.start), *zip(self.steps, self.states, strict=True), (self.closing, self.states[-1]))

    @property
    def chain(self) -> str:
        """The whole chain of thought."""
        return "\n".join((self.setup, *self.steps, self.closing))


@dataclass(frozen=True, slots=True)
class Solution:
    """What a family's solver gives; the fields are those of :class:`Problem`."""

    setup: str
    start: str
    steps: list[str]
    states: list[str]
    answer: str
    closing: str
    conclusion: str


@dataclass(frozen=True, slots=True)
class Family:
    """How one family draws and solves its problems.

    ``draw`` gives numbers whose chain has about ``depth`` steps, ``depth_of`` the exact count, and ``solve`` the chain
    and what it comes to.
    """

    draw: Callable[[random.Random, int], Params]
    depth_of: Callable[[Params], int]
    solve: Callable[[Params], Solution]
    phrasings: tuple[str, ...]


def _carries(number: int, width: int, *, times: int = 1, plus: int = 0) -> str:
    """What each column but the leading one hands on in ``times * number + plus``, the ones column first.

    A negative ``plus`` is taken away, and the digits are then what each column borrows.
    """
    taken, handed = 1 if plus >= 0 else -1, 0
    digits = []
    for column in range(width - 1):
        of_number, of_plus = number // 10**column % 10, abs(plus) // 10**column % 10
        handed = (times * of_number + taken * of_plus + handed) // 10
        digits.append(abs(handed))
    return "".join(map(str, digits))


def _collatz_next(n: int) -> int:
    return n // 2 if n % 2 == 0 else 3 * n + 1


@lru_cache(maxsize=1)
def _collatz_by_depth() -> tuple[tuple[int, ...], dict[int, list[int]]]:
    """Starts below the limit by stopping time, without those that climb over the peak."""
    known: dict[int, tuple[int, int]] = {1: (0, 1)}  # n -> (stopping time, highest value)
    by_depth: dict[int, list[int]] = {}
    for start in range(2, _COLLATZ_LIMIT):
        orbit, n = [], start
        while n not in known:
            orbit.append(n)
            n = _collatz_next(n)
        time, peak = known[n]
        for value in reversed(orbit):
            time, peak = time + 1, max(peak, value)
            known[value] = (time, peak)
        time, peak = known[start]
        if peak < _COLLATZ_PEAK:
            by_depth.setdefault(time, []).append(start)
    return tuple(sorted(by_depth)), by_depth


def _draw_collatz(rng: random.Random, depth: int) -> Params:
    depths, by_depth = _collatz_by_depth()
    nearest = min(depths, key=lambda candidate: (abs(candidate - depth), candidate))
    return (rng.choice(by_depth[nearest]),)


def _collatz_depth(params: Params) -> int:
    (n,), steps = params, 0
    while n != 1:
        n, steps = _collatz_next(n), steps + 1
    return steps


def _solve_collatz(params: Params) -> Solution:
    (n,) = params
    setup = f"{n} is {n:06}"
    states = [f"After 000 steps the number is {n:06}."]
    steps: list[str] = []
    while n != 1:
        following = _collatz_next(n)
        tripled = f"odd, tripled plus one (carry {_carries(n, 6, times=3, plus=1)})"
        rule = tripled if n % 2 else "even, divided by two"
        done = len(steps)
        number = f"{done:03} + 1 (carry {_carries(done, 3, plus=1)}) = {done + 1:03}"
        steps.append(f"{number}: {n:06} is {rule} is {following:06}")
        states.append(f"After {len(steps):03} steps the number is {following:06}.")
        n = following
    answer = str(len(steps))
    conclusion = f"It takes {answer} steps: \\boxed{{{answer}}}"
    return Solution(setup, states[0], steps, states[1:], answer, f"{len(steps):03} is {answer}", conclusion)


def _draw_gcd(rng: random.Random, depth: int) -> Params:
    # A large first quotient makes most of the depth; what is left of it comes from the remainder's own quotients.
    smaller = rng.randint(2, max(2, min((_GCD_LIMIT - 1) // max(depth, 1), _GCD_SMALLER - 1)))
    divisor = rng.choice([d for d in range(1, smaller + 1) if smaller % d == 0])
    larger = smaller * max(depth - rng.randint(0, 12), 1) + divisor * rng.randrange(smaller // divisor)
    larger = min(larger, _GCD_LIMIT - 1)
    return (larger, smaller) if rng.random() < 0.5 else (smaller, larger)


def _gcd_depth(params: Params) -> int:
    (a, b), steps = params, 0
    while b:  # the quotients of Euclid's division, less the last subtraction: the chain stops at equal numbers
        steps, a, b = steps + a // b, b, a % b
    return steps - 1


def _solve_gcd(params: Params) -> Solution:
    setup = ", ".join(f"{number} is {number:04}" for number in params)
    larger, smaller = max(params), min(params)
    states = [f"The pair is now ({larger:04}, {smaller:04})."]
    steps: list[str] = []
    while larger != smaller:
        rest = larger - smaller
        borrow = _carries(larger, 4, plus=-smaller)
        steps.append(f"({larger:04}, {smaller:04}): {larger:04} - {smaller:04} (borrow {borrow}) = {rest:04}")
        larger, smaller = max(rest, smaller), min(rest, smaller)
        states.append(f"The pair is now ({larger:04}, {smaller:04}).")
    conclusion = f"Both numbers are {larger} now: \\boxed{{{larger}}}"
    return Solution(setup, states[0], steps, states[1:], str(larger), f"{larger:04} is {larger}", conclusion)


def _draw_product(rng: random.Random, depth: int) -> Params:
    return (rng.randrange(2, _PRODUCT_ADDEND), max(depth, 2))


def _solve_product(params: Params) -> Solution:
    addend, times = params
    setup = f"{addend} is {addend:02}, {times} is {times:03}"
    states = [f"The sum is {0:05}, {times:03} times {addend:02} is left."]
    steps, total = [], 0
    for left in range(times, 0, -1):
        carry = _carries(total, 5, plus=addend)
        rest = f"{left:03} - 1 (borrow {_carries(left, 3, plus=-1)}) = {left - 1:03} left"
        steps.append(f"{rest}: {total:05} + {addend:02} (carry {carry}) = {total + addend:05}")
        total += addend
        states.append(f"The sum is {total:05}, {left - 1:03} times {addend:02} is left.")
    conclusion = f"Nothing is left to add, the sum is {total}: \\boxed{{{total}}}"
    return Solution(setup, states[0], steps, states[1:], str(total), f"{total:05} is {total}", conclusion)


FAMILIES: dict[str, Family] = {
    "collatz": Family(
        _draw_collatz,
        _collatz_depth,
        _solve_collatz,
        (
            "How many Collatz steps does it take to get from {0} to 1?",
            "Start with {0}. Halve it when it is even, otherwise triple it and add 1. How many steps until it is 1?",
            "Find the Collatz stopping time of {0}.",
            "Apply the 3n + 1 rule to {0} until you reach 1, and count the steps.",
        ),
    ),
    "gcd": Family(
        _draw_gcd,
        _gcd_depth,
        _solve_gcd,
        (
            "What is the greatest common divisor of {0} and {1}?",
            "Find gcd({0}, {1}) by subtracting the smaller number from the larger one.",
            "Which is the largest number that divides both {0} and {1}?",
            "Compute the greatest common factor of {0} and {1} by repeated subtraction.",
        ),
    ),
    "product": Family(
        _draw_product,
        lambda params: params[1],
        _solve_product,
        (
            "Multiply {0} by {1} by repeated addition.",
            "What is {1} times {0}? Add {0} again and again.",
            "There are {1} boxes with {0} apples in each. How many apples is that?",
            "Add {0} to itself until you have added it {1} times, starting from 0. What is the sum?",
        ),
    ),
}


def split_of(family: str, params: Params) -> Split:
    """The split that a problem belongs to, by a hash of its numbers (in any order)."""
    digest = hashlib.sha256(f"{family}:{sorted(params)}".encode()).digest()
    return "test" if int.from_bytes(digest[:8], "big") % TEST_SHARE == 0 else "train"


def _family(name: str) -> Family:
    if name not in FAMILIES:
        raise ValueError(f"unknown family {name!r}; allowed: {', '.join(FAMILIES)}")
    return FAMILIES[name]


def problem(family: str, params: Params, *, phrasing: int = 0) -> Problem:
    """The problem that ``params`` defines, asked in the given phrasing (an index, taken modulo their number).

    Raises:
        ValueError: the family is unknown, or the numbers allow no chain (fewer than one step).
    """
    kind = _family(family)
    if any(value < 1 for value in params) or kind.depth_of(params) < 1:
        raise ValueError(f"{family} has no chain for {params}: numbers must be positive and need at least one step")
    found = kind.solve(params)
    return Problem(
        family=family,
        params=params,
        question=kind.phrasings[phrasing % len(kind.phrasings)].format(*params),
        answer=found.answer,
        setup=found.setup,
        start=found.start,
        steps=tuple(found.steps),
        states=tuple(found.states),
        closing=found.closing,
        conclusion=found.conclusion,
    )


def generate(
    family: str,
    count: int,
    *,
    seed: int,
    split: Split = "train",
    min_steps: int = 1,
    max_steps: int = 400,
    unique: bool = True,
    accept: Callable[[Problem], bool] | None = None,
) -> Iterator[Problem]:
    """Draw problems of one family, their depths spread evenly on a logarithmic scale.

    Args:
        family: a key of :data:`FAMILIES`.
        count: how many.
        seed: the same seed gives the same problems, in the same order.
        split: ``train`` or ``test``.
        min_steps: fewest steps in a chain.
        max_steps: most steps in a chain.
        unique: never draw the same numbers twice.
        accept: a further condition, for example on the chain's length in tokens.

    Raises:
        ValueError: a bound is off, or the family hasn't that many problems within the bounds.
    """
    kind = _family(family)
    if split not in get_args(Split):
        raise ValueError(f"unknown split {split!r}; allowed: {', '.join(get_args(Split))}")
    if not 1 <= min_steps <= max_steps:
        raise ValueError(f"need 1 <= min_steps <= max_steps, got {min_steps} and {max_steps}")
    rng = random.Random(f"{family}:{split}:{seed}")
    seen: set[Params] = set()
    produced = misses = 0
    while produced < count:
        if misses > 2000:
            raise ValueError(
                f"{family} ran out after {produced} of {count} {split} problems with {min_steps} to {max_steps} steps;"
                " ask for fewer or widen the bounds"
            )
        misses += 1
        depth = round(math.exp(rng.uniform(math.log(min_steps), math.log(max_steps))))
        params = kind.draw(rng, depth)
        phrasing = rng.randrange(len(kind.phrasings))
        if split_of(family, params) != split or not min_steps <= kind.depth_of(params) <= max_steps:
            continue
        if unique and params in seen:
            continue
        candidate = problem(family, params, phrasing=phrasing)
        if accept is not None and not accept(candidate):
            continue
        seen.add(params)
        produced, misses = produced + 1, 0
        yield candidate


def openr1_row(item: Problem) -> dict[str, Any]:
    """A problem as a row of OpenR1-Math-220k has it: the whole chain as one generation, in the columns that matter."""
    text = f"<think>\n{item.chain}\n</think>\n\n{item.conclusion}"
    uuid = f"{item.family}-{'-'.join(map(str, item.params))}"
    return {"uuid": uuid, "problem": item.question, "answer": item.answer, "generations": [text]}


def main(argv: Sequence[str] | None = None) -> None:
    """Print problems as JSON lines."""
    parser = argparse.ArgumentParser(prog="python -m datasets_build.synthetic", description=main.__doc__)
    parser.add_argument("--family", choices=list(FAMILIES), default="collatz")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", choices=get_args(Split), default="test")
    parser.add_argument("--min-steps", type=int, default=1)
    parser.add_argument("--max-steps", type=int, default=400)
    parser.add_argument(
        "--layout",
        choices=("problem", "openr1"),
        default="problem",
        help="problem: all that a problem has; openr1: rows of chains, as inftythink build-data reads them",
    )
    args = parser.parse_args(argv)
    form = openr1_row if args.layout == "openr1" else asdict
    for item in generate(
        args.family, args.count, seed=args.seed, split=args.split, min_steps=args.min_steps, max_steps=args.max_steps
    ):
        print(json.dumps(form(item)))


if __name__ == "__main__":
    main()
