"""Verification turns wrong first answers into right ones: held-out problems, the bundled model at a temperature at which it
errs, and checks that know no answer.

Three ways are compared: no verifier; a verifier whose rejections come back as a note in the summary; a verifier after
whose rejections the run starts over (``on_rejected="restart"``). Each check tests a claim without solving the problem
anew where that is possible, and the table says how many wrong answers got past it.

Run as: ``python examples/verified_answers.py`` (``--count 5`` for a quick look).
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # the model comes with the package

from rich.console import Console
from rich.table import Table

from datasets_build.synthetic import FAMILIES, Problem, generate
from inftythink_graph import Candidate, EmbeddedChatModel, InftyThinkOutput, Verdict, create_inftythink_graph

__all__ = ["CHECKS", "Outcome", "checker", "main"]

WAYS: dict[str, dict[str, Any]] = {
    "no verifier": {},
    "note": {"on_rejected": "note"},
    "restart": {"on_rejected": "restart"},
}


def check_collatz(numbers: Sequence[int], claim: int) -> Verdict:
    """Replay as many steps as are claimed: they must end at 1, and not be at 1 before."""
    n = numbers[0]
    for step in range(claim):
        if n == 1:
            return Verdict(False, f"1 is reached after {step} steps already.")
        n = n // 2 if n % 2 == 0 else 3 * n + 1
    return Verdict(n == 1, f"After {claim} steps the number is {n}, not 1.")


def check_gcd(numbers: Sequence[int], claim: int) -> Verdict:
    """It must divide both numbers, and no multiple of it may."""
    if claim < 1 or any(number % claim for number in numbers):
        return Verdict(False, f"{claim} does not divide both numbers.")
    larger = next((d for d in range(2 * claim, min(numbers) + 1, claim) if not any(n % d for n in numbers)), None)
    return Verdict(larger is None, f"{larger} divides both numbers as well.")


def check_product(numbers: Sequence[int], claim: int) -> Verdict:
    """Cast out nines and elevens, and look at the last digit: no proof, and nothing is multiplied out."""
    a, b = numbers
    wrong = [m for m in (9, 10, 11) if (a % m) * (b % m) % m != claim % m]
    return Verdict(not wrong, f"The product has another remainder when divided by {' and '.join(map(str, wrong))}.")


CHECKS: Mapping[str, Callable[[Sequence[int], int], Verdict]] = {
    "collatz": check_collatz,
    "gcd": check_gcd,
    "product": check_product,
}


def checker(problems: Sequence[Problem]) -> Callable[[Candidate], Verdict]:
    """A verifier that knows the numbers of the problems, and no answer."""
    asked = {problem.question: (problem.family, problem.params) for problem in problems}

    def check(candidate: Candidate) -> Verdict:
        family, numbers = asked[candidate.question]
        if candidate.answer is None or not candidate.answer.isascii() or not candidate.answer.isdigit():
            return Verdict(False, "The answer must be a whole number.")
        return CHECKS[family](numbers, int(candidate.answer))

    return check


@dataclass(frozen=True)
class Outcome:
    """What one way came to: answers right, answers accepted though wrong, and what it took."""

    right: int
    wrong_accepted: int
    given_up: int
    epochs: float
    tokens: float
    rejections: int
    seconds: float


def outcome(problems: Sequence[Problem], results: Sequence[InftyThinkOutput], seconds: float) -> Outcome:
    """Hold the results against the right answers."""
    pairs = list(zip(problems, results, strict=True))
    right = sum(result["answer"] == problem.answer for problem, result in pairs)
    wrong = sum(result["status"] == "answered" and result["answer"] != problem.answer for problem, result in pairs)
    return Outcome(
        right=right,
        wrong_accepted=wrong,
        given_up=len(pairs) - right - wrong,
        epochs=mean(result["epochs"] for result in results),
        tokens=mean(result["usage"]["completion_tokens"] for result in results),
        rejections=sum(bool(record["verdict"]) for result in results for record in result["trace"]),
        seconds=seconds,
    )


def main(argv: Sequence[str] | None = None) -> dict[str, Outcome]:
    """Answer the same problems in all ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=20, help="problems of each family (default: %(default)s)")
    parser.add_argument("--temperature", type=float, default=1.3, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=7, help="of problems and sampling (default: %(default)s)")
    parser.add_argument("--min-steps", type=int, default=24, help="fewest steps of a chain (default: %(default)s)")
    parser.add_argument("--max-steps", type=int, default=48, help="most steps of a chain (default: %(default)s)")
    parser.add_argument("--max-epochs", type=int, default=60, help="most epochs of a question (default: %(default)s)")
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    args = parser.parse_args(argv)
    console = Console()

    steps = {"min_steps": args.min_steps, "max_steps": args.max_steps}
    problems = [
        problem
        for family in FAMILIES
        for problem in generate(family, args.count, seed=args.seed, split="test", **steps)
    ]
    model = EmbeddedChatModel(max_batch=len(problems))
    table = Table(title=f"{len(problems)} held-out problems, temperature {args.temperature}")
    for column in ("way", "right", "wrong, accepted", "no answer", "rejections", "epochs", "tokens", "seconds"):
        table.add_column(column, justify="left" if column == "way" else "right")
    outcomes: dict[str, Outcome] = {}
    for way in args.ways:
        options = {**WAYS[way], "verifier": checker(problems)} if WAYS[way] else {}
        graph = create_inftythink_graph(
            model,
            temperature=args.temperature,
            seed=args.seed,
            max_epochs=args.max_epochs,
            keep_trace=True,
            **options,
        )
        start = time.perf_counter()
        questions: list[Any] = [{"question": problem.question} for problem in problems]
        results: Any = graph.batch(questions, {"max_concurrency": len(problems)})
        outcomes[way] = found = outcome(problems, results, time.perf_counter() - start)
        table.add_row(
            way,
            f"{found.right} of {len(problems)} ({found.right / len(problems):.0%})",
            str(found.wrong_accepted),
            str(found.given_up),
            str(found.rejections),
            f"{found.epochs:.1f}",
            f"{found.tokens:,.0f}",
            f"{found.seconds:.0f}",
        )
    console.print(table)
    return outcomes


if __name__ == "__main__":
    main()
