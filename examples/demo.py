"""A question whose chain of thought is many times the model's window, thought through on this machine's CPU.

Run as: ``python examples/demo.py`` (``make demo`` sets up what it needs). Prints the epochs as they come, the answer,
whether it is right, what it took, and what the vanilla twin makes of the same question; draws the sawtooth.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # both models come with the package

from rich.console import Console
from rich.markup import escape

from datasets_build.synthetic import FAMILIES, generate
from inftythink_graph import EmbeddedChatModel, create_inftythink_graph
from inftythink_graph.evaluation import vanilla
from inftythink_graph.models import vanilla_twin_path
from inftythink_graph.plain_text import printable
from inftythink_graph.plot import save_sawtooth
from inftythink_graph.view import RunView, show_result, vanilla_cost


def main(argv: Sequence[str] | None = None) -> None:
    """Solve one held-out problem with the bundled model and with its vanilla twin."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--family", choices=list(FAMILIES), default="collatz")
    parser.add_argument("--seed", type=int, default=0, help="which problem")
    parser.add_argument("--min-steps", type=int, default=230, help="fewest steps of its chain")
    parser.add_argument("--plot", type=Path, default=Path("demo.png"))
    args = parser.parse_args(argv)
    console = Console()

    (problem,) = generate(args.family, 1, seed=args.seed, split="test", min_steps=args.min_steps, max_steps=400)
    model = EmbeddedChatModel()
    info = model.describe()
    console.print(f"[bold]{problem.question}[/bold]")
    console.print(f"held out of training; a chain of {len(problem.steps)} steps; model: bundled\n", style="dim")

    graph = create_inftythink_graph(model, max_epochs=200, keep_trace=True)
    result = RunView(console, window=info.window, max_epochs=200).watch(graph, problem.question)
    show_result(console, result, window=info.window)
    right = result["answer"] == problem.answer
    console.print(f"\nthe right answer is {problem.answer}: {'[green]solved' if right else '[red]not solved'}")
    context, _ = vanilla_cost(result["trace"])
    console.print(f"its reasoning is {context / info.window:.0f} times what the model can hold at once")

    twin = EmbeddedChatModel(model_path=str(vanilla_twin_path()), temperature=0.0)
    twin_window = twin.describe().window
    single = vanilla(twin, problem.question)
    written = single.usage["completion_tokens"]
    outcome = (
        f"answers {escape(printable(single.answer))}"
        if single.answer
        else f"is cut off after {written:,} tokens, without an answer"
    )
    console.print(f"\nthe vanilla twin (same size, same training chains, window {twin_window:,}) {outcome}")

    save_sawtooth(args.plot, result["trace"], window=info.window, vanilla_window=twin_window)
    console.print(f"plot: {args.plot}")


if __name__ == "__main__":
    main()
