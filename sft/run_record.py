"""What a run is: its resolved recipe and its data, kept in its folder, so that only the same run is resumed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sft.arguments import DataArguments, ModelArguments
from sft.checkpoints import last_complete_checkpoint

if TYPE_CHECKING:
    from trl import SFTConfig

__all__ = ["RECORD", "Run", "differing_keys", "resolved_recipe"]

RECORD = "run.json"
"""The file in a run's folder that holds its recipe and the fingerprint of its rows."""

_HARMLESS = {
    # Where a run writes, and what it says of itself on the way.
    "output_dir",
    "logging_dir",
    "run_name",
    "project",
    "report_to",
    "disable_tqdm",
    "log_level",
    "log_level_replica",
    "log_on_each_node",
    "resume_from_checkpoint",
    # When it saves and what it keeps.
    "save_strategy",
    "save_steps",
    "save_total_limit",
    "save_dtype",
    "keep_adapter",
    "cache_rows",
    # Evaluation leaves no trace in the weights.
    "eval_strategy",
    "eval_steps",
    "eval_delay",
    "do_eval",
    "eval_on_start",
    "eval_packing",
    "per_device_eval_batch_size",
    "generation_problems",
    "generation_every",
    "generation_max_epochs",
    # What the finished folder says.
    "sampling_temperature",
    "sampling_top_p",
    "model_license",
    # How rows reach the device.
    "dataloader_num_workers",
    "dataloader_pin_memory",
    "dataloader_persistent_workers",
    "dataloader_prefetch_factor",
    "ddp_timeout",
    "local_rank",
}
_HARMLESS_PREFIXES = ("hub_", "push_to_hub", "logging_", "trackio_", "_")


def _harmless(name: str) -> bool:
    return name in _HARMLESS or name.startswith(_HARMLESS_PREFIXES)


def resolved_recipe(*arguments: Any) -> dict[str, Any]:
    """Every option of a run with its value, defaults included, as JSON has it; secrets are left out.

    Args:
        arguments: the groups of options: dataclasses of ours, and TRL's ``SFTConfig``.
    """
    found: dict[str, Any] = {}
    for group in arguments:
        values = group.to_dict() if hasattr(group, "to_dict") else asdict(group)
        found.update({name: value for name, value in values.items() if "token" not in name or name == "eos_token"})
    result: dict[str, Any] = json.loads(json.dumps(found, default=str, sort_keys=True))
    return result


def differing_keys(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The options that must not change within a run and did.

    An option that one side doesn't know (another version wrote it) doesn't count.
    """
    return sorted(name for name in before.keys() & now.keys() if not _harmless(name) and before[name] != now[name])


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


@dataclass(slots=True)
class Run:
    """A run in its folder.

    Attributes:
        folder: ``output_dir``.
        checkpoint: where it goes on; None where it starts.
        recipe: its resolved options.
        recorded: what the run that is resumed has written down of itself; None for a new run.
    """

    folder: Path
    checkpoint: str | None
    recipe: dict[str, Any]
    recorded: dict[str, Any] | None

    @classmethod
    def open(cls, data: DataArguments, model: ModelArguments, config: SFTConfig) -> Run:
        """Find out whether a run starts or goes on, and refuse what would mix two runs.

        Raises:
            ValueError: the options differ from those of the run that is to be resumed, its checkpoints hold weights
                alone, or a new run would write among the checkpoints of an earlier one.
        """
        folder = Path(config.output_dir or ".")
        checkpoint = config.resume_from_checkpoint
        if checkpoint == "auto":
            checkpoint = last_complete_checkpoint(folder)
        elif not checkpoint and (found := last_complete_checkpoint(folder)):
            raise ValueError(
                f"{folder} holds checkpoints of an earlier run ({Path(found).name}):"
                " go on with it by --resume, or name another output_dir"
            )
        if checkpoint and config.save_only_model:
            raise ValueError(
                f"{checkpoint} holds no state of the optimizer (save_only_model), so the run can't go on from it: name"
                " another output_dir, or that checkpoint as model_name_or_path of a new run"
            )
        # The batch of a step is that of all processes together, and each has random states of its own.
        recipe = {**resolved_recipe(data, model, config), "processes": config.world_size}
        recorded = None
        if checkpoint:
            try:
                recorded = json.loads((Path(checkpoint).parent / RECORD).read_text())
            except FileNotFoundError:  # of a version that kept no record
                recorded = None
            except ValueError as error:
                raise ValueError(f"{Path(checkpoint).parent / RECORD} can't be read: {error}") from error
        if recorded and (keys := differing_keys(recorded["recipe"], recipe)):
            told = ", ".join(f"{key} (was {_short(recorded['recipe'][key])}, is {_short(recipe[key])})" for key in keys)
            raise ValueError(
                f"the run in {folder} was begun with other options: {told}. Resume it with the recipe in"
                f" {RECORD}, or name another output_dir"
            )
        return cls(folder, checkpoint, recipe, recorded)

    def check_rows(self, fingerprint: str) -> None:
        """Refuse other rows than the run was begun with.

        Raises:
            ValueError: the fingerprint of the rows differs.
        """
        before = (self.recorded or {}).get("data_fingerprint", fingerprint)
        if before != fingerprint:
            raise ValueError(
                f"the run in {self.folder} was begun with other rows: data_fingerprint was {before}, is {fingerprint}."
                " Resume it with the data it was begun with, or name another output_dir"
            )

    def write(self, fingerprint: str) -> None:
        """Note down a new run; that of a resumed one stays."""
        if self.recorded is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        record = {"recipe": self.recipe, "data_fingerprint": fingerprint}
        temporary = self.folder / f"{RECORD}.new"
        temporary.write_text(json.dumps(record, indent=2) + "\n")
        temporary.replace(self.folder / RECORD)
