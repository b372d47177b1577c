"""The tokenized rows of a run, kept in its folder, so that a resumed run doesn't tokenize everything again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inftythink_graph.protocol import PROTOCOL_VERSION
from sft.arguments import DataArguments
from sft.held_out import HeldOutProblem
from sft.life_arguments import LifeArguments
from sft.prepared import HELD_OUT, TRAIN, Prepared, Sources, first_rows_fit, prepare
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


def _open(folder: Path, meta: Mapping[str, Any]) -> Prepared:
    from datasets import Dataset

    held_out = Dataset.from_file(str(folder / HELD_OUT)) if meta["held_out"] else None
    problems = tuple(HeldOutProblem(**each) for each in meta["problems"])
    train = Dataset.from_file(str(folder / TRAIN))
    return Prepared(train, held_out, problems, Counter(meta["funnel"]), meta["fingerprint"])


def _read(folder: Path, key: str) -> Prepared | None:
    """The rows in a cache; None where it is none, is torn, or was made of something else."""
    try:
        meta: dict[str, Any] = json.loads((folder / _META).read_text())
        if meta["key"] != key:
            return None
        found = _open(folder, meta)
        return found if fingerprint(found.train) == found.fingerprint else None
    except (OSError, ValueError, KeyError, TypeError):  # ValueError: pyarrow's and json's own are among them
        return None


def _made(
    args: DataArguments, tokenizer: PreTrainedTokenizerBase, max_length: int, sources: Sources, output: Path, key: str
) -> Prepared:
    """Prepare the rows in a folder beside, which then takes the cache's place at once."""
    folder = output / CACHE
    # Of this process alone, and the same one after a kill, so that what was left behind is written over.
    beside = output / f"{CACHE}.{socket.gethostname()}.{os.environ.get('LOCAL_RANK', '0')}"
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        rows = prepare(args, sources, tokenizer, max_length, beside)
        meta = {
            "key": key,
            "fingerprint": rows.fingerprint,
            "funnel": dict(rows.funnel),
            "held_out": rows.held_out is not None,
            "problems": [asdict(each) for each in rows.problems],
        }
        (beside / _META).write_text(json.dumps(meta))
        # Another machine may have put the same rows there meanwhile, and its processes read them: they stay.
        if (there := _read(folder, key)) is not None:
            return there
        shutil.rmtree(folder, ignore_errors=True)
        try:
            beside.rename(folder)
        except OSError:
            if (there := _read(folder, key)) is None:
                raise
            return there
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return _open(folder, meta)


def prepared_rows(
    args: DataArguments, tokenizer: PreTrainedTokenizerBase, max_length: int, output: Path
) -> tuple[Prepared, bool]:
    """The rows of a run, and whether they come from the cache in ``output``.

    They lie in files there, and are read from these as they are needed: the memory that they take doesn't grow with
    their number. Without a cache (``cache_rows: false``, or a tokenizer that can't be told from others) they are in
    memory. The first rows of a cache are prepared anew and compared, so one that an older version of the code has made
    isn't used.

    Raises:
        ValueError: as :func:`~sft.prepared.prepare`.
        OSError: they can't be written.
    """
    sources = Sources.open(args, tokenizer)
    key = cache_key(args, sources.identity, tokenizer, max_length) if args.cache_rows else None
    if key is None:
        return prepare(args, sources, tokenizer, max_length), False
    cached = _read(output / CACHE, key)
    if cached is not None:
        if first_rows_fit(cached, args, sources, tokenizer, max_length):
            return cached, True
        shutil.rmtree(output / CACHE, ignore_errors=True)
        sources = Sources.open(args, tokenizer)  # the first ones are taken
    return _made(args, tokenizer, max_length, sources, output, key), False
