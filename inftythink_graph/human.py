"""A human as the verifier: the run pauses at a conclusion until somebody has judged it.

::

    graph = create_inftythink_graph(model, verifier=human_verifier, checkpointer=saver)
    graph.invoke({"question": ...}, config)                      # pauses; the review is under "__interrupt__"
    graph.invoke(Command(resume=True), config)                   # accepts
    graph.invoke(Command(resume={"accepted": False, "reason": "n must be odd"}), config)  # thinks on, with the reason
"""

from __future__ import annotations

from typing import Any, TypedDict

from langgraph.types import interrupt

from inftythink_graph.verdicts import Candidate, Verdict

__all__ = ["Review", "human_verifier"]


class Review(TypedDict):
    """What a human is asked to judge: the value of the interrupt.

    Attributes:
        question: the question's text.
        answer: the answer extracted from the conclusion; None where none was found.
        conclusion: the model's closing text.
        epoch: the 1-based epoch that it was reached in.
        problem: what was wrong with the reply before this one; "" the first time.
    """

    question: str
    answer: str | None
    conclusion: str
    epoch: int
    problem: str


def _verdict(reply: Any) -> Verdict | None:
    """What the run was resumed with; None where that is no verdict."""
    if isinstance(reply, Verdict):
        return reply
    if isinstance(reply, bool):
        return Verdict(reply, "" if reply else "a human turned it down")
    if isinstance(reply, dict) and isinstance(reply.get("accepted"), bool) and reply.keys() <= {"accepted", "reason"}:
        return Verdict(reply["accepted"], str(reply.get("reason") or ""))
    return None


def human_verifier(candidate: Candidate) -> Verdict:
    """Pause the run with a :class:`Review` until it is resumed with a verdict: a verifier like any other.

    The run needs a checkpointer. It is resumed with ``Command(resume=...)``: True or False, a dict of ``accepted`` and
    ``reason``, or a :class:`~inftythink_graph.verdicts.Verdict`. Anything else pauses it again, with a ``problem`` that
    says so. Nothing that was asked of the model is asked again.
    """
    problem = ""
    while True:
        reply = interrupt(
            Review(
                question=candidate.question,
                answer=candidate.answer,
                conclusion=candidate.conclusion,
                epoch=candidate.epoch,
                problem=problem,
            )
        )
        verdict = _verdict(reply)
        if verdict is not None:
            return verdict
        # Not an error: what a run was resumed with is part of its thread, so that an error would come again each time.
        problem = f"{reply!r} is no verdict; allowed: True, False, {{'accepted': bool, 'reason': str}}"
