"""Long-horizon questions: families of problems with chains as long as asked for, in steps, tokens or context windows.

A specification is a family's name and options after a colon: ``gcd``, ``collatz:min_steps=20,max_steps=40,count=100``,
``product:windows=16-64,window=256``. All problems are of the split ``test``, which no training data contains.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, TypeAlias

from inftythink_graph.errors import InvalidInputError, one_line
from inftythink_graph.evaluation.trials import Question

if TYPE_CHECKING:
    from datasets_build.synthetic import Problem

__all__ = ["FAMILIES", "CountTokens", "LongHorizonSpec", "draw", "parse_spec"]

CountTokens: TypeAlias = Callable[[str], int]
"""How many tokens a text has for the model that is evaluated."""

FAMILIES = ("collatz", "gcd", "product")
"""The families of :mod:`datasets_build.synthetic`."""

_DEFAULT_COUNT = 100
_DEFAULT_MAX_STEPS = 400
_RANGE = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)")
_FORMS = {
    "count": "count=N",
    "min_steps": "min_steps=N",
    "max_steps": "max_steps=N",
    "tokens": "tokens=LOW-HIGH",
    "windows": "windows=LOW-HIGH",
    "window": "window=TOKENS",
}
_PROBES = 8
_MARGIN = 1.15  # between the tokens of a step in the probes and in any chain


@dataclass(frozen=True, slots=True)
class LongHorizonSpec:
    """Which problems of a family.

    Attributes:
        family: one of :data:`FAMILIES`.
        count: how many problems.
        min_steps: fewest steps of a chain; None for no bound (1).
        max_steps: most steps; None for no bound of its own, which is 400 where no depth in tokens is given either.
        tokens: fewest and most tokens of a chain; None where depth isn't measured in tokens.
        windows: the same in context windows of ``window`` tokens.
        window: tokens of a context window.
    """

    family: str
    count: int = _DEFAULT_COUNT
    min_steps: int | None = None
    max_steps: int | None = None
    tokens: tuple[float, float] | None = None
    windows: tuple[float, float] | None = None
    window: int | None = None

    @property
    def token_bounds(self) -> tuple[float, float] | None:
        """Fewest and most tokens of a chain, both allowed."""
        if self.windows is None or self.window is None:
            return self.tokens
        return self.windows[0] * self.window, self.windows[1] * self.window

    @property
    def step_bounds(self) -> tuple[int, int | None]:
        """Fewest and most steps of a chain; no most where the depth in tokens bounds it."""
        return self.min_steps or 1, self.max_steps or (None if self.token_bounds else _DEFAULT_MAX_STEPS)

    def __str__(self) -> str:
        """The specification in its one canonical spelling."""
        default = LongHorizonSpec(self.family)
        options = []
        for item in fields(self)[1:]:
            value = getattr(self, item.name)
            if value != getattr(default, item.name):
                shown = f"{value[0]:g}-{value[1]:g}" if isinstance(value, tuple) else str(value)
                options.append(f"{item.name}={shown}")
        return f"{self.family}:{','.join(options)}" if options else self.family


def parse_spec(text: str) -> LongHorizonSpec:
    """Read a specification.

    Raises:
        InvalidInputError: the family or an option is unknown, a value is out of range, or options don't go together.
    """
    family, _, rest = text.partition(":")
    if family not in FAMILIES:
        raise InvalidInputError(f"unknown family {family!r}; allowed: {', '.join(FAMILIES)}")
    spec = LongHorizonSpec(family)
    given: set[str] = set()
    for option in filter(None, (part.strip() for part in rest.split(","))):
        name, _, value = (part.strip() for part in option.partition("="))
        if name not in _FORMS:
            raise InvalidInputError(f"{text}: unknown option {option!r}; allowed: {', '.join(_FORMS.values())}")
        if name in given:
            raise InvalidInputError(f"{text}: {name} is given twice")
        given.add(name)
        read = _read_range if name in ("tokens", "windows") else _read_number
        spec = replace(spec, **{name: read(text, name, value)})  # type: ignore[arg-type]
    if spec.tokens and spec.windows:
        raise InvalidInputError(f"{text}: give the depth as tokens or as windows, not both")
    if (spec.windows is None) != (spec.window is None):
        raise InvalidInputError(f"{text}: windows=LOW-HIGH and window=TOKENS need each other")
    low, high = spec.step_bounds
    if high is not None and low > high:
        raise InvalidInputError(f"{text}: min_steps {low} is above max_steps {high}")
    return spec


def _read_number(text: str, name: str, value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise InvalidInputError(f"{text}: {name} must be a whole number above 0, got {value!r}")
    return int(value)


def _read_range(text: str, name: str, value: str) -> tuple[float, float]:
    match = _RANGE.fullmatch(value)
    low, high = (float(match[1]), float(match[2])) if match else (1.0, 0.0)
    if low > high or high <= 0:
        raise InvalidInputError(
            f"{text}: {name} must be LOW-HIGH with LOW at most HIGH, as in {name}=16-64, got {value!r}"
        )
    return low, high


def draw(spec: LongHorizonSpec, *, seed: int, count_tokens: CountTokens | None = None) -> tuple[Question, ...]:
    """Draw the problems of a specification, their depths spread evenly on a logarithmic scale.

    The questions' ``meta`` holds ``family``, ``steps`` of the chain, ``params`` (the numbers that define the problem)
    and, where tokens can be counted, ``depth_tokens`` of the whole chain.

    Args:
        spec: which problems.
        seed: the same seed gives the same problems.
        count_tokens: counts the tokens of a text; needed where the depth is given in tokens or windows.

    Raises:
        InvalidInputError: tokens can't be counted but must be, or the family hasn't that many problems of that depth.
    """
    from datasets_build.synthetic import generate

    bounds = spec.token_bounds
    if bounds and count_tokens is None:
        raise InvalidInputError(
            f"{spec}: a depth in tokens needs a tokenizer; without one, give min_steps and max_steps"
        )
    depths: dict[tuple[int, ...], int] = {}

    def fits(problem: Problem) -> bool:
        if count_tokens is None:
            return True
        depth = depths[problem.params] = count_tokens(problem.chain)
        return bounds is None or bounds[0] <= depth <= bounds[1]

    def questions() -> Iterator[Question]:
        low, high = _step_bounds(spec, seed, count_tokens)
        for problem in generate(
            spec.family, spec.count, seed=seed, split="test", min_steps=low, max_steps=high, accept=fits
        ):
            meta = {"family": problem.family, "steps": len(problem.steps), "params": list(problem.params)}
            if problem.params in depths:
                meta["depth_tokens"] = depths[problem.params]
            name = f"{problem.family}-{'-'.join(map(str, problem.params))}"
            yield Question(name, problem.question, problem.answer, "math", meta)

    try:
        return tuple(questions())
    except ValueError as error:  # InvalidInputError is one: it never comes from inside
        raise InvalidInputError(f"{spec}: {one_line(error)}") from error


def _step_bounds(spec: LongHorizonSpec, seed: int, count_tokens: CountTokens | None) -> tuple[int, int]:
    """Bounds in steps: those of the specification, narrowed to where the depth in tokens can lie.

    Narrowing saves drawing, solving and counting chains that are far too long or too short; what it leaves is counted.
    """
    low, high = spec.step_bounds
    bounds = spec.token_bounds
    if bounds is None or count_tokens is None:
        return low, high or _DEFAULT_MAX_STEPS
    from datasets_build.synthetic import generate

    probes = generate(spec.family, _PROBES, seed=seed, split="test", min_steps=20, max_steps=100)
    sizes = [count_tokens(problem.chain) / len(problem.steps) for problem in probes]
    shortest, longest = min(sizes) / _MARGIN, max(sizes) * _MARGIN  # tokens of a step
    low = max(low, int(bounds[0] / longest))
    deepest = int(bounds[1] / shortest) + 1
    return low, max(low, min(high or deepest, deepest))
