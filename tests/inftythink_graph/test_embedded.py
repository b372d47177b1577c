"""The in-process model: batching, limits, seeds, prefill, errors. On the bundled model, since that is what ships."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from langchain_core.exceptions import ContextOverflowError

from inftythink_graph import CheckpointError, EmbeddedChatModel, InvalidInputError, Protocol
from inftythink_graph.models import ModelCard, bundled_path, vanilla_twin_path
from inftythink_graph.models._batcher import Batcher

QUESTION = "What is the greatest common divisor of 84 and 36?"
PROMPT = Protocol().render(QUESTION)


@pytest.fixture(scope="module")
def model() -> EmbeddedChatModel:
    return EmbeddedChatModel()


def test_describes_itself_from_its_folder(model: EmbeddedChatModel) -> None:
    info = model.describe()
    assert info.window == 256
    assert info.prefill
    assert info.card == ModelCard.read(bundled_path())
    assert asyncio.run(model.adescribe()) == info


def test_tokens_are_those_of_its_own_tokenizer(model: EmbeddedChatModel) -> None:
    assert model.get_num_tokens("0123") == 4  # a token for each digit
    assert len(model.get_token_ids("")) == 0


def test_usage_and_finish_reason(model: EmbeddedChatModel) -> None:
    reply = model.invoke(PROMPT, max_tokens=7)
    assert reply.response_metadata["finish_reason"] == "length"
    assert reply.usage_metadata is not None
    assert reply.usage_metadata["output_tokens"] == 7
    assert reply.usage_metadata["input_tokens"] == model.count_prompt_tokens(PROMPT)
    whole = model.invoke(PROMPT)
    assert whole.response_metadata["finish_reason"] == "stop"
    assert whole.text.startswith(reply.text)


def test_a_prefill_is_continued_as_if_the_model_had_written_it(model: EmbeddedChatModel) -> None:
    whole = model.invoke(PROMPT).text
    head = whole[: whole.index("\n", len("<think>\n"))]
    rest = model.invoke([*PROMPT, {"role": "assistant", "content": head}]).text
    assert head + rest == whole


async def test_what_shares_a_batch_changes_nothing(model: EmbeddedChatModel) -> None:
    questions = [f"Multiply {a} by {b} by repeated addition." for a, b in ((7, 3), (12, 5), (101, 2), (55, 4))]
    prompts = [Protocol().render(question) for question in questions]
    alone = [model.invoke(prompt, max_tokens=40 + i).text for i, prompt in enumerate(prompts)]
    together = await asyncio.gather(*(model.ainvoke(prompt, max_tokens=40 + i) for i, prompt in enumerate(prompts)))
    assert [reply.text for reply in together] == alone


async def test_a_seed_gives_the_same_draws_in_any_batch(model: EmbeddedChatModel) -> None:
    options = {"temperature": 3.0, "max_tokens": 30}
    alone = model.invoke(PROMPT, seed=5, **options).text
    batch = await asyncio.gather(*(model.ainvoke(PROMPT, seed=seed, **options) for seed in (4, 5, 6)))
    assert batch[1].text == alone
    assert len({reply.text for reply in batch}) == 3


def test_a_narrow_nucleus_is_greedy_at_any_temperature(model: EmbeddedChatModel) -> None:
    greedy = model.invoke(PROMPT, max_tokens=30).text
    assert model.invoke(PROMPT, temperature=1.5, top_p=1e-6, max_tokens=30).text == greedy


def test_a_completion_ends_where_the_window_does(model: EmbeddedChatModel) -> None:
    filler = [{"role": "user", "content": "1 " * 110}]
    size = model.count_prompt_tokens(filler)
    reply = model.invoke(filler, temperature=5.0, seed=1, max_tokens=10_000)
    assert reply.usage_metadata is not None
    assert reply.usage_metadata["total_tokens"] <= 256
    with pytest.raises(ContextOverflowError, match="window of 256"):
        model.invoke([{"role": "user", "content": "1 " * size * 2}])


def test_stop_sequences_are_refused(model: EmbeddedChatModel) -> None:
    with pytest.raises(InvalidInputError, match="stop sequences"):
        model.invoke(PROMPT, stop=["x"])


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    for path, what in ((tmp_path, "has no config.json"), (tmp_path / "none", "is no folder")):
        with pytest.raises(CheckpointError, match=what):
            EmbeddedChatModel(model_path=str(path)).describe()
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="no model that transformers can load"):
        EmbeddedChatModel(model_path=str(tmp_path)).describe()


def test_a_loaded_model_answers_with_the_weights_it_then_has() -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    live = AutoModelForCausalLM.from_pretrained(bundled_path()).eval()
    tokenizer = AutoTokenizer.from_pretrained(bundled_path())
    padding = tokenizer.padding_side
    card = ModelCard.read(bundled_path())
    model = EmbeddedChatModel.around(live, tokenizer, card=card)
    assert model.describe() == EmbeddedChatModel().describe()
    before = model.invoke("What is the greatest common divisor of 60 and 24?")
    assert before.content == EmbeddedChatModel().invoke("What is the greatest common divisor of 60 and 24?").content
    with torch.no_grad():
        live.model.norm.weight.mul_(-1)
    assert model.invoke("What is the greatest common divisor of 60 and 24?").content != before.content
    assert tokenizer.padding_side == padding
    tokenizer.chat_template = None
    with pytest.raises(CheckpointError, match="no chat template"):
        EmbeddedChatModel.around(live, tokenizer)


def test_a_broken_card_is_named(tmp_path: Path) -> None:
    assert ModelCard.read(tmp_path) is None
    (tmp_path / "inftythink.json").write_text('{"eta": 3}')
    with pytest.raises(CheckpointError, match="no InftyThink model card"):
        ModelCard.read(tmp_path)


def test_what_ships_is_small() -> None:
    sizes = [sum(file.stat().st_size for file in path.iterdir()) for path in (bundled_path(), vanilla_twin_path())]
    assert sizes[0] < 5_000_000
    assert sum(sizes) < 10_000_000


def test_batches_form_under_load_and_errors_reach_their_callers() -> None:
    sizes: list[int] = []
    gate = threading.Event()

    def run(jobs: Sequence[int]) -> list[int]:
        gate.wait(10)
        sizes.append(len(jobs))
        if -1 in jobs:
            raise ValueError("bad job")
        return [job * 2 for job in jobs]

    batcher: Batcher[int, int] = Batcher(run, max_batch=3, name="test")
    futures = [batcher.submit(job) for job in range(8)]
    gate.set()
    assert [future.result(10) for future in futures] == [job * 2 for job in range(8)]
    assert max(sizes) <= 3
    assert len(sizes) < 8
    with pytest.raises(ValueError, match="bad job"):
        batcher.submit(-1).result(10)
    assert batcher.submit(4).result(10) == 8
