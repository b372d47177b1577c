"""From messages to prompt text: a prefill stays verbatim, and a thought is opened once."""

from __future__ import annotations

from typing import Any

import pytest
from small_bases import BASES, small_tokenizer
from transformers import PreTrainedTokenizerFast

from inftythink_graph.protocol import Protocol
from inftythink_graph.rendering import generation_prompt, prompt_text, rest_of_completion

USER: dict[str, Any] = {"role": "user", "content": "Q?"}


@pytest.fixture(scope="module")
def r1() -> PreTrainedTokenizerFast:
    return small_tokenizer(BASES["DeepSeek-R1-Distill"])


def test_a_prefill_takes_the_place_of_a_thought_that_the_template_opens(r1: PreTrainedTokenizerFast) -> None:
    whole, opening = generation_prompt([USER], r1)
    assert whole.endswith("Q?")
    assert opening.endswith("<think>\n")
    assert prompt_text([USER], r1) == whole + opening
    for prefill in ("<think>\nr\n</think>\n<summary>\n", "<history>\ns\n</history>", " \n"):
        text = prompt_text([USER, {"role": "assistant", "content": prefill}], r1)
        assert text == whole + opening.removesuffix("<think>\n") + prefill
    assert prompt_text([USER, {"role": "assistant", "content": ""}], r1) == whole + opening


def test_a_system_prompt_that_names_the_tag_stays_whole(r1: PreTrainedTokenizerFast) -> None:
    system = {"role": "system", "content": "Write <think>\nand think."}
    text = prompt_text([system, *Protocol().render_summarize("Q?", None, "r", budget=9)], r1)
    assert system["content"] in text
    assert text.count("<think>") == 2


@pytest.mark.parametrize(
    ("prompt", "completion", "rest"),
    [
        ("assistant\n", "<think>\nr\n</think>", "<think>\nr\n</think>"),
        ("<a><think>\n", "<think>\nr\n</think>", "r\n</think>"),
        ("<a><think>", "<think>\nr\n</think>", "\nr\n</think>"),
        ("<a><think>\n\n", "<think>\nr", "r"),
        ("<a><think>\n", "<think>\n\nr", "\nr"),
        ("<a><think> ", "<think>\nr", "\nr"),
        ("<a><think>\n", "<think>\n<think>\nr", "<think>\nr"),
        ("<think>\nr\n</think>\n<summary>\n", "s\n</summary>", "s\n</summary>"),
        ("<a><think>\n", "no thought", "no thought"),
    ],
)
def test_a_thought_that_the_prompt_opened_is_not_opened_again(prompt: str, completion: str, rest: str) -> None:
    assert rest_of_completion(prompt, completion) == rest
