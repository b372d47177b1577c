"""Sending the finished folder to the Hugging Face hub, where a recipe asks for it (``push_to_hub``)."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inftythink_graph.errors import one_line

if TYPE_CHECKING:
    from trl import SFTConfig

__all__ = ["Upload"]


@dataclass(frozen=True, slots=True)
class Upload:
    """Where the finished folder goes; to nowhere by default.

    Only the finished folder is sent, once, at the end: the Trainer's own upload would send checkpoints, logs and the
    tokenized rows of ``output_dir`` with it.
    """

    repository: str = ""
    token: str | None = None

    @classmethod
    def planned(cls, config: SFTConfig) -> Upload:
        """What a recipe asks for, checked before anything is trained; ``push_to_hub`` is taken over from the Trainer.

        Raises:
            ValueError: the hub can't be reached, or doesn't let this user write.
        """
        if not config.push_to_hub:
            return cls()
        from httpx2 import HTTPError
        from huggingface_hub import HfApi

        config.push_to_hub = False
        name = config.hub_model_id or Path(str(config.output_dir)).resolve().name
        if config.process_index != 0:
            return cls()
        try:
            made = HfApi(token=config.hub_token).create_repo(name, private=config.hub_private_repo, exist_ok=True)
        except (OSError, ValueError, HTTPError) as error:
            raise ValueError(
                f"push_to_hub: {name} can't be written on the hub: {one_line(error, 200)}. Log in with 'hf auth login',"
                " or leave push_to_hub out and send the final folder later"
            ) from error
        return cls(made.repo_id, config.hub_token)

    def send(self, folder: Path) -> None:
        """Send the finished folder. What can't be sent is said, and stays where it is."""
        if not self.repository:
            return
        from httpx2 import HTTPError
        from huggingface_hub import HfApi

        try:
            done: Any = HfApi(token=self.token).upload_folder(
                repo_id=self.repository, folder_path=folder, ignore_patterns=["training_args.bin"]
            )
        except (OSError, ValueError, HTTPError) as error:
            print(
                f"sft.train: {folder} could not be sent to {self.repository}: {one_line(error, 200)}."
                f" Send it with: hf upload {self.repository} {folder}",
                file=sys.stderr,
            )
        else:
            print(f"sent to {done}")
