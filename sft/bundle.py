"""Train a model by its recipe and install it where the package ships it from.

Run as: ``python -m sft.bundle --config sft/recipes/bundled.yaml --to inftythink_graph/models/bundled``. A run that was
killed goes on where it was; a run that is finished is only installed, and so is what ``--model`` names.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from sft.final import is_finished, model_card
from sft.train import main as train_main
from sft.train import parse

__all__ = ["FILES", "install", "main"]

FILES = (
    "model.safetensors",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
)
"""What a model folder needs to be loaded by transformers and by vLLM; training's own files stay behind."""

_LIMIT = 5_000_000  # bytes; what ships in the repository stays small


def install(source: Path, target: Path) -> int:
    """Copy a trained model's files; returns their size in bytes.

    Raises:
        ValueError: a file is missing, or the model is too large to be bundled.
    """
    missing = [name for name in FILES if not (source / name).is_file()]
    if missing:
        raise ValueError(f"{source} is no finished model: it lacks {', '.join(missing)}")
    size = sum((source / name).stat().st_size for name in FILES)
    if size > _LIMIT:
        raise ValueError(f"{source} has {size:,} bytes; a bundled model may have {_LIMIT:,}")
    target.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(source / name, target / name)
    return size


def main(argv: Sequence[str] | None = None) -> int:
    """Train, unless that is done, and install. Exit code 2 where there is nothing to install."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--config", required=True, help="the recipe; the model's card is made of it")
    parser.add_argument("--to", type=Path, required=True, help="the folder to install the model in")
    parser.add_argument("--output-dir", type=Path, help="where to train, instead of the recipe's output_dir")
    parser.add_argument("--model", type=Path, help="a finished model to install, instead of training one")
    args = parser.parse_args(argv)
    recipe = ["--config", args.config, *(["--output_dir", str(args.output_dir)] if args.output_dir else [])]
    data, _, config = parse(recipe)
    final = args.model or Path(str(config.output_dir)) / "final"
    if args.model is None and not is_finished(final):
        code = train_main([*recipe, "--resume"])
        if code:
            return code
    try:
        size = install(final, args.to)
    except ValueError as error:
        print(f"sft.bundle: {error}", file=sys.stderr)
        return 2
    model_card(data, int(config.max_length or 0)).write(args.to)
    print(f"installed {size:,} bytes in {args.to}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
