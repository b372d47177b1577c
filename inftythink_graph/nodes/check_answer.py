"""The node ``check_answer``: is there a conclusion, is its answer acceptable, and may the run go on?"""

from __future__ import annotations

from typing import Any

from langchain_core.exceptions import ContextOverflowError

from inftythink_graph.answers import extract_answer
from inftythink_graph.events import AnswerRejected, RunEnded
from inftythink_graph.messages import answer_message, asked_question
from inftythink_graph.models.base import ModelInfo
from inftythink_graph.nodes.flow import Ask, Check, Describe, Emit, Flow, Show
from inftythink_graph.nodes.reason import room_behind_segment, sampling
from inftythink_graph.nodes.replies import Reply, whole_characters
from inftythink_graph.protocol import parse, question_text
from inftythink_graph.records import closed
from inftythink_graph.stalls import is_stalled
from inftythink_graph.state import InftyThinkState, Settings, add_usage, no_usage, with_request
from inftythink_graph.status import Status
from inftythink_graph.verdicts import Candidate, Verdict

__all__ = ["STEPS_PER_EPOCH", "check_answer"]

STEPS_PER_EPOCH = 3
"""Graph steps that one more epoch takes: summarize, reason, check_answer."""

_FORCED_ANSWER_TOKENS = 64  # at the least: a boxed answer with a few words around it


def _forced_answer(state: InftyThinkState, settings: Settings) -> Flow:
    """Make the model answer from what it has; the outcome holds the conclusion and the request's usage.

    That is the last summary and the segment after it, in the form of an epoch that comes to its conclusion; or the
    summary alone, where both don't fit the window.
    """
    info: ModelInfo = yield Describe()
    resolved = settings.resolve(info.card)
    question, summary = asked_question(state), state["summary"] or None
    segment = whole_characters(state["epoch"]["segment"])
    options, key, epoch = sampling(settings, resolved, state["epochs"] + 1), state["asked"], state["epochs"]
    most = max(resolved.summary_budget, _FORCED_ANSWER_TOKENS)
    attempts = [(segment, min(most, room_behind_segment(resolved)))] if segment else []
    for thought, limit in [*attempts, ("", most)]:
        messages = resolved.protocol.render_forced_answer(question, summary, thought, prefill=info.prefill)
        try:
            reply: Reply = yield Ask(messages, limit, options, "conclusion", key, epoch)
        except ContextOverflowError:
            continue
        parsed = parse(reply.text, reply.finish_reason, reasoning=reply.reasoning)
        conclusion = parsed.conclusion or parsed.summary
        if conclusion and "conclusion" not in reply.shown:
            yield Show("conclusion", conclusion, key, epoch)
        return {"conclusion": conclusion, "usage": reply.usage}
    return {"conclusion": "", "usage": no_usage()}  # the run keeps its summary and its status


def check_answer(state: InftyThinkState, settings: Settings, *, has_verifier: bool = False) -> Flow:
    """Judge the epoch's conclusion; end the run, or leave the status open for another epoch.

    With a verifier, an answer that had to be forced is left to the next step, which is this node again: ``forced`` says
    so. Running out of epochs, of graph steps or of progress is a status, never an exception. An answer that had to be
    forced counts as ``answered`` only where a verifier accepts it.
    """
    record = state["epoch"]
    conclusion, answer, usage = record["conclusion"], None, state["usage"]
    status: Status | None = None
    verdict = Verdict(False)
    if state.get("tool_calls"):
        status, verdict = "answered", Verdict(True)  # whoever asked has the tools; the answer comes after their results
    elif conclusion:
        answer = extract_answer(conclusion)
        verdict = yield _check(state, answer, conclusion)
        status = "answered" if verdict.accepted else None

    stalled = is_stalled(state["repeats"], stall_after=settings.stall_after, on_stall=settings.on_stall)
    if status is None and (stalled or _out_of_epochs(state, settings)):
        status = "rejected" if conclusion else "stalled" if stalled else "exhausted"
        if not conclusion and settings.on_exhausted == "force":
            forced = yield from _forced_answer(state, settings)
            usage = add_usage(usage, forced["usage"])
            record = with_request(record, forced["usage"])
            if conclusion := forced["conclusion"]:
                answer = extract_answer(conclusion)
                if has_verifier:
                    # In a step of its own: whatever the verifier does, this request is not made again.
                    record = {**record, "answer": answer, "conclusion": conclusion}
                    return {"epoch": record, "usage": usage, "forced": True}

    rejection = "" if verdict.accepted else verdict.reason
    record = {**record, "answer": answer, "conclusion": conclusion, "verdict": rejection}
    update: dict[str, Any] = {"epoch": record, "status": status, "usage": usage, "forced": False}
    if conclusion:  # a rejected one stays, as the best so far, until a better one comes
        update |= {"conclusion": conclusion, "answer": answer}
    if verdict.usage is not None:
        update["verifier_usage"] = add_usage(state.get("verifier_usage") or no_usage(), verdict.usage)
    if conclusion and not verdict.accepted and has_verifier:
        yield Emit(
            AnswerRejected(
                event="answer_rejected",
                epoch=record["epoch"],
                answer=answer,
                conclusion=conclusion,
                reason=rejection,
                usage=record["usage"],
            )
        )
    if status is not None:
        best = {key: update.get(key, state.get(key)) for key in ("answer", "conclusion")}
        text = best["conclusion"] or ""
        update["messages"] = [answer_message(state, record, status, text, usage)]
        ended = RunEnded(
            event="run_ended", epoch=record["epoch"], status=status, answer=best["answer"], conclusion=text, usage=usage
        )
        yield Emit(ended)
    if settings.keep_trace and status is not None:
        update |= closed(state.get("records", []), record)
    return update


def _check(state: InftyThinkState, answer: str | None, conclusion: str) -> Check:
    return Check(Candidate(question_text(asked_question(state)), answer, conclusion, state["epochs"]))


def _out_of_epochs(state: InftyThinkState, settings: Settings) -> bool:
    used_up = settings.max_tokens is not None and state["usage"]["completion_tokens"] >= settings.max_tokens
    return used_up or state["epochs"] >= settings.max_epochs or state["remaining_steps"] <= STEPS_PER_EPOCH
