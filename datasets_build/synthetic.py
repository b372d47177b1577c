"""Long-horizon problems: questions in words whose chain of thought can be made as long as one likes.

Every problem has a verifiable answer, a chain of small steps, and after each step a compact state from which the rest
follows: what InftyThink's summaries need. Three families:

- ``collatz``: the stopping time of n under the 3n + 1 rule; one step a map application.
- ``gcd``: the greatest common divisor by subtraction (Euclid's own form); one step a subtraction.
- ``product``: a product by repeated addition; one step an addition.

Numbers in steps and states have a fixed width: the same digit then stands at the same distance from where it is needed,
which is what lets a small model learn to copy and to carry.

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
        steps: the chain of thought, one line a step.
        states: for each step, a summary of where the chain stands after it.
        conclusion: the closing text with the boxed answer.
    """

    family: str
    params: Params
    question: str
    answer: str
    steps: tuple[str, ...]
    states: tuple[str, ...]
    conclusion: str

    @property
    def chain(self) -> str:
        """The whole chain of thought."""
        return "\n".join(self.steps)


@dataclass(frozen=True, slots=True)
class Family:
    """How one family draws and solves its problems.

    ``draw`` gives numbers whose chain has about ``depth`` steps, ``depth_of`` the exact count, and ``solve`` the steps,
    the states, the answer and the conclusion.
    """

    draw: Callable[[random.Random, int], Params]
    depth_of: Callable[[Params], int]
    solve: Callable[[Params], tuple[list[str], list[str], str, str]]
    phrasings: tuple[str, ...]


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


def _solve_collatz(params: Params) -> tuple[list[str], list[str], str, str]:
    (n,) = params
    steps: list[str] = []
    states: list[str] = []
    while n != 1:
        following = _collatz_next(n)
        rule = "even, divided by two" if n % 2 == 0 else "odd, tripled plus one"
        steps.append(f"{len(steps) + 1:03}: {n:06} is {rule} is {following:06}")
        states.append(f"After {len(steps):03} steps the number is {following:06}.")
        n = following
    answer = str(len(steps))
    return steps, states, answer, f"It takes {answer} steps: \\boxed{{{answer}}}"


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


def _solve_gcd(params: Params) -> tuple[list[str], list[str], str, str]:
    larger, smaller = max(params), min(params)
    steps: list[str] = []
    states: list[str] = []
    while larger != smaller:
        rest = larger - smaller
        steps.append(f"({larger:04}, {smaller:04}): {larger:04} - {smaller:04} = {rest:04}")
        larger, smaller = max(rest, smaller), min(rest, smaller)
        states.append(f"The pair is now ({larger:04}, {smaller:04}).")
    return steps, states, str(larger), f"Both numbers are {larger} now: \\boxed{{{larger}}}"


def _draw_product(rng: random.Random, depth: int) -> Params:
    return (rng.randrange(2, _PRODUCT_ADDEND), max(depth, 2))


def _solve_product(params: Params) -> tuple[list[str], list[str], str, str]:
    addend, times = params
    steps, states, total = [], [], 0
    for left in range(times, 0, -1):
        steps.append(f"{left:03} left: {total:05} + {addend:02} = {total + addend:05}")
        total += addend
        states.append(f"The sum is {total:05}, {left - 1:03} times {addend:02} is left.")
    return steps, states, str(total), f"Nothing is left to add, the sum is {total}: \\boxed{{{total}}}"


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
    steps, states, answer, conclusion = kind.solve(params)
    question = kind.phrasings[phrasing % len(kind.phrasings)].format(*params)
    return Problem(family, params, question, answer, tuple(steps), tuple(states), conclusion)


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
