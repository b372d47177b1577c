"""A checkpoint that says one sentence and stops, whatever it is asked: a summarizer that a real server can serve.

Attention and feed-forward layers are silenced, so that the next token depends on the last one alone, and the output
layer holds for each token of the sentence the embedding of the one before.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch

from datasets_build.synthetic import FAMILIES, generate
from sft.scratch import build_model, build_tokenizer

__all__ = ["SENTENCE", "reciting_checkpoint"]

SENTENCE = "All steps so far have been checked, and the rest follows from here."


def reciting_checkpoint(folder: Path, *, window: int = 4096) -> Path:
    """Write the checkpoint."""
    corpus = [
        text for family in FAMILIES for item in generate(family, 20, seed=0) for text in (item.question, item.chain)
    ]
    tokenizer = build_tokenizer([*corpus, *[SENTENCE] * 200], vocab_size=1024, model_max_length=window)
    model = build_model(
        tokenizer, hidden_size=128, num_layers=1, num_heads=4, intermediate_size=128, context=window, seed=0
    )
    asked = tokenizer.apply_chat_template([{"role": "user", "content": "q"}], add_generation_prompt=True)["input_ids"]
    said = tokenizer(SENTENCE, add_special_tokens=False)["input_ids"]
    path = [asked[-1], *said, tokenizer.eos_token_id]
    assert len(set(path)) == len(path), "each token must have one successor"
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        embeddings = torch.randn(len(tokenizer), 128, generator=torch.Generator().manual_seed(0))
        output = torch.zeros_like(embeddings)
        for before, after in pairwise(path):
            output[after] = embeddings[before]
        model.config.tie_word_embeddings = False
        model.model.embed_tokens.weight = torch.nn.Parameter(embeddings)
        model.lm_head.weight = torch.nn.Parameter(output)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
