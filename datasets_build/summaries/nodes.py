"""The summarizer's nodes: prepare the example, request a summary, judge the reply.

Each is a flow (:mod:`inftythink_graph.nodes.flow`): the same body serves sync and async.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict, dataclass
from typing import Any, Literal, NotRequired, TypedDict

from datasets_build.segmentation.segment import Counter
from datasets_build.summaries.conversation import Cut, deeper_cut, estimate_prompt, summary_request, token_bound
from datasets_build.summaries.prompt import SummaryPrompt
from datasets_build.summaries.requests import Lost, Request, varied_temperature
from datasets_build.summaries.rules import Defect, judge_reply
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.nodes.flow import Describe, Effect, Flow, Measure
from inftythink_graph.nodes.replies import Reply
from inftythink_graph.protocol import Message
from inftythink_graph.state import Usage, add_usage, no_usage

__all__ = [
    "SummarizerInput",
    "SummarizerOutput",
    "SummarizerState",
    "SummarySettings",
    "SummaryUsage",
    "check_example",
    "judge",
    "prepare",
    "request",
]


class SummaryUsage(TypedDict):
    """What the summaries of one example took.

    Attributes:
        paid: requests that were made now.
        reused: requests that an earlier run, or another example, had made already.
    """

    paid: Usage
    reused: Usage


class SummarizerInput(TypedDict):
    """What the graph is invoked with.

    Attributes:
        question: the problem.
        segments: the texts of the chain's segments, in order.
        system: the system prompt that the problem came with.
    """

    question: str
    segments: list[str]
    system: NotRequired[str]


class SummarizerOutput(TypedDict):
    """What a run returns.

    Attributes:
        summaries: one for each segment but the last; empty where the example failed.
        status: ``done``, or ``failed``: the example can't be trained on.
        reason: why it failed, in words, with the segment; "" otherwise.
        defect: the same as one word, for counting; None otherwise.
        usage: what was paid now, and what was known already.
        attempts: for each segment that was asked about, the number of replies that it took.
    """

    summaries: list[str]
    status: Literal["done", "failed"]
    reason: str
    defect: Defect | None
    usage: SummaryUsage
    attempts: list[int]


class SummarizerState(TypedDict, total=False):
    """The state between nodes; beyond input and output the attempt under way, and what it runs in.

    ``accepted`` are the summaries so far, ``reply`` the one to judge, ``cut`` what the conversation leaves out
    (segments, summaries), ``window`` the tokens that a request may take with its reply.
    """

    question: str
    segments: list[str]
    system: str
    summaries: list[str]
    status: Literal["done", "failed"] | None
    reason: str
    defect: Defect | None
    usage: SummaryUsage
    attempts: list[int]
    accepted: list[str]
    attempt: int
    reply: dict[str, Any] | None
    cut: tuple[int, int]
    window: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SummarySettings:
    """The options of a summarizer, checked.

    Fields as in :func:`~datasets_build.summaries.summarize.create_summarizer_graph`.
    """

    prompt: SummaryPrompt
    summary_budget: int = 512
    window: int | None = None
    temperature: float = 0.3
    top_p: float | None = None
    seed: int | None = 0
    max_attempts: int = 4
    reasoning_budget: int = 0
    count: Counter | None = None

    def __post_init__(self) -> None:
        for name, lowest in (
            ("summary_budget", 1),
            ("window", 1),
            ("temperature", 0),
            ("max_attempts", 1),
            ("reasoning_budget", 0),
        ):
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise InvalidInputError(f"{name} must be at least {lowest}, got {value}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InvalidInputError(f"top_p must be above 0 and at most 1, got {self.top_p}")

    @property
    def max_tokens(self) -> int:
        """The tokens of a reply. The summarizer's tokens may be smaller than the target's, which the budget is in."""
        slack = self.summary_budget // 4 + 16 if self.count is not None else 0
        return self.summary_budget + slack + self.reasoning_budget

    def sampling(self, attempt: int, salt: str) -> dict[str, Any]:
        """Sampling options of an attempt: its own seed and, from the second on, a slightly higher temperature."""
        options: dict[str, Any] = {"temperature": varied_temperature(self.temperature, attempt, salt)}
        if self.top_p is not None:
            options["top_p"] = self.top_p
        if self.seed is not None:
            options["seed"] = self.seed + attempt - 1
        return options


def check_example(state: SummarizerInput | SummarizerState) -> None:
    """Raise InvalidInputError unless there are a question and segments, none of them empty."""
    question, segments = state.get("question"), state.get("segments")
    if not isinstance(question, str) or not question.strip():
        raise InvalidInputError(f"the question must be a text that isn't empty, got {question!r:.80}")
    if not isinstance(segments, list | tuple) or not segments:
        raise InvalidInputError(f"the segments must be a list of at least one text, got {segments!r:.80}")
    for number, segment in enumerate(segments, 1):
        if not isinstance(segment, str) or not segment.strip():
            raise InvalidInputError(f"segment {number} must be a text that isn't empty, got {segment!r:.80}")


def _failed(state: SummarizerState, defect: Defect, detail: str) -> dict[str, Any]:
    reason = f"segment {len(state['accepted']) + 1} of {len(state['segments'])}: {detail}"
    return {"status": "failed", "defect": defect, "reason": reason, "summaries": [], "reply": None}


def prepare(state: SummarizerState, settings: SummarySettings) -> Flow:
    """Start an example; one with a single segment is done at once.

    Raises (through the graph):
        InvalidInputError: the question or a segment is empty.
    """
    check_example(state)
    update: dict[str, Any] = {
        "summaries": [],
        "status": None,
        "reason": "",
        "defect": None,
        "usage": SummaryUsage(paid=no_usage(), reused=no_usage()),
        "attempts": [],
        "accepted": [],
        "attempt": 1,
        "reply": None,
        "cut": (0, 0),
        "window": settings.window,
    }
    if len(state["segments"]) == 1:
        return update | {"status": "done"}
    info = yield Describe()
    if isinstance(info, Lost):
        return update | _failed({**state, "accepted": []}, info.defect, info.detail)
    windows = [window for window in (settings.window, info.window) if window is not None]
    return update | {"window": min(windows, default=None)}


def _request(state: SummarizerState, settings: SummarySettings, cut: Cut) -> list[Message]:
    return summary_request(
        settings.prompt,
        state["question"],
        state["segments"],
        state["accepted"],
        system=state.get("system") or "",
        budget=settings.summary_budget,
        cut=cut,
    )


def _measured(messages: list[Message], room: int) -> Generator[Effect, Any, int | Lost]:
    """Tokens of a prompt, or a number that is surely higher where that is within the room as well."""
    bound = token_bound(messages)
    if bound <= room:
        return bound
    tokens = yield Measure(messages)
    if isinstance(tokens, Lost):
        return tokens
    return estimate_prompt(messages) if tokens is None else int(tokens)


def _fitted(
    state: SummarizerState, settings: SummarySettings
) -> Generator[Effect, Any, tuple[Cut, list[Message]] | Lost]:
    """The request for the next summary, with as much left out as its window takes."""
    cut = Cut(*state["cut"])
    messages = _request(state, settings, cut)
    window = state["window"]
    if window is None:
        return cut, messages
    room = window - settings.max_tokens
    while True:
        tokens = yield from _measured(messages, room)
        if isinstance(tokens, Lost):
            return tokens
        if tokens <= room:
            return cut, messages
        deeper = deeper_cut(
            settings.prompt,
            state["question"],
            state["segments"],
            state["accepted"],
            room=room,
            scale=tokens / estimate_prompt(messages),
            system=state.get("system") or "",
            budget=settings.summary_budget,
            cut=cut,
        )
        if deeper is None:
            return Lost(
                "window",
                f"{tokens} tokens of prompt and {settings.max_tokens} of reply don't fit the summarizer's window of"
                f" {window}, even with all earlier segments left out",
            )
        cut = deeper
        messages = _request(state, settings, cut)


def request(state: SummarizerState, settings: SummarySettings) -> Flow:
    """Ask once for the summary of the first segment that has none."""
    attempt = state["attempt"]
    fitted: tuple[Cut, list[Message]] | Lost
    if attempt == 1:
        fitted = yield from _fitted(state, settings)
    else:
        cut = Cut(*state["cut"])
        fitted = cut, _request(state, settings, cut)
    if isinstance(fitted, Lost):
        return _failed(state, fitted.defect, fitted.detail)
    cut, messages = fitted
    salt = state["segments"][len(state["accepted"])]
    answer = yield Request(
        messages,
        settings.max_tokens,
        settings.sampling(attempt, salt),
        thinking=settings.reasoning_budget or None,
        attempt=attempt,
    )
    if isinstance(answer, Lost):
        return _failed(state, answer.defect, answer.detail) | {"cut": (cut.segments, cut.summaries)}
    usage = state["usage"]
    part: Literal["paid", "reused"] = "reused" if answer.reused else "paid"
    return {
        "reply": asdict(answer.reply),
        "cut": (cut.segments, cut.summaries),
        "usage": {**usage, part: add_usage(usage[part], answer.reply.usage)},
    }


def judge(state: SummarizerState, settings: SummarySettings) -> Flow:
    """Accept the reply and go on to the next segment, or ask again, or give the example up."""
    done, attempt, segments = len(state["accepted"]), state["attempt"], state["segments"]
    judged = judge_reply(
        Reply(**(state["reply"] or {})),
        segments[done],
        budget=settings.summary_budget,
        max_tokens=settings.max_tokens,
        count=settings.count,
    )
    attempts = [*state["attempts"], attempt]
    if judged.defect is None:
        accepted = [*state["accepted"], judged.summary]
        update: dict[str, Any] = {"accepted": accepted, "attempts": attempts, "attempt": 1, "reply": None}
        return update | ({"status": "done", "summaries": accepted} if done + 2 == len(segments) else {})
    if attempt < settings.max_attempts:
        return {"attempt": attempt + 1, "reply": None}
    detail = f"no acceptable summary in {attempt} attempts, the last one {judged.detail}"
    return _failed(state, judged.defect, detail) | {"attempts": attempts}
    yield  # pragma: no cover - a flow without effects is a generator all the same
