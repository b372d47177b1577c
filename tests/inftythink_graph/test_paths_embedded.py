"""Several paths with the real, bundled model."""

from __future__ import annotations

from functools import reduce

import pytest

from inftythink_graph import InftyThinkContext, create_inftythink_graph
from inftythink_graph.usage import add_usage, no_usage

pytest.importorskip("torch")

from inftythink_graph import EmbeddedChatModel

QUESTION = {"question": "Multiply 12 by 9 by repeated addition."}


def untimed(usage: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in usage.items() if key != "seconds"}


async def test_a_path_is_the_run_that_its_seed_makes_alone() -> None:
    model = EmbeddedChatModel()
    options = {"temperature": 0.7, "max_epochs": 12}
    result = await create_inftythink_graph(model, num_paths=3, seed=5, **options).ainvoke(QUESTION)
    assert result["status"] in ("answered", "exhausted", "stalled")
    single = create_inftythink_graph(model, **options)
    whole = [path for path in result["paths"] if path["status"] != "stopped"]
    assert len(whole) >= 2
    for path in whole:
        alone = await single.ainvoke(QUESTION, context=InftyThinkContext(seed=path["seed"]))
        assert (path["answer"], path["epochs"]) == (alone["answer"], alone["epochs"])
        assert untimed(path["usage"]) == untimed(alone["usage"])
    together = reduce(add_usage, (path["usage"] for path in result["paths"]), no_usage())
    assert untimed(result["usage"]) == untimed(together)


def test_the_models_card_recommends_no_sampling_which_is_said() -> None:
    model = EmbeddedChatModel()
    card = model.describe().card
    if card is None or card.temperature != 0:
        pytest.skip("this model's card recommends sampling")
    with pytest.raises(ValueError, match=r"num_paths=2 needs a temperature above 0 \(0.7, for example\)"):
        create_inftythink_graph(model, num_paths=2).invoke(QUESTION)
