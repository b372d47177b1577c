"""The tokenizer and the model that are made from nothing."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from inftythink_graph.protocol import TAGS, Protocol
from sft.scratch import build_model, build_tokenizer

CORPUS = ["How many Collatz steps does it take to get from 27 to 1?", "1: 27 is odd, 3n + 1 is 82", "the pair is now"]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(CORPUS * 20, vocab_size=400, model_max_length=64)


def _ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.text(), st.lists(st.sampled_from([*TAGS, " ", "\n", "27", "is", "é", "数"])).map("".join)))
def test_any_text_comes_back_byte_for_byte(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    for special in tokenizer.all_special_tokens:
        text = text.replace(special, "")
    assert tokenizer.decode(_ids(tokenizer, text), skip_special_tokens=True) == text


def test_every_digit_is_a_token_of_its_own_and_the_same_everywhere(tokenizer: PreTrainedTokenizerFast) -> None:
    single = {digit: _ids(tokenizer, digit) for digit in "0123456789"}
    assert all(len(ids) == 1 for ids in single.values())
    assert len({ids[0] for ids in single.values()}) == 10
    expected = [single[digit][0] for digit in "9027"]
    for text in ("9027", " 9027", "(9027", "n9027", "\n9027"):
        assert _ids(tokenizer, text)[-4:] == expected, text


def test_every_tag_is_one_token_that_decoding_keeps(tokenizer: PreTrainedTokenizerFast) -> None:
    for tag in TAGS:
        ids = _ids(tokenizer, tag)
        assert len(ids) == 1
        assert tokenizer.decode(ids, skip_special_tokens=True) == tag
        assert ids[0] in _ids(tokenizer, f"a{tag}b")
    without = build_tokenizer(CORPUS, vocab_size=400, model_max_length=64, tags_as_tokens=False)
    assert all(len(_ids(without, tag)) > 1 for tag in TAGS)


def test_words_of_the_corpus_are_single_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    assert len(_ids(tokenizer, " steps")) == 1
    assert len(_ids(tokenizer, "assistant")) == 1


def test_special_tokens_and_size(tokenizer: PreTrainedTokenizerFast) -> None:
    assert len(tokenizer) <= 400
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert tokenizer.model_max_length == 64
    with pytest.raises(ValueError, match="at least 300"):
        build_tokenizer(CORPUS, vocab_size=299, model_max_length=64)


def test_the_template_keeps_every_character_of_every_turn(tokenizer: PreTrainedTokenizerFast) -> None:
    completion = Protocol().completion("r", summary="s")
    messages = [{"role": "user", "content": " Q \n"}, {"role": "assistant", "content": completion}]
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    assert text == f"<|im_start|>user\n Q \n<|im_end|>\n<|im_start|>assistant\n{completion}<|im_end|>\n"
    blocks = [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]
    turns = [{"role": "user", "content": blocks}]
    asked = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    assert asked == "<|im_start|>user\nab<|im_end|>\n<|im_start|>assistant\n"


def test_the_same_seed_builds_the_same_model(tokenizer: PreTrainedTokenizerFast) -> None:
    import torch

    shape = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "intermediate_size": 24, "context": 64}
    first, again, other = (build_model(tokenizer, **shape, seed=seed) for seed in (1, 1, 2))
    weights = [dict(model.named_parameters())["model.embed_tokens.weight"] for model in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert first.config.max_position_embeddings == 64
    assert first.config.vocab_size == len(tokenizer)
    assert first.generation_config.eos_token_id == tokenizer.eos_token_id
    assert first.get_output_embeddings().weight is first.get_input_embeddings().weight
