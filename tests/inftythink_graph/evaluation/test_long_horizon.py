"""Long-horizon tasks: specifications, depths in steps and in tokens, and problems that no training data has."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_build.synthetic import problem, split_of
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.long_horizon import FAMILIES, LongHorizonSpec, draw, parse_spec
from inftythink_graph.evaluation.scoring import score
from inftythink_graph.evaluation.tasks import load_task


def _words(text: str) -> int:
    return len(text.split())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_by_its_name(family: str) -> None:
    task = load_task(family, limit=20, seed=1)
    assert (task.name, task.prompt, task.source) == (family, "{problem}", "datasets_build.synthetic")
    assert len(task.questions) == 20
    for question in task.questions:
        params = tuple(question.meta["params"])
        solved = problem(family, params)
        assert split_of(family, params) == "test"
        assert (question.gold, question.meta["steps"]) == (solved.answer, len(solved.steps))
        assert question.meta["family"] == family
        assert question.id == f"{family}-{'-'.join(map(str, params))}"
        assert question.id.count("-") == len(params)
        assert "depth_tokens" not in question.meta
        assert score(question, solved.answer) == "equal"
    assert len({question.id for question in task.questions}) == 20


def test_the_same_seed_gives_the_same_problems() -> None:
    first, second, other = (load_task("gcd:count=5", seed=seed) for seed in (4, 4, 5))
    assert first == second
    assert first.revision.startswith("sha256:")
    assert first.revision != other.revision
    assert load_task("gcd:count=5", seed=4, limit=2).revision == first.revision


def test_depth_in_steps() -> None:
    task = load_task("collatz:min_steps=20,max_steps=40,count=30")
    assert len(task.questions) == 30
    assert all(20 <= question.meta["steps"] <= 40 for question in task.questions)
    assert len({question.meta["steps"] for question in task.questions}) > 8


@pytest.mark.parametrize("family", FAMILIES)
def test_depth_in_windows(family: str) -> None:
    task = load_task(f"{family}:windows=4-8,window=100,count=12", count_tokens=_words)
    assert len(task.questions) == 12
    for question in task.questions:
        chain = problem(family, tuple(question.meta["params"])).chain
        assert question.meta["depth_tokens"] == _words(chain)
        assert 400 <= question.meta["depth_tokens"] <= 800
    assert task.prompt == "{problem}"


def test_depth_is_counted_wherever_it_can_be() -> None:
    task = load_task("gcd:count=3", count_tokens=_words)
    assert all(question.meta["depth_tokens"] > 0 for question in task.questions)


def test_deep_chains_of_the_bundled_model() -> None:
    pytest.importorskip("transformers")
    from transformers import AutoTokenizer

    from inftythink_graph.models import ModelCard, bundled_path

    card, tokenizer = ModelCard.read(bundled_path()), AutoTokenizer.from_pretrained(bundled_path())
    assert card is not None

    def count(text: str) -> int:
        return len(tokenizer(text, verbose=False)["input_ids"])

    task = load_task(f"product:windows=60-64,window={card.context},count=3", count_tokens=count)
    assert all(60 * card.context <= question.meta["depth_tokens"] <= 64 * card.context for question in task.questions)


def test_a_depth_in_tokens_needs_a_tokenizer() -> None:
    with pytest.raises(InvalidInputError, match="needs a tokenizer"):
        load_task("product:windows=4-8,window=100")
    with pytest.raises(InvalidInputError, match="needs a tokenizer"):
        load_task("product:tokens=400-800")


def test_more_problems_than_there_are_say_so() -> None:
    with pytest.raises(InvalidInputError, match="gcd:count=500,max_steps=1: gcd ran out after"):
        load_task("gcd:max_steps=1,count=500")
    with pytest.raises(InvalidInputError, match="ran out"):
        load_task("collatz:windows=60-64,window=256,count=1", count_tokens=_words)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("collatz:depth=3", "unknown option 'depth=3'; allowed: count=N, min_steps=N, max_steps=N, tokens=LOW-HIGH"),
        ("gcd:20-40", "unknown option '20-40'"),
        ("gcd:min_steps=0", "min_steps must be a whole number above 0, got '0'"),
        ("gcd:count=many", "count must be a whole number above 0, got 'many'"),
        ("gcd:count=-1", "count must be"),
        ("gcd:count=", "count must be"),
        ("gcd:min_steps=50,max_steps=40", "min_steps 50 is above max_steps 40"),
        ("gcd:min_steps=500", "min_steps 500 is above max_steps 400"),
        ("gcd:windows=16,window=256", "windows must be LOW-HIGH with LOW at most HIGH, as in windows=16-64, got '16'"),
        ("gcd:windows=64-16,window=256", "LOW at most HIGH"),
        ("gcd:tokens=0-0", "LOW at most HIGH"),
        ("gcd:windows=16-64", "need each other"),
        ("gcd:window=256", "need each other"),
        ("gcd:windows=1-2,window=256,tokens=5-9", "not both"),
        ("gcd:count=1,count=2", "given twice"),
    ],
)
def test_specifications_that_can_not_be_are_refused(spec: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        load_task(spec, count_tokens=_words)


def test_an_unknown_family_is_told_which_there_are() -> None:
    with pytest.raises(InvalidInputError, match="unknown family 'sudoku'; allowed: collatz, gcd, product"):
        parse_spec("sudoku:count=3")


_numbers = st.integers(1, 400)
_ranges = st.tuples(st.floats(0, 99), st.floats(100, 900)).map(lambda pair: (round(pair[0], 1), round(pair[1], 1)))


@settings(max_examples=200, deadline=None)
@given(
    st.builds(
        LongHorizonSpec,
        st.sampled_from(FAMILIES),
        _numbers,
        st.none() | _numbers,
        st.none(),
        st.none() | _ranges,
    )
)
def test_a_specification_is_read_as_it_is_written(spec: LongHorizonSpec) -> None:
    assert parse_spec(str(spec)) == spec
    assert parse_spec(f" {spec} ".strip().replace(",", " , ")) == spec


def test_drawing_leaves_the_order_of_options_out_of_it() -> None:
    spec = parse_spec("product:max_steps=9,count=4,min_steps=3")
    assert str(spec) == "product:count=4,min_steps=3,max_steps=9"
    assert draw(spec, seed=2) == draw(parse_spec(str(spec)), seed=2)
