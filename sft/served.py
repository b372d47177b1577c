"""What a vLLM server makes of messages, worked out in this process.

The requests are those of :class:`~inftythink_graph.models.vllm.ChatVLLM` itself; only the server's answers about its
template and its tokenizer are given here. So no server is needed to know what a trained model will be asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inftythink_graph.protocol import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from inftythink_graph.models._vllm_calls import Ask

__all__ = ["reads_blocks", "served_prompt"]

_MODEL = "model"


def _is_content(node: Any, names: set[str]) -> bool:
    """Whether an expression is a message's content, filtered or sliced."""
    from jinja2 import nodes

    while isinstance(node, nodes.Filter | nodes.Test) or (
        isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice)
    ):
        node = node.node
    if isinstance(node, nodes.Getattr):
        return bool(node.attr == "content")
    if isinstance(node, nodes.Getitem):
        return isinstance(node.arg, nodes.Const) and node.arg.value == "content"
    return isinstance(node, nodes.Name) and node.name in names


def reads_blocks(template: str) -> bool:
    """Whether a template goes through a message's content block by block.

    vLLM then hands it blocks even where a message is plain text.
    """
    from jinja2 import nodes
    from transformers.utils.chat_template_utils import _compile_jinja_template  # with the tags that templates may use

    tree = _compile_jinja_template(template).environment.parse(template)
    names = {"content"}
    macros = {macro.name: [arg.name for arg in macro.args] for macro in tree.find_all(nodes.Macro)}
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in macros:
            given = zip(macros[call.node.name], call.args, strict=False)
            named = ((each.key, each.value) for each in call.kwargs)
            names |= {name for name, value in (*given, *named) if _is_content(value, names)}
    return any(_is_content(loop.iter, names) for loop in tree.find_all(nodes.For))


class _Server:
    """Answers what ``ChatVLLM`` asks a server about its rendering."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._blocks = reads_blocks(str(tokenizer.get_chat_template()))

    def __call__(self, ask: Ask) -> dict[str, Any]:
        from inftythink_graph.models._vllm_calls import Call

        assert isinstance(ask, Call)
        body = ask.body or {}
        if ask.path.endswith("/detokenize"):
            return {"prompt": self._tokenizer.decode(body["tokens"], clean_up_tokenization_spaces=False)}
        if "prompt" in body:
            text, special = body["prompt"], body.get("add_special_tokens", True)
        else:
            text, special = self._render(body), False
        return {"tokens": self._tokenizer(text, add_special_tokens=special)["input_ids"], "max_model_len": None}

    def _render(self, body: dict[str, Any]) -> str:
        import httpx2
        import openai
        from jinja2 import TemplateError

        messages = body["messages"]
        if self._blocks:
            messages = [{**each, "content": [{"type": "text", "text": each["content"]}]} for each in messages]
        continued = body.get("continue_final_message", False)
        try:
            return str(
                self._tokenizer.apply_chat_template(
                    messages,
                    tokenize=False,
                    add_generation_prompt=body.get("add_generation_prompt", True),
                    continue_final_message=continued,
                )
            )
        except (TemplateError, TypeError, ValueError) as error:  # a server answers 400
            response = httpx2.Response(400, request=httpx2.Request("POST", "http://server/tokenize"))
            raise openai.BadRequestError(str(error), response=response, body=None) from error


def served_prompt(messages: Sequence[Message], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Token ids that a vLLM server with this tokenizer reads when ``ChatVLLM`` sends it the messages of plain text.

    Raises:
        ValueError: the server's template refuses the messages.
    """
    import openai

    from inftythink_graph.models import _vllm_prefill as prefills
    from inftythink_graph.models._vllm_calls import drive

    server = _Server(tokenizer)
    payload: dict[str, Any] = {"model": _MODEL, "messages": [dict(each) for each in messages]}
    body: dict[str, Any] = {}
    prefill = prefills.mark_prefill(payload, body)
    payload["extra_body"] = body
    try:
        rendering = None if prefill is None else drive(prefills.examine("", payload), server)
        return drive(prefills.prompt_tokens("", payload, rendering), server).ids
    except openai.BadRequestError as error:
        raise ValueError(str(error)) from error
