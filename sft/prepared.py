"""The rows of a run, tokenized: those that are trained on, those that are held out, and what they are known by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sft.arguments import DataArguments
from sft.data import load_rows
from sft.held_out import HeldOutProblem, Problems, is_held_out, synthetic_eval_rows, uuid_of
from sft.row_batches import tokenize_rows
from sft.row_kinds import KINDS, row_kind
from sft.row_table import RowTable, fingerprint
from sft.template_check import checked_rows
from sft.token_counts import TokenCounts

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

__all__ = ["HELD_OUT", "TRAIN", "Prepared", "Sources", "first_rows_fit", "prepare"]

TRAIN, HELD_OUT = "train.arrow", "held_out.arrow"

_SAMPLE = 32  # rows


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a run trains on and is judged by.

    Attributes:
        train: token ids and labels of the training rows.
        held_out: the same of the held-out rows, with their kind (an index of :data:`~sft.row_kinds.KINDS`); None where
            nothing is held out.
        problems: the problems behind the held-out rows.
        funnel: how many rows and tokens there are, and what was left out.
        fingerprint: of the training rows.
    """

    train: Dataset
    held_out: Dataset | None
    problems: tuple[HeldOutProblem, ...]
    funnel: Counter[str]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the rows come from.

    Attributes:
        rows: the rows that are trained on, or split by ``eval_share``.
        held_out: rows that are held out; None where there are none of their own.
        identity: what tells these sources from others; None where nothing does.
    """

    rows: Iterable[dict[str, Any]]
    held_out: Iterable[dict[str, Any]] | None
    identity: str | None

    @classmethod
    def open(cls, args: DataArguments, tokenizer: PreTrainedTokenizerBase) -> Sources:
        """The sources that a recipe names.

        Raises:
            ValueError: as :func:`~sft.data.load_rows`; or ``eval_share`` without the column ``uuid``.
        """
        count = TokenCounts(tokenizer)
        rows = load_rows(args, count)
        held: Iterable[dict[str, Any]] | None = None
        if args.eval_dataset:
            held = load_rows(replace(args, dataset=args.eval_dataset, dataset_split=args.eval_dataset_split), count)
        elif args.synthetic_eval_chains:
            held = synthetic_eval_rows(args, count)
        columns = getattr(rows, "column_names", None)
        if args.eval_share and columns is not None and "uuid" not in columns:
            raise ValueError(
                f"eval_share holds out examples by their uuid, and data set {args.dataset} has no column 'uuid';"
                f" it has {columns}. Give held-out rows as eval_dataset instead"
            )
        marks = ["synthetic" if columns is None else getattr(rows, "_fingerprint", None)]
        if args.eval_dataset:
            marks.append(getattr(held, "_fingerprint", None))
        known = [mark for mark in marks if mark]
        return cls(rows, held, "+".join(known) if len(known) == len(marks) else None)


@dataclass(frozen=True, slots=True)
class _Judged:
    """A row, its token ids, whether it is held out, and why it must be left out; "" where it need not be."""

    row: Mapping[str, Any]
    item: dict[str, list[int]]
    held_out: bool
    fault: Literal["", "too long", "with the end token inside"]


def _judged(
    args: DataArguments, sources: Sources, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> Iterator[_Judged]:
    share, end = args.eval_share, tokenizer.eos_token_id

    def judged(row: Mapping[str, Any], item: dict[str, list[int]], held_out: bool) -> _Judged:
        if len(item["input_ids"]) > max_length:
            return _Judged(row, item, held_out, "too long")
        ended = item["labels"].count(end) > 1
        return _Judged(row, item, held_out, "with the end token inside" if ended else "")

    for row, item in tokenize_rows(checked_rows(sources.rows, tokenizer), tokenizer):
        if share and not uuid_of(row):
            raise ValueError(
                f"eval_share holds out examples by their uuid, and a row of data set {args.dataset} has none:"
                " give each example one, or held-out rows as eval_dataset"
            )
        yield judged(row, item, bool(share) and is_held_out(uuid_of(row), share))
    for row, item in tokenize_rows(checked_rows(sources.held_out or (), tokenizer), tokenizer):
        yield judged(row, item, True)


def prepare(
    args: DataArguments,
    sources: Sources,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    folder: Path | None = None,
) -> Prepared:
    """Tokenize the rows for ``SFTTrainer`` and count what happened to them.

    Rows above ``max_length`` are left out whole, never cut: a cut row would lose its summary and its end. So are rows
    whose completion holds the end-of-sequence token: they would teach the model to stop there.

    Args:
        args: the recipe.
        sources: the rows.
        tokenizer: the model's.
        max_length: most tokens of a row.
        folder: where the tokenized rows go, in the files :data:`TRAIN` and :data:`HELD_OUT`; None keeps them in memory.

    Raises:
        ValueError: no row is left to train on or to evaluate, rows are too long and the recipe refuses them, an example
            of ``eval_dataset`` is trained on, or a template can't be trained on faithfully.
    """
    from tqdm.auto import tqdm

    funnel: Counter[str] = Counter()
    overlong: Counter[str] = Counter()
    files = (None, None) if folder is None else (folder / TRAIN, folder / HELD_OUT)
    train, held, problems = RowTable(files[0]), RowTable(files[1], kinds=KINDS), Problems()
    trained: set[str] = set()
    judged = _judged(args, sources, tokenizer, max_length)
    for each in tqdm(judged, desc="preparing rows", unit="", disable=None):  # None: silent where nobody watches
        name, uuid = "held-out rows" if each.held_out else "rows", uuid_of(each.row)
        size = len(each.item["input_ids"])
        if each.fault:
            funnel[f"{name} {each.fault}"] += 1
            if each.fault == "too long":
                overlong[row_kind(each.row)] += 1
                funnel["longest row, in tokens"] = max(size, funnel["longest row, in tokens"])
        elif each.held_out:
            if uuid in trained:
                raise ValueError(f"example {uuid!r} of eval_dataset {args.eval_dataset} is trained on as well")
            funnel[name] += 1
            held.add(each.item, row_kind(each.row))
            problems.add(each.row)
        else:
            if args.eval_dataset and uuid:
                trained.add(uuid)
            funnel[name] += 1
            funnel["rows with a system prompt, which the graph doesn't send"] += _has_system(each.row)
            funnel["tokens"] += size
            funnel["completion tokens"] += len(each.item["labels"]) - each.item["labels"].count(-100)
            train.add(each.item)
    funnel.update({f"too long: {kind}": number for kind, number in sorted(overlong.items())})
    _check_left(args, funnel, overlong, max_length)
    rows = train.dataset()
    found = tuple(problems.found())
    return Prepared(rows, held.dataset() if len(held) else None, found, +funnel, fingerprint(rows))


def _has_system(row: Mapping[str, Any]) -> bool:
    return bool(row["prompt"][0]["role"] == "system")


def _check_left(args: DataArguments, funnel: Counter[str], overlong: Counter[str], max_length: int) -> None:
    """Refuse a run of which too little is left.

    Raises:
        ValueError: says how many rows were left out, and why.
    """
    ended = funnel["rows with the end token inside"]
    if not funnel["rows"]:
        also = f", and {ended} hold the end token inside" if ended else ""
        raise ValueError(f"none of {funnel['rows too long'] + ended} rows fits max_length = {max_length}{also}")
    if args.holds_out and not funnel["held-out rows"]:
        long = funnel["held-out rows too long"]
        raise ValueError(f"no row is held out to evaluate on ({long} exceed max_length = {max_length}); hold out more")
    if overlong and args.rows_too_long == "refuse":
        kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(overlong.items()))
        longest = funnel["longest row, in tokens"]
        kept = funnel["rows"] + funnel["held-out rows"]
        raise ValueError(
            f"{overlong.total()} of {overlong.total() + kept} rows exceed max_length = {max_length} tokens ({kinds};"
            f" the longest has {longest}): raise max_length, build the rows for it, or set rows_too_long: drop"
        )


def first_rows_fit(
    kept: Prepared, args: DataArguments, sources: Sources, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> bool:
    """Whether the first rows, prepared anew, are the first of the kept ones: so the code that made them is the same."""
    places = [0, 0]
    for each in islice(_judged(args, sources, tokenizer, max_length), _SAMPLE):
        rows, place = kept.held_out if each.held_out else kept.train, places[each.held_out]
        if each.fault:
            continue
        if rows is None or place >= len(rows) or rows[place]["input_ids"] != each.item["input_ids"]:
            return False
        if rows[place]["labels"] != each.item["labels"]:
            return False
        places[each.held_out] += 1
    return True
