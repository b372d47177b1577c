"""Writing prompts, and the completions that a model is trained to answer them with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from inftythink_graph import prompts
from inftythink_graph.protocol.tags import (
    HISTORY,
    SUMMARY,
    THINK,
    Content,
    Conversation,
    Message,
    Question,
    close_tag,
    neutralize,
    open_tag,
)

__all__ = ["Protocol"]


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

    def render(self, question: Question, summary: str | None = None) -> list[Message]:
        """The prompt of one epoch: the question and, from the second epoch on, the last summary.

        The constant part comes first and the changing summary last, so that a server's prefix cache holds the former.
        Of a conversation, the last turn takes the summary if it is the user's; behind any other, it gets its own turn.
        """
        history = _wrap(HISTORY, neutralize(summary)) if summary else ""
        if self.kind == "prompted":
            extra = prompts.REASON_INSTRUCTION
            if history:
                extra += f"\n\n{prompts.CONTINUE_INSTRUCTION}\n\n{history}"
            return _turns(question, extra)
        if history and self.history == "assistant":
            return [*_turns(question), {"role": "assistant", "content": history}]
        return _turns(question, history)

    def render_summarize(
        self, question: Question, summary: str | None, segment: str, *, budget: int, prefill: bool = True
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
            return self._with_prefill(
                question, summary, self._thought(segment) + self._joint + open_tag(SUMMARY) + "\n"
            )
        parts = [_wrap(HISTORY, neutralize(summary))] if summary else []
        parts += [_wrap(THINK, segment), prompts.SUMMARIZE_INSTRUCTION.format(budget=budget)]
        return _turns(question, "\n\n".join(parts))

    def render_forced_answer(
        self, question: Question, summary: str | None, segment: str = "", *, prefill: bool = True
    ) -> list[Message]:
        """The prompt that makes the model answer from what it has, for runs that are out of epochs.

        Args:
            question: as in :meth:`render`.
            summary: the last summary.
            segment: the reasoning after that summary; a native model goes on behind it with its conclusion.
            prefill: as in :meth:`render_summarize`.
        """
        if self.kind == "native" and prefill:
            thought = segment or prompts.FORCED_THOUGHT
            return self._with_prefill(question, summary, self._thought(thought) + self._joint * 2)
        parts = [_wrap(HISTORY, neutralize(summary))] if summary else []
        parts += [_wrap(THINK, segment)] if segment else []
        return _turns(question, "\n\n".join([*parts, prompts.FORCED_ANSWER_INSTRUCTION]))

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
        return f"{summary}\n{close_tag(SUMMARY)}"

    def _thought(self, segment: str) -> str:
        return _wrap(THINK, segment)

    def _with_prefill(self, question: Question, summary: str | None, text: str) -> list[Message]:
        messages = self.render(question, summary)
        if messages[-1]["role"] == "assistant":
            return [*messages[:-1], {"role": "assistant", "content": messages[-1]["content"] + text}]
        return [*messages, {"role": "assistant", "content": text}]


def _wrap(name: str, text: str) -> str:
    return f"{open_tag(name)}\n{text}\n{close_tag(name)}"


def _turns(question: Question, extra: str = "") -> list[Message]:
    """The turns that ask a question, with ``extra`` behind it. A conversation keeps all its turns."""
    if not isinstance(question, Conversation):
        return [_user(question, extra)]
    *earlier, last = question.turns
    kept = [{**turn, "content": _user(turn.get("content") or "")["content"]} for turn in earlier]
    if last.get("role") == "user":
        return [*kept, {**last, **_user(last.get("content") or "", extra)}]
    # A tool's result, for example: what is ours to add gets a turn of its own.
    kept.append({**last, "content": _user(last.get("content") or "")["content"]})
    return [*kept, {"role": "user", "content": extra}] if extra else kept


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
