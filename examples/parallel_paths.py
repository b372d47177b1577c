"""Several paths of one question with the bundled model: who voted for what, who was stopped, what it cost.

Run as: ``python examples/parallel_paths.py`` (or with a question of one of the kinds that the bundled model knows).
"""

from __future__ import annotations

import sys

from inftythink_graph import EmbeddedChatModel, create_inftythink_graph

QUESTION = "What is the greatest common divisor of 894 and 57?"


def main(question: str = QUESTION) -> None:
    """Think five times, three paths at a time."""
    graph = create_inftythink_graph(EmbeddedChatModel(), num_paths=5, temperature=0.7, seed=1, max_epochs=100)
    result = graph.invoke({"question": question}, {"max_concurrency": 3})

    print(f"{question}\n")
    print("path  status     answer  epochs  tokens  seed")
    for path in result["paths"]:
        tokens, answer = path["usage"]["completion_tokens"], path["answer"] or "-"
        print(
            f"{path['path']:>4}  {path['status']:<9}  {answer:>6}  {path['epochs']:>6}  {tokens:>6}  {path['seed']:>7}"
        )
    print(f"\nanswer {result['answer']} ({result['status']})")
    for group in result["votes"]:
        print(f"{group['votes']} for {group['answer']}: paths {', '.join(map(str, group['paths']))}")
    usage = result["usage"]
    print(f"{usage['completion_tokens']:,} tokens in {usage['requests']} requests, {result['wall_seconds']:.1f} s")


if __name__ == "__main__":
    main(*sys.argv[1:2])
