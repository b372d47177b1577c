"""Seconds per step of ``sft.train`` against a bare TRL script with the same settings, model and rows.

Both train in one process, step by step in turns: a step of one is followed by a step of the other, so whatever else the
machine does meets both alike (and on a CPU only the process's own time counts). A step is measured from its beginning
to the beginning of the next one: data, forward, backward, optimizer and logging are all in it.

Run as: ``python benchmarks/trainer_overhead.py`` (``--steps 200``, ``--packing``, ``--device cuda --bf16``).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from sft.arguments import DataArguments, ModelArguments
from sft.build import build_trainer, shuffled
from sft.final import model_card
from sft.model import load_model
from sft.prepared import Prepared, Sources, prepare

__all__ = ["Result", "main"]

WARM_UP = 5  # steps that are not counted

# Each trainer has a thread of its own, and glibc gives every thread its own heap, which returns large blocks to the
# system at other moments: up to a tenth of a step, for one of them or the other. With one heap that keeps what it has
# both fare alike.
_ONE_HEAP = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "4000000000", "MALLOC_MMAP_THRESHOLD_": "4000000000"}


@dataclass(frozen=True)
class Result:
    """Seconds per step of both, and their ratio with its standard error."""

    steps: int
    ours: float
    bare: float
    ratio: float
    error: float


class _Turns:
    """A baton that two trainers hand to each other at the beginning of every step."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._holder = 0
        self._done = [False, False]

    def take(self, who: int) -> None:
        """Wait for one's turn."""
        with self._condition:
            self._condition.wait_for(lambda: self._holder == who or self._done[1 - who])

    def hand_over(self, who: int, *, last: bool = False) -> None:
        """Let the other one go on."""
        with self._condition:
            self._done[who] = self._done[who] or last
            self._holder = 1 - who
            self._condition.notify_all()


class _Clock(TrainerCallback):
    """Times the steps of one trainer and gives the other its turn between them."""

    def __init__(self, turns: _Turns, who: int, now: Callable[[], float]) -> None:
        self._turns, self._who, self._now = turns, who, now
        self._start: float | None = None
        self.seconds: list[float] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._start is not None:
            self.seconds.append(self._now() - self._start)
        self._turns.hand_over(self._who)
        self._turns.take(self._who)
        self._start = self._now()


def _train(trainer: Any, clock: _Clock, turns: _Turns, who: int, failed: list[BaseException]) -> None:
    turns.take(who)
    try:
        trainer.add_callback(clock)
        trainer.train()
    except BaseException as error:  # noqa: BLE001 - raised again by the main thread
        failed.append(error)
    finally:
        turns.hand_over(who, last=True)


def compare(ours: Sequence[float], bare: Sequence[float]) -> Result:
    """The ratio of the sums, and its standard error from the differences of the pairs."""
    pairs = list(zip(ours, bare, strict=False))[WARM_UP:]
    one, two = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    differences = [a - b for a, b in pairs]
    error = statistics.stdev(differences) / len(pairs) ** 0.5 / statistics.fmean(two)
    return Result(len(pairs), statistics.fmean(one), statistics.fmean(two), sum(one) / sum(two), error)


def measure(options: argparse.Namespace, folder: Path) -> Result:
    """Train both in turns."""
    data = DataArguments(eta=96, synthetic_chains=options.chains, synthetic_max_steps=100, synthetic_rows_per_chain=6)
    sizes = ModelArguments(hidden_size=options.hidden, num_layers=options.layers, intermediate_size=3 * options.hidden)

    def config(name: str) -> SFTConfig:
        return SFTConfig(
            output_dir=str(folder / name),
            max_length=256,
            packing=options.packing,
            per_device_train_batch_size=1 if options.packing else options.batch,
            max_steps=options.steps + WARM_UP + 1,
            learning_rate=1e-3,
            logging_steps=options.logging_steps,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=options.device == "cpu",
            bf16=options.bf16,
            gradient_checkpointing=False,
            completion_only_loss=True,
        )

    model, tokenizer = load_model(data, sizes, config("ours"))
    rows = prepare(data, Sources.open(data, tokenizer), tokenizer, 256)
    again, _ = load_model(data, sizes, config("bare"))
    one, two = config("ours"), config("bare")
    ours = build_trainer(model, tokenizer, rows, data, sizes, one, model_card(data, 256))
    bare = SFTTrainer(model=again, args=two, train_dataset=_plain(rows, one, two), processing_class=tokenizer)
    turns = _Turns()
    # On a CPU, the process's own time: whoever hasn't got the baton uses none of it.
    now = time.perf_counter if options.device == "cuda" else time.process_time
    clocks = [_Clock(turns, 0, now), _Clock(turns, 1, now)]
    failed: list[BaseException] = []
    threads = [
        threading.Thread(target=_train, args=(trainer, clock, turns, who, failed))
        for who, (trainer, clock) in enumerate(zip((ours, bare), clocks, strict=True))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return compare(clocks[0].seconds, clocks[1].seconds)


def _plain(rows: Prepared, ours: SFTConfig, bare: SFTConfig) -> Any:
    """The same rows in the same order."""
    return shuffled(rows.train, ours) if bare.packing else rows.train


def main(argv: Sequence[str] | None = None) -> int:
    """Print seconds per step and the ratio."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--steps", type=int, default=100, help="steps that are counted")
    parser.add_argument("--batch", type=int, default=32, help="rows of a padded batch")
    parser.add_argument("--packing", action="store_true", help="packed rows of 256 tokens, one a step")
    parser.add_argument("--logging-steps", type=int, default=10)
    parser.add_argument("--chains", type=int, default=200, help="chains of each family")
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args(argv)
    if args.steps < 2:
        parser.error("--steps must be at least 2")
    with tempfile.TemporaryDirectory() as folder:
        result = measure(args, Path(folder))
    if args.json:
        args.json.write_text(json.dumps(asdict(result), indent=2) + "\n")
    print(f"sft.train {result.ours:.4f} s a step, bare TRL {result.bare:.4f} s, {result.steps} steps of each in turns")
    print(f"ratio {result.ratio:.4f} +- {result.error:.4f} (standard error)")
    return 0


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in _ONE_HEAP.items()):  # it is read when a process starts
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **_ONE_HEAP})
    sys.exit(main())
