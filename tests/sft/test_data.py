"""Training rows as tokens: the loss falls on the completion, verbatim, and no row is ever cut."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tokenized_rows import tokenized
from transformers import PreTrainedTokenizerFast

from datasets_build.carries import digits_alike, longest_carry_run, most_digits, repeated_digits
from datasets_build.instances import inftythink_instances, rescue_instance
from datasets_build.row_tokens import tokenize_row
from datasets_build.synthetic import generate, problem
from inftythink_graph.protocol import Protocol, parse
from sft.arguments import DataArguments, ModelArguments
from sft.data import load_rows
from sft.scratch import build_tokenizer
from sft.synthetic_rows import corpus, problem_rows, synthetic_problems, synthetic_rows
from sft.train import main
from sft.train import parse as parse_arguments

# As reasoning models have it: what stands before </think> in an assistant turn is thrown away, and text is stripped.
DELETING_TEMPLATE = (
    "{%- for message in messages -%}<{{ message['role'] }}>"
    "{%- if message['role'] == 'assistant' -%}{{ message['content'].split('</think>')[-1] | trim }}"
    "{%- else -%}{{ message['content'] }}{%- endif -%}<|im_end|>{%- endfor -%}"
    "{%- if add_generation_prompt -%}<assistant>{%- endif -%}"
)
PROVENANCE: dict[str, Any] = {"source": "test", "uuid": "u"}
BOTH_HISTORIES = pytest.mark.parametrize("history", ["user", "assistant"])


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    arguments = DataArguments(synthetic_max_steps=30)
    return build_tokenizer(corpus(arguments, chains=50), vocab_size=400, model_max_length=256)


def _counter(tokenizer: PreTrainedTokenizerFast) -> Any:
    def count(texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]

    return count


def _rows(history: str) -> list[dict[str, Any]]:
    protocol = Protocol(history=history)
    rows = inftythink_instances("Q?", ["r1", "r2"], ["s1"], "It is \\boxed{3}", protocol=protocol, eta=9, **PROVENANCE)
    rescue = rescue_instance("Q?", "s1", "r2 c", "s2", protocol=protocol, epoch=2, epochs=2, eta=9, **PROVENANCE)
    return [dict(row) for row in (*rows, rescue)]


@BOTH_HISTORIES
@pytest.mark.parametrize("template", [None, DELETING_TEMPLATE], ids=["plain", "deleting"])
def test_a_row_is_the_served_prompt_and_the_verbatim_completion(
    tokenizer: PreTrainedTokenizerFast, history: str, template: str | None
) -> None:
    for row in _rows(history):
        prefill = row["prompt"][-1]["content"] if row["prompt"][-1]["role"] == "assistant" else ""
        turns = row["prompt"][:-1] if prefill else row["prompt"]
        before = tokenizer.chat_template
        try:
            tokenizer.chat_template = template or before
            item = tokenize_row(row, tokenizer)
            prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False) + prefill
        finally:
            tokenizer.chat_template = before
        completion = row["completion"][0]["content"]
        assert tokenizer.decode(item["input_ids"]) == prompt + completion + "<|im_end|>"

        learned = [label for label in item["labels"] if label != -100]
        assert tokenizer.decode(learned) == completion + "<|im_end|>"
        assert learned[-1] == tokenizer.eos_token_id
        start = item["labels"].index(learned[0])
        assert item["labels"][:start] == [-100] * start, "no loss on the prompt"
        assert item["input_ids"][start:] == item["labels"][start:], "loss on all of the completion"


def test_a_rescue_row_learns_the_summary_only(tokenizer: PreTrainedTokenizerFast) -> None:
    row = _rows("user")[-1]
    item = tokenize_row(row, tokenizer)
    learned = tokenizer.decode([label for label in item["labels"] if label != -100])
    assert learned == "s2\n</summary><|im_end|>"
    whole = tokenizer.decode(item["input_ids"])
    assert "<think>\nr2 c\n</think>\n<summary>\ns2\n</summary><|im_end|>" in whole


def test_rows_too_long_are_left_out_whole_and_counted(tokenizer: PreTrainedTokenizerFast) -> None:
    rows = _rows("user")
    sizes = [len(tokenize_row(row, tokenizer)["input_ids"]) for row in rows]
    limit = sorted(sizes)[1]
    data, funnel = tokenized(rows, tokenizer, limit)
    kept = [size for size in sizes if size <= limit]
    assert [len(ids) for ids in data["input_ids"]] == kept
    assert funnel["rows"] == len(kept)
    assert funnel["rows too long"] == len(rows) - len(kept) > 0
    assert funnel["tokens"] == sum(kept)
    assert funnel["completion tokens"] == sum(label >= 0 for labels in data["labels"] for label in labels)
    with pytest.raises(ValueError, match="none of 3 rows fits max_length = 3"):
        tokenized(rows, tokenizer, 3)


def _arguments(**changes: Any) -> DataArguments:
    options: dict[str, Any] = {"eta": 60, "synthetic_chains": 12, "synthetic_max_steps": 30, **changes}
    return DataArguments(**options)


def test_segments_of_synthetic_rows_stay_within_eta(tokenizer: PreTrainedTokenizerFast) -> None:
    count = _counter(tokenizer)
    rows = list(load_rows(_arguments(), count))
    segments = [parse(row["completion"][0]["content"], "stop").segment for row in rows]
    assert max(count(segments)) <= 60
    assert len(rows) > 12 * 3, "most chains need several segments"


def test_a_problem_s_rows_hold_its_whole_chain(tokenizer: PreTrainedTokenizerFast) -> None:
    item = problem("collatz", (27,))
    rows = problem_rows(item, _arguments(), _counter(tokenizer), random.Random(0))
    parsed = [parse(row["completion"][0]["content"], "stop") for row in rows]
    assert "\n".join(part.segment for part in parsed) == item.chain
    assert parsed[-1].conclusion == item.conclusion
    assert all(part.summary in item.states for part in parsed[:-1])
    (vanilla,) = problem_rows(item, _arguments(method="vanilla"), _counter(tokenizer), random.Random(0))
    assert parse(vanilla["completion"][0]["content"], "stop").segment == item.chain


@pytest.mark.parametrize("keep", [1, 2, 3, 5])
def test_of_a_long_chain_the_first_and_the_last_row_are_kept(tokenizer: PreTrainedTokenizerFast, keep: int) -> None:
    item = problem("collatz", (27,))
    rows = problem_rows(item, _arguments(synthetic_rows_per_chain=keep), _counter(tokenizer), random.Random(0))
    epochs = [row["epoch"] for row in rows]
    assert len(rows) == keep
    assert epochs == sorted(set(epochs))
    assert epochs[0] == 1
    if keep > 1:
        assert epochs[-1] == rows[0]["epochs"]


def test_hard_rows_hold_the_longest_runs_of_carries(tokenizer: PreTrainedTokenizerFast) -> None:
    item = problem("product", (7, 390))

    def long_runs(hard: int) -> int:
        arguments = _arguments(synthetic_rows_per_chain=6, synthetic_hard_rows=hard)
        found = 0
        for seed in range(20):
            rows = problem_rows(item, arguments, _counter(tokenizer), random.Random(seed))
            epochs = [row["epoch"] for row in rows]
            assert len(rows) == 6
            assert epochs == sorted(set(epochs))
            assert (epochs[0], epochs[-1]) == (1, rows[0]["epochs"])
            for row in rows[1:-1]:
                lines = parse(row["completion"][0]["content"], "stop").segment.split("\n")
                found += max(map(longest_carry_run, lines)) >= 2
        return found

    assert long_runs(4) > 2 * long_runs(0)


def test_counter_rows_hold_the_counters_that_change_all_their_digits(tokenizer: PreTrainedTokenizerFast) -> None:
    """From 099 to 100 there is one step in hundreds; with a row drawn for it, nearly every chain shows it."""
    shares = []
    for counters in (0, 1):
        arguments = _arguments(synthetic_rows_per_chain=3, synthetic_counter_rows=counters)
        rng, shown = random.Random(0), 0
        for item in generate("collatz", 40, seed=5, min_steps=130, max_steps=180):
            (_, drawn, _) = problem_rows(item, arguments, _counter(tokenizer), rng)
            shown += bool(re.search(r"^(099|100) \+ 1 ", drawn["completion"][0]["content"], re.MULTILINE))
        shares.append(shown / 40)
    assert shares[0] < 0.3
    assert shares[1] > 0.8


@pytest.mark.parametrize(
    ("option", "family", "measure", "least", "times"),
    [
        ("synthetic_close_rows", "gcd", digits_alike, 3, 2),
        ("synthetic_large_rows", "collatz", most_digits, 5, 1.5),
        ("synthetic_repeat_rows", "product", repeated_digits, 3, 2),
    ],
    ids=["differences that look like the end", "large numbers", "numbers whose digits repeat"],
)
def test_drawn_rows_hold_what_they_are_drawn_for(
    tokenizer: PreTrainedTokenizerFast,
    option: str,
    family: str,
    measure: Callable[[str], int],
    least: int,
    times: float,
) -> None:
    def found(draws: int) -> int:
        arguments, rng, chains = _arguments(synthetic_rows_per_chain=3, **{option: draws}), random.Random(0), 0
        for item in generate(family, 40, seed=5, min_steps=100, max_steps=180):
            (_, drawn, _) = problem_rows(item, arguments, _counter(tokenizer), rng)
            chains += max(map(measure, drawn["completion"][0]["content"].split("\n"))) >= least
        return chains

    assert found(1) > times * found(0)


def test_ends_are_first_and_last_instances_of_numbers_of_all_lengths(tokenizer: PreTrainedTokenizerFast) -> None:
    """Of addends below 100, one in twelve has a single digit; among the ends, a good third."""
    arguments = _arguments(
        synthetic_families=["product"], synthetic_chains=1, synthetic_min_steps=30, synthetic_max_steps=60
    )
    counter = _counter(tokenizer)
    without = list(synthetic_rows(arguments, counter, random.Random(0)))
    arguments.synthetic_ends = 60
    rows = list(synthetic_rows(arguments, counter, random.Random(0)))
    assert rows[: len(without)] == without
    ends = rows[len(without) :]
    assert len(ends) == 120
    assert {row["epoch"] for row in ends[::2]} == {1}
    assert all(row["epoch"] == row["epochs"] for row in ends[1::2])
    addends = [row["uuid"].split("-")[1] for row in ends[::2]]
    assert sum(len(addend) == 1 for addend in addends) > 15


def test_rescue_rows_name_the_state_after_the_last_whole_step(tokenizer: PreTrainedTokenizerFast) -> None:
    item = problem("product", (7, 30))
    chain, states = zip(*item.lines[:-1], strict=True)
    rescued = 0
    for seed in range(40):
        arguments = _arguments(synthetic_rescue_share=1.0)
        *_, row = problem_rows(item, arguments, _counter(tokenizer), random.Random(seed))
        if row["prompt"][-1]["role"] != "assistant":
            continue  # cut in the very first line: nothing to summarize
        rescued += 1
        segment = parse(row["prompt"][-1]["content"] + "x</summary>", "stop").segment
        state = row["completion"][0]["content"].removesuffix("\n</summary>")
        done = states.index(state) + 1
        lines = segment.split("\n")
        last_whole = next((line for line in reversed(lines) if line in chain[:done]), None)
        if last_whole is not None:
            assert chain.index(last_whole) + 1 == done
        else:  # cut inside the segment's first line: the earlier summary still holds
            assert state in row["prompt"][0]["content"]
    assert rescued > 20


def test_a_family_named_twice_gives_twice_as_many_problems() -> None:
    once = [item.params for item in synthetic_problems(_arguments(synthetic_families=["gcd"], synthetic_chains=20))]
    twice = [
        item.params for item in synthetic_problems(_arguments(synthetic_families=["gcd"] * 2, synthetic_chains=20))
    ]
    assert twice[:20] == once
    assert len(twice) == 40
    assert len(set(twice)) > 30


def test_the_same_recipe_gives_the_same_rows(tokenizer: PreTrainedTokenizerFast) -> None:
    arguments = _arguments(synthetic_rescue_share=0.5, synthetic_rows_per_chain=3)
    first, again = (list(load_rows(arguments, _counter(tokenizer))) for _ in range(2))
    assert first == again


# --- recipes ---------------------------------------------------------------------------------------------------------


def _recipe(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return ["--config", str(path)]


def test_a_recipe_is_read_and_the_command_line_overrides_it(tmp_path: Path) -> None:
    recipe = "eta: 77\nhidden_size: 16\nlearning_rate: 1e-3\nmax_steps: 5\nsynthetic_families: [gcd]\n"
    words = _recipe(tmp_path, recipe + "use_cpu: true\nbf16: false\n")
    data, model, config = parse_arguments([*words, "--max_steps", "6", "--eta=78"])
    assert (data.eta, data.synthetic_families, model.hidden_size) == (78, ["gcd"], 16)
    assert (config.max_steps, config.learning_rate) == (6, 1e-3)


RECIPES = {path.stem: path for path in (Path(__file__).parents[2] / "sft" / "recipes").glob("*.yaml")}


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_the_recipes_of_the_repository_are_valid(name: str) -> None:
    data, _, config = parse_arguments(["--config", str(RECIPES[name])])
    assert data.method == ("vanilla" if name.startswith("vanilla") else "inftythink")
    assert config.max_length


@pytest.mark.parametrize("stage", ["bundled_finish", "bundled_ends"])
def test_later_stages_go_on_in_the_format_of_the_first(stage: str) -> None:
    first, _, before = parse_arguments(["--config", str(RECIPES["bundled"])])
    later, model, after = parse_arguments(["--config", str(RECIPES[stage])])
    assert model.model_name_or_path
    for name in ("eta", "summary_budget", "history", "sampling_temperature", "synthetic_max_steps"):
        assert getattr(later, name) == getattr(first, name)
    assert after.max_length == before.max_length
    assert later.synthetic_seed != first.synthetic_seed


@pytest.mark.parametrize(
    ("recipe", "words", "message"),
    [
        ("lerning_rate: 1.0e-3", [], "unknown key 'lerning_rate' in recipe .*: did you mean 'learning_rate'?"),
        ("sumary_budget: 3", [], "did you mean 'summary_budget'?"),
        ("env: {A: 1}", [], "unknown key 'env'"),
        ("zzzz: 1", [], "a key is a field of sft.arguments or of TRL's SFTConfig"),
        ("1: 2", [], "unknown key '1'"),
        ("", [], "must be a mapping"),
        ("- a", [], "must be a mapping"),
        ("a: [", [], "is not valid YAML"),
        ("eta: 9", ["--max_step", "3"], "unknown key 'max_step' in the command line: did you mean 'max_steps'?"),
        ("eta: many", [], "eta.* invalid int value: 'many'"),
        ("eta: 1.5", [], "eta must be of type int, got 1.5"),
        ("eta: 0", [], "eta must be at least 1, got 0"),
        ("eta: true", [], "eta must be of type int, got True"),
        ("method: other", [], "method must be one of inftythink, vanilla, got 'other'"),
        ("history: system", [], "history must be one of user, assistant"),
        ("synthetic_families: gcd", [], "synthetic_families must be a list of names, got 'gcd'"),
        ("synthetic_rescue_share: 1.5", [], "at most 1, got 1.5"),
        ("synthetic_rows_per_chain: 5\nsynthetic_hard_rows: 4", [], "at most synthetic_rows_per_chain - 2 .*4 of 5"),
        ("synthetic_hard_rows: 1", [], "at most synthetic_rows_per_chain - 2"),
        ("learning_rate: fast", [], "invalid float value: 'fast'"),
        ("hidden_size: 30\nnum_heads: 4", [], r"hidden_size \(30\) must be a multiple of num_heads \(4\)"),
    ],
)
def test_what_a_recipe_can_not_mean_is_one_clear_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recipe: str, words: list[str], message: str
) -> None:
    assert main([*_recipe(tmp_path, recipe), *words]) == 2
    printed = capsys.readouterr().err.strip()
    assert re.search(message.replace("?", r"\?"), printed), printed
    assert printed.startswith("sft.train: ")
    assert "\n" not in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config"], "--config needs the path"),
        (["--config", "no/such/recipe.yaml"], "no/such/recipe.yaml"),
        (["--config=no/such/recipe.yaml"], "no/such/recipe.yaml"),
        (["--model_name_or_path", "no/such/model", "--max_length", "64", "--use_cpu", "true"], "no/such/model"),
    ],
)
def test_what_is_not_there_exits_2(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_arguments_are_checked_without_a_recipe_as_well() -> None:
    with pytest.raises(ValueError, match="num_layers must be at least 1, got 0"):
        ModelArguments(num_layers=0)
    with pytest.raises(ValueError, match="sampling_temperature must be at least 0"):
        DataArguments(sampling_temperature=-1.0)
