"""The conversation with the summarizer: question, segment 1 -> summary 1, segment 2 -> summary 2, ...

It only ever grows at its end, so the request for a summary is the one before it, its reply, and one more turn: a
server's prefix cache holds all but that turn. Where the whole doesn't fit the summarizer's window, the oldest segments
are left out and their summaries stay; where even these are too many, the oldest summaries go as well, never the last
one, which carries over what matters from the others. What is left out stays left out, and several go at once, so
that the requests after a cut extend one another again. Nothing here asks a model.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from datasets_build.summaries.prompt import SummaryPrompt
from inftythink_graph.protocol import Message, neutralize

__all__ = ["Cut", "deeper_cut", "estimate_prompt", "estimate_tokens", "naive_request", "summary_request", "token_bound"]

_KEPT = 0.5
"""The share of the room that a cut leaves filled at most: the other half is for requests that extend it."""

_MESSAGE_TOKENS, _TEMPLATE_TOKENS = 16, 64  # what a chat template may add to a message, and to a prompt
_LETTERS = re.compile(r"[A-Za-z ]")
_ASCII = re.compile(r"[\x00-\x7f]")


@dataclass(frozen=True, slots=True)
class Cut:
    """What is left out of a conversation.

    Attributes:
        segments: number of the oldest segments that are left out.
        summaries: number of the oldest summaries that are left out; fewer than ``segments``, or 0.
    """

    segments: int = 0
    summaries: int = 0


def estimate_tokens(text: str) -> int:
    """Tokens of ``text`` by a rule of thumb on the safe side: digits and symbols one each, letters three a token.

    Characters outside of ASCII count one and a half: byte-level tokenizers break up those that they don't know.
    """
    letters, ascii_characters = len(_LETTERS.findall(text)), len(_ASCII.findall(text))
    return -(-letters // 3) + (ascii_characters - letters) + -(-(len(text) - ascii_characters) * 3 // 2)


def _contents(messages: Sequence[Message]) -> list[str]:
    return [str(message["content"]) for message in messages]


def _frame(messages: Sequence[Message]) -> int:
    return _TEMPLATE_TOKENS + _MESSAGE_TOKENS * len(messages)


def estimate_prompt(messages: Sequence[Message]) -> int:
    """:func:`estimate_tokens` of a whole prompt, with an allowance for the chat template."""
    return _frame(messages) + sum(map(estimate_tokens, _contents(messages)))


def token_bound(messages: Sequence[Message]) -> int:
    """What no tokenizer exceeds: a token for every byte of the prompt, and an allowance for the chat template."""
    return _frame(messages) + sum(len(text.encode("utf-8", "surrogatepass")) for text in _contents(messages))


def _opening(prompt: SummaryPrompt, question: str, system: str) -> list[str]:
    parts = [prompt.opening.format(question=neutralize(question))]
    if system.strip():
        parts.append(prompt.system_note.format(system=neutralize(system)))
    return parts


def _turn(prompt: SummaryPrompt, segments: Sequence[str], index: int, budget: int) -> str:
    return prompt.turn.format(segment=neutralize(segments[index]), number=index + 1, budget=budget)


def _numbered(summaries: Sequence[str], first: int) -> str:
    return "\n\n".join(f"({number}) {text}" for number, text in enumerate(summaries, first))


def _check(segments: Sequence[str], summaries: Sequence[str]) -> None:
    if len(summaries) >= len(segments):
        raise ValueError(f"{len(segments)} segments leave nothing to summarize after {len(summaries)} summaries")


def summary_request(
    prompt: SummaryPrompt,
    question: str,
    segments: Sequence[str],
    summaries: Sequence[str],
    *,
    system: str = "",
    budget: int = 512,
    cut: Cut | None = None,
) -> list[Message]:
    """The request for the summary that follows ``summaries``, in append-only order.

    With the same cut, the request for summary i + 1 is the request for summary i, the assistant's message with summary
    i, and a user's message with segment i + 1.

    Args:
        prompt: the wording.
        question: the problem.
        segments: the chain's segments; those after the one to summarize are not looked at.
        summaries: the summaries so far, one for each segment before it.
        system: the system prompt that the problem came with, "" if none.
        budget: the tokens that a summary may have; named in the instruction.
        cut: what to leave out; None leaves nothing out.

    Raises:
        ValueError: there are as many summaries as segments, or the cut leaves out what it must not.
    """
    _check(segments, summaries)
    done = len(summaries)
    cut = cut or Cut()
    if not (0 <= cut.segments <= done and 0 <= cut.summaries <= max(cut.segments - 1, 0)):
        raise ValueError(f"{cut} leaves out more than the oldest of {done} segments, or the last of their summaries")
    parts = _opening(prompt, question, system)
    if cut.segments:
        kept = _numbered(summaries[cut.summaries : cut.segments], cut.summaries + 1)
        parts.append(prompt.omitted.format(count=cut.segments, summaries=kept))
    parts.append(_turn(prompt, segments, cut.segments, budget))
    messages: list[Message] = [
        {"role": "system", "content": prompt.instruction.format(budget=budget)},
        {"role": "user", "content": "\n\n".join(parts)},
    ]
    for index in range(cut.segments, done):
        messages.append({"role": "assistant", "content": summaries[index]})
        messages.append({"role": "user", "content": _turn(prompt, segments, index + 1, budget)})
    return messages


def naive_request(
    prompt: SummaryPrompt,
    question: str,
    segments: Sequence[str],
    summaries: Sequence[str],
    *,
    system: str = "",
    budget: int = 512,
) -> list[Message]:
    """The same content in the order that comes to mind first: question, all summaries so far, all segments so far.

    Every new summary moves all segments, so that a prefix cache holds nothing from the second summary on. For
    comparison only.
    """
    _check(segments, summaries)
    done = len(summaries)
    parts = _opening(prompt, question, system)
    if summaries:
        parts.append(_numbered(summaries, 1))
    parts += [neutralize(segment) for segment in segments[:done]]
    parts.append(_turn(prompt, segments, done, budget))
    return [
        {"role": "system", "content": prompt.instruction.format(budget=budget)},
        {"role": "user", "content": "\n\n".join(parts)},
    ]


def deeper_cut(
    prompt: SummaryPrompt,
    question: str,
    segments: Sequence[str],
    summaries: Sequence[str],
    *,
    room: int,
    scale: float = 1.0,
    system: str = "",
    budget: int = 512,
    cut: Cut | None = None,
) -> Cut | None:
    """The next cut to try for a request that is over ``room`` tokens under ``cut``: the smallest that half empties it.

    Summaries stay as long as leaving out segments is enough.

    Args:
        room: the tokens that the prompt may have.
        scale: measured over estimated tokens of the request that was too long.
        cut: what is left out already; None is nothing.

    Returns:
        A cut that leaves out more than ``cut``; None where nothing more can go. The estimate may be wrong: measure it.
    """
    cut, done = cut or Cut(), len(summaries)

    def size(candidate: Cut) -> float:
        request = summary_request(prompt, question, segments, summaries, system=system, budget=budget, cut=candidate)
        return estimate_prompt(request) * scale

    fewer_segments = [Cut(number, cut.summaries) for number in range(cut.segments + 1, done + 1)]
    if fewer_segments:
        # Sizes fall along the list: each step replaces a segment and its turn by nothing.
        position = bisect_left(fewer_segments, -room * _KEPT, key=lambda candidate: -size(candidate))
        if position < len(fewer_segments):
            return fewer_segments[position]
        if size(fewer_segments[-1]) <= room:
            return fewer_segments[-1]
    fewer_summaries = [Cut(done, number) for number in range(cut.summaries + 1, done)]
    if fewer_summaries:
        position = bisect_left(fewer_summaries, -room * _KEPT, key=lambda candidate: -size(candidate))
        return fewer_summaries[min(position, len(fewer_summaries) - 1)]
    return fewer_segments[-1] if fewer_segments else None
