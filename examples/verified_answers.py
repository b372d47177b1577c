"""Verification turns wrong first answers into right ones: measured on held-out problems, by checks that know no answer.

The bundled model answers at a temperature at which it errs, in three ways: without a verifier; with one whose
rejections come back as a note in the summary; with one after whose rejections the run starts over
(``on_rejected="restart"``). The table says as well how many wrong answers got past the checks.

Seeds are fixed, so a run whose first answer is accepted is the same with and without a verifier: only the others are
run again.

Run as: ``python examples/verified_answers.py`` (``--count 5`` for a quick look).
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any, Literal

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # the model comes with the package

from rich.console import Console
from rich.table import Table

from datasets_build.synthetic import FAMILIES, Problem, generate
from inftythink_graph import Candidate, EmbeddedChatModel, InftyThinkOutput, Verdict, create_inftythink_graph

__all__ = ["CHECKS", "Outcome", "checker", "main"]

ALONE = "no verifier"
WAYS: tuple[Literal["note", "restart"], ...] = ("note", "restart")


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
    """What one way came to.

    Attributes:
        right: right answers.
        wrong: wrong answers that the run ended with as if they were right.
        none: runs that ended without an answer, or with one that is known to be wrong.
        rejections: answers turned down on the way.
        epochs: mean number of epochs.
        tokens: mean number of tokens generated.
    """

    right: int
    wrong: int
    none: int
    rejections: int
    epochs: float
    tokens: float


def outcome(problems: Sequence[Problem], results: Sequence[InftyThinkOutput]) -> Outcome:
    """Hold the results against the right answers."""
    pairs = list(zip(problems, results, strict=True))
    right = sum(result["answer"] == problem.answer for problem, result in pairs)
    wrong = sum(result["status"] == "answered" and result["answer"] != problem.answer for problem, result in pairs)
    return Outcome(
        right=right,
        wrong=wrong,
        none=len(pairs) - right - wrong,
        rejections=sum(bool(record["verdict"]) for result in results for record in result["trace"]),
        epochs=mean(result["epochs"] for result in results),
        tokens=mean(result["usage"]["completion_tokens"] for result in results),
    )


def answer_all(
    model: EmbeddedChatModel, problems: Sequence[Problem], **options: Any
) -> dict[str, list[InftyThinkOutput]]:
    """Results of every way, in the problems' order; options as ``create_inftythink_graph`` takes them."""

    def run(asked: Sequence[Problem], **more: Any) -> list[Any]:
        graph = create_inftythink_graph(model, keep_trace=True, **options, **more)
        inputs: list[Any] = [{"question": problem.question} for problem in asked]
        return graph.batch(inputs, {"max_concurrency": max(len(asked), 1)})

    check = checker(problems)
    results = {ALONE: run(problems)}
    rejected = [
        index
        for index, (problem, result) in enumerate(zip(problems, results[ALONE], strict=True))
        if not check(Candidate(problem.question, result["answer"], result["conclusion"], 1)).accepted
    ]
    for way in WAYS:
        again = run([problems[index] for index in rejected], verifier=check, on_rejected=way)
        results[way] = [*results[ALONE]]
        for index, result in zip(rejected, again, strict=True):
            results[way][index] = result
    return results


def main(argv: Sequence[str] | None = None) -> dict[str, Outcome]:
    """Answer the same problems in all ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=20, help="problems of each family (default: %(default)s)")
    parser.add_argument("--temperature", type=float, default=1.2, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=7, help="of problems and sampling (default: %(default)s)")
    parser.add_argument("--min-steps", type=int, default=16, help="fewest steps of a chain (default: %(default)s)")
    parser.add_argument("--max-steps", type=int, default=32, help="most steps of a chain (default: %(default)s)")
    parser.add_argument("--max-epochs", type=int, default=40, help="most epochs of a question (default: %(default)s)")
    args = parser.parse_args(argv)
    console = Console()

    steps = {"min_steps": args.min_steps, "max_steps": args.max_steps}
    problems = [
        problem
        for family in FAMILIES
        for problem in generate(family, args.count, seed=args.seed, split="test", **steps)
    ]
    model = EmbeddedChatModel(max_batch=len(problems))
    start = time.process_time()
    results = answer_all(model, problems, temperature=args.temperature, seed=args.seed, max_epochs=args.max_epochs)
    table = Table(title=f"{len(problems)} held-out problems at temperature {args.temperature}")
    for column in ("", "right", "wrong", "no answer", "rejections", "epochs", "tokens"):
        table.add_column(column, justify="right" if column else "left")
    outcomes = {way: outcome(problems, found) for way, found in results.items()}
    for way, found in outcomes.items():
        numbers = (found.wrong, found.none, found.rejections)
        share = f"{found.right} ({found.right / len(problems):.0%})"
        table.add_row(way, share, *map(str, numbers), f"{found.epochs:.1f}", f"{found.tokens:,.0f}")
    console.print(table)
    console.print(f"{time.process_time() - start:.0f} s of CPU time", style="dim")
    return outcomes


if __name__ == "__main__":
    main()
