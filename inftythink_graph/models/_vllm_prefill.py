"""Making a vLLM server continue an assistant message that was begun for it (a prefill).

The direct way is vLLM's ``continue_final_message``. Some chat templates can't do it: those of DeepSeek-R1 and Qwen3 cut
the thinking out of assistant turns, others trim white space. Where the rendered prompt isn't the conversation followed
by the begun text, verbatim, the prompt is composed from token ids instead and sent to the text completion endpoint.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import openai
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from inftythink_graph.models._vllm_calls import Ask, Call, Plan
from inftythink_graph.models._vllm_errors import lacks_endpoint
from inftythink_graph.protocol import TAGS, Protocol

__all__ = [
    "Rendering",
    "Tokens",
    "as_chat_completion",
    "completion_body",
    "examine",
    "mark_prefill",
    "prompt_tokens",
    "rendering_key",
    "reunite",
    "reunite_chunk",
    "template_fields",
    "tokenize",
]

_THINK, _THINK_END, *_ = TAGS
_OPEN = (_THINK, *TAGS[4:])
"""After one of these, a model is still to think: what a reasoning parser calls reasoning is reasoning."""

_CONTINUE = {"add_generation_prompt": False, "continue_final_message": True}
_TEMPLATE_FIELDS = ("chat_template", "chat_template_kwargs", "mm_processor_kwargs")
_CHAT_ONLY = {
    *("messages", "stream", "stream_options", "tools", "tool_choice", "parallel_tool_calls", "functions"),
    *("function_call", "max_completion_tokens", "top_logprobs", "reasoning_effort", "extra_body", "extra_headers"),
    *("extra_query", "timeout", "add_generation_prompt", "continue_final_message", "include_reasoning"),
    *_TEMPLATE_FIELDS,
}


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a server's chat template does with a begun assistant message.

    Attributes:
        direct: ``continue_final_message`` renders it verbatim.
        cut: tokens at the end of the generation prompt that belong to a thought which the template opens by itself;
            they are left out where a prompt is composed, because the begun message opens its own.
    """

    direct: bool
    cut: int = 0


@dataclass(frozen=True, slots=True)
class Tokens:
    """A rendered prompt as token ids, and the context window in tokens (None if the server doesn't say)."""

    ids: list[int]
    window: int | None


def mark_prefill(payload: dict[str, Any], body: dict[str, Any]) -> str | None:
    """Ask for the continuation of a final assistant message; its text, or None where there is nothing to continue.

    An explicit ``add_generation_prompt`` or ``continue_final_message`` of the caller's is left alone.
    """
    messages = payload.get("messages") or []
    if not messages or messages[-1].get("role") != "assistant":
        return None
    last = messages[-1]
    if not isinstance(last.get("content"), str) or last.get("tool_calls") or last.get("function_call"):
        return None
    if "add_generation_prompt" in body or "continue_final_message" in body:
        return None
    if not last["content"]:  # begun with nothing: an ordinary turn
        payload["messages"] = messages[:-1]
        return None
    body.update(_CONTINUE)
    return str(last["content"])


def template_fields(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request that change how its messages are rendered."""
    body = payload.get("extra_body") or {}
    fields = {key: body[key] for key in _TEMPLATE_FIELDS if body.get(key) is not None}
    if payload.get("tools"):
        fields["tools"] = payload["tools"]
    return fields


def rendering_key(payload: Mapping[str, Any]) -> str:
    """Names a way of rendering: requests with the same template settings share what was found out about it."""
    fields = {**template_fields(payload), "tools": None}
    return json.dumps([payload["model"], fields], sort_keys=True, default=str)


def tokenize(root: str, body: dict[str, Any]) -> Generator[Ask, Any, Tokens]:
    """Token ids of ``messages`` or of a ``prompt``."""
    reply = yield Call(f"{root}/tokenize", body)
    if not isinstance(reply, dict) or not isinstance(reply.get("tokens"), list):
        return Tokens([], None)
    return Tokens(list(reply["tokens"]), reply.get("max_model_len"))


def _text(root: str, model: str, text: str) -> Plan[list[int]]:
    return (yield from tokenize(root, {"model": model, "prompt": text, "add_special_tokens": False})).ids


def examine(root: str, payload: Mapping[str, Any]) -> Plan[Rendering | None]:
    """Find out, with a message of this package's own, whether the template renders a begun message verbatim.

    None where the server has no /tokenize to ask.
    """
    model = payload["model"]
    fields = {key: value for key, value in template_fields(payload).items() if key != "tools"}
    probe = Protocol().render_summarize("Q", None, "A", budget=1)
    text = str(probe[-1]["content"])
    try:
        base = (yield from tokenize(root, {"model": model, "messages": probe[:-1], **fields})).ids
        begun = yield from _text(root, model, text)
    except openai.APIStatusError as error:
        if lacks_endpoint(error):
            return None
        raise
    if not base or not begun:
        return None
    try:
        direct = (yield from tokenize(root, {"model": model, "messages": probe, **fields, **_CONTINUE})).ids
    except openai.BadRequestError:
        direct = []
    if direct == base + begun:
        return Rendering(direct=True)
    bare = yield from tokenize(root, {"model": model, "messages": probe[:-1], "add_generation_prompt": False, **fields})
    opener = yield from _text(root, model, _THINK)
    cut = _opened_by_template(base[len(bare.ids) :], opener)
    base = base[: len(base) - cut]
    verbatim = direct == base + begun
    if direct and not verbatim:
        # Tokenizers that begin a text differently than they go on with it: the text decides.
        written, expected = (yield from _detokenize(root, model, direct)), (yield from _detokenize(root, model, base))
        verbatim = written is not None and expected is not None and written == expected + text
    return Rendering(direct=verbatim, cut=cut)


def _detokenize(root: str, model: str, ids: list[int]) -> Plan[str | None]:
    try:
        reply = yield Call(f"{root}/detokenize", {"model": model, "tokens": ids})
    except openai.APIStatusError as error:
        if lacks_endpoint(error):
            return None
        raise
    return reply.get("prompt") if isinstance(reply, dict) else None


def _opened_by_template(generation_prompt: Sequence[int], opener: Sequence[int]) -> int:
    """Tokens from the opening think tag on to the end of a generation prompt; 0 where it opens no thought."""
    for start in range(len(generation_prompt)):
        if opener and list(generation_prompt[start : start + len(opener)]) == list(opener):
            return len(generation_prompt) - start
    return 0


def prompt_tokens(root: str, payload: Mapping[str, Any], rendering: Rendering | None) -> Plan[Tokens]:
    """The prompt of a request as the server sees it, a begun message included."""
    fields = template_fields(payload)
    model, messages, body = payload["model"], payload["messages"], payload.get("extra_body") or {}
    if not body.get("continue_final_message"):
        generate = body.get("add_generation_prompt", True)
        return (
            yield from tokenize(
                root, {"model": model, "messages": messages, "add_generation_prompt": generate, **fields}
            )
        )
    if rendering is None or rendering.direct:
        return (yield from tokenize(root, {"model": model, "messages": messages, **fields, **_CONTINUE}))
    base = yield from tokenize(root, {"model": model, "messages": messages[:-1], **fields})
    begun = yield from _text(root, model, messages[-1]["content"])
    return Tokens(base.ids[: len(base.ids) - rendering.cut] + begun, base.window)


def completion_body(payload: Mapping[str, Any], tokens: Tokens) -> dict[str, Any]:
    """The request to the text completion endpoint that says what the chat request ``payload`` says."""
    fields = {**payload, **(payload.get("extra_body") or {})}
    body = {key: value for key, value in fields.items() if key not in _CHAT_ONLY}
    body["prompt"] = tokens.ids
    if fields.get("logprobs"):
        body["logprobs"] = fields.get("top_logprobs") or 1
    else:
        body.pop("logprobs", None)
    limit = fields.get("max_completion_tokens") or fields.get("max_tokens")
    if limit is None and tokens.window is not None:
        limit = max(tokens.window - len(tokens.ids), 1)  # this endpoint's own default is 16 tokens
    if limit is not None:
        body["max_tokens"] = limit
    return body


def as_chat_completion(completion: Mapping[str, Any]) -> dict[str, Any]:
    """A text completion in the form of a chat completion."""
    choices = [
        {
            "index": choice.get("index", index),
            "message": {"role": "assistant", "content": choice.get("text") or ""},
            "finish_reason": choice.get("finish_reason"),
            "stop_reason": choice.get("stop_reason"),
            "logprobs": choice.get("logprobs"),
        }
        for index, choice in enumerate(completion.get("choices") or [])
    ]
    return {**completion, "object": "chat.completion", "choices": choices}


def _ended_thinking(prefill: str) -> bool:
    """Whether what follows ``prefill`` can't be the thought that it belongs to."""
    last = max(TAGS, key=prefill.rfind)
    return last not in prefill or last not in _OPEN


def reunite(result: ChatResult, prefill: str | None) -> ChatResult:
    """Put back together what a reasoning parser took apart, after a ``prefill`` whose thinking had ended.

    Such a parser sees only the new text. Without a closing tag in it, all of it is delivered as reasoning, and an
    answer or a summary would be lost; streamed, vLLM looks at the prompt as well and doesn't do so.
    """
    if prefill is None or not _ended_thinking(prefill):
        return result
    for generation in result.generations:
        message = generation.message
        reasoning = message.additional_kwargs.pop("reasoning_content", None)
        if reasoning and isinstance(message.content, str):
            message.content = f"{reasoning}{_THINK_END}{message.content}" if message.content else reasoning
            generation.text = message.content
    return result


def reunite_chunk(chunk: ChatGenerationChunk, prefill: str | None) -> ChatGenerationChunk:
    """:func:`reunite` for one streamed chunk."""
    if prefill is None or not _ended_thinking(prefill):
        return chunk
    reasoning = chunk.message.additional_kwargs.pop("reasoning_content", None)
    if reasoning and isinstance(chunk.message.content, str):
        chunk.message.content = reasoning + chunk.message.content
        chunk.text = reasoning + chunk.text
    return chunk
