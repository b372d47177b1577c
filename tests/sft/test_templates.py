"""Chat templates: what is trained is what a server reads, for every base; a template that can't do it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_bases import BASES, Base, small_model, small_tokenizer, trl_template
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from datasets_build.row_tokens import row_length, tokenize_row
from inftythink_graph.models import EmbeddedChatModel, bundled_path
from inftythink_graph.protocol import TAGS, Protocol, parse
from inftythink_graph.rendering import prompt_text
from sft.scratch import CHAT_TEMPLATE
from sft.served import served_prompt
from sft.template_check import check_template, checked_rows, fault, probe_rows
from sft.templates import set_template, template_tokens, turn_end

HISTORIES = pytest.mark.parametrize("history", ["user", "assistant"])
EVERY_BASE = pytest.mark.parametrize("name", list(BASES))
_READY: dict[str, PreTrainedTokenizerFast] = {}


def ready(name: str) -> PreTrainedTokenizerFast:
    """A base's tokenizer with the template that its recipe trains."""
    if name not in _READY:
        tokenizer = small_tokenizer(BASES[name])
        set_template(BASES[name].choice, small_model(tokenizer), tokenizer)
        _READY[name] = tokenizer
    return _READY[name]


@HISTORIES
@EVERY_BASE
def test_the_training_text_holds_every_instance_verbatim_and_is_what_a_server_reads(name: str, history: Any) -> None:
    tokenizer = ready(name)
    for row in probe_rows(Protocol(history=history)):
        item = tokenize_row(row, tokenizer)
        text = tokenizer.decode(item["input_ids"])
        completion = row["completion"][0]["content"]
        for message in (*row["prompt"], *row["completion"]):
            assert message["content"] in text
        assert text.endswith(completion + tokenizer.eos_token)
        assert text.count("<think>") == sum(m["content"].count("<think>") for m in (*row["prompt"], *row["completion"]))
        asked = [token for token, label in zip(item["input_ids"], item["labels"], strict=True) if label == -100]
        learned = [label for label in item["labels"] if label != -100]
        assert asked == served_prompt(row["prompt"], tokenizer)
        assert learned == item["input_ids"][len(asked) :]
        assert row_length(row, tokenizer) == len(item["input_ids"])
        reply = tokenizer.decode(learned, skip_special_tokens=True)
        if row["prompt"][-1]["content"].endswith("<summary>\n"):
            assert reply == completion
        else:  # as the graph reads it: a thought that the template opened isn't in the reply
            assert parse(reply, "stop") == parse(completion, "stop")
    check_template(tokenizer, Protocol(history=history))


def test_a_thought_that_the_template_opens_is_trained_from_there_on() -> None:
    tokenizer = ready("DeepSeek-R1-Distill")
    first, *_ = probe_rows(Protocol())
    learned = [label for label in tokenize_row(first, tokenizer)["labels"] if label != -100]
    assert tokenizer.decode(learned).startswith("We double.")


@EVERY_BASE
def test_the_faithful_template_fits_every_base_and_is_saved_with_it(name: str, tmp_path: Path) -> None:
    tokenizer = small_tokenizer(BASES[name])
    model = small_model(tokenizer)
    set_template("inftythink", model, tokenizer)
    for history in ("user", "assistant"):
        check_template(tokenizer, Protocol(history=history))
    end = turn_end(tokenizer)
    assert end in BASES[name].special
    assert tokenizer.eos_token == end
    ends = model.generation_config.eos_token_id
    assert tokenizer.eos_token_id in (ends if isinstance(ends, list) else [ends])
    assert model.config.eos_token_id == tokenizer.eos_token_id

    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    row = probe_rows(Protocol())[1]
    assert tokenize_row(row, again) == tokenize_row(row, tokenizer)
    assert again.decode(tokenize_row(row, again)["input_ids"]).startswith(BASES[name].bos or "")
    served = EmbeddedChatModel(model_path=str(tmp_path))
    assert served.count_prompt_tokens(row["prompt"]) == len(served_prompt(row["prompt"], tokenizer))
    served.invoke([("user", "Q?")], max_tokens=2)


def test_a_tokenizer_without_turn_tokens_gets_plain_headings() -> None:
    tokenizer = small_tokenizer(Base(("<|end|>",)))
    set_template("inftythink", small_model(tokenizer), tokenizer)
    check_template(tokenizer, Protocol())
    assert prompt_text([{"role": "user", "content": "Q"}], tokenizer) == "user:\nQ<|end|>\nassistant:\n"
    assert tokenizer.eos_token == "<|end|>"


REFUSED = {
    "no template": (None, "has no chat template"),
    "the date": (trl_template("llama3_2"), "writes the day's date"),
    "a closed thought": (trl_template("qwen3_5_nothink"), "closes an empty thought"),
    "only blocks": (trl_template("smolvlm"), "deletes or rewrites the user turn"),
    "thoughts of its own": (CHAT_TEMPLATE.replace("assistant\\n", "assistant\\n<think>Hm,"), "words of its own"),
    "an error": ("{{ raise_exception('no users here') }}", "no users here"),
    "a cut question": (CHAT_TEMPLATE.replace("message['content'] -", "message['content'][:20] -"), "the user turn"),
    "blocks unlike text": (CHAT_TEMPLATE.replace("block['text'] -", "block['text'] | upper -"), "makes a server read"),
}


def _keep_and_check(tokenizer: PreTrainedTokenizerFast) -> None:
    set_template("keep", small_model(tokenizer), tokenizer)
    check_template(tokenizer, Protocol())


@pytest.mark.parametrize("case", list(REFUSED))
def test_a_template_that_is_not_faithful_is_refused_with_one_line(case: str) -> None:
    template, message = REFUSED[case]
    tokenizer = small_tokenizer(Base(BASES["Qwen2.5"].special, template=template))
    with pytest.raises(ValueError, match=message) as caught:
        _keep_and_check(tokenizer)
    assert "\n" not in str(caught.value)
    assert "chat_template: inftythink" in str(caught.value)


def test_completions_without_a_thought_are_refused_where_the_template_opens_one() -> None:
    row = {"prompt": [{"role": "user", "content": "Q"}], "completion": [{"role": "assistant", "content": "It is 3."}]}
    found = fault(row, ready("DeepSeek-R1-Distill"))
    assert found
    assert "opens <think> by itself" in found
    assert fault(row, ready("Qwen3")) is None


def test_tags_that_servers_leave_out_of_replies_are_refused() -> None:
    tokenizer = small_tokenizer(Base((*BASES["Qwen2.5"].special, *TAGS[:2]), template=CHAT_TEMPLATE))
    with pytest.raises(ValueError, match=r"tokenizer of .* marks <think> as special.*take another base model"):
        check_template(tokenizer, Protocol())


def test_white_space_around_a_question_may_be_trimmed_as_a_server_trims_it() -> None:
    tokenizer = small_tokenizer(Base(BASES["Llama-3.1"].special, template=trl_template("llama3_1")))
    (row, *_) = probe_rows(Protocol())
    spaced = {**row, "prompt": [{"role": "user", "content": f" {row['prompt'][0]['content']} \n"}]}
    assert fault(spaced, tokenizer) is None
    assert tokenize_row(spaced, tokenizer) == tokenize_row(row, tokenizer)


def test_the_first_rows_of_every_kind_are_checked_as_they_pass() -> None:
    tokenizer = ready("Qwen2.5")
    good = probe_rows(Protocol())
    assert list(checked_rows(good, tokenizer)) == good
    rewritten = CHAT_TEMPLATE.replace("message['content'] -", "message['content'].replace('bad', 'good') -")
    picky = small_tokenizer(Base(BASES["Qwen2.5"].special, template=rewritten))
    bad = {**good[0], "prompt": [{"role": "user", "content": "a bad question"}]}
    with pytest.raises(ValueError, match="deletes or rewrites the user turn: 'a bad question'"):
        list(checked_rows([*good, bad], picky))


def test_a_template_of_a_file_ends_rows_with_its_own_token(tmp_path: Path) -> None:
    tokenizer = small_tokenizer(BASES["Qwen2.5-Math"])
    model = small_model(tokenizer)
    path = tmp_path / "own.jinja"
    path.write_text(CHAT_TEMPLATE)
    set_template(str(path), model, tokenizer)
    assert tokenizer.chat_template == CHAT_TEMPLATE
    assert tokenizer.eos_token == "<|im_end|>"
    assert model.generation_config.eos_token_id == [tokenizer.eos_token_id, tokenizer.pad_token_id]
    with pytest.raises(ValueError, match=r"none\.jinja' can't be read"):
        set_template(str(tmp_path / "none.jinja"), model, tokenizer)


def test_generation_stops_where_rows_end() -> None:
    tokenizer = small_tokenizer(BASES["Qwen3"])
    model = small_model(tokenizer)
    model.generation_config.eos_token_id = 7
    set_template("keep", model, tokenizer)
    assert model.generation_config.eos_token_id == [tokenizer.eos_token_id, 7]


@pytest.mark.parametrize("tied", [True, False])
def test_rows_of_a_template_s_tokens_that_were_never_trained_get_a_start(tied: bool) -> None:
    tokenizer = small_tokenizer(BASES["Llama-3.1"])
    model = small_model(tokenizer, tied=tied)
    header = tokenizer.convert_tokens_to_ids("<|start_header_id|>")
    matrices = [model.get_input_embeddings().weight, model.get_output_embeddings().weight]
    with torch.no_grad():
        for matrix in matrices:
            matrix[header] = 0
    means = [matrix.detach().mean(dim=0) for matrix in matrices]
    before = matrices[0].detach().clone()
    set_template("inftythink", model, tokenizer)
    assert header in template_tokens(tokenizer)
    for matrix, mean in zip(matrices, means, strict=True):
        torch.testing.assert_close(matrix[header], mean)
    kept = [row for row in range(len(tokenizer)) if row != header]
    assert torch.equal(matrices[0][kept], before[kept])


def test_the_bundled_model_s_template_is_the_faithful_one() -> None:
    assert (bundled_path() / "chat_template.jinja").read_text() == CHAT_TEMPLATE
    tokenizer = AutoTokenizer.from_pretrained(bundled_path())
    set_template("inftythink", small_model(tokenizer), tokenizer)
    assert tokenizer.chat_template == CHAT_TEMPLATE
