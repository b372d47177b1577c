"""The average of two checkpoints of one model: what a second stage gained, without all that it forgot.

Two runs that share their beginning lie in one basin of the loss, so the model between them is a good one too (Wortsman
et al. 2022, arXiv 2109.01903).

Run as: ``python -m sft.average runs/bundled/final runs/bundled_polish/final --to runs/bundled_average``.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["average", "main"]

_WEIGHTS = "model.safetensors"


def average(first: Path, second: Path, target: Path, *, share: float = 0.5) -> None:
    """Write ``(1 - share) * first + share * second``, with the other files of ``second``.

    Args:
        first: folder of a checkpoint with one weight file.
        second: folder of a checkpoint of the same model.
        target: the folder to write; it must not be one of the two.
        share: the second one's share, from 0 to 1.

    Raises:
        ValueError: a folder holds no such checkpoint, the two differ in shape, or the share is none.
    """
    from safetensors.torch import load_file, save_file

    if not 0 <= share <= 1:
        raise ValueError(f"share must be between 0 and 1, got {share}")
    if target.resolve() in (first.resolve(), second.resolve()):
        raise ValueError(f"{target} is one of the two checkpoints; write to another folder")
    for folder in (first, second):
        if not (folder / _WEIGHTS).is_file():
            raise ValueError(f"{folder} has no {_WEIGHTS}")
    one, two = (load_file(folder / _WEIGHTS) for folder in (first, second))
    shapes = [{name: (tensor.shape, tensor.dtype) for name, tensor in weights.items()} for weights in (one, two)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"{first} and {second} are not of one model: their weights differ in name, shape or type")
    mixed = {name: ((1 - share) * one[name] + share * two[name]).contiguous() for name in one}
    shutil.copytree(second, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(_WEIGHTS))
    save_file(mixed, target / _WEIGHTS, metadata={"format": "pt"})


def main(argv: Sequence[str] | None = None) -> int:
    """Average two checkpoints. Exit code 2 where that can't be done."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("first", type=Path, help="folder of a checkpoint")
    parser.add_argument("second", type=Path, help="folder of another one of the same model")
    parser.add_argument("--to", type=Path, required=True, help="the folder to write")
    parser.add_argument("--share", type=float, default=0.5, help="the second one's share (default: 0.5)")
    args = parser.parse_args(argv)
    try:
        average(args.first, args.second, args.to, share=args.share)
    except ValueError as error:
        print(f"sft.average: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
