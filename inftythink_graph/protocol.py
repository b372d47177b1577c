"""The InftyThink text format. No other module knows its tags.

The reasoner, the data builder and the trainer all render and parse through :class:`Protocol`, so that what a model is
trained on is what it is asked at inference (Yan et al. 2025, arXiv 2503.06692, section 3.1)::

    question                        -> <think> segment_1 </think> <summary> summary_1 </summary>
    question, <history> summary_1   -> <think> segment_2 </think> <summary> summary_2 </summary>
    question, <history> summary_n-1 -> <think> segment_n </think> conclusion

Messages are dictionaries with ``role`` and ``content``: the form that LangChain, the OpenAI API and TRL all accept. A
last message of the role ``assistant`` is a prefill: the model goes on writing it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from inftythink_graph import prompts

__all__ = [
    "PROTOCOL_VERSION",
    "TAGS",
    "Content",
    "Message",
    "Parsed",
    "ParsedKind",
    "Protocol",
    "neutralize",
    "parse",
    "parse_summary",
    "question_text",
]

PROTOCOL_VERSION = "1"
"""Changes whenever the rendered text changes. Data sets and trained models record it."""

THINK, SUMMARY, HISTORY = "think", "summary", "history"
TAGS = tuple(f"<{slash}{name}>" for name in (THINK, SUMMARY, HISTORY) for slash in ("", "/"))
"""The six tags, for tokenizers that make each of them a single token."""

Content: TypeAlias = str | Sequence[str | Mapping[str, Any]]
"""A question: plain text, or LangChain content blocks (text, images, ...)."""
Message: TypeAlias = dict[str, Any]
ParsedKind: TypeAlias = Literal["summary", "conclusion", "cut", "malformed"]

_TAG = re.compile(rf"<(/?(?:{THINK}|{SUMMARY}|{HISTORY}))>")
_BOXED = "\\boxed{"


def _open(name: str) -> str:
    return f"<{name}>"


def _close(name: str) -> str:
    return f"</{name}>"


def neutralize(text: str) -> str:
    """Break the protocol's own tags in ``text``, so that a question or a summary can't pose as the format.

    ``<think>`` becomes ``< think>``. Text without tags comes back unchanged.
    """
    return _TAG.sub(r"< \1>", text)


def question_text(question: Content) -> str:
    """The text of a question, its content blocks joined by line feeds; blocks that are no text are left out."""
    if isinstance(question, str):
        return question
    parts = [block if isinstance(block, str) else str(block.get("text") or "") for block in question]
    return "\n".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What one completion turned out to be.

    Attributes:
        kind: ``summary``: a finished segment with its summary. ``conclusion``: the final answer's text.
            ``cut``: a segment that hit a token limit before it was closed. ``malformed``: anything else, the empty
            completion among them; what there is of a segment is kept.
        segment: the reasoning, without tags and surrounding white space.
        summary: the summary (``kind == "summary"``), else "".
        conclusion: the conclusion (``kind == "conclusion"``), else "".
        truncated: the summary or the conclusion was itself cut by a token limit.
    """

    kind: ParsedKind
    segment: str = ""
    summary: str = ""
    conclusion: str = ""
    truncated: bool = False


def _clean(text: str) -> str:
    """``text`` without any of the protocol's tags, stripped."""
    # Taking a tag out may join its surroundings into another one: what is left is broken up instead.
    return neutralize(_TAG.sub("", text)).strip()


def _without_partial_tag(text: str) -> str:
    """``text`` without the beginning of a tag at its end, where a token limit cut through the tag.

    A lone ``<`` or ``<t`` goes only where a tag may stand, at a line's start or after another tag: elsewhere it may as
    well be mathematics.
    """
    start = text.rfind("<")
    partial = text[start:] if start >= 0 else ""
    if not any(tag.startswith(partial) and tag != partial for tag in TAGS if partial):
        return text
    before = text[:start].rstrip(" \t")
    at_tag = not before or before.endswith(("\n", *TAGS))
    return text[:start] if at_tag or len(partial) > 2 or partial == "</" else text


def _split_thinking(text: str) -> tuple[str, str | None]:
    """Split a raw completion into (reasoning, what follows it); the latter is None while the reasoning is open."""
    # A closing tag counts as the end of the reasoning only before the last summary: a summary may quote tags.
    last_summary = text.rfind(_open(SUMMARY))
    end = text.rfind(_close(THINK), 0, last_summary) if last_summary >= 0 else -1
    if end < 0:
        end = _end_of_thinking(text)
    if end >= 0:
        return text[:end], text[end + len(_close(THINK)) :]
    if _open(THINK) in text:
        return text, None
    # No think tag at all: a model that wrote a bare summary, or one that answers without thinking aloud.
    if last_summary >= 0:
        return text[:last_summary], text[last_summary:]
    return "", text


def _end_of_thinking(text: str) -> int:
    """Where the closing tag stands that the conclusion follows; -1 where there is none.

    It is the last one that is followed by text: models sometimes close their reasoning again after the conclusion.
    """
    last = end = text.rfind(_close(THINK))
    stop = len(text)
    while end >= 0:
        if _clean(text[end + len(_close(THINK)) : stop]):
            return end
        stop, end = end, text.rfind(_close(THINK), 0, end)
    return last


def parse(text: str | None, finish_reason: str | None = None, *, reasoning: str | None = None) -> Parsed:
    """Read one completion. Never fails, whatever the string.

    Args:
        text: the message's content. May start inside the reasoning, where the chat template opened the think tag.
        finish_reason: the server's; ``length`` and ``repetition`` mean that the model did not stop by itself.
        reasoning: the reasoning, where the server delivers it in a field of its own (a reasoning parser).
    """
    text = text or ""
    was_cut = finish_reason in ("length", "repetition", "max_tokens")
    if was_cut:
        text = _without_partial_tag(text)
        reasoning = _without_partial_tag(reasoning) if reasoning else reasoning
    if reasoning and not text.strip():
        # The parser never saw the end of the reasoning: all that there is came in its field.
        thinking, rest = _split_thinking(reasoning)
        if rest is None or not thinking:
            thinking, rest = reasoning, None
    elif reasoning:
        thinking, rest = reasoning, text
    else:
        thinking, rest = _split_thinking(text)

    segment = _clean(thinking)
    if rest is None:
        return Parsed("cut" if was_cut and segment else "malformed", segment=segment)

    start = rest.find(_open(SUMMARY))
    if start >= 0:
        body = rest[start + len(_open(SUMMARY)) :]
        end = body.rfind(_close(SUMMARY))
        summary, after = (body, "") if end < 0 else (body[:end], body[end + len(_close(SUMMARY)) :])
        if _BOXED in after:  # summarized and concluded all the same: the conclusion counts
            return Parsed("conclusion", segment=segment, conclusion=_clean(after), truncated=was_cut)
        if summary := _clean(summary):
            return Parsed("summary", segment=segment, summary=summary, truncated=end < 0 and was_cut)
        return Parsed("cut" if was_cut and segment else "malformed", segment=segment)

    conclusion = _clean(rest)
    if not conclusion:
        return Parsed("cut" if was_cut and segment else "malformed", segment=segment)
    if was_cut and not segment and not reasoning and _close(THINK) not in text:
        # Cut, and never a tag: a model that thinks in plain text.
        return Parsed("cut", segment=conclusion)
    return Parsed("conclusion", segment=segment, conclusion=conclusion, truncated=was_cut)


def parse_summary(text: str | None, *, reasoning: str | None = None) -> str:
    """The summary in the reply to a summary request; "" where there is none. Never fails.

    Tags are optional, and reasoning that the model wrote before its summary is left out. Where a model did nothing but
    reason, the reasoning is better than nothing and is returned.
    """
    text = text or ""
    body = text.rpartition(_close(THINK))[2] if _close(THINK) in text else text
    if _open(SUMMARY) in body:
        body = body.partition(_open(SUMMARY))[2]
    body = body.partition(_close(SUMMARY))[0]
    return _clean(body) or _clean(text) or _clean(reasoning or "")


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a question and a summary become a prompt.

    Attributes:
        kind: ``native`` for models trained on this format; ``prompted`` for any other instruct or reasoning model,
            which gets the format's instructions in words and writes its summaries on request.
        history: where a native model finds its last summary: in the ``user`` turn after the question, or at the head of
            the ``assistant`` turn, as in the code that the paper's authors released.
    """

    kind: Literal["native", "prompted"] = "native"
    history: Literal["user", "assistant"] = "user"

    def __post_init__(self) -> None:
        if self.kind not in ("native", "prompted"):
            raise ValueError(f"protocol kind {self.kind!r} is unknown; allowed: 'native', 'prompted'")
        if self.history not in ("user", "assistant"):
            raise ValueError(f"history position {self.history!r} is unknown; allowed: 'user', 'assistant'")
        if self.kind == "prompted" and self.history == "assistant":
            raise ValueError("the prompted protocol keeps its history in the user turn; allowed: history='user'")

    @property
    def _joint(self) -> str:
        # The authors' released code puts the tags of one turn back to back.
        return "" if self.history == "assistant" else "\n"

    def render(self, question: Content, summary: str | None = None) -> list[Message]:
        """The prompt of one epoch: the question and, from the second epoch on, the last summary.

        The constant part comes first and the changing summary last, so that a server's prefix cache holds the former.
        """
        history = _wrap(HISTORY, neutralize(summary)) if summary else ""
        if self.kind == "prompted":
            extra = prompts.REASON_INSTRUCTION
            if history:
                extra += f"\n\n{prompts.CONTINUE_INSTRUCTION}\n\n{history}"
            return [_user(question, extra)]
        if history and self.history == "assistant":
            return [_user(question), {"role": "assistant", "content": history}]
        return [_user(question, history)]

    def render_summarize(
        self, question: Content, summary: str | None, segment: str, *, budget: int, prefill: bool = True
    ) -> list[Message]:
        """The prompt that makes the model summarize ``segment``, for epochs that brought no summary.

        A native model goes on after its own segment (a prefill). With ``prefill=False``, and in the prompted protocol,
        the request is an ordinary user turn.

        Args:
            question: as in :meth:`render`.
            summary: the summary that the segment started from.
            segment: the reasoning to summarize.
            budget: the tokens that the summary may take; named in the instruction.
            prefill: whether the model can continue a message that was begun for it.
        """
        if self.kind == "native" and prefill:
            return self._with_prefill(question, summary, self._thought(segment) + self._joint + _open(SUMMARY) + "\n")
        parts = [_wrap(HISTORY, neutralize(summary))] if summary else []
        parts += [_wrap(THINK, segment), prompts.SUMMARIZE_INSTRUCTION.format(budget=budget)]
        return [_user(question, "\n\n".join(parts))]

    def render_forced_answer(
        self, question: Content, summary: str | None, segment: str = "", *, prefill: bool = True
    ) -> list[Message]:
        """The prompt that makes the model answer from what it has, for runs that are out of epochs."""
        if self.kind == "native" and prefill:
            thought = segment or prompts.FORCED_THOUGHT
            return self._with_prefill(question, summary, self._thought(thought) + self._joint * 2)
        parts = [_wrap(HISTORY, neutralize(summary))] if summary else []
        parts += [_wrap(THINK, segment)] if segment else []
        return [_user(question, "\n\n".join([*parts, prompts.FORCED_ANSWER_INSTRUCTION]))]

    def completion(self, segment: str, *, summary: str | None = None, conclusion: str | None = None) -> str:
        """The text that a native model is trained to write in one epoch: exactly one of summary and conclusion.

        Raises:
            ValueError: neither or both are given.
        """
        if (summary is None) == (conclusion is None):
            raise ValueError("an epoch ends with either a summary or a conclusion: give exactly one of them")
        if summary is not None:
            return self._thought(segment) + self._joint + _wrap(SUMMARY, summary)
        return self._thought(segment) + (self._joint * 2 or "\n") + str(conclusion)

    def rest_of_summary(self, summary: str) -> str:
        """The text that a native model writes after the prefill of :meth:`render_summarize`."""
        return f"{summary}\n{_close(SUMMARY)}"

    def _thought(self, segment: str) -> str:
        return _wrap(THINK, segment)

    def _with_prefill(self, question: Content, summary: str | None, text: str) -> list[Message]:
        messages = self.render(question, summary)
        if messages[-1]["role"] == "assistant":
            return [*messages[:-1], {"role": "assistant", "content": messages[-1]["content"] + text}]
        return [*messages, {"role": "assistant", "content": text}]


def _wrap(name: str, text: str) -> str:
    return f"{_open(name)}\n{text}\n{_close(name)}"


def _user(question: Content, extra: str = "") -> Message:
    """A user turn: the question, then ``extra``. Content blocks stay blocks."""
    if isinstance(question, str):
        text = neutralize(question)
        return {"role": "user", "content": f"{text}\n\n{extra}" if extra else text}
    blocks: list[Any] = []
    for block in question:
        if isinstance(block, str):
            blocks.append({"type": "text", "text": neutralize(block)})
        elif isinstance(block.get("text"), str):
            blocks.append({**block, "text": neutralize(block["text"])})
        else:
            blocks.append(dict(block))
    if extra and blocks and isinstance(blocks[-1].get("text"), str) and set(blocks[-1]) == {"type", "text"}:
        # Servers put a line feed of their own between blocks, which no training text has.
        blocks[-1]["text"] += f"\n\n{extra}"
    elif extra:
        blocks.append({"type": "text", "text": f"\n\n{extra}"})
    return {"role": "user", "content": blocks}
