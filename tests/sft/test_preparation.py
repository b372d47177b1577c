"""Rows prepared in batches are the rows prepared one by one, to the token, and a kept copy is used only if it fits."""

from __future__ import annotations

import json
import random
import resource
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from transformers import PreTrainedTokenizerFast

from datasets_build.row_tokens import tokenize_row
from sft import row_batches, row_cache, row_table
from sft.arguments import DataArguments
from sft.data import load_rows
from sft.disk import DiskFullError, full_disk_is_one_line
from sft.prepared import TRAIN, Sources, prepare
from sft.row_batches import tokenize_rows
from sft.row_cache import CACHE, cache_key, prepared_rows
from sft.row_table import RowTable, fingerprint
from sft.scratch import CHAT_TEMPLATE, build_tokenizer
from sft.synthetic_rows import corpus
from sft.token_counts import TokenCounts, digits_stand_alone

OPTIONS: dict[str, Any] = {
    "eta": 48,
    "synthetic_families": ["collatz", "gcd", "product"],
    "synthetic_chains": 12,
    "synthetic_max_steps": 60,
    "synthetic_rows_per_chain": 5,
    "synthetic_hard_rows": 2,
    "synthetic_rescue_share": 0.5,
}
TRIMMING = CHAT_TEMPLATE.replace("{{- message['content'] -}}", "{{- message['content'] | trim -}}")


def _merging_digits() -> PreTrainedTokenizerFast:
    """A tokenizer that merges digits, as many models' do."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<pad>", "<end>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(corpus(DataArguments(**OPTIONS), chains=20), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", pad_token="<pad>", chat_template=CHAT_TEMPLATE
    )


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, PreTrainedTokenizerFast]:
    plain = build_tokenizer(corpus(DataArguments(**OPTIONS), chains=20), vocab_size=400, model_max_length=256)
    trimming = build_tokenizer(corpus(DataArguments(**OPTIONS), chains=20), vocab_size=400, model_max_length=256)
    trimming.chat_template = TRIMMING
    return {"digits alone": plain, "digits merged": _merging_digits(), "trimming template": trimming}


def _one_by_one(tokenizer: PreTrainedTokenizerFast) -> Callable[[Sequence[str]], list[int]]:
    return lambda texts: [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]


@pytest.mark.parametrize("kind", ["digits alone", "digits merged", "trimming template"])
@pytest.mark.parametrize("changes", [{}, {"history": "assistant"}, {"method": "vanilla"}], ids=str)
def test_batches_give_the_token_ids_of_single_rows(
    tokenizers: dict[str, PreTrainedTokenizerFast], kind: str, changes: dict[str, Any]
) -> None:
    tokenizer = tokenizers[kind]
    args = DataArguments(**{**OPTIONS, **changes})
    expected = [tokenize_row(row, tokenizer) for row in load_rows(args, _one_by_one(tokenizer))]
    found = prepare(args, Sources.open(args, tokenizer), tokenizer, 10_000)
    assert found.train["input_ids"][:] == [item["input_ids"] for item in expected]
    assert found.train["labels"][:] == [item["labels"] for item in expected]
    assert found.funnel["rows"] == len(expected) > 30
    assert found.funnel["completion tokens"] == sum(label >= 0 for item in expected for label in item["labels"])


def test_counts_are_shared_only_where_digits_are_tokens_of_their_own(
    tokenizers: dict[str, PreTrainedTokenizerFast],
) -> None:
    assert digits_stand_alone(tokenizers["digits alone"])
    assert not digits_stand_alone(tokenizers["digits merged"])
    drawn = random.Random(0)
    texts = [f"{drawn.randrange(1000):03} left: {drawn.randrange(99999)} + 7\n= x{drawn.random()}" for _ in range(300)]
    for tokenizer in tokenizers.values():
        counts = TokenCounts(tokenizer)
        assert counts(texts) == counts(texts) == _one_by_one(tokenizer)(texts)


def test_a_token_of_several_digits_forbids_sharing_counts(tokenizers: dict[str, PreTrainedTokenizerFast]) -> None:
    tokenizer = build_tokenizer(["a 12 b"] * 9, vocab_size=300, model_max_length=64)
    assert digits_stand_alone(tokenizer)
    tokenizer.add_tokens(["12"])
    assert not digits_stand_alone(tokenizer)


def test_where_batches_differ_from_the_definition_the_definition_counts(
    tokenizers: dict[str, PreTrainedTokenizerFast], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = tokenizers["digits alone"]
    args = DataArguments(**OPTIONS)

    def other(row: Any, tokenizer: Any) -> dict[str, list[int]]:
        item = tokenize_row(row, tokenizer)
        return {"input_ids": [1, *item["input_ids"]], "labels": [-100, *item["labels"]]}

    monkeypatch.setattr(row_batches, "tokenize_row", other)
    rows = list(load_rows(args, TokenCounts(tokenizer)))
    assert [item for _, item in tokenize_rows(rows, tokenizer)] == [other(row, tokenizer) for row in rows]


def _rows(*rows: tuple[list[int], list[int]]) -> Dataset:
    table = RowTable()
    for ids, labels in rows:
        table.add({"input_ids": ids, "labels": labels})
    return table.dataset()


def test_the_fingerprint_knows_every_token_label_and_boundary() -> None:
    rows = [([1, 2], [-100, 2]), ([3], [3])]
    known = fingerprint(_rows(*rows))
    columns = {"input_ids": [ids for ids, _ in rows], "labels": [labels for _, labels in rows]}
    assert fingerprint(Dataset.from_dict(columns)) == known  # 64 bits, one chunk: the same rows
    assert fingerprint(_rows(*rows[::-1]).select([1, 0])) == known  # however they got into this order
    others = [
        _rows(([1, 9], [-100, 2]), ([3], [3])),
        _rows(([1, 2], [1, 2]), ([3], [3])),
        _rows(([1], [-100]), ([2, 3], [2, 3])),
        _rows(*rows[::-1]),
        _rows(*rows, rows[0]),
    ]
    assert len({known, *map(fingerprint, others)}) == 1 + len(others)


class TestCache:
    """The kept rows of a run."""

    @pytest.fixture
    def tokenizer(self, tokenizers: dict[str, PreTrainedTokenizerFast]) -> PreTrainedTokenizerFast:
        return tokenizers["digits alone"]

    def _prepare(self, folder: Path, tokenizer: PreTrainedTokenizerFast, **changes: Any) -> tuple[Any, bool]:
        return prepared_rows(
            DataArguments(**{**OPTIONS, "synthetic_eval_chains": 2, **changes}), tokenizer, 200, folder
        )

    def test_it_holds_what_was_prepared(self, tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
        made, cached = self._prepare(tmp_path, tokenizer)
        assert not cached
        again, cached = self._prepare(tmp_path, tokenizer, sampling_temperature=0.5, save_dtype="float16")
        assert cached
        assert again.train[:] == made.train[:]
        assert again.held_out[:] == made.held_out[:]
        assert (again.problems, again.funnel, again.fingerprint) == (made.problems, made.funnel, made.fingerprint)
        assert {path.name for path in tmp_path.iterdir()} == {CACHE}

    def test_rows_lie_in_files_and_not_in_memory(self, tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
        for rows, _ in (self._prepare(tmp_path, tokenizer) for _ in range(2)):
            for part in (rows.train, rows.held_out):
                assert [Path(file["filename"]).parent for file in part.cache_files] == [tmp_path / CACHE]
        found, _ = self._prepare(tmp_path, tokenizer, cache_rows=False)
        assert not found.train.cache_files
        assert found.train[:] == rows.train[:]

    @pytest.mark.parametrize("changes", [{"eta": 49}, {"synthetic_seed": 1}, {"synthetic_eval_chains": 3}], ids=str)
    def test_other_options_prepare_anew(
        self, tmp_path: Path, tokenizer: PreTrainedTokenizerFast, changes: dict[str, Any]
    ) -> None:
        self._prepare(tmp_path, tokenizer)
        rows, cached = self._prepare(tmp_path, tokenizer, **changes)
        assert not cached
        again, cached = self._prepare(tmp_path, tokenizer, **changes)
        assert cached
        assert again.fingerprint == rows.fingerprint

    def test_another_template_or_tokenizer_prepares_anew(self, tokenizers: dict[str, PreTrainedTokenizerFast]) -> None:
        keys = {cache_key(DataArguments(**OPTIONS), "x", tokenizer, 200) for tokenizer in tokenizers.values()}
        assert len(keys) == 3
        assert cache_key(DataArguments(**OPTIONS), None, tokenizers["digits alone"], 200) is None

    def test_a_torn_one_prepares_anew(self, tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
        made, _ = self._prepare(tmp_path, tokenizer)
        arrow = tmp_path / CACHE / TRAIN
        arrow.write_bytes(arrow.read_bytes()[: arrow.stat().st_size // 2])
        again, cached = self._prepare(tmp_path, tokenizer)
        assert not cached
        assert again.fingerprint == made.fingerprint

    def test_one_of_other_code_prepares_anew(self, tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
        """A cache that is whole, but whose rows would come out differently today."""
        made, _ = self._prepare(tmp_path, tokenizer)
        table = RowTable(tmp_path / CACHE / TRAIN)
        for ids in ([5, 6], [7]):
            table.add({"input_ids": ids, "labels": ids})
        stale = table.dataset()
        meta = tmp_path / CACHE / "rows.json"
        meta.write_text(json.dumps({**json.loads(meta.read_text()), "fingerprint": fingerprint(stale)}))
        again, cached = self._prepare(tmp_path, tokenizer)
        assert not cached
        assert again.fingerprint == made.fingerprint

    def test_a_full_disk_is_said_and_nothing_is_left_behind(
        self, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
    ) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        try:
            with pytest.raises(DiskFullError, match="no checkpoint was complete yet"), full_disk_is_one_line(tmp_path):
                self._prepare(tmp_path, tokenizer)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert not any(tmp_path.iterdir())

    def test_rows_that_another_machine_has_put_there_stay(
        self, tmp_path: Path, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its processes read from these files: they must not be replaced under them."""
        made = row_cache.prepare

        def overtaken(*args: Any, **options: Any) -> Any:
            rows = made(*args, **options)
            monkeypatch.setattr(row_cache, "prepare", made)
            monkeypatch.setattr(row_cache.socket, "gethostname", lambda: "other")
            self._prepare(tmp_path, tokenizer)
            places.append((tmp_path / CACHE / TRAIN).stat().st_ino)
            return rows

        places: list[int] = []
        monkeypatch.setattr(row_cache, "prepare", overtaken)
        rows, cached = self._prepare(tmp_path, tokenizer)
        assert not cached
        assert len(rows.train) > 0
        assert [(tmp_path / CACHE / TRAIN).stat().st_ino] == places
        assert {path.name for path in tmp_path.iterdir()} == {CACHE}


def test_a_table_in_chunks_is_the_table_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"input_ids": list(range(size)), "labels": [-100] * size} for size in (3, 5, 1, 7, 2)]

    def table(path: Path | None) -> Dataset:
        found = RowTable(path, kinds=("a", "b"))
        for number, row in enumerate(rows):
            found.add(row, "ab"[number % 2])
        assert len(found) == 5
        return found.dataset()

    whole = table(None)
    monkeypatch.setattr(row_table, "_CHUNK", 4)
    for chunked in (table(None), table(tmp_path / "rows.arrow")):
        assert chunked[:] == whole[:]
        assert fingerprint(chunked) == fingerprint(whole)
