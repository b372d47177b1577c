"""``ChatSurface``: the fields of ``ChatInftyThink``, and what LangChain asks of a model beside answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable, RunnableBinding
from pydantic import ConfigDict, Field

from inftythink_graph import _model_facts as facts
from inftythink_graph._chat_options import SETTINGS, stop_sequences
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.graph import InftyThinkGraph, create_inftythink_graph
from inftythink_graph.protocol import Protocol
from inftythink_graph.state import OnExhausted, OnRejected, OnStall, ProtocolKind
from inftythink_graph.verdicts import Candidate

__all__ = ["ChatSurface"]

_OF_THE_GRAPH = (*SETTINGS, "protocol", "verifier", "stall_after", "on_stall", "stall_temperature")


class ChatSurface(BaseChatModel):
    """Fields, tools, names, counts; ``ChatInftyThink`` runs the graph."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    model: BaseChatModel | None = None
    """The chat model that thinks. Give either this or ``graph``."""
    graph: InftyThinkGraph | None = Field(default=None, repr=False)
    """A graph of your own. It brings its settings; its checkpointer isn't used."""
    max_epochs: int = 50
    """Most segments."""
    max_tokens: int | None = None
    """Most tokens that a run generates, reasoning included; a forced answer comes on top."""
    eta: int | None = None
    """Most tokens of a segment."""
    summary_budget: int | None = None
    """Most tokens of a summary."""
    temperature: float | None = None
    """Sampling temperature."""
    top_p: float | None = None
    """Nucleus of the sampling."""
    seed: int | None = None
    """Seed of the sampling."""
    on_exhausted: OnExhausted = "force"
    """When epochs run out: ``force`` an answer, or ``return`` what there is."""
    on_rejected: OnRejected = "note"
    """A rejected answer goes back as a ``note`` with the summary, or the run has to ``restart`` from the question."""
    protocol: Protocol | ProtocolKind | None = None
    """The text format; by default the model's own."""
    verifier: Callable[[Candidate], Any] | None = None
    """Judges an answer; a rejected one goes back into the loop."""
    stall_after: int = 3
    """A run has stalled when the summary was one of those before that often in a row."""
    on_stall: OnStall = "end"
    """A run that has stalled is to ``end``, or to go on at a higher temperature (``heat``)."""
    stall_temperature: float = 1.0
    """That temperature."""
    stop: list[str] | None = None
    """Sequences that end the answer."""
    include_reasoning: bool = True
    """Messages hold the reasoning, as blocks before the answer. Without it their content is the answer, a string."""
    answer_streaming: Literal["tokens", "whole"] = "tokens"
    """``tokens``: without a verifier, an answer streams while it is written. One that is cut off before it is done
    may turn out to be none: its block is then marked ``superseded`` under ``extras``, and the answer follows.
    ``whole``: an answer comes when it is settled, always."""
    callbacks_inside: Literal["tracers", "all"] = "tracers"
    """Who sees the runs inside, below the model's own: LangChain's tracers (LangSmith's among them), or ``all``
    callback handlers. To the others it is one model that is called once, so that none counts a token twice."""
    streaming: bool = False
    """``invoke``, too, goes by way of the stream, so that callbacks see the tokens."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        if (self.model is None) == (self.graph is None):
            raise InvalidInputError("ChatInftyThink takes a model or a graph: give exactly one of them")
        if self.graph is not None and (given := [name for name in _OF_THE_GRAPH if name in self.model_fields_set]):
            raise InvalidInputError(
                f"{', '.join(given)}: a graph brings its own settings; give them to it, or to calls"
            )
        if self.include_reasoning and self.output_version is None:
            self.output_version = "v1"  # the content is in LangChain's standard blocks, and says so
        self._graph()
        stop_sequences(None, self.stop)

    def _graph(self) -> InftyThinkGraph:
        if self.graph is not None:
            return self.graph.copy({"checkpointer": False})
        assert self.model is not None
        settings = {name: getattr(self, name) for name in _OF_THE_GRAPH}
        return create_inftythink_graph(self.model, **settings, checkpointer=False)

    @property
    def _thinker(self) -> BaseChatModel:
        """The model inside."""
        if self.graph is not None:
            return self.graph.model
        assert self.model is not None
        return self.model

    # Tools

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | Any],
        *,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Let the model call tools, as it does by itself: a call ends the run, and comes back in its message.

        ``tool_choice="auto"`` lets it think first. A call that is forced (``"any"``, a tool's name) comes at once on
        servers without a reasoning parser: they hold the model to the call's format from its first token on.

        Raises:
            NotImplementedError: the model inside can't call tools.
        """
        # LangChain's note of a structured output is about this model, not about the one inside.
        own = {name: kwargs.pop(name) for name in ("ls_structured_output_format",) if name in kwargs}
        try:
            bound = self._thinker.bind_tools(tools, tool_choice=tool_choice, **kwargs)
        except NotImplementedError as error:
            raise NotImplementedError(
                f"{type(self._thinker).__name__} can't call tools, and so ChatInftyThink can't with it"
            ) from error
        if not isinstance(bound, RunnableBinding) or bound.bound is not self._thinker:
            raise NotImplementedError(f"the tools of {type(self._thinker).__name__} can't be bound to another model")
        return self.bind(**bound.kwargs, **own)

    # What LangChain asks of a model

    @property
    def _llm_type(self) -> str:
        return "inftythink"

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """With a model that LangChain can load, and without a graph or a verifier, so can be this one."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Where LangChain's loader finds the class."""
        return cls.__module__.split(".")

    @property
    def model_name(self) -> str:
        """The name in messages and traces: ``inftythink(...)``, with that of the model inside.

        Not the model's own name: whoever adds up tokens by model would count every one of them twice, and LangChain
        takes models for what their names say.
        """
        return f"inftythink({facts.name(self._thinker).rpartition('/')[2]})"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        thinker = self._thinker
        options = {name: getattr(self, name) for name in (*_OF_THE_GRAPH, "stop", "include_reasoning")}
        return {
            "model": {"_type": thinker._llm_type, "name": facts.name(thinker), **thinker._identifying_params},
            **{name: value for name, value in options.items() if value is not None},
            **({"graph": self.graph.name} if self.graph is not None else {}),
        }

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        # What can't be serialized is told apart by its identity: two verifiers give two different answers.
        return f"{super()._get_llm_string(stop=stop, **kwargs)}---{self.verifier!r}{id(self.graph)}"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        params = super()._get_ls_params(stop=stop or self.stop, **kwargs)
        params["ls_provider"] = "inftythink"
        params["ls_model_name"] = kwargs.get("model") or self.model_name
        return params

    def _resolve_model_profile(self) -> Any:
        return facts.profile(self._thinker)

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None, **kwargs: Any
    ) -> int:
        """Tokens of the prompt that ``messages`` make for the model inside."""
        return facts.count_messages(self._thinker, messages, tools, **kwargs)

    def get_token_ids(self, text: str) -> list[int]:
        """Token ids of ``text``, as the model inside has them."""
        return self._thinker.get_token_ids(text)

    def get_num_tokens(self, text: str) -> int:
        """Tokens of ``text``, as the model inside counts them."""
        return self._thinker.get_num_tokens(text)
