"""The process that does the algebra. Started by :mod:`inftythink_graph._math_pool` as a script of its own.

It imports nothing of this package, so that it starts fast and shares no state with the process that asks. It reads one
JSON object a line and answers with one JSON object a line; what libraries print goes nowhere.
"""

import cmath
import json
import os
import sys
from functools import lru_cache
from typing import Any
from zlib import crc32

__all__: list[str] = []

_MEMORY_BYTES = 4 << 30


def _limit_memory() -> None:
    """A power tower must end in a MemoryError here, not in a machine without memory."""
    try:
        import resource
    except ImportError:  # not POSIX
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or hard > _MEMORY_BYTES:
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, hard))


def _limit_time(seconds: float) -> None:
    """Let the kernel end this process after so many seconds of its own CPU time; 0 lifts the limit.

    CPU time, so that a busy machine doesn't turn right answers into timeouts. A signal without a handler ends even code
    that never returns to the interpreter, and a worker whose parent is gone.
    """
    import signal

    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


@lru_cache(maxsize=2048)
def _parse(text: str) -> tuple[Any, ...]:
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    if "$" not in text:
        text = f"${text}$"
    configs = [LatexExtractionConfig(), ExprExtractionConfig()]
    return tuple(parse(text, extraction_config=configs, parsing_timeout=None))


def _leaves(item: Any) -> list[Any]:
    """The expressions that a set, an interval, a tuple or a matrix is made of; of all else the item itself."""
    from sympy import FiniteSet, Interval, MatrixBase, Tuple, Union

    if isinstance(item, Union):
        item = Union(*item.args)  # evaluated: [2,3] and [3,4] make up [2,4]
    if isinstance(item, Interval):
        parts = [item.start, item.end]
    elif isinstance(item, FiniteSet | Tuple | Union):
        parts = list(item.args)
    elif isinstance(item, MatrixBase):
        parts = item.flat()
    else:
        return [item]
    return [leaf for part in parts for leaf in _leaves(part)]


def _value(item: Any) -> complex | None:
    """The number that an expression is where its variables have certain values; None for all that is no expression.

    Bare symbols may stand for words, and percent signs for two numbers each: both have no value here.
    """
    from sympy import Expr, I, MatrixExpr, Rational, Symbol, UnevaluatedExpr, oo
    from sympy.core.function import AppliedUndef

    if item in (oo, -oo):
        return complex(float(item))
    if not isinstance(item, Expr) or isinstance(item, MatrixExpr | Symbol) or item.has(UnevaluatedExpr, AppliedUndef):
        return None
    points = {
        symbol: I if symbol.name == "i" else 1 + Rational(crc32(symbol.name.encode()) % 997, 1000)
        for symbol in item.free_symbols
    }
    try:
        number = complex(item.subs(points).evalf(15))
    except (ArithmeticError, AttributeError, NotImplementedError, TypeError, ValueError):  # whatever has no value
        return None
    return number if cmath.isfinite(number) else None


@lru_cache(maxsize=2048)
def _values(text: str) -> tuple[complex, ...] | None:
    """The values of all that an answer is made of; None where one of them has none."""
    found = [_value(leaf) for parsed in _parse(text)[:1] for leaf in _leaves(parsed)]
    values = tuple(value for value in found if value is not None)
    return values if len(values) == len(found) else None


def _near(left: complex, right: complex) -> bool:
    """With a margin that is wider than what math-verify's rounding to six places forgives."""
    if cmath.isinf(left) or cmath.isinf(right):
        return left == right
    return abs(left - right) <= 1e-5 + 1e-9 * max(abs(left), abs(right))


def _apart(candidate: str, gold: str) -> bool:
    """Whether one answer has a value that the other has not: then they differ, without a search for a common form.

    That search takes most of the time of a comparison, and most of it for wrong answers.
    """
    left, right = _values(candidate), _values(gold)
    if left is None or right is None:
        return False
    return any(not any(_near(a, b) for b in others) for side, others in ((left, right), (right, left)) for a in side)


def _is_standard_form(item: Any) -> bool:
    """An equation like x + 2y + 4 = 0, which describes something; a + b = 0 may say what a sum comes to."""
    from sympy import Eq

    if not isinstance(item, Eq) or item.rhs != 0 or not item.lhs.free_symbols:
        return False
    constant, rest = item.lhs.doit().as_coeff_Add()
    return constant != 0 and rest != 0


def _is_relation(item: Any) -> bool:
    from sympy.core.relational import Relational

    return isinstance(item, Relational) or type(item).__name__ == "And"


def _solutions(parsed: tuple[Any, ...]) -> tuple[Any, ...]:
    """Alternatives of one variable (x < 2 or x > 3) as the set that they describe; everything else unchanged."""
    from sympy import Union
    from sympy.core.relational import Relational

    def solve(item: Any) -> Any:
        parts = item.args if type(item).__name__ == "FiniteSet" else ()
        inequalities = len(parts) > 1 and all(isinstance(part, Relational) for part in parts)
        if not inequalities or len({symbol for part in parts for symbol in part.free_symbols}) != 1:
            return item
        try:
            return Union(*(part.as_set() for part in parts))
        except (NotImplementedError, TypeError, ValueError):  # sympy knows no such set: compared as it stands
            return item

    return tuple(solve(item) for item in parsed)


def _imaginary(parsed: tuple[Any, ...]) -> tuple[Any, ...]:
    """The letter i as the imaginary unit; everything else unchanged."""
    from sympy import Expr, I, Symbol

    def read(item: Any) -> Any:
        return item.subs({symbol: I for symbol in item.atoms(Symbol) if symbol.name == "i"})

    return tuple(read(item) if isinstance(item, Expr) else item for item in parsed)


def _equal(candidate: str, gold: str) -> bool:
    from math_verify import verify

    left, right = _parse(candidate), _parse(gold)
    if _apart(candidate, gold):
        return False
    pair = [next(iter(parsed), None) for parsed in (left, right)]
    if any(_is_standard_form(item) for item in pair) and not all(_is_relation(item) for item in pair):
        return False
    options: dict[str, Any] = {"timeout_seconds": None, "allow_set_relation_comp": True}
    if verify(list(right), list(left), **options):
        return True
    for read in (_solutions, _imaginary):
        forms = read(left), read(right)
        if forms != (left, right) and verify(list(forms[1]), list(forms[0]), **options):
            return True
    return False


def main() -> None:
    """Serve comparisons until the standard input closes."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.path[:] = json.loads(sys.stdin.readline())["path"]
    _limit_memory()
    import logging
    import signal

    # The terminal's interrupt is the parent's to handle. What the parent ignores is inherited, and must not be here.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGPROF"):
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
    logging.disable(logging.CRITICAL)
    _equal("x + 1", "1 + x")  # the grammar loads on first use: not on a comparison's time
    print(json.dumps({"ready": True}), file=channel, flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        _limit_time(task["seconds"])
        try:
            equal = _equal(task["candidate"], task["gold"])
        except (MemoryError, RecursionError):
            equal = None
        _limit_time(0)
        print(json.dumps({"equal": equal}), file=channel, flush=True)


if __name__ == "__main__":
    main()
