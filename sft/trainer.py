"""TRL's ``SFTTrainer`` with exact figures: of evaluation, row by row, and of speed. Training itself is TRL's.

Held-out rows are evaluated one by one under an ordinary padding mask, however the training rows are packed: nothing a
row is judged by can come from another one, and no mask grows with the square of a packed row. An evaluation leaves all
random states as they were, so a run with evaluation is the run without it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader
from transformers import TrainerCallback
from trl import SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from sft.random_states import kept_random_states
from sft.row_kinds import KINDS

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["RunTrainer", "row_figures", "sums_to_metrics"]

_COUNTERS = "sft.trainer"  # their place in trainer_state.json


def row_figures(outputs: Any) -> torch.Tensor:
    """Per row of a batch: summed loss, tokens, tokens predicted right, and 1 where all of them were."""
    tokens = outputs.label_mask.sum(-1)
    right = outputs.is_top1.sum(-1)
    losses = -outputs.log_probs.float().sum(-1)
    return torch.stack([losses, tokens, right, right >= tokens], dim=-1).float()


def sums_to_metrics(figures: Sequence[Sequence[float]], kinds: Sequence[int], prefix: str) -> dict[str, float]:
    """The metrics of an evaluation from the figures of its rows: over all of them, and for each kind there is.

    Losses are means over tokens, not over batches: neither the batch size nor the order of the rows changes them.
    """
    found: dict[str, float] = {}
    for name, index in (("", None), *((f"{name}_", index) for index, name in enumerate(KINDS))):
        rows = [row for row, kind in zip(figures, kinds, strict=True) if index is None or kind == index]
        tokens = sum(row[1] for row in rows)
        if not tokens:
            continue
        found[f"{prefix}_{name}loss"] = sum(row[0] for row in rows) / tokens
        found[f"{prefix}_{name}token_accuracy"] = sum(row[2] for row in rows) / tokens
        found[f"{prefix}_{name}rows_right"] = sum(row[3] for row in rows) / len(rows)
    return found


@dataclass(slots=True)
class _Stretch:
    """Tokens and time since the last log; evaluation and saving don't count as training time."""

    real: torch.Tensor | int = 0
    slots: int = 0
    start: float = field(default_factory=time.monotonic)
    paused: float = 0.0

    def figures(self, real: float, slots: float) -> dict[str, float]:
        """What it comes to, given the tokens of all processes."""
        seconds = time.monotonic() - self.start - self.paused
        if not slots or seconds <= 0:
            return {}
        return {"tokens_per_second": round(real / seconds, 1), "padding_share": round(1 - real / slots, 4)}


class RunTrainer(SFTTrainer):
    """``SFTTrainer`` as this project runs it.

    Logged beside TRL's figures: ``num_tokens`` (tokens seen, resumed runs included), ``tokens_per_second`` (real tokens
    of all processes, padding not counted) and ``padding_share``; in evaluation ``eval_loss``, ``eval_token_accuracy``
    and ``eval_rows_right`` (the share of rows all of whose tokens are predicted right, each given the true ones before
    it), over all rows and for each kind, as in ``eval_first_loss``.
    """

    def __init__(self, *, held_out: Dataset | None = None, **options: Any) -> None:
        super().__init__(eval_dataset=_by_length(held_out), **options)
        self._rows: list[torch.Tensor] = []
        self._stretch = _Stretch()
        self.add_callback(_GoesOnCounting(self))

    # --- speed ---

    def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        ids, mask = inputs["input_ids"], inputs.get("attention_mask")
        self._stretch.slots += ids.numel()
        # A sum on the device, read when the next log is due: nothing waits for it here.
        self._stretch.real = self._stretch.real + (ids.numel() if mask is None else mask.sum())
        return super().training_step(model, inputs, *args, **kwargs)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        self._stretch = _Stretch()
        return super().train(*args, **kwargs)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if self.model.training and "loss" in logs:
            counts = torch.tensor([float(self._stretch.real), float(self._stretch.slots)], device=self.args.device)
            real, slots = self.accelerator.reduce(counts, "sum").tolist()
            logs.update(self._stretch.figures(real, slots))
            self._stretch = _Stretch()
        super().log(logs, start_time)

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        if self.state.global_step >= self.state.max_steps:
            # Killed after its last step, before the model was saved: resumed, the Trainer would take one step more.
            self.control.should_training_stop = True
            return
        super()._run_epoch(*args, **kwargs)

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        # Between two logs losses are summed up in memory: kept, so that a resumed run logs what the whole one would.
        self.state.stateful_callbacks[_COUNTERS] = {
            "num_tokens": self._total_train_tokens,
            "loss_sum": self.accelerator.reduce(self._tr_loss, "mean").item(),
            "last_logged": self._globalstep_last_logged,
            "metrics": dict(self._metrics["train"]),
        }
        self._paused(super()._save_checkpoint, *args, **kwargs)

    def _restore_counters(self) -> None:
        if kept := self.state.stateful_callbacks.get(_COUNTERS):
            self._total_train_tokens = kept["num_tokens"]
            self._tr_loss += kept["loss_sum"]
            self._globalstep_last_logged = kept["last_logged"]
            for name, values in kept["metrics"].items():
                self._metrics["train"][name].extend(values)

    def _paused(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        start = time.monotonic()
        try:
            return work(*args, **kwargs)
        finally:
            self._stretch.paused += time.monotonic() - start

    # --- evaluation ---

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        with kept_random_states():
            metrics: dict[str, float] = self._paused(super().evaluate, *args, **kwargs)
        return metrics

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader:
        rows = self.eval_dataset if eval_dataset is None else eval_dataset
        pad = DataCollatorForLanguageModeling(
            pad_token_id=self.data_collator.pad_token_id, pad_to_multiple_of=self.args.pad_to_multiple_of
        )

        def collate(examples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
            kinds = torch.tensor([example["kind"] for example in examples])
            batch: dict[str, torch.Tensor] = pad([{k: e[k] for k in ("input_ids", "labels")} for e in examples])
            return {**batch, "kind": kinds}

        loader = DataLoader(rows, batch_size=self.args.eval_batch_size, collate_fn=collate)
        return self.accelerator.prepare(loader)

    def prediction_step(
        self, model: Any, inputs: Mapping[str, Any], prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[torch.Tensor, None, None]:
        batch = dict(self._prepare_inputs(inputs))
        kinds = batch.pop("kind")
        with torch.no_grad(), self.compute_loss_context_manager():
            figures = row_figures(model(**batch, fused_lm_head=True))
        figures = torch.cat([figures, kinds[:, None].to(figures)], dim=-1)
        self._rows.append(self.accelerator.gather_for_metrics(figures).cpu())
        return figures[:, 0].sum() / figures[:, 1].sum().clamp(min=1), None, None

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        self._rows = []
        output = super().evaluation_loop(*args, **kwargs)
        rows = torch.cat(self._rows).tolist()
        prefix = kwargs.get("metric_key_prefix", "eval")
        output.metrics.update(sums_to_metrics(rows, [int(row[-1]) for row in rows], prefix))
        return output


def _by_length(rows: Dataset | None) -> Dataset | None:
    """Longest first: batches are even, and one that is too large for the memory comes at once."""
    if rows is None:
        return None
    sizes = [len(ids) for ids in rows["input_ids"]]
    return rows.select(sorted(range(len(sizes)), key=lambda index: -sizes[index]))


class _GoesOnCounting(TrainerCallback):
    """Sums and counters go on where the run that is resumed had got to."""

    def __init__(self, trainer: RunTrainer) -> None:
        self._trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._trainer._restore_counters()
