"""From the options of a build to its summarizers: servers, a model given in Python, or extracts without one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel

from datasets_build.pipeline.endpoints import Endpoint
from datasets_build.pipeline.options import BuildOptions
from datasets_build.segmentation.segment import Counter
from datasets_build.summaries.extractive import create_extractive_summarizer
from datasets_build.summaries.prompt import SummaryPrompt, load_prompt
from datasets_build.summaries.request_cache import ReplyCache
from datasets_build.summaries.summarize import create_summarizer_graph
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.models.transport import name_of
from inftythink_graph.redaction import shown_url

if TYPE_CHECKING:
    from inftythink_graph.models.vllm import ChatVLLM

__all__ = ["EXTRACTS_AT_A_TIME", "Summarizers", "choose_summarizers", "connect"]

EXTRACTS_AT_A_TIME = 2
"""Examples that are extracted from at a time: it is work for this process, not waiting."""


@dataclass(frozen=True, slots=True)
class Summarizers:
    """Who writes the summaries.

    Attributes:
        models: for each endpoint its name and its model; empty for extracts.
        model_name: what the model is called; "" without one.
        prompt: the wording; None without a model.
    """

    models: tuple[tuple[str, BaseChatModel], ...]
    model_name: str
    prompt: SummaryPrompt | None

    def endpoints(self, options: BuildOptions, cache: ReplyCache, count: Counter) -> list[Endpoint]:
        """The endpoints, all with the same cache."""
        if self.prompt is None:
            return [
                Endpoint("extracts", create_extractive_summarizer(summary_budget=options.summary_budget, count=count))
            ]
        sampling = ("summary_budget", "window", "temperature", "top_p", "seed", "max_attempts", "reasoning_budget")
        settings: dict[str, Any] = {name: getattr(options, name) for name in (*sampling, "transport_tries", "backoff")}
        return [
            Endpoint(
                name,
                create_summarizer_graph(
                    model, prompt=self.prompt, count=count, cache=cache, model_name=self.model_name, **settings
                ),
            )
            for name, model in self.models
        ]


def connect(options: BuildOptions) -> tuple[tuple[str, ChatVLLM], ...]:
    """For each server of the options its address and a model that asks it; nothing is asked yet."""
    from inftythink_graph.models.vllm import DEFAULT_BASE_URL, ChatVLLM

    more: dict[str, Any] = {"api_key": options.api_key} if options.api_key else {}
    return tuple(
        # Retries are the summarizer's own, with longer waits than the client's.
        (shown_url(url), ChatVLLM(base_url=url, model=options.model, timeout=options.timeout, max_retries=0, **more))
        for url in options.base_url or [DEFAULT_BASE_URL]
    )


def choose_summarizers(
    options: BuildOptions, model: BaseChatModel | Sequence[BaseChatModel] | None = None
) -> Summarizers:
    """The summarizers that the options ask for. Servers are asked at once what they serve.

    Args:
        options: of the build.
        model: a chat model, or several that are called alike, in place of servers.

    Raises:
        InvalidInputError: options and models don't go together, the wording's file is no valid one, or the servers
            serve different models.
        ServerUnavailableError: a server doesn't answer.
    """
    used = options.summarizer_used
    if model is not None:
        models = tuple(model) if isinstance(model, Sequence) else (model,)
        if used != "chat_model" or options.base_url:
            raise InvalidInputError("with a model given, the summarizer is 'chat_model' and there is no base_url")
        named = [(f"model {number}", each) for number, each in enumerate(models, 1)]
        return Summarizers(tuple(named), options.model or _one_name(models), load_prompt(options.prompt))
    if used == "chat_model":
        raise InvalidInputError("summarizer 'chat_model' is for Python: build_dataset(options, model=...)")
    if used == "extractive":
        return Summarizers((), "", None)
    prompt = load_prompt(options.prompt)
    servers = connect(options)
    for _, server in servers:
        server.describe()
    names = {url: server.served_name for url, server in servers}
    if len(set(names.values())) > 1:
        listed = ", ".join(f"{name!r} at {url}" for url, name in names.items())
        raise InvalidInputError(f"the servers serve different models ({listed}): name one that all serve as model")
    return Summarizers(servers, next(iter(names.values())), prompt)


def _one_name(models: Sequence[BaseChatModel]) -> str:
    names = set(map(name_of, models))
    if len(names) != 1 or "" in names:
        raise InvalidInputError("the models must all have the same name, or be named by the option model=NAME")
    return names.pop()
