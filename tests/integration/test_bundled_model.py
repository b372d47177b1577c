"""The weights that ship still do what the README says of them."""

from __future__ import annotations

import asyncio

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from datasets_build.synthetic import FAMILIES, generate
from inftythink_graph import EmbeddedChatModel, create_inftythink_graph
from inftythink_graph.evaluation import avanilla
from inftythink_graph.models import bundled_path, vanilla_twin_path

WINDOW = 256
COUNT = 20


@pytest.fixture(scope="module")
def tokenizer() -> object:
    return AutoTokenizer.from_pretrained(bundled_path())


@pytest.mark.parametrize("family", FAMILIES)
async def test_chains_of_sixteen_windows_are_solved(family: str, tokenizer: object) -> None:
    def deep(problem: object) -> bool:
        return len(tokenizer(problem.chain, verbose=False)["input_ids"]) >= 16 * WINDOW  # type: ignore[operator,attr-defined]

    problems = list(generate(family, COUNT, seed=21, split="test", min_steps=150, max_steps=400, accept=deep))
    graph = create_inftythink_graph(EmbeddedChatModel(), max_epochs=200)
    results = await graph.abatch([{"question": problem.question} for problem in problems])
    right = sum(result["answer"] == problem.answer for result, problem in zip(results, problems, strict=True))
    assert right >= 0.9 * COUNT  # 95% in the README's 200 problems; a sample of 20 may miss one more
    assert max(result["usage"]["peak_context"] for result in results) <= WINDOW
    assert min(result["epochs"] for result in results) > 16


async def test_the_vanilla_twin_knows_the_steps_but_not_the_depth() -> None:
    twin = EmbeddedChatModel(model_path=str(vanilla_twin_path()))
    outcomes = {}
    for band, (shortest, longest) in {"shallow": (3, 20), "deep": (200, 400)}.items():
        problems = [
            item
            for family in FAMILIES
            for item in generate(family, 8, seed=22, split="test", min_steps=shortest, max_steps=longest)
        ]
        results = await asyncio.gather(*(avanilla(twin, problem.question) for problem in problems))
        outcomes[band] = sum(r.answer == p.answer for r, p in zip(results, problems, strict=True)) / len(problems)
    assert outcomes["shallow"] >= 0.8
    assert outcomes["deep"] <= 0.1


def test_it_loads_as_any_checkpoint_does() -> None:
    for path, window in ((bundled_path(), WINDOW), (vanilla_twin_path(), 4 * WINDOW)):
        model = AutoModelForCausalLM.from_pretrained(path)
        tokenizer = AutoTokenizer.from_pretrained(path)
        assert model.config.max_position_embeddings == window == tokenizer.model_max_length
        assert model.num_parameters() < 1_000_000
        assert len(tokenizer) == model.config.vocab_size
