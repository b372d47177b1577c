"""The process that does the algebra. Started by :mod:`inftythink_graph._math_pool` as a script of its own.

It imports nothing of this package, so that it starts fast and shares no state with the process that asks. It reads one
JSON object a line and answers with one JSON object a line; what libraries print goes nowhere.
"""

import json
import os
import sys
from typing import Any

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


def _parse(text: str) -> list[Any]:
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    if "$" not in text:
        text = f"${text}$"
    configs = [LatexExtractionConfig(), ExprExtractionConfig()]
    return list(parse(text, extraction_config=configs, parsing_timeout=None))


def _solutions(parsed: list[Any]) -> list[Any]:
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

    return [solve(item) for item in parsed]


def _equal(candidate: str, gold: str) -> bool:
    from math_verify import verify

    left, right = _parse(candidate), _parse(gold)
    options: dict[str, Any] = {"timeout_seconds": None, "allow_set_relation_comp": True}
    if verify(right, left, **options):
        return True
    solved = _solutions(left), _solutions(right)
    return solved != (left, right) and bool(verify(solved[1], solved[0], **options))


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
