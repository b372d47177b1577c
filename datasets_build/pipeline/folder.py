"""The folder of a build: where each file lies, and whether it may go on there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets_build.pipeline.options import FREE, SHAPING
from inftythink_graph.errors import InvalidInputError, one_line
from inftythink_graph.files import write_atomically

__all__ = ["BuildFolder"]


class BuildFolder:
    """Paths in an output folder.

    Attributes:
        path: the folder.
        requests, examples: the two journals: all replies, and what became of each example.
        data, vanilla: the folders of the training rows.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        self.requests = self.path / "journal" / "requests.jsonl"
        self.examples = self.path / "journal" / "examples.jsonl"
        self.data, self.vanilla = self.path / "data", self.path / "vanilla"

    def file(self, name: str) -> Path:
        """A file of the folder."""
        return self.path / name

    def check(self) -> None:
        """Refuse what is there and no folder of a build, before anything is written.

        Raises:
            InvalidInputError: it is a file, or it holds other things.
        """
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise InvalidInputError(f"output {self.path} is a file: name a folder")
        ours = {"journal", "config.yaml"}
        if (names := {each.name for each in self.path.iterdir()}) and not names & ours:
            raise InvalidInputError(
                f"output {self.path} holds other things ({sorted(names)[0]}, ...): name a new folder, or a build's"
            )

    def agree(self, config: Mapping[str, Any], identity: Mapping[str, Any]) -> list[str]:
        """Keep the configuration beside the output, or make sure that the one kept there is the same.

        Args:
            config: all options, as they apply.
            identity: what else finished examples depend on, such as the wording's version.

        Returns:
            Options of rows that differ from those before, each with both values; all rows must be written anew.

        Raises:
            InvalidInputError: something differs that finished examples depend on, or what is kept can't be read.
        """
        import yaml

        place, kept = self.file("config.yaml"), self.path / "journal" / "identity.json"
        changed: list[str] = []
        if place.exists():
            try:
                before = yaml.safe_load(place.read_text())
                known = json.loads(kept.read_text()) if kept.exists() else dict(identity)
                unlike = {**_differences(before, config), **_differences(known, identity)}
            except (AttributeError, TypeError, ValueError, yaml.YAMLError) as error:
                raise InvalidInputError(f"{place} is no configuration of a build: {one_line(error)}") from error
            hard = [text for name, text in unlike.items() if name not in FREE | SHAPING]
            if hard:
                raise InvalidInputError(
                    f"{self.path} was begun with another configuration: {'; '.join(hard)}."
                    " Take the same again, or another output folder"
                )
            changed = [text for name, text in unlike.items() if name in SHAPING]
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, json.dumps(dict(identity), indent=2) + "\n")
        write_atomically(place, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))
        return changed


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """What differs, by name, in words."""
    names = [*now, *(name for name in before if name not in now)]
    return {
        name: f"{name} was {before.get(name)!r}, now {now.get(name)!r}"
        for name in names
        if before.get(name) != now.get(name)
    }
