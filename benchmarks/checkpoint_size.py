"""How much a checkpointer stores for a run, by its depth: without a trace, with one, and with ``durability="exit"``.

A scripted model answers each epoch with a segment and a summary of fixed size (random digits, which hardly compress)
and concludes in the last; the graph, the savers and what they store are real. Counted are the bytes of all checkpoints,
blobs and pending writes of the run's thread, so an index or a page that is half full does not matter.

Run as: ``python benchmarks/checkpoint_size.py`` for SQLite; ``--postgres ADDRESS`` for a PostgreSQL server as well,
where the thread is deleted afterwards; ``--json FILE`` for the figures.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.sqlite import SqliteSaver

from inftythink_graph import Protocol, create_inftythink_graph

__all__ = ["FixedModel", "Kept", "Sizes", "main", "measure"]

Kept = Literal["no trace", "trace", "trace, exit"]
THREAD = "inftythink-checkpoint-size"

SQLITE = """
select (select count(*) from checkpoints where thread_id = ?1),
       (select coalesce(sum(length(checkpoint) + length(metadata)), 0) from checkpoints where thread_id = ?1)
     + (select coalesce(sum(length(value)), 0) from writes where thread_id = ?1)
"""
POSTGRES = """
select (select count(*) from checkpoints where thread_id = %(thread)s),
       (select coalesce(sum(octet_length(checkpoint::text) + octet_length(metadata::text)), 0)
          from checkpoints where thread_id = %(thread)s)
     + (select coalesce(sum(octet_length(blob)), 0) from checkpoint_blobs where thread_id = %(thread)s)
     + (select coalesce(sum(octet_length(blob)), 0) from checkpoint_writes where thread_id = %(thread)s)
"""


class FixedModel(BaseChatModel):
    """Writes a segment and a summary of fixed size an epoch, and a conclusion in the last.

    Attributes:
        epochs: the epoch that concludes.
        segment_chars, summary_chars: size of the parts, in characters.
        made: number of requests so far.
    """

    epochs: int
    segment_chars: int
    summary_chars: int
    made: int = 0

    @property
    def _llm_type(self) -> str:
        return "fixed"

    def _text(self, chars: int) -> str:
        return random.Random(f"{self.made}:{chars}").randbytes(chars // 2 + 1).hex()[:chars]

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        self.made += 1
        ending = {"summary": self._text(self.summary_chars)}
        if self.made == self.epochs:
            ending = {"conclusion": "It is \\boxed{7}."}
        text = Protocol().completion(self._text(self.segment_chars), **ending)
        message = AIMessage(text, response_metadata={"finish_reason": "stop"})
        return ChatResult(generations=[ChatGeneration(message=message)])


@dataclass(frozen=True)
class Sizes:
    """What one run left behind.

    Attributes:
        saver: ``sqlite`` or ``postgres``.
        kept: what was asked for.
        epochs: depth of the run.
        checkpoints: number of checkpoints.
        bytes: of all checkpoints, blobs and pending writes together.
    """

    saver: str
    kept: Kept
    epochs: int
    checkpoints: int
    bytes: int


@contextmanager
def _saver(address: str | None) -> Iterator[tuple[BaseCheckpointSaver[Any], Any, str]]:
    """A saver, its connection, and the query for its sizes; a new SQLite file where there is no address."""
    if address is None:
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "checkpoints.sqlite")
            with SqliteSaver.from_conn_string(path) as saver, sqlite3.connect(path) as connection:
                yield saver, connection, SQLITE
        return
    import psycopg
    from langgraph.checkpoint.postgres import PostgresSaver

    with PostgresSaver.from_conn_string(address) as saver, psycopg.connect(address, autocommit=True) as connection:
        saver.setup()
        saver.delete_thread(THREAD)
        try:
            yield saver, connection, POSTGRES
        finally:
            saver.delete_thread(THREAD)


def measure(
    kept: Kept, epochs: int, *, address: str | None = None, segment_chars: int = 12_000, summary_chars: int = 1_500
) -> Sizes:
    """Run once and count what was stored.

    Args:
        kept: ``trace`` keeps one; ``trace, exit`` keeps one, and stores only when the run leaves.
        epochs: depth of the run.
        address: connection string of a PostgreSQL server; None for SQLite.
        segment_chars: size of a segment; 12,000 characters are about 4,000 tokens.
        summary_chars: size of a summary.
    """
    model = FixedModel(epochs=epochs, segment_chars=segment_chars, summary_chars=summary_chars)
    with _saver(address) as (saver, connection, query):
        graph = create_inftythink_graph(
            model, protocol="native", max_epochs=epochs, keep_trace=kept != "no trace", checkpointer=saver
        )
        config: Any = {"configurable": {"thread_id": THREAD}}
        durability: Literal["exit", "sync"] = "exit" if kept == "trace, exit" else "sync"
        result = graph.invoke({"question": "How large does it get?"}, config, durability=durability)
        if result["epochs"] != epochs:
            raise RuntimeError(f"the run took {result['epochs']} epochs, not {epochs}")
        parameters: Any = (THREAD,) if address is None else {"thread": THREAD}
        count, size = connection.execute(query, parameters).fetchone()
    return Sizes("sqlite" if address is None else "postgres", kept, epochs, int(count), int(size))


def _print(rows: Sequence[Sizes]) -> None:
    print("| saver | kept | epochs | checkpoints | MB | kB per epoch |\n|---|---|---|---|---|---|")
    for row in rows:
        figures = f"{row.epochs} | {row.checkpoints} | {row.bytes / 1e6:.2f} | {row.bytes / row.epochs / 1e3:.1f}"
        print(f"| {row.saver} | {row.kept} | {figures} |")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python benchmarks/checkpoint_size.py", description=main.__doc__)
    parser.add_argument("--epochs", type=int, nargs="+", default=[20, 40, 80, 160])
    parser.add_argument("--segment-chars", type=int, default=12_000)
    parser.add_argument("--summary-chars", type=int, default=1_500)
    parser.add_argument("--postgres", metavar="ADDRESS", help="connection string of a PostgreSQL server")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures there, too")
    args = parser.parse_args(argv)
    sizes = {"segment_chars": args.segment_chars, "summary_chars": args.summary_chars}
    rows = [
        measure(kept, epochs, address=address, **sizes)
        for address in [None, *([args.postgres] if args.postgres else [])]
        for kept in get_args(Kept)
        for epochs in args.epochs
    ]
    _print(rows)
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
