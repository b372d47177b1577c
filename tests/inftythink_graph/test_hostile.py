"""Ten thousand completions of the worst kind: each run ends within its epochs, with a status, within its bounds.

And no text of a question or a summary is ever taken for the format's own tags.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from inftythink_graph import Protocol, create_inftythink_graph
from inftythink_graph.models import ModelInfo
from inftythink_graph.nodes.reason import context_bound
from inftythink_graph.protocol import TAGS
from inftythink_graph.state import Settings

ETA, BUDGET, EPOCHS = 400, 120, 6
RUNS = 2400
PIECES = (
    *TAGS,
    *(tag.upper() for tag in TAGS),
    *(tag.replace("<", "< ") for tag in TAGS),
    *(f"{tag[:-1]}" for tag in TAGS),
    "<think",
    "</",
    "<summary><summary>",
    "\\boxed{",
    "}",
    "\\boxed{{{{",
    "\\boxed{7}",
    "\x00\x01\x1b[2J\x7f",
    "\u202e\u2066\u200f\ufeff",  # bidirectional controls, a byte order mark
    "\ud800",  # half of a pair
    "\r\n\r\n",
    "\u2028",
    "\U0001d518\U0001d52b \U0001f469\u200d\U0001f467",
    "<|im_end|><|im_start|>user\n",
    "[/INST]",
    "Wait. ",
    "a",
    "7",
    "{}[]()$\\",
)


def hostile(rng: random.Random, most: int) -> str:
    """A completion of at most ``most`` characters."""
    kind = rng.randrange(8)
    if kind == 0:
        text = "".join(chr(rng.randrange(1, 0x2FFF)) for _ in range(rng.randrange(most)))
    elif kind == 1:
        text = rng.choice(PIECES) * most
    elif kind == 2:
        text = ""
    elif kind == 3:
        text = f"<think>\n{rng.choice(PIECES) * 20}\n</think>\n<summary>\n{rng.choice(PIECES) * 40}\n</summary>"
    else:
        text = "".join(rng.choice(PIECES) for _ in range(rng.randrange(1, 60)))
    return text[:most]


class Hostile(BaseChatModel):
    """Answers with anything. A token is a character."""

    seed: int
    prefill: bool = True
    _rng: random.Random = PrivateAttr()
    _asked: list[tuple[int, str]] = PrivateAttr(default_factory=list)

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        self._rng = random.Random(self.seed)

    @property
    def asked(self) -> list[tuple[int, str]]:
        """Context and prompt of each request."""
        return self._asked

    @property
    def _llm_type(self) -> str:
        return "hostile"

    def describe(self) -> ModelInfo:
        return ModelInfo(window=100_000, prefill=self.prefill)

    async def adescribe(self) -> ModelInfo:
        return self.describe()

    def count_prompt_tokens(self, messages: Sequence[Any]) -> int:
        return sum(len(str(message["content"])) for message in messages)

    async def acount_prompt_tokens(self, messages: Sequence[Any]) -> int:
        return self.count_prompt_tokens(messages)

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        text = hostile(self._rng, kwargs["max_tokens"])
        prompt = "".join(str(message.content) for message in messages)
        self._asked.append((len(prompt) + len(text), prompt))
        reasoning = hostile(self._rng, 50) if self._rng.random() < 0.2 else None
        message = AIMessage(
            content=text,
            usage_metadata={
                "input_tokens": len(prompt),
                "output_tokens": len(text),
                "total_tokens": len(prompt) + len(text),
            },
            additional_kwargs={} if reasoning is None else {"reasoning_content": reasoning},
            response_metadata={"finish_reason": self._rng.choice(["stop", "length", "repetition", "", "tool_calls"])},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


@pytest.mark.parametrize("kind", ["native", "prompted"])
def test_ten_thousand_completions_of_the_worst_kind(kind: Any) -> None:
    protocol = Protocol(kind=kind)
    asked = 0
    for seed in range(RUNS):
        rng = random.Random(seed)
        model = Hostile(seed=seed, prefill=bool(seed % 2))
        graph = create_inftythink_graph(
            model,
            protocol=protocol,
            eta=ETA,
            summary_budget=BUDGET,
            max_epochs=EPOCHS,
            stall_after=rng.choice([2, 3, EPOCHS + 1]),
            on_stall=rng.choice(["end", "heat"]),
            on_exhausted=rng.choice(["force", "return"]),
        )
        question = f"What is 3 + 4? {hostile(rng, 80)}"
        result = graph.invoke({"question": question})
        assert result["status"] in ("answered", "exhausted", "stalled")
        assert 1 <= result["epochs"] <= EPOCHS
        asked += len(model.asked)
        _check_bounds(model, protocol, question)
    assert asked >= 5_000  # of each kind


def _check_bounds(model: Hostile, protocol: Protocol, question: str) -> None:
    resolved = Settings(eta=ETA, summary_budget=BUDGET, protocol=protocol).resolve(None)
    longest = max(
        model.count_prompt_tokens(protocol.render(question)),
        model.count_prompt_tokens(protocol.render_summarize(question, "-", "-", budget=BUDGET, prefill=False)),
    )
    # Tags in a text are broken up, by a space each: the shortest has seven characters.
    bound = context_bound(longest, resolved) * 8 / 7
    assert max(context for context, _ in model.asked) <= bound
    for _, prompt in model.asked:
        assert _tags(prompt) <= _most_tags(protocol)


def _tags(prompt: str) -> int:
    return len(re.findall("|".join(map(re.escape, TAGS)), prompt))


def _most_tags(protocol: Protocol) -> int:
    """The most tags that any prompt has of its own, for a question and a summary without any."""
    prompts = [
        protocol.render("q", "s"),
        *(protocol.render_summarize("q", "s", "x", budget=9, prefill=prefill) for prefill in (True, False)),
        *(protocol.render_forced_answer("q", "s", prefill=prefill) for prefill in (True, False)),
    ]
    return max(_tags("".join(str(message["content"]) for message in messages)) for messages in prompts)


def test_a_line_of_megabytes_is_read_in_time() -> None:
    """Reading takes time in proportion to the text; ten megabytes of opening tags are no trap."""
    from inftythink_graph.protocol import parse

    for piece in ("<think>", "<summary>", "</summary><summary>", "\\boxed{", "a", "< think>"):
        parsed = parse(piece * (2_000_000 // len(piece)), "stop")
        assert parsed.kind in ("summary", "conclusion", "cut", "malformed")
