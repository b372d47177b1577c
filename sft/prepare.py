"""A base model made ready to be trained, as a folder of its own: with a faithful chat template, or tags as tokens.

Training does the same by itself: ``chat_template``, ``tags`` and ``vocab_multiple`` of a recipe. Do it before where the
folder is needed earlier: to build data for a base model that has no template, or for DeepSpeed ZeRO-3, which can't add
tokens.

Run as: ``python -m sft.prepare BASE --to FOLDER --chat-template inftythink --tags tokens``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from inftythink_graph.protocol import Protocol
from sft.embeddings import grow
from sft.tags import add_tag_tokens
from sft.template_check import check_template
from sft.templates import set_template

__all__ = ["main"]


def _prepare(args: argparse.Namespace) -> str:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if args.vocab_multiple < 1:
        raise ValueError(f"--vocab-multiple must be at least 1, got {args.vocab_multiple}")
    if args.to.exists() and any(args.to.iterdir()):
        raise ValueError(f"{args.to} is not empty; give a folder to make")
    try:
        tokenizer = AutoTokenizer.from_pretrained(args.base, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(args.base, dtype="auto", trust_remote_code=False)
    except OSError as error:
        raise ValueError(f"{args.base} can't be loaded: {str(error).partition(chr(10))[0]}") from error
    set_template(args.chat_template, model, tokenizer)
    added = add_tag_tokens(model, tokenizer) if args.tags == "tokens" else {}
    grow(model, len(tokenizer), args.vocab_multiple)
    for history in ("user", "assistant"):
        check_template(tokenizer, Protocol(history=history))
    model.save_pretrained(args.to)
    tokenizer.save_pretrained(args.to)
    return f"{' '.join(added) or 'no tokens'} added; rows end with {tokenizer.eos_token}"


def main(argv: Sequence[str] | None = None) -> int:
    """Write a copy of a base model with another template or with the tags as tokens. Exit code 2 where it can't be."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("base", help="checkpoint folder or Hub name")
    parser.add_argument("--to", type=Path, required=True, help="the folder to make")
    parser.add_argument("--chat-template", default="keep", help="keep, inftythink or a template's path (default: keep)")
    parser.add_argument("--tags", choices=("text", "tokens"), default="text", help="what tags are (default: text)")
    parser.add_argument("--vocab-multiple", type=int, default=1, help="embedding rows become a multiple of this")
    args = parser.parse_args(argv)
    try:
        done = _prepare(args)
    except ValueError as error:
        print(f"sft.prepare: {error}", file=sys.stderr)
        return 2
    print(f"{done}; saved in {args.to}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
