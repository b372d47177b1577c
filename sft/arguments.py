"""What a training recipe may say. Every key of a recipe is a field here or of TRL's ``SFTConfig``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from inftythink_graph.protocol import Protocol
from inftythink_graph.recipes import check_fields
from sft.life_arguments import LIFE_LOWEST, LifeArguments

__all__ = ["DRAWN_ROWS", "DataArguments", "ModelArguments"]

DRAWN_ROWS = (
    "synthetic_hard_rows",
    "synthetic_counter_rows",
    "synthetic_close_rows",
    "synthetic_large_rows",
    "synthetic_repeat_rows",
)
"""Numbers of rows between a chain's first and last that are drawn for something rare in them."""


@dataclass
class DataArguments(LifeArguments):
    """Where the instances come from.

    ``dataset`` is ``synthetic``, a local parquet or JSON-lines file, or a Hugging Face name; other than ``synthetic``
    it holds the columns ``prompt`` and ``completion`` that the data builder writes.
    """

    dataset: str = field(default="synthetic", metadata={"help": "synthetic, a .parquet/.jsonl file, or a Hub name"})
    dataset_config: str = field(
        default="", metadata={"help": "configuration of a Hub data set, vanilla for example; eval_dataset's too"}
    )
    dataset_split: str = field(default="train", metadata={"help": "split of a Hub data set"})
    method: Literal["inftythink", "vanilla"] = field(
        default="inftythink", metadata={"help": "instances of segments, or whole chains (the baseline)"}
    )
    eta: int = field(default=4096, metadata={"help": "most tokens of a segment"})
    summary_budget: int = field(default=512, metadata={"help": "most tokens of a summary"})
    prompt_reserve: int = field(
        default=64, metadata={"help": "tokens that question and chat template need at least, beside eta and summaries"}
    )
    global_batch_size: int = field(
        default=0,
        metadata={
            "help": "rows (packed ones, with packing) of one optimizer step on all processes together; sets"
            " gradient_accumulation_steps. 0: as gradient_accumulation_steps says"
        },
    )
    sampling_temperature: float | None = field(
        default=None, metadata={"help": "temperature that the model's card recommends to whoever uses the model"}
    )
    history: Literal["user", "assistant"] = field(default="user", metadata={"help": "turn that holds the summary"})
    rows_too_long: Literal["drop", "refuse"] = field(
        default="drop", metadata={"help": "rows above max_length: leave them out and count them, or don't train"}
    )
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
    synthetic_counter_rows: int = field(
        default=0, metadata={"help": "how many more of them are drawn for counters that change several digits"}
    )
    synthetic_close_rows: int = field(
        default=0, metadata={"help": "how many more of them are drawn for numbers that are nearly equal"}
    )
    synthetic_large_rows: int = field(default=0, metadata={"help": "how many more of them are drawn for large numbers"})
    synthetic_repeat_rows: int = field(
        default=0, metadata={"help": "how many more of them are drawn for numbers with repeated digits"}
    )
    synthetic_ends: int = field(
        default=0,
        metadata={
            "help": "further chains of each family of which the first and the last instance are kept; numbers of each"
            " length come equally often in their questions"
        },
    )
    synthetic_rescue_share: float = field(
        default=0.0, metadata={"help": "share of chains that also give one row for summarizing a cut segment"}
    )

    def __post_init__(self) -> None:
        ones = dict.fromkeys(
            ("eta", "summary_budget", "synthetic_chains", "synthetic_min_steps", "synthetic_max_steps"), 1
        )
        zeros = dict.fromkeys(
            (
                "synthetic_rows_per_chain",
                *DRAWN_ROWS,
                "synthetic_ends",
                "synthetic_rescue_share",
                "sampling_temperature",
            ),
            0,
        )
        zeros |= {"prompt_reserve": 0, "global_batch_size": 0}
        check_fields(self, {**LIFE_LOWEST, **ones, **zeros}, filled=("synthetic_families",))
        self.check_held_out(synthetic=self.dataset == "synthetic")
        if self.synthetic_rescue_share > 1:
            raise ValueError(f"synthetic_rescue_share must be at most 1, got {self.synthetic_rescue_share}")
        drawn = sum(getattr(self, name) for name in DRAWN_ROWS)
        if drawn and drawn > self.synthetic_rows_per_chain - 2:
            raise ValueError(
                f"{', '.join(DRAWN_ROWS[:-1])} and {DRAWN_ROWS[-1]} together must be at most synthetic_rows_per_chain"
                f" - 2 (first and last are always kept), got {drawn} of {self.synthetic_rows_per_chain}"
            )

    def protocol(self) -> Protocol:
        """The native protocol that the recipe trains."""
        return Protocol(kind="native", history=self.history)


@dataclass
class ModelArguments:
    """What is trained: a checkpoint, or a small model from scratch where ``model_name_or_path`` is empty."""

    model_name_or_path: str = field(default="", metadata={"help": "checkpoint folder or Hub name; empty: from scratch"})
    model_revision: str = field(default="main", metadata={"help": "branch, tag or commit of a Hub checkpoint"})
    dtype: Literal["float32", "bfloat16", "float16", "auto"] = field(
        default="float32", metadata={"help": "type of the weights; bf16: true computes in bf16 on float32 weights too"}
    )
    attn_implementation: str = field(default="sdpa", metadata={"help": "sdpa, eager, flash_attention_2"})
    chat_template: str = field(
        default="keep", metadata={"help": "keep, inftythink (a faithful one of this package) or a template's path"}
    )
    tags: Literal["auto", "text", "tokens"] = field(
        default="auto", metadata={"help": "the tags are text or single tokens; auto: tokens in a model from scratch"}
    )
    vocab_multiple: int = field(default=1, metadata={"help": "embedding rows become a multiple of this"})
    context: int = field(
        default=0,
        metadata={"help": "context window: of a model from scratch (0: max_length), or to reach (0: the checkpoint's)"},
    )
    rope_scaling: Literal["none", "linear", "dynamic", "yarn"] = field(
        default="none", metadata={"help": "how positions are scaled to reach a wider context"}
    )
    rope_factor: float = field(default=0.0, metadata={"help": "factor of the scaling; 0: context / the model's own"})
    rope_theta: float = field(default=0.0, metadata={"help": "base of the rotary positions; 0: the checkpoint's"})
    use_peft: bool = field(default=False, metadata={"help": "train LoRA adapters, merged into the weights at the end"})
    lora_r: int = field(default=16, metadata={"help": "rank of the adapters"})
    lora_alpha: int = field(default=32, metadata={"help": "scale of the adapters, times 1 / lora_r"})
    lora_dropout: float = field(default=0.05, metadata={"help": "dropout in the adapters"})
    lora_target_modules: list[str] = field(
        default_factory=lambda: ["all-linear"], metadata={"help": "layers with adapters; all-linear: all but the head"}
    )
    lora_modules_to_save: list[str] | None = field(
        default=None, metadata={"help": "modules that are trained whole, as embed_tokens"}
    )
    keep_adapter: bool = field(default=True, metadata={"help": "leave the adapter in output_dir/adapter as well"})
    vocab_size: int = field(default=512)
    hidden_size: int = field(default=128)
    num_layers: int = field(default=4)
    num_heads: int = field(default=4)
    intermediate_size: int = field(default=384)
    muon_learning_rate: float = field(
        default=0.0, metadata={"help": "learning rate of hidden matrices by Muon; 0: everything by the recipe's optim"}
    )

    def __post_init__(self) -> None:
        ones = ("vocab_multiple", "vocab_size", "hidden_size", "num_layers", "num_heads", "lora_r", "lora_alpha")
        zeros = ("context", "rope_factor", "rope_theta", "lora_dropout", "muon_learning_rate")
        check_fields(self, {**dict.fromkeys(ones, 1), **dict.fromkeys(zeros, 0)}, filled=("lora_target_modules",))
        if self.hidden_size % self.num_heads:
            raise ValueError(f"hidden_size ({self.hidden_size}) must be a multiple of num_heads ({self.num_heads})")
