"""Small stand-ins for the base models that are trained: their special tokens, their templates, tiny weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import files
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedModel, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from inftythink_graph.protocol import TAGS, Protocol

__all__ = ["BASES", "QWEN_MATH", "Base", "small_model", "small_tokenizer", "trl_template"]

QWEN_MATH = (
    "{%- if messages[0].role != 'system' -%}"
    "{{- '<|im_start|>system\nReason in steps. Put the answer within \\\\boxed{}.<|im_end|>\n' -}}{%- endif -%}"
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' ~ message.role ~ '\n' ~ message.content ~ '<|im_end|>\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)
"""Behaves as Qwen2.5-Math's: a system prompt of its own where the conversation has none."""


def trl_template(name: str) -> str:
    """A real model's template, from the installed trl."""
    (path,) = (path for path in files("trl") or () if path.match(f"trl/chat_templates/{name}.jinja"))
    return Path(str(path.locate())).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Base:
    """What a base model's tokenizer brings.

    Attributes:
        special: its special tokens, the end of a text first.
        tags: the tags that are tokens already.
        template: its chat template, if it has one.
        bos: the token that it puts before every text.
        choice: the recipe's ``chat_template``.
    """

    special: tuple[str, ...]
    tags: tuple[str, ...] = ()
    template: str | None = None
    bos: str | None = None
    choice: str = "keep"


_CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_LLAMA = ("<|end_of_text|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
_R1 = tuple(f"<\uff5c{name}\uff5c>" for name in ("end▁of▁sentence", "begin▁of▁sentence", "User", "Assistant"))

BASES = {
    "Qwen2.5-Math": Base(_CHATML, template=QWEN_MATH),
    "Qwen2.5": Base(_CHATML, template=trl_template("qwen2_5")),
    "Llama-3.1": Base(_LLAMA, bos="<|begin_of_text|>", choice="inftythink"),
    "DeepSeek-R1-Distill": Base(_R1, tags=TAGS[:2], template=trl_template("deepseek_r1_distill"), bos=_R1[1]),
    "Qwen3": Base(_CHATML, tags=TAGS[:2], template=trl_template("qwen3")),
}
"""The bases of the recipes: the paper's, and those of the later cold start."""

# Pieces as these models' tokenizers have them: a bracket may take line feeds along, a line feed goes with others.
_PIECES = Regex(r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def _corpus() -> Iterator[str]:
    protocol = Protocol()
    for number in range(40):
        text = f"We double {number} and get {2 * number}.\n\nThen the next step follows.\n"
        yield protocol.completion(text, summary=f"at {number}")
        yield protocol.render("What is the number of steps?", text)[0]["content"]
    yield "system user assistant Reason in steps. Put the answer within \\boxed{}." * 5


def small_tokenizer(base: Base) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of a few hundred tokens with the base's special tokens and template."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_PIECES, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=list(base.special), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in base.tags])
    if base.bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{base.bos} $A", special_tokens=[(base.bos, tokenizer.token_to_id(base.bos))]
        )
    options = {"bos_token": base.bos} if base.bos else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=base.special[0],
        pad_token=base.special[0],
        chat_template=base.template,
        model_max_length=2048,
        clean_up_tokenization_spaces=False,
        **options,
    )


def small_model(tokenizer: PreTrainedTokenizerFast, *, spare: int = 0, tied: bool = True) -> PreTrainedModel:
    """A model of a few thousand weights for the tokenizer; ``spare`` embedding rows more than it has tokens."""
    import torch

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer) + spare,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=tied,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Qwen2ForCausalLM(config)
