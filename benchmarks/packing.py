"""Packed against padded training: tokens per second, peak memory and the isolation of packed samples, on the same rows.

Two data sets made from the synthetic families: ``even``, short rows of much the same length (segments of one eta), and
``uneven``, rows from a few dozen tokens to the full length (segments of several etas, and whole chains). Each is
trained padded (``--batch`` rows a step) and packed (rows of ``--max-length`` tokens, as many a step as hold about the
same number of tokens), every time in a process of its own, in turns. Tokens are real ones: padding isn't counted. Peak
memory is the process's on a CPU and the device's on a GPU, both in MiB.

The isolation error is the largest difference, over all samples of a packed row, between the logits in the row and those
of the sample alone: for sdpa and eager, and flash_attention_2 where it is asked for.

Run as: ``python benchmarks/packing.py`` (``--steps 30 --rounds 3``; on a GPU ``--device cuda --bf16 --attention
flash_attention_2 --hidden 1024 --layers 16 --max-length 8192 --batch 16``; ``--json FILE`` for the figures).
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from sft.arguments import DataArguments, ModelArguments

__all__ = ["main"]

SETS = ("even", "uneven")
WAYS = ("padded", "packed")
WARM_UP = 2  # steps that are not counted


def _kinds(name: str, max_length: int, chains: int) -> list[DataArguments]:
    """The recipes whose rows make up a data set."""
    short = DataArguments(eta=96, summary_budget=24, synthetic_chains=chains, synthetic_rows_per_chain=4)
    if name == "even":
        return [short]
    etas = [eta for eta in (32, 128, 512, 2048) if eta < max_length - 128]
    cut = [replace(short, eta=eta, synthetic_rows_per_chain=2, synthetic_seed=eta) for eta in etas]
    return [*cut, replace(short, method="vanilla", synthetic_rows_per_chain=0, synthetic_seed=1)]


def _trainer(options: argparse.Namespace, folder: str) -> Any:
    """The trainer of one way, on one data set."""
    from datasets import concatenate_datasets
    from trl import SFTConfig

    from sft.build import build_trainer
    from sft.final import model_card
    from sft.model import load_model
    from sft.prepared import Sources, prepare

    kinds = _kinds(options.set, options.max_length, options.chains)
    packed = options.way == "packed"
    sizes = ModelArguments(hidden_size=options.hidden, num_layers=options.layers, intermediate_size=3 * options.hidden)
    config = SFTConfig(
        output_dir=folder,
        max_length=options.max_length,
        packing=packed,
        per_device_train_batch_size=1 if packed else options.batch,
        max_steps=1_000_000,
        learning_rate=1e-4,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=options.device == "cpu",
        bf16=options.bf16,
        gradient_checkpointing=options.gradient_checkpointing,
        completion_only_loss=True,
    )
    model, tokenizer = load_model(kinds[0], sizes, config)
    model.set_attn_implementation(options.attention)
    parts = [prepare(kind, Sources.open(kind, tokenizer), tokenizer, options.max_length) for kind in kinds]
    rows = concatenate_datasets([part.train for part in parts]).shuffle(seed=0)
    lengths = [len(ids) for ids in rows["input_ids"]]
    if packed:  # as many packed rows a step as hold the tokens of a padded batch
        wanted = options.batch * statistics.fmean(lengths) / options.max_length
        config.gradient_accumulation_steps = max(round(wanted), 1)
    trainer = build_trainer(
        model,
        tokenizer,
        replace(parts[0], train=rows),
        kinds[0],
        sizes,
        config,
        model_card(kinds[0], options.max_length),
    )
    return trainer, lengths


def _timed(trainer: Any, steps: int) -> tuple[float, float]:
    """Real tokens and seconds of ``steps`` steps, after those that warm up."""
    from transformers import TrainerCallback

    marks: list[tuple[float, float]] = []

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            marks.append((trainer._total_train_tokens, time.perf_counter()))
            if len(marks) == WARM_UP + steps:
                control.should_training_stop = True

    trainer.add_callback(Clock())
    trainer.train()
    (first, start), (last, end) = marks[WARM_UP - 1], marks[-1]
    return last - first, end - start


def _child(options: argparse.Namespace) -> dict[str, Any]:
    """One way on one data set: what a process of its own measures."""
    import torch

    with tempfile.TemporaryDirectory() as folder:
        trainer, lengths = _trainer(options, folder)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        tokens, seconds = _timed(trainer, options.steps)
    on_gpu = options.device == "cuda"
    peak = (
        torch.cuda.max_memory_allocated() / 2**20
        if on_gpu
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    )
    spread = {"mean": statistics.fmean(lengths), "least": min(lengths), "most": max(lengths)}
    return {
        "tokens_per_second": tokens / seconds,
        "peak_mib": peak,
        "training_mib": peak if on_gpu else peak - before,
        "rows": len(lengths),
        "lengths": spread,
    }


def _isolation(options: argparse.Namespace) -> dict[str, float]:
    """The largest difference of logits between packed samples and the samples alone, by attention."""
    import torch

    errors: dict[str, float] = {}
    wanted = ["sdpa", "eager", *([options.attention] if options.attention not in ("sdpa", "eager") else [])]
    with tempfile.TemporaryDirectory() as folder:
        options.set, options.way = "uneven", "packed"
        trainer, _ = _trainer(options, folder)
        batch = next(iter(trainer.get_train_dataloader()))
        ids, positions = batch["input_ids"], batch["position_ids"]
        starts = [*(positions[0] == 0).nonzero().flatten().tolist(), ids.shape[1]]
        for attention in wanted:
            model = trainer.model.eval().to(ids.device)
            # Flash attention has no kernels for 32 bits.
            model = model.to(torch.bfloat16 if attention.startswith("flash") else torch.float32)
            model.set_attn_implementation(attention)
            with torch.no_grad():
                together = model(input_ids=ids, position_ids=positions, use_cache=False).logits[0].float()
                alone = [model(input_ids=ids[:, a:b], use_cache=False).logits[0].float() for a, b in pairwise(starts)]
            errors[attention] = (together - torch.cat(alone)).abs().max().item()
    return errors


def _spawned(arguments: Sequence[str], **changes: str) -> dict[str, Any]:
    words = [word for name, value in changes.items() for word in (f"--{name}", value)]
    command = [sys.executable, __file__, *arguments, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _report(results: dict[str, dict[str, list[dict[str, Any]]]], errors: dict[str, float], device: str) -> str:
    lines = [
        "| rows | length (mean, least to most) | way | tokens/s (median, range) | peak MiB (in training) |",
        "|---|---|---|---|---|",
    ]
    for name, ways in results.items():
        for way, runs in ways.items():
            speeds = sorted(run["tokens_per_second"] for run in runs)
            span, peak = runs[0]["lengths"], max(run["peak_mib"] for run in runs)
            grown = max(run["training_mib"] for run in runs)
            lines.append(
                f"| {name} | {span['mean']:.0f}, {span['least']} to {span['most']} | {way} |"
                f" {statistics.median(speeds):,.0f}, {speeds[0]:,.0f} to {speeds[-1]:,.0f} |"
                f" {peak:,.0f} ({grown:,.0f}) |"
            )
        speed = [statistics.median(run["tokens_per_second"] for run in ways[way]) for way in WAYS]
        lines.append(f"| {name} | | packed / padded | {speed[1] / speed[0]:.2f} | |")
    lines.append("")
    lines += [f"isolation error, {attention}: {error:.1e}" for attention, error in errors.items()]
    return "\n".join([f"on a {'GPU' if device == 'cuda' else 'CPU'}", "", *lines])


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table of both ways on both data sets, and the isolation errors."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--steps", type=int, default=20, help="steps that are timed")
    parser.add_argument("--rounds", type=int, default=2, help="how often each is run")
    parser.add_argument("--batch", type=int, default=16, help="rows of a padded step")
    parser.add_argument("--max-length", type=int, default=1024, help="tokens of a packed row")
    parser.add_argument("--chains", type=int, default=150, help="chains of each family and kind")
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--attention", default="sdpa", help="sdpa, eager, flash_attention_2")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--set", choices=SETS, help=argparse.SUPPRESS)  # what a process of its own does
    parser.add_argument("--way", choices=(*WAYS, "isolation"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.way:
        print(json.dumps(_isolation(options) if options.way == "isolation" else _child(options)))
        return 0
    results: dict[str, dict[str, list[dict[str, Any]]]] = {name: {way: [] for way in WAYS} for name in SETS}
    for _ in range(options.rounds):
        for name in SETS:
            for way in WAYS:
                results[name][way].append(_spawned(arguments, set=name, way=way))
                print(f"{name}, {way}: {results[name][way][-1]['tokens_per_second']:,.0f} tokens/s", file=sys.stderr)
    errors = _spawned(arguments, way="isolation")
    if options.json:
        options.json.write_text(json.dumps({"results": results, "isolation_error": errors}, indent=2) + "\n")
    print(_report(results, errors, options.device))
    return 0


if __name__ == "__main__":
    sys.exit(main())
