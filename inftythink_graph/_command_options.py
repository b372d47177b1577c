"""Options that several commands share: the model, and the text format that it is asked in."""

from __future__ import annotations

import argparse
from typing import Any

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.protocol import Protocol

__all__ = [
    "add_loop_options",
    "add_model_options",
    "add_protocol_options",
    "chat_model",
    "loop_options",
    "protocol_of",
]


def add_model_options(group: Any) -> None:
    """The options that :func:`chat_model` reads."""
    group.add_argument("--base-url", help="an OpenAI-compatible server, for example http://127.0.0.1:8000/v1")
    group.add_argument("--model", help="name on the server, or a local checkpoint folder; default: the only one served")
    group.add_argument("--api-key", help="key of the server; default: $VLLM_API_KEY or $OPENAI_API_KEY")


def add_protocol_options(group: Any) -> None:
    """The options that :func:`protocol_of` reads."""
    group.add_argument(
        "--protocol",
        choices=("native", "prompted"),
        help="native for models trained on the format, prompted for any other; by default the model's card decides",
    )
    group.add_argument("--history", choices=("user", "assistant"), default="user", help="turn that holds the summary")


def add_loop_options(group: Any, *, max_epochs: int, seed: int | None = None) -> None:
    """The options that :func:`loop_options` reads.

    Args:
        group: where to add them.
        max_epochs: default of that option.
        seed: the same.
    """
    group.add_argument("--eta", type=int, help="most tokens of a segment (default: the model's own, else 4096)")
    group.add_argument("--summary-budget", type=int, help="most tokens of a summary (default: the model's, else 512)")
    group.add_argument("--max-epochs", type=int, default=max_epochs, help="most segments (default: %(default)s)")
    group.add_argument("--temperature", type=float, help="sampling temperature (default: the model's own, else 0.7)")
    group.add_argument("--top-p", type=float, help="nucleus of the sampling")
    told = "" if seed is None else " (default: %(default)s)"
    group.add_argument("--seed", type=int, default=seed, help=f"seed of the sampling{told}")
    group.add_argument(
        "--on-exhausted", choices=("force", "return"), default="force", help="out of epochs: force an answer?"
    )
    group.add_argument(
        "--on-stall",
        choices=("end", "heat"),
        default="end",
        help="summaries come again: end, or go on at temperature 1?",
    )


def loop_options(args: argparse.Namespace) -> dict[str, Any]:
    """What these options say to :func:`~inftythink_graph.graph.create_inftythink_graph`."""
    names = ("eta", "summary_budget", "max_epochs", "temperature", "top_p", "seed", "on_exhausted", "on_stall")
    return {"protocol": protocol_of(args), **{name: getattr(args, name) for name in names}}


def chat_model(base_url: str | None, model: str | None, api_key: str | None, **options: Any) -> Any:
    """The chat model that the options name; without a server a checkpoint in this process, by default the bundled one.

    Args:
        base_url: address of a server.
        model: name on the server, or a folder.
        api_key: key of the server.
        options: further fields of the model.
    """
    given: dict[str, Any]
    if base_url:
        from inftythink_graph.models import ChatVLLM

        given = {"model": model, "api_key": api_key, **options}
        return ChatVLLM(base_url=base_url, **{name: value for name, value in given.items() if value})
    from inftythink_graph.models import EmbeddedChatModel

    given = {"model_path": model, **options}
    return EmbeddedChatModel(**{name: value for name, value in given.items() if value})


def protocol_of(args: argparse.Namespace) -> Protocol | None:
    """The text format that the options name; None leaves it to the model's card.

    Raises:
        InvalidInputError: the two options don't go together.
    """
    if not args.protocol and args.history == "user":
        return None
    try:
        return Protocol(args.protocol or "native", args.history)
    except ValueError as error:
        raise InvalidInputError(str(error)) from error
