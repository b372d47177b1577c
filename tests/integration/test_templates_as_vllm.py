"""What a server is said to make of templates, against vLLM's own code."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_bases import QWEN_MATH, trl_template

from inftythink_graph.models import bundled_path
from sft.served import reads_blocks

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
