"""From messages to the text that a model reads, with a tokenizer's chat template: for training and in-process models.

What a vLLM server reads for the same messages is the same text: see :mod:`inftythink_graph.models._vllm_prefill`, which
asks the server for it. ``sft`` compares the two before it trains.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from inftythink_graph.protocol import TAGS, question_text

__all__ = ["generation_prompt", "prompt_text", "rest_of_completion"]

_THINK = TAGS[0]
_OPENED = re.compile(rf"{_THINK}(\s*)\Z")


def _shared(one: str, two: str) -> int:
    """Length of the beginning that two texts share."""
    return next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))


def _plain(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The messages with their blocks of text as plain text: most templates know no blocks."""
    plain = []
    for message in messages:
        content = message["content"]
        if not isinstance(content, str) and all(
            isinstance(each, str) or each.get("type") == "text" for each in content
        ):
            content = question_text(content)
        plain.append({**message, "content": content})
    return plain


def generation_prompt(turns: Sequence[Mapping[str, Any]], tokenizer: Any) -> tuple[str, str]:
    """What the chat template makes of whole turns, and what it adds to them for the model to go on from.

    Raises:
        jinja2.TemplateError, TypeError, ValueError: the template refuses the turns.
    """
    asked = str(tokenizer.apply_chat_template(_plain(turns), add_generation_prompt=True, tokenize=False))
    closed = str(tokenizer.apply_chat_template(_plain(turns), add_generation_prompt=False, tokenize=False))
    start = _shared(asked, closed)  # some templates end a conversation that isn't gone on with
    return asked[:start], asked[start:]


def prompt_text(messages: Sequence[Mapping[str, Any]], tokenizer: Any) -> str:
    """The prompt that the messages make, template included.

    Content blocks are joined by line feeds where all of them are text. A last assistant message is a prefill: it is
    appended verbatim, whatever the template would make of it. Where the generation prompt opens a thought by itself, a
    prefill stands in its place, because it opens its own.

    Raises:
        jinja2.TemplateError, TypeError, ValueError: the template refuses the messages.
    """
    prefill = str(messages[-1]["content"]) if messages and messages[-1]["role"] == "assistant" else None
    if prefill is None:
        return str(tokenizer.apply_chat_template(_plain(messages), add_generation_prompt=True, tokenize=False))
    turns = messages[:-1]
    if not prefill:  # begun with nothing: an ordinary turn
        return prompt_text(turns, tokenizer)
    before, opening = generation_prompt(turns, tokenizer)
    return before + opening.partition(_THINK)[0] + prefill


def rest_of_completion(prompt: str, completion: str) -> str:
    """What of a completion is left to write after a prompt's text.

    Chat templates of some reasoning models open the thought themselves: their prompts end in ``<think>`` and white
    space. The model then goes on after that, and doesn't open the thought again.
    """
    opened = _OPENED.search(prompt)
    if not opened or not completion.startswith(_THINK):
        return completion
    rest = completion.removeprefix(_THINK)
    return rest[_shared(opened.group(1), rest) :]
