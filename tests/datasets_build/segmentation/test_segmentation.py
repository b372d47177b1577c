"""Segments of any chain: at most eta tokens of their own text, nothing lost, nothing protected cut."""

# ruff: noqa: RUF001 - the marks of many scripts are what this is about

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from datasets_build.segmentation.packing import pack_greedily, pack_optimally
from datasets_build.segmentation.pool import SegmentError, segment_chains
from datasets_build.segmentation.segment import Segment, segment_chain
from datasets_build.segmentation.sizes import Sizer, sizer_of
from sft.scratch import build_tokenizer

THOUGHTS = [
    "Let us find all x such that the sum of both sides is even. First we expand the left side, term by term.",
    "Wait, that is not right, since 3.14 is no integer. Let me check the sum again: 12 + 30 = 42, which is even.",
    "Alternatively, we factor the polynomial. Then each factor has to be a square, e.g. 4 or 9.",
    "Therefore the answer is \\(\\boxed{42}\\).",
    "So we are done with the first part. Now the second part follows from Eq. 2 and the bound above.",
    "因此x是偶数。等等，让我检查一下。所以答案是42。",
]
PROTECTED = [
    "$a. B + c$",
    "\\(x, y. Z\\)",
    "\\[\nx + y\n= z. W\n\\]",
    "$$\\frac{1}{2}$$",
    "\\begin{align}\na &= b \\\\\n\n c &= d\n\\end{align}",
    "`some code. More`",
    "```py\na = 1\n\nb = 2. \n```",
]
BLOCKS = ["- first point. It is\n  longer", "1. number one. Two", "| a. B | c |"]
MODES = pytest.mark.parametrize("mode", ["greedy", "optimal"])


@pytest.fixture(scope="module")
def byte_level() -> PreTrainedTokenizerFast:
    return build_tokenizer(THOUGHTS * 20, vocab_size=600, model_max_length=100)


@pytest.fixture(scope="module")
def marking() -> PreTrainedTokenizerFast:
    """Puts a mark before every text, and falls back to bytes: words don't add up."""
    vocabulary = [("<unk>", 0.0), *((f"<0x{byte:02X}>", -20.0) for byte in range(256)), ("▁", -2.0)]
    vocabulary += [(word, -6.0) for word in ("▁the", "▁sum", "▁is", "▁Wait", "▁we", "er", "e", "t", "a", "o", "▁x")]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


@pytest.fixture(scope="module")
def lossy() -> PreTrainedTokenizerFast:
    """Folds case and knows few words: its tokens don't give the text back."""
    words = ["[UNK]", "the", "sum", "is", "x", ".", ","]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.StripAccents()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")


@pytest.fixture(params=["byte_level", "marking", "lossy"])
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerFast:
    found: PreTrainedTokenizerFast = request.getfixturevalue(request.param)
    return found


def tokens(tokenizer: PreTrainedTokenizerFast, text: str) -> int:
    return len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def check(segments: Sequence[Segment], chain: str, eta: int, tokenizer: PreTrainedTokenizerFast) -> None:
    """The invariants that hold whatever the chain and the mode."""
    assert "".join(s.text + s.joint for s in segments) == chain.strip(), "nothing is lost"
    for segment in segments:
        assert segment.tokens == tokens(tokenizer, segment.text) <= eta
        assert segment.text
        assert segment.text == segment.text.strip()
        assert not segment.joint.strip()
    assert [s.cut == "end" for s in segments] == [False] * (len(segments) - 1) + [True]
    assert segments[-1].joint == ""


def attempt(chain: str, eta: int, tokenizer: Any, mode: Any) -> list[Segment] | str:
    """The segments, or what the error says."""
    try:
        return segment_chain(chain, eta, tokenizer, mode=mode)
    except ValueError as error:
        return str(error)


texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=120)
markdown = st.lists(
    st.tuples(
        st.sampled_from(
            [*THOUGHTS, *PROTECTED, *BLOCKS, "plain words without end ", "x" * 40, "因此" * 12, "a,b;" * 9]
        ),
        st.sampled_from(["\n\n", "\n", " ", "\n \n", "  \n"]),
    ),
    min_size=1,
    max_size=24,
).map(lambda parts: "".join(text + gap for text, gap in parts))
FIXTURES = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@MODES
@FIXTURES
@given(chain=st.one_of(texts, markdown), eta=st.integers(12, 80))
def test_any_text_is_cut_within_eta_and_without_loss(tokenizer: Any, mode: Any, chain: str, eta: int) -> None:
    assume(chain.strip())
    segments = segment_chain(chain, eta, tokenizer, mode=mode)
    check(segments, chain, eta, tokenizer)
    assert segments == segment_chain(chain, eta, tokenizer, mode=mode), "the same every time"


@MODES
@FIXTURES
@given(chain=texts, eta=st.integers(1, 11))
def test_the_smallest_eta_works_or_names_the_character(tokenizer: Any, mode: Any, chain: str, eta: int) -> None:
    assume(chain.strip())
    segments = attempt(chain, eta, tokenizer, mode)
    if isinstance(segments, str):
        assert max(tokens(tokenizer, char) for char in chain.strip()) > eta
        assert "alone has" in segments
        assert f"more than eta = {eta}; eta must be at least" in segments
    else:
        check(segments, chain, eta, tokenizer)


@MODES
@FIXTURES
@given(
    parts=st.lists(st.tuples(st.sampled_from(PROTECTED), st.sampled_from(THOUGHTS)), min_size=1, max_size=8),
    gap=st.sampled_from(["\n\n", "\n", " "]),
    eta=st.integers(12, 90),
)
def test_what_is_protected_stays_whole_if_it_fits(byte_level: Any, mode: Any, parts: Any, gap: str, eta: int) -> None:
    chain, regions = "", []
    for region, text in parts:
        chain += text + gap
        # Code blocks stand on lines of their own.
        chain += "\n" if region.startswith("```") else ""
        regions.append((len(chain), len(chain) + len(region)))
        chain += region + ("\n" if region.startswith("```") else "") + gap
    at, cuts = 0, []
    for segment in segment_chain(chain, eta, byte_level, mode=mode):
        at += len(segment.text)
        cuts.append(at)
        at += len(segment.joint)
    for start, end in regions:
        if tokens(byte_level, chain[start:end]) <= eta:
            assert not [cut for cut in cuts if start < cut < end], chain[start:end]


@MODES
@pytest.mark.parametrize("block", BLOCKS)
def test_list_items_and_rows_stay_whole_if_they_fit(byte_level: Any, mode: Any, block: str) -> None:
    chain = "\n".join([block] * 12)
    eta = tokens(byte_level, block)
    assert [s.text for s in segment_chain(chain, eta, byte_level, mode=mode)] == [block] * 12
    assert len(segment_chain(chain, eta - 1, byte_level, mode=mode)) > 12, "larger than eta: cut inside"


@FIXTURES
@given(chain=markdown, eta=st.integers(16, 120))
def test_optimal_needs_few_more_segments_than_greedy(byte_level: Any, chain: str, eta: int) -> None:
    greedy = segment_chain(chain, eta, byte_level)
    optimal = segment_chain(chain, eta, byte_level, mode="optimal")
    assert len(optimal) <= len(greedy) + max(1, len(greedy) // 4) + 1


@pytest.mark.parametrize("paragraphs", range(8, 40))
def test_optimal_leaves_no_tiny_tail(byte_level: Any, paragraphs: int) -> None:
    paragraph = "The sum of both sides is even."
    chain = "\n\n".join([paragraph] * paragraphs)
    eta = 7 * (tokens(byte_level, paragraph) + tokens(byte_level, "\n\n"))
    segments = segment_chain(chain, eta, byte_level, mode="optimal")
    assert min(segment.tokens for segment in segments) >= eta // 4
    if paragraphs % 7 == 1:
        assert segment_chain(chain, eta, byte_level)[-1].tokens < eta // 4, "which greedy packing leaves"


def test_optimal_cuts_where_thoughts_end(byte_level: Any) -> None:
    step = "The sum of both sides is even."
    chain = "\n\n".join(
        part
        for opening in ("Wait, no.", "Alternatively, factor it.", "Let me check.")
        for part in (*[step] * 5, opening)
    )
    eta = tokens(byte_level, "\n\n".join([step] * 8))
    segments = segment_chain(chain, eta, byte_level, mode="optimal")
    assert {s.cut for s in segments[:-1]} == {"thought"}
    assert all(s.text.startswith(("Wait", "Alternatively", "Let me")) for s in segments[1:])


def test_cuts_get_finer_only_where_they_have_to(byte_level: Any) -> None:
    long = "one two three four five six " * 4
    chain = f"A start.\n\n{long.strip()}, and {long.strip()}. Then an end.\n\n{'x' * 90}"
    segments = segment_chain(chain, 40, byte_level)
    kinds = {s.cut for s in segments}
    assert {"token", "end"} <= kinds
    assert kinds & {"clause", "word"}
    assert [s.cut for s in segment_chain("A start.\n\nAn end.", 40, byte_level)] == ["end"]


def test_segments_end_in_no_combined_character(byte_level: Any) -> None:
    cluster = "e\u0301\u0302"
    chain = cluster * 30
    for segment in segment_chain(chain, tokens(byte_level, cluster) * 3, byte_level)[1:]:
        assert segment.text.startswith("e")


@MODES
def test_a_character_of_several_tokens(byte_level: Any, mode: Any) -> None:
    chain = "𝔘😀" * 10
    size = tokens(byte_level, "😀")
    assert size == 4
    segments = segment_chain(chain, size, byte_level, mode=mode)
    assert [s.text for s in segments] == list(chain)
    with pytest.raises(ValueError, match=r"U\+1F600\) at 1 alone has 4 tokens, more than eta = 3; .* at least 4"):
        segment_chain("a😀", 3, byte_level)


@pytest.mark.parametrize(
    ("chain", "options", "message"),
    [
        ("", {}, "the chain is empty"),
        (" \n\t\u3000", {}, "the chain is empty"),
        (None, {}, "a chain must be text, got NoneType"),
        ("a\ud800b", {}, "half a character at 1"),
        ("a", {"eta": 0}, "eta must be at least 1, got 0"),
        ("a", {"mode": "best"}, "mode 'best' is unknown; allowed: 'greedy', 'optimal'"),
        ("a", {"min_share": 0.6}, "min_share must be between 0 and 0.5, got 0.6"),
    ],
)
def test_bad_input_is_named(byte_level: Any, chain: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        segment_chain(chain, **{"eta": 9, "tokenizer": byte_level, **options})


def test_tokenizers_without_offsets_are_refused() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(ValueError, match="Slow knows no offsets; allowed: fast tokenizers"):
        Sizer(Slow())


def test_text_of_special_tokens_is_counted_as_in_training(byte_level: Any) -> None:
    chain = "So <think> and <|im_end|> are\n\nquoted. " * 6
    check(segment_chain(chain, 12, byte_level), chain, 12, byte_level)


def test_truncation_of_the_tokenizer_does_not_matter(byte_level: Any) -> None:
    chain = "\n\n".join(THOUGHTS)
    expected = segment_chain(chain, 50, byte_level)
    byte_level(chain, truncation=True, max_length=4)
    assert segment_chain(chain, 50, byte_level) == expected


def test_counts_are_made_anew_when_the_vocabulary_grows() -> None:
    tokenizer = build_tokenizer(THOUGHTS, vocab_size=400, model_max_length=100)
    before = sizer_of(tokenizer)
    assert sizer_of(tokenizer) is before
    tokenizer.add_tokens(["polynomial"])
    assert sizer_of(tokenizer) is not before
    check(segment_chain("A polynomial. " * 9, 9, tokenizer), "A polynomial. " * 9, 9, tokenizer)


@pytest.mark.parametrize("text", [*THOUGHTS, "x" * 99, "因此x是偶数" * 30])
def test_tokenizer_work_is_linear(byte_level: Any, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Characters that the tokenizer is given, for chains of growing length."""
    given_characters = 0
    count, by_tokens = Sizer.count, Sizer.by_tokens

    def counting(self: Sizer, texts: Sequence[str]) -> list[int]:
        nonlocal given_characters
        given_characters += sum(map(len, texts))
        return count(self, texts)

    def scaling(self: Sizer, chain: str) -> Any:
        nonlocal given_characters
        given_characters += len(chain)
        return by_tokens(self, chain)

    monkeypatch.setattr(Sizer, "count", counting)
    monkeypatch.setattr(Sizer, "by_tokens", scaling)
    for mode in ("greedy", "optimal"):
        for repeats in (20, 200):
            chain, given_characters = (text + " ") * repeats, 0
            segment_chain(chain, 64, byte_level, mode=mode)
            assert given_characters <= 8 * len(chain)


sizes = st.lists(st.integers(1, 12), min_size=1, max_size=14)


def partitions(count: int) -> Iterator[list[int]]:
    """All ways to cut a number of units, as places of cuts."""
    for mask in range(2 ** (count - 1)):
        yield [i for i in range(1, count) if mask >> (i - 1) & 1] + [count]


@settings(max_examples=60, deadline=None)
@given(units=sizes.filter(lambda s: len(s) <= 9), limit=st.integers(4, 30), data=st.data())
def test_no_other_cuts_cost_less(units: list[int], limit: int, data: st.DataObject) -> None:
    """The dynamic program against all partitions, by a cost that is written down a second time here."""
    costs = [*data.draw(st.lists(st.floats(0, 3), min_size=len(units) - 1, max_size=len(units) - 1)), 0.0]
    tiny = limit // 4
    right = [sum(units[: i + 1]) for i in range(len(units))]
    left = [0, *right[:-1]]

    def cost(stops: list[int]) -> float:
        total = 0.0
        for start, stop in pairwise([0, *stops]):
            size = right[stop - 1] - left[start]
            if size > limit and stop - start > 1:
                return float("inf")
            total += 2 + costs[stop - 1] + (4 + 4 * (tiny - size) / tiny if size < tiny else 0)
        return total

    best = min(partitions(len(units)), key=cost)
    fewest = len(pack_greedily(left, right, limit))
    found = pack_optimally(left, right, limit, costs=costs, tiny=tiny)
    assert len(found) <= fewest + max(1, fewest // 4)
    if len(best) <= fewest + max(1, fewest // 4):
        assert cost(found) == pytest.approx(cost(best))


@settings(max_examples=100)
@given(units=sizes, limit=st.integers(1, 30))
def test_greedy_packing_needs_the_fewest_segments(units: list[int], limit: int) -> None:
    right = [sum(units[: i + 1]) for i in range(len(units))]
    stops = pack_greedily([0, *right[:-1]], right, limit)
    assert stops[-1] == len(units)
    for (start, stop), (_, following) in pairwise(pairwise([0, *stops])):
        assert sum(units[start:stop]) <= limit or stop - start == 1
        assert sum(units[start : stop + 1]) > limit
        assert stop < following


@pytest.fixture
def folder(byte_level: Any, tmp_path: Path) -> Path:
    byte_level.save_pretrained(tmp_path)
    return tmp_path


def test_many_chains_in_order_with_their_errors(folder: Path, byte_level: Any) -> None:
    chains = ["\n\n".join(THOUGHTS[: n % 7]) for n in range(9)]
    results = list(segment_chains(chains, 60, folder))
    for index, (chain, result) in enumerate(zip(chains, results, strict=True)):
        if chain:
            assert result == segment_chain(chain, 60, byte_level)
        else:
            assert result == SegmentError(index, "the chain is empty")


def test_processes_give_the_same_and_read_only_a_few_chains_ahead(folder: Path) -> None:
    read = 0

    def chains() -> Iterator[Any]:
        nonlocal read
        for number in range(40):
            read += 1
            yield None if number == 3 else "\n\n".join(THOUGHTS) * (number % 3)

    expected = list(segment_chains(chains(), 60, folder))
    read = 0
    results = []
    for number, result in enumerate(segment_chains(chains(), 60, folder, processes=2)):
        results.append(result)
        assert read <= number + 2 * 4 + 1
    assert results == expected
    assert results[3] == SegmentError(3, "a chain must be text, got NoneType")


def test_bad_options_are_refused_before_any_chain_is_read(folder: Path) -> None:
    def untouched() -> Iterator[str]:
        pytest.fail("a chain was read")
        yield ""

    with pytest.raises(ValueError, match="eta must be at least 1, got 0"):
        segment_chains(untouched(), 0, folder)
    with pytest.raises(ValueError, match="processes must be at least 1, got 0"):
        segment_chains(untouched(), 9, folder, processes=0)
    with pytest.raises(OSError, match="nowhere"):
        segment_chains(untouched(), 9, folder / "nowhere")
