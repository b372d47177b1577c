"""Tags as single tokens: what they start from, that rows and replies stay the same, and that they can be learned."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from small_bases import BASES, Base, small_model, small_tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from datasets_build.row_tokens import tokenize_row
from inftythink_graph.models import EmbeddedChatModel
from inftythink_graph.protocol import TAGS, Protocol, parse
from sft.arguments import DataArguments, ModelArguments
from sft.embeddings import embedding_names, grow
from sft.model import load_model
from sft.prepare import main as prepare
from sft.recipe import read_recipe
from sft.tags import add_tag_tokens, tag_ids, trained_rows
from sft.template_check import check_template, probe_rows
from sft.templates import set_template

CPU = ["--use_cpu", "--bf16", "false"]
TIED = pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])


def _ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _matrices(model: PreTrainedModel) -> list[torch.Tensor]:
    return [model.get_input_embeddings().weight.detach(), model.get_output_embeddings().weight.detach()]


def _make_it_say(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    """Silence the layers, so that the next token depends on the last one alone, and make it the text's next."""
    asked = tokenizer.apply_chat_template([{"role": "user", "content": "Q?"}], add_generation_prompt=True)["input_ids"]
    path = [asked[-1], *_ids(tokenizer, text), tokenizer.eos_token_id]
    assert len(set(path)) == len(path)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        inputs = model.get_input_embeddings().weight
        inputs.copy_(torch.nn.functional.normalize(torch.randn(inputs.shape, generator=torch.manual_seed(0)), dim=1))
        model.lm_head.weight.zero_()
        for before, after in pairwise(path):
            model.lm_head.weight[after] = inputs[before]


@TIED
@pytest.mark.parametrize("spare", [0, 40], ids=["full", "spare rows"])
def test_a_new_token_starts_at_the_mean_of_its_pieces(tied: bool, spare: int) -> None:
    tokenizer = small_tokenizer(BASES["Qwen2.5"])
    model = small_model(tokenizer, tied=tied, spare=spare)
    size = len(tokenizer)
    pieces = {tag: _ids(tokenizer, tag) for tag in TAGS}
    assert all(len(ids) > 1 for ids in pieces.values())
    before = [matrix.clone() for matrix in _matrices(model)]
    added = add_tag_tokens(model, tokenizer)
    assert list(added) == list(TAGS)
    after = _matrices(model)
    for matrix, old in zip(after, before, strict=True):
        for tag, token in added.items():
            torch.testing.assert_close(matrix[token], old[pieces[tag]].mean(dim=0))
        assert torch.equal(matrix[:size], old[:size]), "rows of other tokens stay"
    assert len(after[0]) == model.config.vocab_size == max(size + len(TAGS), size + spare)
    assert (after[0] is after[1]) or tied == torch.equal(*after)


def test_tags_that_a_reasoning_model_has_keep_their_tokens_and_rows() -> None:
    tokenizer = small_tokenizer(BASES["Qwen3"])
    model = small_model(tokenizer)
    own = tag_ids(tokenizer)
    before = _matrices(model)[0].clone()
    added = add_tag_tokens(model, tokenizer)
    assert list(own) == ["<think>", "</think>"]
    assert set(added) == set(TAGS) - set(own)
    assert {tag: tag_ids(tokenizer)[tag] for tag in own} == own
    assert torch.equal(_matrices(model)[0][: len(before)], before)
    assert add_tag_tokens(model, tokenizer) == {}, "a second time there is nothing to add"


@pytest.mark.parametrize("name", ["Qwen2.5-Math", "DeepSeek-R1-Distill"])
def test_rows_with_tokens_say_the_same_in_fewer_tokens(name: str) -> None:
    plain, tokenizer = small_tokenizer(BASES[name]), small_tokenizer(BASES[name])
    add_tag_tokens(small_model(tokenizer), tokenizer)
    check_template(tokenizer, Protocol())
    for row in probe_rows(Protocol()):
        one, two = (tokenize_row(row, each) for each in (plain, tokenizer))
        assert tokenizer.decode(two["input_ids"]) == plain.decode(one["input_ids"])
        completion = row["completion"][0]["content"]
        saved = len(one["input_ids"]) - len(two["input_ids"])
        assert saved > 0 or (saved == 0 and name.startswith("DeepSeek") and "<summary>" not in completion)
        reply = tokenizer.decode([label for label in two["labels"] if label != -100], skip_special_tokens=True)
        assert parse(reply, "stop") == parse(completion, "stop") or row["prompt"][-1]["role"] == "assistant"


def test_a_model_with_tag_tokens_is_saved_loaded_and_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokenizer = small_tokenizer(BASES["Llama-3.1"])
    small_model(tokenizer, tied=False).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    target = tmp_path / "ready"
    words = [str(tmp_path / "base"), "--to", str(target), "--tags", "tokens", "--vocab-multiple", "64"]
    assert prepare(words) == 2
    assert "has no chat template; set chat_template: inftythink" in capsys.readouterr().err
    assert prepare([*words, "--chat-template", "inftythink"]) == 0
    assert "rows end with <|eot_id|>" in capsys.readouterr().out
    again, model = AutoTokenizer.from_pretrained(target), AutoModelForCausalLM.from_pretrained(target)
    assert list(tag_ids(again)) == list(TAGS)
    assert model.get_input_embeddings().weight.shape[0] % 64 == 0 == model.config.vocab_size % 64
    _make_it_say(model, again, "<think>r</think><summary>s</summary>")
    model.save_pretrained(target)
    reply = EmbeddedChatModel(model_path=str(target)).invoke([("user", "Q?")])
    assert reply.response_metadata["finish_reason"] == "stop"
    assert parse(reply.text, "stop").summary == "s"
    assert prepare(words) == 2
    assert "is not empty" in capsys.readouterr().err


@TIED
def test_rows_that_only_fill_up_score_like_an_average_token(tied: bool) -> None:
    tokenizer = small_tokenizer(BASES["Qwen2.5"])
    model = small_model(tokenizer, tied=tied)
    before = [matrix.clone() for matrix in _matrices(model)]
    size = len(tokenizer)
    grow(model, size, 64)
    for matrix, old in zip(_matrices(model), before, strict=True):
        assert len(matrix) == -(-size // 64) * 64
        for row in matrix[size:]:
            torch.testing.assert_close(row, old.mean(dim=0))
    grow(model, 10)
    assert len(_matrices(model)[0]) >= size, "embeddings never shrink"


@TIED
def test_an_adapter_learns_the_rows_of_the_tags_and_no_other(tied: bool) -> None:
    from peft import LoraConfig, get_peft_model

    tokenizer = small_tokenizer(BASES["Llama-3.1"])
    model = small_model(tokenizer, tied=tied)
    set_template("inftythink", model, tokenizer)
    add_tag_tokens(model, tokenizer)
    arguments = ModelArguments(model_name_or_path="base", tags="tokens", chat_template="inftythink")
    rows = trained_rows(arguments, model, tokenizer)
    assert list(rows) == (["embed_tokens"] if tied else ["embed_tokens", "lm_head"]) == embedding_names(model)
    wanted = {*tag_ids(tokenizer).values(), *map(tokenizer.convert_tokens_to_ids, BASES["Llama-3.1"].special[1:])}
    assert set(rows["embed_tokens"]) == wanted
    adapted = get_peft_model(
        model, LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"], trainable_token_indices=rows)
    )
    before = [matrix.clone() for matrix in _matrices(model)]
    item = tokenize_row(probe_rows(Protocol())[1], tokenizer)
    optimizer = torch.optim.SGD([weight for weight in adapted.parameters() if weight.requires_grad], lr=1.0)
    batch = {name: torch.tensor([values]) for name, values in item.items()}
    adapted(**batch).loss.backward()
    optimizer.step()
    merged = adapted.merge_and_unload()
    for matrix, old in zip(_matrices(merged), before, strict=True):
        changed = set((matrix != old).any(dim=1).nonzero().flatten().tolist())
        assert changed
        assert changed <= wanted


def test_nothing_of_the_embeddings_is_trained_where_a_recipe_asks_for_nothing() -> None:
    tokenizer = small_tokenizer(BASES["Qwen3"])
    assert trained_rows(ModelArguments(model_name_or_path="base"), small_model(tokenizer), tokenizer) == {}


@pytest.mark.parametrize(("words", "single"), [([], True), (["--tags", "tokens"], True), (["--tags", "text"], False)])
def test_a_model_from_scratch_has_tags_as_tokens_unless_a_recipe_says_text(words: list[str], single: bool) -> None:
    shape = [
        "--hidden_size",
        "16",
        "--num_layers",
        "1",
        "--num_heads",
        "2",
        "--vocab_size",
        "320",
        "--max_length",
        "64",
    ]
    _, arguments, config = read_recipe([*shape, *words, "--output_dir", "unused", *CPU])
    data = DataArguments(synthetic_families=["gcd"], synthetic_max_steps=10)
    model, tokenizer = load_model(data, arguments, config)
    assert all((len(_ids(tokenizer, tag)) == 1) == single for tag in TAGS)
    assert model.config.vocab_size == len(tokenizer)


def test_a_checkpoint_keeps_its_tags_as_text_unless_a_recipe_says_tokens(tmp_path: Path) -> None:
    tokenizer = small_tokenizer(Base(BASES["Qwen2.5"].special, template=BASES["Qwen2.5"].template))
    small_model(tokenizer).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    for words, number in (([], 0), (["--tags", "text"], 0), (["--tags", "tokens", "--vocab_multiple", "32"], 6)):
        recipe = ["--model_name_or_path", str(tmp_path), "--max_length", "64", "--output_dir", "unused", *CPU, *words]
        _, arguments, config = read_recipe(recipe)
        model, loaded = load_model(DataArguments(), arguments, config)
        assert len(tag_ids(loaded)) == number
        assert model.config.vocab_size == (len(tokenizer) if not number else -(-(len(tokenizer) + 6) // 32) * 32)
