"""What a checkpointer stores grows with the depth of a run, and no faster."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from savers import CONFIG, PROBLEM, open_saver

from inftythink_graph import EmbeddedChatModel, create_inftythink_graph

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "checkpoint_size.py"
SIZES = {"segment_chars": 2000, "summary_chars": 300}
CONTENT = sum(SIZES.values())


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("checkpoint_size", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize("kept", ["no trace", "trace", "trace, exit"])
def test_storage_grows_linearly(script: ModuleType, kind: str, kept: str, address_of: Callable[[str], str]) -> None:
    address = address_of(kind) if kind == "postgres" else None
    rows = {epochs: script.measure(kept, epochs, address=address, **SIZES) for epochs in (8, 16, 32)}
    per_epoch = (rows[16].bytes - rows[8].bytes) / 8, (rows[32].bytes - rows[16].bytes) / 16
    assert per_epoch[1] == pytest.approx(per_epoch[0], rel=0.05)
    # Three steps an epoch, each a checkpoint and its writes; a trace adds its record as it comes, and again at the end.
    most = {"no trace": 12, "trace": 16, "trace, exit": 4}[kept]
    assert CONTENT < per_epoch[1] < most * CONTENT
    assert rows[32].checkpoints == (1 if kept == "trace, exit" else 3 * 32 + 1)


def test_a_checkpoint_does_not_grow_with_depth(address_of: Callable[[str], str]) -> None:
    """On a model's own text: the largest of a run's checkpoints, early and late."""
    with open_saver("sqlite", address_of("sqlite")) as saver:
        connection: Any = saver.conn  # type: ignore[attr-defined]
        graph = create_inftythink_graph(EmbeddedChatModel(), checkpointer=saver)
        result = graph.invoke({"question": PROBLEM.question}, CONFIG)
        sizes = [size for (size,) in connection.execute("select length(checkpoint) from checkpoints order by rowid")]
    assert len(sizes) == 3 * result["epochs"] + 1
    assert max(sizes[-9:]) < 1.2 * max(sizes[3:12])
