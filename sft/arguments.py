"""What a training recipe may say. Every key of a recipe is a field here or of TRL's ``SFTConfig``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from inftythink_graph.protocol import Protocol
from inftythink_graph.recipes import check_fields
from sft.life_arguments import LIFE_LOWEST, LifeArguments

__all__ = ["DataArguments", "ModelArguments"]


@dataclass
class DataArguments(LifeArguments):
    """Where the instances come from.

    ``dataset`` is ``synthetic``, a local parquet or JSON-lines file, or a Hugging Face name; other than ``synthetic``
    it holds the columns ``prompt`` and ``completion`` that the data builder writes.
    """

    dataset: str = field(default="synthetic", metadata={"help": "synthetic, a .parquet/.jsonl file, or a Hub name"})
    dataset_split: str = field(default="train", metadata={"help": "split of a Hub data set"})
    method: Literal["inftythink", "vanilla"] = field(
        default="inftythink", metadata={"help": "instances of segments, or whole chains (the baseline)"}
    )
    eta: int = field(default=4096, metadata={"help": "most tokens of a segment"})
    summary_budget: int = field(default=512, metadata={"help": "most tokens of a summary"})
    sampling_temperature: float | None = field(
        default=None, metadata={"help": "temperature that the model's card recommends to whoever uses the model"}
    )
    history: Literal["user", "assistant"] = field(default="user", metadata={"help": "turn that holds the summary"})
    synthetic_families: list[str] = field(
        default_factory=lambda: ["collatz", "gcd", "product"],
        metadata={"help": "families of problems; one that is named twice gives twice as many chains"},
    )
    synthetic_chains: int = field(default=1000, metadata={"help": "chains of each family"})
    synthetic_seed: int = field(default=0, metadata={"help": "seed of the problems"})
    synthetic_min_steps: int = field(default=1, metadata={"help": "fewest steps of a chain"})
    synthetic_max_steps: int = field(default=400, metadata={"help": "most steps of a chain"})
    synthetic_rows_per_chain: int = field(
        default=0, metadata={"help": "instances kept of each chain: first, last and random ones between; 0 keeps all"}
    )
    synthetic_hard_rows: int = field(
        default=0, metadata={"help": "how many of the rows between first and last are drawn for long runs of carries"}
    )
    synthetic_rescue_share: float = field(
        default=0.0, metadata={"help": "share of chains that also give one row for summarizing a cut segment"}
    )

    def __post_init__(self) -> None:
        ones = dict.fromkeys(
            ("eta", "summary_budget", "synthetic_chains", "synthetic_min_steps", "synthetic_max_steps"), 1
        )
        zeros = dict.fromkeys(
            ("synthetic_rows_per_chain", "synthetic_hard_rows", "synthetic_rescue_share", "sampling_temperature"), 0
        )
        check_fields(self, {**LIFE_LOWEST, **ones, **zeros}, filled=("synthetic_families",))
        self.check_held_out(synthetic=self.dataset == "synthetic")
        if self.synthetic_rescue_share > 1:
            raise ValueError(f"synthetic_rescue_share must be at most 1, got {self.synthetic_rescue_share}")
        if self.synthetic_hard_rows and self.synthetic_hard_rows > self.synthetic_rows_per_chain - 2:
            raise ValueError(
                "synthetic_hard_rows must be at most synthetic_rows_per_chain - 2 (first and last are always"
                f" kept), got {self.synthetic_hard_rows} of {self.synthetic_rows_per_chain}"
            )

    def protocol(self) -> Protocol:
        """The native protocol that the recipe trains."""
        return Protocol(kind="native", history=self.history)


@dataclass
class ModelArguments:
    """What is trained: a checkpoint, or a small model from scratch where ``model_name_or_path`` is empty."""

    model_name_or_path: str = field(default="", metadata={"help": "checkpoint folder or Hub name; empty: from scratch"})
    attn_implementation: str = field(default="sdpa", metadata={"help": "sdpa, eager, flash_attention_2"})
    context: int = field(default=0, metadata={"help": "context window of a model from scratch; 0: max_length"})
    vocab_size: int = field(default=512)
    hidden_size: int = field(default=128)
    num_layers: int = field(default=4)
    num_heads: int = field(default=4)
    intermediate_size: int = field(default=384)

    def __post_init__(self) -> None:
        check_fields(self, {"context": 0, "vocab_size": 1, "hidden_size": 1, "num_layers": 1, "num_heads": 1})
        if self.hidden_size % self.num_heads:
            raise ValueError(f"hidden_size ({self.hidden_size}) must be a multiple of num_heads ({self.num_heads})")
