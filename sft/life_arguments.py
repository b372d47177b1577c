"""Options of a run's life: what is held out, what is generated while it trains, and how it is saved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from trl import SFTConfig

__all__ = ["LIFE_LOWEST", "LifeArguments", "check_life"]

LIFE_LOWEST: dict[str, float] = {
    "eval_share": 0,
    "synthetic_eval_chains": 0,
    "generation_problems": 0,
    "generation_every": 1,
    "generation_max_epochs": 1,
    "sampling_top_p": 0,
}
"""The lowest values of the fields below."""


@dataclass
class LifeArguments:
    """What is held out, what is generated during the run, and how the model is saved.

    At most one of ``eval_dataset``, ``eval_share`` and ``synthetic_eval_chains`` says where the held-out instances come
    from; ``eval_strategy`` and ``eval_steps`` of TRL's ``SFTConfig`` say when they are evaluated.
    """

    eval_dataset: str = field(default="", metadata={"help": "held-out rows: a .parquet/.jsonl file, or a Hub name"})
    eval_dataset_split: str = field(default="test", metadata={"help": "split of a Hub data set to evaluate on"})
    eval_share: float = field(default=0.0, metadata={"help": "share of the examples that is held out, by their uuid"})
    synthetic_eval_chains: int = field(
        default=0, metadata={"help": "chains of each family's test split to evaluate on (dataset: synthetic)"}
    )
    generation_problems: int = field(
        default=0, metadata={"help": "held-out problems that the graph solves with the current weights; 0: none"}
    )
    generation_every: int = field(default=1, metadata={"help": "solve them at every that many evaluations"})
    generation_max_epochs: int = field(
        default=16, metadata={"help": "most segments of a problem; harder ones are not picked"}
    )
    sampling_top_p: float | None = field(
        default=None, metadata={"help": "nucleus that the model's generation configuration recommends"}
    )
    save_dtype: Literal["auto", "float32", "bfloat16", "float16"] = field(
        default="auto", metadata={"help": "type of the finished weights; auto: bfloat16 with bf16, else as trained"}
    )
    cache_rows: bool = field(default=True, metadata={"help": "keep the tokenized rows in output_dir for a resumed run"})
    model_license: str = field(default="", metadata={"help": "licence for the model card, as the Hub names it"})

    def check_held_out(self, *, synthetic: bool) -> None:
        """Refuse options that contradict each other.

        Raises:
            ValueError: more than one source of held-out rows, one that the data set doesn't have, or none to generate
                from.
        """
        if self.eval_share >= 1:
            raise ValueError(f"eval_share must be below 1, got {self.eval_share}")
        if self.sampling_top_p is not None and not 0 < self.sampling_top_p <= 1:
            raise ValueError(f"sampling_top_p must be above 0 and at most 1, got {self.sampling_top_p}")
        given = [name for name in ("eval_dataset", "eval_share", "synthetic_eval_chains") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} can't be given together: held-out rows have one source")
        if self.synthetic_eval_chains and not synthetic:
            raise ValueError("synthetic_eval_chains needs 'dataset: synthetic'; for other data, set eval_share")
        if self.generation_problems and not given:
            raise ValueError(
                "generation_problems needs held-out examples: set eval_share, eval_dataset or synthetic_eval_chains"
            )

    @property
    def holds_out(self) -> bool:
        """Whether rows are held out."""
        return bool(self.eval_dataset or self.eval_share or self.synthetic_eval_chains)


def check_life(data: LifeArguments, config: SFTConfig) -> None:
    """Refuse a run whose evaluation can't be what was meant, before anything is loaded.

    Raises:
        ValueError: rows are held out and never evaluated, or evaluated and none held out; evaluation rows are to be
            packed; or the best model is to be chosen by figures that not every evaluation has.
    """
    evaluates = str(getattr(config.eval_strategy, "value", config.eval_strategy)) != "no"
    if evaluates and not data.holds_out:
        raise ValueError("eval_strategy needs held-out rows: set eval_share or eval_dataset, or synthetic_eval_chains")
    if data.holds_out and not evaluates:
        raise ValueError("held-out rows are never evaluated with eval_strategy 'no': set it to 'steps' or 'epoch'")
    if config.eval_packing:
        raise ValueError("eval_packing must be left out or false: held-out rows are evaluated one by one, never packed")
    best = str(config.metric_for_best_model or "")
    if "generation_" in best and (not data.generation_problems or data.generation_every > 1):
        raise ValueError(
            f"metric_for_best_model: {best} must be known at every evaluation: set generation_problems, and"
            " generation_every: 1"
        )
