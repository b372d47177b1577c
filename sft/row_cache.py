"""The tokenized rows of a run, kept in its folder, so that a resumed run doesn't tokenize everything again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections import Counter
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inftythink_graph.errors import one_line
from inftythink_graph.protocol import PROTOCOL_VERSION
from sft.arguments import DataArguments
from sft.held_out import HeldOutProblem
from sft.life_arguments import LifeArguments
from sft.prepared import Prepared, Sources, first_rows_fit, prepare
from sft.row_table import fingerprint

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["CACHE", "cache_key", "prepared_rows"]

CACHE = "prepared"
"""The folder of the tokenized rows within a run's folder."""

_META = "rows.json"
_DECIDE_ROWS = ("eval_dataset", "eval_dataset_split", "eval_share", "synthetic_eval_chains")


def cache_key(
    args: DataArguments, identity: str | None, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> str | None:
    """What the tokenized rows depend on, in one hash; None where that can't be told.

    Args:
        args: the recipe; options that have no influence on the rows are left out.
        identity: of the sources.
        tokenizer: the model's.
        max_length: most tokens of a row.
    """
    if identity is None or not tokenizer.is_fast:
        return None
    idle = {item.name for item in fields(LifeArguments)} - set(_DECIDE_ROWS) | {"sampling_temperature"}
    parts = {
        "options": {name: value for name, value in asdict(args).items() if name not in idle},
        "identity": identity,
        "tokenizer": tokenizer.backend_tokenizer.to_str(),
        "template": str(tokenizer.chat_template),
        "end": tokenizer.eos_token_id,
        "max_length": max_length,
        "protocol": PROTOCOL_VERSION,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _read(folder: Path, key: str) -> Prepared | None:
    """The rows in a cache; None where it is none, is torn, or was made of something else."""
    from datasets import load_from_disk

    try:
        meta: dict[str, Any] = json.loads((folder / _META).read_text())
        if meta["key"] != key:
            return None
        train = load_from_disk(str(folder / "train"))
        held_out = load_from_disk(str(folder / "held_out")) if meta["held_out"] else None
        problems = tuple(HeldOutProblem(**each) for each in meta["problems"])
        if fingerprint(train) != meta["fingerprint"]:
            return None
        return Prepared(train, held_out, problems, Counter(meta["funnel"]), meta["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):  # ValueError: pyarrow's and json's own are among them
        return None


def _write(folder: Path, key: str, rows: Prepared) -> None:
    """Keep the rows: in a folder beside, which then takes the place of ``folder`` at once."""
    from datasets import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    beside = folder.with_name(f"{folder.name}.{os.getpid()}")
    had_bars = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        rows.train.save_to_disk(str(beside / "train"))
        if rows.held_out is not None:
            rows.held_out.save_to_disk(str(beside / "held_out"))
        meta = {
            "key": key,
            "fingerprint": rows.fingerprint,
            "funnel": dict(rows.funnel),
            "held_out": rows.held_out is not None,
            "problems": [asdict(each) for each in rows.problems],
        }
        (beside / _META).write_text(json.dumps(meta))
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
    except OSError as error:  # a full disk: the run goes on without a cache
        print(f"sft.train: the tokenized rows can't be kept in {folder}: {one_line(error)}", file=sys.stderr)
        shutil.rmtree(beside, ignore_errors=True)
    finally:
        if had_bars:
            enable_progress_bars()


def prepared_rows(
    args: DataArguments, tokenizer: PreTrainedTokenizerBase, max_length: int, output: Path
) -> tuple[Prepared, bool]:
    """The rows of a run, and whether they come from the cache in ``output``.

    The first rows are prepared anew and compared, so a cache that an older version of the code has made isn't used.

    Raises:
        ValueError: as :func:`~sft.prepared.prepare`.
    """
    sources = Sources.open(args, tokenizer)
    key = cache_key(args, sources.identity, tokenizer, max_length) if args.cache_rows else None
    folder = output / CACHE
    cached = _read(folder, key) if key and folder.is_dir() else None
    if cached is not None:
        if first_rows_fit(cached, args, sources, tokenizer, max_length):
            return cached, True
        sources = Sources.open(args, tokenizer)  # the first ones are taken
    rows = prepare(args, sources, tokenizer, max_length)
    if key:
        _write(folder, key, rows)
    return rows, False
