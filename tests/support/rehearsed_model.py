"""A tiny checkpoint that has learnt its lines by heart: the questions of LangChain's suites, with tool calls and JSON.

No small model follows instructions; the suites ask for tool calls with given arguments. This one is trained, in half a
minute, on the conversations that they hold and on the replies that they expect. Everything around it is real: the
server, its tool parser, its guided decoding.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from inftythink_graph.models import ModelCard
from inftythink_graph.protocol import Protocol
from sft.scratch import build_model, build_tokenizer

__all__ = ["JOKE_AS_JSON", "WINDOW", "rehearsed_checkpoint"]

WINDOW = 2048
_TEMPLATE = (
    "{%- for message in messages -%}{{- '<|im_start|>' + message['role'] + '\n' -}}"
    "{%- if message['content'] is string -%}{{- message['content'] -}}{%- endif -%}"
    "{%- for call in message['tool_calls'] or [] -%}{{- '<tool_call>' + call['function']['name'] -}}{%- endfor -%}"
    "{{- '<|im_end|>\n' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)
_NATIVE = Protocol()
_ADDER = {"function": {"name": "my_adder_tool"}}
_WEATHER = "What is the weather in San Francisco, CA?"
JOKE_AS_JSON = (
    "Tell me a joke about cats. Return the result as a JSON with 'setup' and 'punchline' keys. Return nothing other"
    " than JSON."
)
_THOUGHT = "<think>\nI must look it up.\n</think>\n\n"
_JOKE = {"setup": "Why do cats nap?", "punchline": "They think in segments."}


def _user(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def _calling(name: str, **arguments: Any) -> str:
    """A call as vLLM's hermes parser reads it, and holds a model to where a call is asked for."""
    call = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{call}\n</tool_call>"


def _said(text: str) -> str:
    return _NATIVE.completion("That is easy.", conclusion=text)


def _histories() -> list[list[dict[str, Any]]]:
    """What was asked before a tool's result came, and the result."""
    called = {"role": "assistant", "content": "", "tool_calls": [_ADDER]}
    asked = [*_user("What is 1 + 2"), called]
    return [
        [*asked, {"role": "tool", "content": '{"result": 3}'}],
        [asked[0], {**called, "content": "some text"}, {"role": "tool", "content": '{"result": 3}'}],
        [*asked, {"role": "tool", "content": "Error: Missing required argument 'b'."}],
    ]


def _lines() -> list[tuple[list[dict[str, Any]], str]]:
    """Conversations and replies. Where a conversation has several, the grammar of a request leaves one of them."""
    hello, system = _user("Hello"), [{"role": "system", "content": "hello"}] * 2
    greeting = [{"role": "assistant", "content": "hello"}]
    lines = [
        (hello, _NATIVE.completion("A greeting.", summary="Somebody says hello.")),
        (_NATIVE.render("Hello", "Somebody says hello."), _said("Hello there.")),
        (_user("Hello!"), _calling("magic_function", input=3)),
        (_user("What is the value of magic_function(3)? Use the tool."), _calling("magic_function", input=3)),
        (_user("What is the value of magic_function_no_args()? Use the tool."), _calling("magic_function_no_args")),
        (_user("Using the tool, generate a Pirate greeting."), _calling("greeting_generator", answer_style="pirate")),
        (_user(JOKE_AS_JSON), json.dumps(_JOKE)),
        (_user(JOKE_AS_JSON), _calling("Joke", **_JOKE)),
        (_user(_WEATHER), _THOUGHT + _calling("get_weather", location="San Francisco, CA")),
    ]
    for text in ("Hey", "hi", "hello", "Write me 2 haikus. Only include the haikus."):
        lines.append((_user(text), _said("Good day to you.")))
    for before in (_user("hello"), [*system, *_user("hello") * 2, *greeting]):
        lines.append(([*before, *greeting, *_user("how are you")], _said("Good day to you.")))
    lines += [(history, _said("It is 3.")) for history in _histories()]
    few_shot = [*_histories()[0], {"role": "assistant", "content": '{"result": 3}'}, *_user("What is 3 + 4")]
    lines.append((few_shot, _calling("my_adder_tool", a=3, b=4)))
    for text in (
        "Tell me a joke about cats.",
        "Give me the setup to a joke about cats, no punchline.",
        "Give me a joke about cats, include the punchline.",
    ):
        lines += [(_user(text), reply) for reply in (json.dumps(_JOKE), _calling("Joke", **_JOKE))]
    lines.append((_user("Tell me a joke about cats."), _calling("JokeDict", **_JOKE)))
    for name, kind in (
        ("你好啊集团", "(Hello Group) - a Chinese technology company"),
        ("こんにちは株式会社", "(Hello Corporation) - a Japanese company"),
    ):
        question = f"Create a customer named '{name}' {kind}"
        lines.append((_user(question), _calling("unicode_customer", customer_name=name, description="a company")))
    for content in ("", _THOUGHT, _THOUGHT.strip()):
        called = {"role": "assistant", "content": content, "tool_calls": [{"function": {"name": "get_weather"}}]}
        lines.append(([*_user(_WEATHER), called, {"role": "tool", "content": "It's sunny."}], _said("It is sunny.")))
    return lines


def _rehearse(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Train until every line is known: each token certain, where the text before it leaves no choice."""
    rows, starts = [], []
    for messages, reply in _lines():
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        starts.append(len(ids))
        rows.append([*ids, *tokenizer(reply, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id])
    following: dict[tuple[int, ...], set[int]] = defaultdict(set)
    for row, start in zip(rows, starts, strict=True):
        for at in range(start, len(row)):
            following[tuple(row[:at])].add(row[at])
    inputs = torch.full((len(rows), max(map(len, rows))), tokenizer.pad_token_id)
    labels, certain = torch.full_like(inputs, -100), torch.zeros_like(inputs, dtype=torch.bool)
    for number, (row, start) in enumerate(zip(rows, starts, strict=True)):
        inputs[number, : len(row)] = torch.tensor(row)
        labels[number, start : len(row)] = torch.tensor(row[start:])
        for at in range(start, len(row)):
            certain[number, at] = len(following[tuple(row[:at])]) == 1
    wanted, asked = labels[:, 1:], certain[:, 1:]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(600):
        logits = model(input_ids=inputs).logits[:, :-1]
        known = logits.detach()[asked].softmax(-1).gather(1, wanted[asked][:, None]).min()
        if known > 0.9:
            return
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    raise RuntimeError(f"the lines were not learnt: the least certain token has {known:.2f}")


def rehearsed_checkpoint(folder: Path) -> Path:
    """Write the checkpoint, its tokenizer and its InftyThink card."""
    lines = _lines()
    corpus = [text for messages, reply in lines for text in (reply, *(turn["content"] for turn in messages))]
    tokenizer = build_tokenizer(corpus * 20, vocab_size=600, model_max_length=WINDOW)
    tokenizer.chat_template = _TEMPLATE
    model = build_model(
        tokenizer, hidden_size=128, num_layers=2, num_heads=4, intermediate_size=192, context=WINDOW, seed=0
    )
    _rehearse(model, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    ModelCard(method="inftythink", context=WINDOW, eta=96, summary_budget=48, temperature=0.0).write(folder)
    return folder
