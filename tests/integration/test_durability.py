"""A run that is killed goes on at the epoch it was in: a real checkpointer, a real model, a real kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite import SqliteSaver

from inftythink_graph import EmbeddedChatModel, create_inftythink_graph

QUESTION = "Multiply 25 by 120 by repeated addition."
CONFIG: Any = {"configurable": {"thread_id": "t"}}

RUN = f"""
import sys
from langgraph.checkpoint.sqlite import SqliteSaver
from inftythink_graph import EmbeddedChatModel, create_inftythink_graph
with SqliteSaver.from_conn_string(sys.argv[1]) as saver:
    graph = create_inftythink_graph(EmbeddedChatModel(), checkpointer=saver)
    for update in graph.stream({{"question": {QUESTION!r}}}, {CONFIG!r}, durability="sync"):
        if "summarize" in update:
            print(update["summarize"]["summary"], flush=True)
"""


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    database = tmp_path / "run.sqlite"
    process = subprocess.Popen([sys.executable, "-c", RUN, str(database)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(4):
        assert process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()

    with SqliteSaver.from_conn_string(str(database)) as saver:
        graph = create_inftythink_graph(EmbeddedChatModel(), checkpointer=saver)
        done = graph.get_state(CONFIG).values["epochs"]
        assert done >= 4
        epochs = [update for update in graph.stream(None, CONFIG) if "reason" in update]
        assert epochs[0]["reason"]["epochs"] in (done, done + 1)
        result = graph.get_state(CONFIG).values
    assert (result["answer"], result["status"]) == ("3000", "answered")
    whole = create_inftythink_graph(EmbeddedChatModel()).invoke({"question": QUESTION})
    assert result["epochs"] > done
    for key in ("answer", "conclusion", "status", "epochs", "summary"):
        assert result[key] == whole[key]


def test_a_checkpoint_does_not_grow_with_depth(tmp_path: Path) -> None:
    sizes = []
    for times in (20, 160):
        with SqliteSaver.from_conn_string(str(tmp_path / f"{times}.sqlite")) as saver:
            graph = create_inftythink_graph(EmbeddedChatModel(), checkpointer=saver)
            graph.invoke({"question": f"Multiply 25 by {times} by repeated addition."}, CONFIG)
            (size,) = saver.conn.execute("select max(length(checkpoint)) from checkpoints").fetchone()
            sizes.append(size)
    assert sizes[1] < 1.2 * sizes[0]
