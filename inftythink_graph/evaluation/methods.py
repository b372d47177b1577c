"""The methods that an evaluation compares: thinking in segments, and the baseline that thinks in one chain.

Both ask patiently: a request that meets a server which is away or overloaded is made again, never what it built on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models import BaseChatModel
from tenacity import AsyncRetrying

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.trials import TraceEpoch, TrialStatus
from inftythink_graph.evaluation.vanilla import avanilla
from inftythink_graph.models.base import DescribesItself, ModelInfo
from inftythink_graph.models.transport import name_of, patience, retrying
from inftythink_graph.protocol import Protocol as TextProtocol
from inftythink_graph.state import InftyThinkContext, InftyThinkOutput, OnExhausted, OnStall, Resolved, Settings
from inftythink_graph.usage import Usage, no_usage

if TYPE_CHECKING:
    from inftythink_graph.graph import InftyThinkGraph

__all__ = ["InftyThink", "Method", "Outcome", "Vanilla"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of a method came to; the fields are those of a trial, ``epochs`` those of its trace."""

    answer: str | None
    status: TrialStatus
    forced: bool
    malformed: int
    contexts: list[list[tuple[int, int]]]
    usage: Usage
    epochs: list[TraceEpoch]


class Method(Protocol):
    """A way to answer questions that an evaluation can run."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    async def aconfig(self) -> dict[str, Any]:
        """All that its answers depend on, as JSON."""
        ...

    async def acheck(self, texts: Sequence[str]) -> None:
        """Raise for questions that can't be run, before a token is spent."""
        ...

    async def arun(self, text: str, seed: int) -> Outcome:
        """Answer one question; the same seed gives the same answer where the model allows it."""
        ...


async def _info(model: BaseChatModel) -> ModelInfo:
    return await model.adescribe() if isinstance(model, DescribesItself) else ModelInfo()


async def _longest(model: BaseChatModel, texts: Sequence[str]) -> int:
    """Tokens of the longest question's prompt, 0 where the model can't count."""
    if not texts or not isinstance(model, DescribesItself):
        return 0
    # The longest in characters may not be the longest in tokens; the few longest ones hold it.
    longest = sorted(texts, key=len)[-8:]
    return max(await asyncio.gather(*(model.acount_prompt_tokens(TextProtocol().render(text)) for text in longest)))


@dataclass(frozen=True)
class InftyThink:
    """Thinks in segments (:func:`~inftythink_graph.graph.create_inftythink_graph`, whose options these are).

    ``tries`` is how often a request is made that meets a server which is away or overloaded.
    """

    model: BaseChatModel
    max_epochs: int = 50
    eta: int | None = None
    summary_budget: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    protocol: TextProtocol | Literal["native", "prompted"] | None = None
    on_exhausted: OnExhausted = "force"
    stall_after: int = 3
    on_stall: OnStall = "end"
    tries: int = 8
    name: str = "inftythink"

    @cached_property
    def _graph(self) -> InftyThinkGraph:
        from inftythink_graph.graph import create_inftythink_graph

        return create_inftythink_graph(
            self.model,
            max_epochs=self.max_epochs,
            eta=self.eta,
            summary_budget=self.summary_budget,
            temperature=self.temperature,
            top_p=self.top_p,
            protocol=self.protocol,
            on_exhausted=self.on_exhausted,
            stall_after=self.stall_after,
            on_stall=self.on_stall,
            retry_policy=patience(self.tries),
            keep_trace=True,
        )

    def _resolved(self, info: ModelInfo) -> Resolved:
        """The options, with what the model's card decides."""
        protocol = TextProtocol(kind=self.protocol) if isinstance(self.protocol, str) else self.protocol
        settings = Settings(  # all of them, so that each is checked before anything is written
            max_epochs=self.max_epochs,
            eta=self.eta,
            summary_budget=self.summary_budget,
            temperature=self.temperature,
            top_p=self.top_p,
            protocol=protocol,
            on_exhausted=self.on_exhausted,
        )
        return settings.resolve(info.card)

    async def aconfig(self) -> dict[str, Any]:
        """See :class:`Method`; what the model's card decides is resolved."""
        info = await _info(self.model)
        resolved = self._resolved(info)
        return {
            "method": "inftythink",
            "model": name_of(self.model),
            "window": info.window,
            "eta": resolved.eta,
            "summary_budget": resolved.summary_budget,
            "max_epochs": self.max_epochs,
            "temperature": resolved.temperature,
            "top_p": self.top_p,
            "protocol": resolved.protocol.kind,
            "history": resolved.protocol.history,
            "on_exhausted": self.on_exhausted,
            "stall_after": self.stall_after,
            **({} if self.on_stall == "end" else {"on_stall": self.on_stall}),
        }

    async def acheck(self, texts: Sequence[str]) -> None:
        """See :class:`Method`.

        Raises:
            WindowTooSmallError: the model's window can't hold an epoch of the longest question.
        """
        from inftythink_graph.nodes.reason import check_window

        info, tokens = await _info(self.model), await _longest(self.model, texts)
        if info.window is not None and tokens:
            check_window(tokens, info.window, self._resolved(info))

    async def arun(self, text: str, seed: int) -> Outcome:
        """See :class:`Method`."""
        result: Any = await self._graph.ainvoke({"question": text}, context=InftyThinkContext(seed=seed))
        return _read(result)


def _read(result: InftyThinkOutput) -> Outcome:
    trace = result["trace"]
    last = trace[-1]
    return Outcome(
        answer=result["answer"],
        status=result["status"],  # type: ignore[arg-type]  # "stopped" is for paths, never for a run
        forced=bool(last["conclusion"]) and last["kind"] != "conclusion",
        malformed=sum(record["kind"] == "malformed" for record in trace),
        contexts=[record["contexts"] for record in trace],
        usage=result["usage"],
        epochs=[
            TraceEpoch(
                kind=record["kind"],
                segment=record["segment"],
                summary=record["summary"],
                conclusion=record["conclusion"],
            )
            for record in trace
        ],
    )


@dataclass(frozen=True)
class Vanilla:
    """Thinks in one chain.

    Attributes:
        model: any chat model.
        max_len: most tokens of prompt and chain together, the paper's ``max_len``; None for the model's window. Where
            the model can't count its prompts, they are not counted in.
        temperature, top_p: of the sampling; None for the model's own.
        tries: how often a request is made that meets a server which is away or overloaded.
        name: what tables call it.
    """

    model: BaseChatModel
    max_len: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    tries: int = 8
    name: str = "vanilla"

    def __post_init__(self) -> None:
        if self.max_len is not None and self.max_len < 2:
            raise InvalidInputError(f"max_len must be at least 2, got {self.max_len}")

    async def aconfig(self) -> dict[str, Any]:
        """See :class:`Method`."""
        info = await _info(self.model)
        return {
            "method": "vanilla",
            "model": name_of(self.model),
            "window": info.window,
            "max_len": self.max_len if self.max_len is not None else info.window,
            "temperature": self.temperature,
            "top_p": self.top_p,
        }

    async def acheck(self, texts: Sequence[str]) -> None:
        """See :class:`Method`.

        Raises:
            InvalidInputError: ``max_len`` exceeds the model's window, or the longest question leaves no room in it.
        """
        info, tokens = await _info(self.model), await _longest(self.model, texts)
        limit = self.max_len or info.window
        if self.max_len is not None and info.window is not None and self.max_len > info.window:
            raise InvalidInputError(
                f"max_len {self.max_len} is more than the model's window; allowed: at most {info.window}"
            )
        if limit is not None and tokens >= limit:
            raise InvalidInputError(
                f"the longest question has {tokens} tokens with template and leaves no room in {limit}; raise max_len"
            )

    async def _room(self, text: str) -> int | None:
        if self.max_len is None:
            return None
        if not isinstance(self.model, DescribesItself):
            return self.max_len
        return self.max_len - await self.model.acount_prompt_tokens(TextProtocol().render(text))

    async def arun(self, text: str, seed: int) -> Outcome:
        """See :class:`Method`. A question that the window can't hold is a chain that was cut before it began."""
        sampling = {"temperature": self.temperature, "top_p": self.top_p, "seed": seed}
        options = {name: value for name, value in sampling.items() if value is not None}
        start = time.perf_counter()
        try:
            async for attempt in AsyncRetrying(**retrying(self.tries), reraise=True):
                with attempt:
                    result = await avanilla(self.model, text, max_tokens=await self._room(text), **options)
        except ContextOverflowError:
            return Outcome(None, "cut", False, 0, [[]], no_usage(), [])
        usage: Usage = {**result.usage, "seconds": time.perf_counter() - start}
        status: TrialStatus = "cut" if result.cut else "answered" if result.conclusion else "exhausted"
        kind = "conclusion" if result.conclusion else "cut" if result.cut else "malformed"
        return Outcome(
            answer=result.answer,
            status=status,
            forced=False,
            malformed=int(kind == "malformed"),
            contexts=[[(usage["prompt_tokens"], usage["completion_tokens"])]],
            usage=usage,
            epochs=[TraceEpoch(kind=kind, segment=result.chain, summary="", conclusion=result.conclusion)],
        )
