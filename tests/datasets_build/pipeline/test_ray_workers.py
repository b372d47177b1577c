"""What a worker does with a block, without a cluster around it."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from datasets_build.pipeline.options import BuildOptions
from datasets_build.pipeline.rows import load_tokenizer
from datasets_build.pipeline.summarizers import Summarizers
from datasets_build.segmentation.pool import SegmentError
from datasets_build.sources.examples import Example
from inftythink_graph.errors import InftyThinkError, InvalidInputError, ModelNotServedError, ServerUnavailableError
from inftythink_graph.models import bundled_path

pytest.importorskip("ray")
from datasets_build.pipeline.ray_flow import work_through, worked_through
from datasets_build.pipeline.ray_workers import Cutter, Kit, Trouble


def block(items: dict[int, Any], finished: int) -> Any:
    """A block of items, and one that was finished already."""
    return worked_through(empty([*items, finished]), items)


def empty(numbers: list[int]) -> Any:
    import pyarrow as pa

    return pa.table({"number": numbers, "item": [b""] * len(numbers)})


def test_what_is_finished_comes_by_and_nobody_works_on_it() -> None:
    table = block({4: "four", 2: ["two", b"\0"]}, finished=7)
    assert dict(work_through(table)) == {4: "four", 2: ["two", b"\0"]}
    after = worked_through(table, {number: (number, item) for number, item in work_through(table)})
    assert after["number"].to_pylist() == [4, 2, 7]
    assert after["item"].to_pylist()[2] == b""


def test_a_chain_that_can_not_be_cut_is_a_result_and_ends_nothing() -> None:
    options = BuildOptions(source="s", output="o", tokenizer=str(bundled_path()), eta=1, engine="ray")
    kit = Kit(options, load_tokenizer(options.tokenizer), Summarizers((), "", None))
    examples = {
        number: (f"key {number}", Example(uuid=str(number), source="s", question="Q?", chain=chain, conclusion="C"))
        for number, chain in enumerate(["1", "\u00e9" * 5])
    }
    cutter = Cutter(pickle.loads(pickle.dumps(kit)))
    results = dict(work_through(cutter(block(examples, finished=9))))
    assert [key for key, _, _ in results.values()] == ["key 0", "key 1"]
    good, bad = (segments for _, _, segments in results.values())
    assert [each.text for each in good] == ["1"]
    assert isinstance(bad, SegmentError)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ServerUnavailableError("away"), ServerUnavailableError),
        (ModelNotServedError("no such", served=("a",)), InvalidInputError),
        (InvalidInputError("bad"), InvalidInputError),
        (OSError(5, "broken"), InftyThinkError),
    ],
)
def test_what_a_worker_met_is_raised_by_the_build_as_what_it_is(error: Exception, kind: type[Exception]) -> None:
    trouble = pickle.loads(pickle.dumps(Trouble.of(error)))
    assert type(trouble.raised()) is kind
    assert str(trouble.raised()) == str(error)
