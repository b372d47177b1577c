"""What ``ChatVLLM`` asks of a server and how it reads the replies. Nothing here does any I/O."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import openai
from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, convert_to_messages
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import Field, PrivateAttr, model_validator

from inftythink_graph.errors import ServerUnavailableError
from inftythink_graph.models import _vllm_errors as errors
from inftythink_graph.models import _vllm_prefill as prefills
from inftythink_graph.models._vllm_calls import Ask, Call, Chat, Plan
from inftythink_graph.models._vllm_http import AiohttpTransport
from inftythink_graph.models._vllm_payload import chat_fields, plain_request, request_options
from inftythink_graph.models._vllm_secrets import DEFAULT_BASE_URL, KeepsSecrets
from inftythink_graph.models.base import ModelCard, ModelInfo
from inftythink_graph.redaction import scrub, shown_url

__all__ = ["DEFAULT_BASE_URL", "Attempt", "VLLMRequests"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one request is going to be made.

    Attributes:
        prefill: the text that the model is to continue, if any.
        composed: the prompt is composed from token ids, because the chat template can't render the prefill.
        budget: the request may carry a thinking budget.
    """

    prefill: str | None = None
    composed: bool = False
    budget: bool = True


class VLLMRequests(KeepsSecrets):
    """Payloads, replies and plans for a vLLM server; ``ChatVLLM`` carries them out."""

    model_name: str = Field(default="", alias="model")
    request_timeout: float | tuple[float, float] | Any | None = Field(default=600.0, alias="timeout")
    # A request may wait in the server's queue before its first token; the request's own limit is enough.
    stream_chunk_timeout: float | None = 600.0
    stream_usage: bool | None = True
    use_responses_api: bool | None = False
    thinking_budget: Literal["auto", "on", "off"] = "auto"

    # By the model's name as given, so that a copy with another name asks anew: the served name and what is known.
    _known: dict[str, tuple[str, ModelInfo]] = PrivateAttr(default_factory=dict)
    _budget_refused: bool = PrivateAttr(default=False)
    _renderings: dict[str, prefills.Rendering | None] = PrivateAttr(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _own_connections(cls, values: dict[str, Any]) -> dict[str, Any]:
        # The parent class shares one client among all models and event loops.
        if not (values.get("http_async_client") or values.get("openai_proxy")):
            return {**values, "http_async_client": openai.DefaultAsyncHttpxClient(transport=AiohttpTransport())}
        return values

    def _get_request_payload(self, input_: Any, *, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        payload: dict[str, Any] = super()._get_request_payload(input_, stop=stop, **kwargs)
        payload["model"] = payload.get("model") or self.served_name
        body = {**(self.extra_body or {}), **(kwargs.get("extra_body") or {})}
        budget = payload.pop("thinking_token_budget", None)
        if budget is not None:
            body["thinking_token_budget"] = budget
        if self.thinking_budget == "off" or (self.thinking_budget == "auto" and self._budget_refused):
            body.pop("thinking_token_budget", None)
        prefills.mark_prefill(payload, body)
        payload.pop("extra_body", None)
        if body:
            payload["extra_body"] = body
        if "max_completion_tokens" in payload:
            # Servers of the last years know only the older name; newer ones prefer the other and accept both.
            payload["max_tokens"] = payload["max_completion_tokens"]
        return payload

    def _create_chat_result(
        self, response: dict[str, Any] | openai.BaseModel, generation_info: dict[str, Any] | None = None
    ) -> ChatResult:
        result = super()._create_chat_result(response, generation_info)
        choices = response["choices"] if isinstance(response, dict) else getattr(response, "choices", [])
        for generation, choice in zip(result.generations, choices, strict=True):
            _keep_reasoning(generation.message, _field(choice, "message"))
            # Copied, because the parent class shares one dictionary among all choices of a reply.
            generation.generation_info = {
                **(generation.generation_info or {}),
                "finish_reason": _field(choice, "finish_reason"),
                "stop_reason": _field(choice, "stop_reason"),
            }
        result.llm_output = {**(result.llm_output or {}), "model_provider": "vllm"}
        return result

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        converted = super()._convert_chunk_to_generation_chunk(chunk, default_chunk_class, base_generation_info)
        choices = chunk.get("choices") or (chunk.get("chunk") or {}).get("choices") or []
        if converted is None or not choices:
            return converted
        _keep_reasoning(converted.message, choices[0].get("delta") or {})
        converted.message.response_metadata["model_provider"] = "vllm"
        if choices[0].get("stop_reason") is not None:
            converted.generation_info = {
                **(converted.generation_info or {}),
                "stop_reason": choices[0]["stop_reason"],
            }
        return converted

    # Plans: what to ask the server, in which order. They do no I/O themselves.

    def _described(self) -> Plan[ModelInfo]:
        if self.model_name in self._known:
            return self._known[self.model_name][1]
        models = yield from self._models()
        served = tuple(models)
        name = self.model_name or (served[0] if len(served) == 1 else "")
        if name not in models:
            raise errors.not_served(name, served, self._url)
        entry = models[name]
        # An adapter's entry leaves the window to its base model's.
        window = entry.get("max_model_len") or models.get(entry.get("parent") or "", {}).get("max_model_len")
        root = entry.get("root")
        card = ModelCard.read(root) if isinstance(root, str) and Path(root).is_dir() else None
        info = ModelInfo(window=window, prefill=True, card=card)
        self._known[self.model_name] = (name, info)
        return info

    def _models(self) -> Plan[dict[str, dict[str, Any]]]:
        try:
            reply = yield Call("/models")
        except openai.APIError as error:
            scrub(error, self._secrets())
            raise errors.unavailable(error, self._url) from error
        entries = reply.get("data") if isinstance(reply, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) and "id" in entry for entry in entries):
            raise ServerUnavailableError(
                f"the server at {shown_url(self._url)} answers, but not with a list of models:"
                " base_url is the address that ends in /v1"
            )
        return {str(entry["id"]): entry for entry in entries}

    def _counted(self, messages: Sequence[Any], kwargs: dict[str, Any] | None = None) -> Plan[int]:
        try:
            payload = yield from self._payload(convert_to_messages(messages), None, kwargs or {})
            rendering = yield from self._rendering(payload)
            tokens = yield from prefills.prompt_tokens(self._root, payload, rendering)
        except openai.APIError as error:
            raise (yield from self._uncounted(error)) from error
        return len(tokens.ids)

    def _token_ids(self, text: str) -> Plan[list[int]]:
        try:
            yield from self._named()
            body = {"model": self.served_name, "prompt": text, "add_special_tokens": False}
            tokens = yield from prefills.tokenize(self._root, body)
        except openai.APIError as error:
            raise (yield from self._uncounted(error)) from error
        return tokens.ids

    def _uncounted(self, error: openai.APIError) -> Plan[Exception]:
        if errors.lacks_endpoint(error):
            return ServerUnavailableError(
                f"the server at {shown_url(self._root)} has no /tokenize, which counting tokens needs"
            )
        return (yield from self._explained(error, self.served_name))

    def _generated(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> Plan[ChatResult]:
        attempt = yield from self._first(messages, stop, kwargs)
        while True:
            try:
                if attempt.composed:
                    return (yield from self._composed(messages, stop, kwargs, attempt))
                arguments = self._arguments(attempt, kwargs)
                payload = yield from self._payload(messages, stop, arguments)
                if self._is_plain(payload):
                    reply = yield Call("/chat/completions", *plain_request(payload))
                    result = self._create_chat_result(reply)
                else:
                    result = yield Chat(arguments)
                return prefills.reunite(result, attempt.prefill)
            except openai.APIError as error:
                attempt = yield from self._next(error, attempt, messages, stop, kwargs)

    def _is_plain(self, payload: dict[str, Any]) -> bool:
        """Whether a request needs nothing that LangChain's own code does for it, and may go to the server as it is.

        Typed requests and replies make up half of what a call costs the client, and a plain one profits from neither.
        """
        return not (
            "response_format" in payload
            or self.include_response_headers
            or self._use_responses_api(payload)
            or payload.keys() - chat_fields()
        )

    def _first(self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]) -> Plan[Attempt]:
        """The first attempt at a request. Costs the server nothing after the first few requests."""
        attempt = Attempt(budget=not (self.thinking_budget == "auto" and self._budget_refused))
        if not messages or not isinstance(messages[-1], AIMessage | ChatMessage):
            yield from self._named(kwargs)
            return attempt
        payload = yield from self._payload(messages, stop, kwargs)
        prefill = _prefill(payload)
        if prefill is None:
            return attempt
        try:
            rendering = yield from self._rendering(payload)
        except openai.APIError as error:
            raise (yield from self._explained(error, payload["model"])) from error
        return replace(attempt, prefill=prefill, composed=rendering is not None and not rendering.direct)

    def _next(
        self,
        error: openai.APIError,
        attempt: Attempt,
        messages: list[BaseMessage],
        stop: list[str] | None,
        kwargs: dict[str, Any],
        started: bool = False,
    ) -> Plan[Attempt]:
        """The attempt to make after one that failed; raises what callers are to see where there is none."""
        if not started and attempt.budget and self.thinking_budget == "auto" and errors.refuses_thinking_budget(error):
            self._budget_refused = True
            return replace(attempt, budget=False)
        payload = yield from self._payload(messages, stop, kwargs)
        if not started and attempt.prefill is not None and not attempt.composed and errors.refuses_continuation(error):
            key = prefills.rendering_key(payload)
            rendering = self._renderings.get(key)
            if rendering is not None:
                self._renderings[key] = replace(rendering, direct=False)
                return replace(attempt, composed=True)
        raise (yield from self._explained(error, payload["model"])) from error

    def _explained(self, error: openai.APIError, model: str) -> Plan[Exception]:
        scrub(error, self._secrets())
        if isinstance(error, openai.NotFoundError):
            served = tuple((yield from self._models()))
            if model not in served:
                return errors.not_served(model, served, self._url)
        return errors.translated(error, self._url)

    def _composed(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any], attempt: Attempt
    ) -> Plan[ChatResult]:
        """A chat completion by way of the text completion endpoint, from token ids."""
        payload = yield from self._payload(messages, stop, self._arguments(attempt, kwargs))
        rendering = yield from self._rendering(payload)
        tokens = yield from prefills.prompt_tokens(self._root, payload, rendering)
        completion = yield Call("/completions", prefills.completion_body(payload, tokens), request_options(payload))
        return self._create_chat_result(prefills.as_chat_completion(completion))

    def _rendering(self, payload: dict[str, Any]) -> Plan[prefills.Rendering | None]:
        """What the template makes of a prefill; found out once for each way of rendering."""
        if _prefill(payload) is None:
            return None
        key = prefills.rendering_key(payload)
        if key not in self._renderings:
            self._renderings[key] = yield from prefills.examine(self._root, payload)
        return self._renderings[key]

    def _payload(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> Plan[dict[str, Any]]:
        yield from self._named(kwargs)
        kwargs = {key: value for key, value in kwargs.items() if key not in ("stream", "stream_usage")}
        return self._get_request_payload(list(messages), stop=stop, **kwargs)

    def _named(self, kwargs: dict[str, Any] | None = None) -> Generator[Ask, Any, None]:
        """Make sure that the model has a name: that of the only one served, if none was given."""
        if not (self.served_name or (kwargs or {}).get("model")):
            yield from self._described()

    def _arguments(self, attempt: Attempt, kwargs: dict[str, Any]) -> dict[str, Any]:
        if attempt.budget:
            return kwargs
        return {key: value for key, value in kwargs.items() if key != "thinking_token_budget"}

    @property
    def _url(self) -> str:
        return str(self.root_async_client.base_url).rstrip("/")

    @property
    def served_name(self) -> str:
        """The name that requests ask for: ``model``, or the only one that is served.

        "" as long as no name was given and the server hasn't been asked, which :meth:`describe` or any request does.
        """
        return self.model_name or self._known.get("", ("",))[0]

    @property
    def _root(self) -> str:
        """The server's address without the API's version: /tokenize lies there."""
        return self._url.removesuffix("/v1")

    # What LangChain asks of a model class

    @property
    def _llm_type(self) -> str:
        return "vllm-chat"

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Where LangChain's loader finds the class."""
        return cls.__module__.split(".")

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = "vllm"
        params["ls_model_name"] = params.get("ls_model_name") or self.served_name
        return params


def _prefill(payload: dict[str, Any]) -> str | None:
    """The text of a request that its model is to continue, or None."""
    if not (payload.get("extra_body") or {}).get("continue_final_message"):
        return None
    content = payload["messages"][-1].get("content")
    return content if isinstance(content, str) else None


def _field(source: Any, name: str) -> Any:
    """A field of a reply, which is a dictionary or one of openai's objects (they keep unknown fields apart)."""
    return source.get(name) if isinstance(source, dict) else getattr(source, name, None)


def _keep_reasoning(message: BaseMessage, source: Any) -> None:
    reasoning = _field(source, "reasoning") or _field(source, "reasoning_content")
    if reasoning and isinstance(message, AIMessage):
        message.additional_kwargs["reasoning_content"] = reasoning
