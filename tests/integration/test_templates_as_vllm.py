"""What a server is said to make of templates, against vLLM's own code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_bases import QWEN_MATH, trl_template
from transformers import AutoTokenizer

from datasets_build.row_tokens import tokenize_row
from inftythink_graph.models import bundled_path
from inftythink_graph.models._vllm_calls import drive
from inftythink_graph.models._vllm_prefill import prompt_tokens
from inftythink_graph.models.vllm import ChatVLLM
from inftythink_graph.protocol import Protocol
from sft.served import reads_blocks, served_prompt
from sft.template_check import probe_rows

hf = pytest.importorskip("vllm.renderers.hf")


def _templates() -> list[str]:
    trl = pytest.importorskip("trl")
    names = sorted(path.stem for path in (Path(trl.__file__).parent / "chat_templates").glob("*.jinja"))
    own = (bundled_path() / "chat_template.jinja").read_text()
    return [own, QWEN_MATH, *map(trl_template, names)]


def test_plain_text_is_handed_to_a_template_as_blocks_where_vllm_does_so() -> None:
    templates = _templates()
    blocks = [reads_blocks(template) for template in templates]
    assert blocks == [hf._detect_content_format(template, default="string") == "openai" for template in templates]
    assert {True, False} == set(blocks)
    assert len(blocks) > 30


@pytest.mark.parametrize("history", ["user", "assistant"])
def test_a_server_reads_the_prompts_that_are_trained(chat_vllm: ChatVLLM, test_model: str, history: Any) -> None:
    tokenizer = AutoTokenizer.from_pretrained(test_model)
    for row in probe_rows(Protocol(history=history)):
        payload = chat_vllm._get_request_payload(row["prompt"])
        rendering = drive(chat_vllm._rendering(payload), chat_vllm._send)
        read = drive(prompt_tokens(chat_vllm._root, payload, rendering), chat_vllm._send).ids
        item = tokenize_row(row, tokenizer)
        assert read == item["input_ids"][: item["labels"].count(-100)] == served_prompt(row["prompt"], tokenizer)
