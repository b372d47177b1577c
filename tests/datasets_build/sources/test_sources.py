"""Sources: every row of every kind of file is read or counted, and what doesn't fit fails before the run."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_build.sources import row_files
from datasets_build.sources.example_ids import ExampleIds
from datasets_build.sources.examples import Example
from datasets_build.sources.funnel import Funnel
from datasets_build.sources.load import SourceOptions, hub_rows, read_examples, read_rows, source_name
from datasets_build.sources.losses import Reason
from datasets_build.sources.row_files import Row
from inftythink_graph.errors import InvalidInputError

DATA = Path(__file__).parents[2] / "data"
GOOD = "<think>\nA long chain.\n</think>\n\nThe end."
ROWS: list[dict[str, Any]] = [{"question": f"Q{i} é\u2028?", "response": GOOD, "id": i} for i in range(5)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def _read(path: Path, **options: Any) -> list[Row]:
    return list(read_rows(str(path), **options))


def _examples(path: Path | str, **options: Any) -> tuple[list[Example], Funnel]:
    funnel = Funnel()
    return list(read_examples(SourceOptions(str(path), **options), funnel)), funnel


def _write(path: Path, suffix: str) -> Path:
    path = path / f"rows{suffix}"
    if suffix == ".parquet":
        from datasets import Dataset

        Dataset.from_list(ROWS).to_parquet(str(path))
        return path
    text = json.dumps(ROWS, indent=1) if suffix.startswith(".json") and "jsonl" not in suffix else LINES
    data = text.encode()
    path.write_bytes(gzip.compress(data) if suffix.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("suffix", row_files.SUFFIXES)
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    path = _write(tmp_path, suffix)
    rows = _read(path)
    assert [row.values for row in rows] == ROWS
    assert all(row.loss is None and row.place.startswith(path.name) for row in rows)
    assert [row.values for row in _read(path, limit=2)] == ROWS[:2]


def test_a_json_file_may_hold_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text("\ufeff\n" + LINES)
    assert [row.values for row in _read(path)] == ROWS


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5), max_size=6),
    piece=st.integers(1, 40),
    indent=st.sampled_from([None, 2]),
    ascii_only=st.booleans(),
)
def test_a_list_is_read_the_same_in_pieces_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any], piece: int, indent: int | None, ascii_only: bool
) -> None:
    path = tmp_path_factory.mktemp("pieces") / "rows.json"
    path.write_bytes(json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode(errors="replace"))
    expected = json.loads(path.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_files, "_PIECE", piece)
        rows = list(row_files.file_rows(path))
    assert [(row.values, row.loss) for row in rows] == [(value, None) for value in expected]


def test_torn_and_invalid_lines_are_counted_with_their_number(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good = [line.encode() for line in LINES.splitlines(keepends=True) if line.strip()]
    path.write_bytes(
        good[0] + b'{"question": \n' + b"\n" + b"\xff\xfe\n" + b"[" * 100_000 + b"\n" + good[1] + good[2][:-9]
    )
    rows = _read(path)
    assert [row.place for row in rows] == [f"rows.jsonl:{number}" for number in (1, 2, 4, 5, 6, 7)]
    assert [row.loss and row.loss.reason for row in rows] == [
        None, Reason.INVALID_JSON, Reason.INVALID_JSON, Reason.INVALID_JSON, None, Reason.TORN_LINE,
    ]  # fmt: skip
    examples, funnel = _examples(path)
    assert [example.uuid for example in examples] == ["0", "1"]
    assert (funnel.entered("rows"), funnel.passed("rows")) == (6, 2)
    assert funnel.losses("rows") == {Reason.INVALID_JSON: 3, Reason.TORN_LINE: 1}
    assert funnel.details("rows", Reason.TORN_LINE)[0].startswith("rows.jsonl:7: ")


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(1, len(LINES.encode()) - 1))
def test_a_file_cut_anywhere_loses_its_last_row_at_most(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("cut") / "rows.jsonl"
    path.write_bytes(LINES.encode()[:cut])
    whole = LINES.encode()[:cut].count(b"\n")
    rows = _read(path)
    assert [row.values for row in rows[:whole]] == ROWS[:whole]
    assert len(rows) - whole in (0, 1)
    for row in rows[whole:]:
        assert row.values == ROWS[whole] or (row.loss and row.loss.reason is Reason.TORN_LINE)


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".json.gz", ".json"])
def test_a_damaged_file_keeps_the_rows_before_the_damage(tmp_path: Path, suffix: str) -> None:
    path = _write(tmp_path, suffix)
    path.write_bytes(path.read_bytes()[:-12])
    *whole, last = _read(path)
    assert [row.values for row in whole] == ROWS[: len(whole)]
    assert last.loss is not None
    assert last.loss.reason is Reason.TORN_FILE
    assert path.name in last.loss.detail


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_files, "_LONGEST_LINE", 1000)
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{json.dumps(ROWS[0])}\n{'x' * 5000}\n{'y' * 1000}\n{json.dumps(ROWS[1])}")
    rows = _read(path)
    assert [row.loss and row.loss.reason for row in rows] == [None, Reason.LINE_TOO_LONG, Reason.LINE_TOO_LONG, None]
    assert rows[-1].values == ROWS[1]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    filler = "x" * 20_000
    with path.open("w") as file:
        for i in range(600):
            file.write(json.dumps({"question": f"Q{i}", "response": f"<think>{i} {filler}</think>end"}) + "\n")
    stream = read_examples(SourceOptions(str(path)), Funnel())
    for _ in range(100):
        next(stream)
    tracemalloc.start()
    taken = sum(1 for _ in stream)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken == 500
    assert peak < 2_000_000, "of 10 MB read"


def test_a_folder_and_a_pattern_read_all_files_in_order(tmp_path: Path) -> None:
    for name in ("b/train-2.jsonl", "a/train-1.jsonl", "b/test-1.jsonl", ".hidden/train-3.jsonl", "notes.txt"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"name": name}) + "\n")

    def names(source: str, **options: Any) -> list[str]:
        return [row.values["name"] for row in read_rows(source, **options)]

    assert names(str(tmp_path)) == ["a/train-1.jsonl", "b/test-1.jsonl", "b/train-2.jsonl"]
    assert names(str(tmp_path), split="train") == ["a/train-1.jsonl", "b/train-2.jsonl"]
    assert names(str(tmp_path / "*" / "train*.jsonl")) == ["a/train-1.jsonl", "b/train-2.jsonl"]
    with pytest.raises(InvalidInputError, match=r"no file of .* has the split 'dev' in its name; files: train-1.jsonl"):
        names(str(tmp_path), split="dev")


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("gone.jsonl", r"gone\.jsonl doesn't exist"),
        ("no/such/folder/here", "doesn't exist: give a Hugging Face name, a file, a folder or a pattern"),
        ("notes.txt", r"unknown suffix; allowed: \.jsonl, \.jsonl\.gz"),
        ("empty", r"matches no file with a known suffix"),
        ("*.csv", r"matches no file with a known suffix"),
        ("empty.jsonl", "has no rows"),
        ("empty.json", "has no rows"),
        ("not.parquet", r"not\.parquet can't be read as parquet after row 0"),
    ],
)
def test_what_is_not_there_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, match: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for file, text in {"notes.txt": "x", "empty.jsonl": "\n", "empty.json": "[]", "not.parquet": "PAR1"}.items():
        (tmp_path / file).write_text(text)
    with pytest.raises(InvalidInputError, match=match) as raised:
        list(read_rows(name))
    assert "\n" not in str(raised.value)


def test_parquet_reads_the_columns_that_are_needed(tmp_path: Path) -> None:
    from datasets import Dataset

    path = tmp_path / "rows.parquet"
    Dataset.from_list([{**row, "test_cases": "x" * 100} for row in ROWS]).to_parquet(str(path))
    rows = _read(path, columns=["question", "response", "nothing"])
    assert [sorted(row.values) for row in rows] == [["question", "response"]] * 5
    assert set(rows[0].columns) == {"question", "response", "id", "test_cases"}
    with pytest.raises(InvalidInputError, match=r"no column 'q' .*have the columns .*test_cases"):
        _examples(path, columns={"question": "q"})


# --- Hugging Face ----------------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path) -> str:
    """A folder in the form of a data set on the Hub, which ``datasets`` loads as it loads one from there."""
    for split, number in (("train", 5), ("test", 2)):
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS[:number]))
    return str(tmp_path)


@pytest.mark.parametrize("streaming", [True, False])
def test_rows_of_a_data_set_by_name(repository: str, streaming: bool) -> None:
    def rows(split: str | None) -> Iterator[Row]:
        return hub_rows(repository, split, None, None, ["question", "id"], streaming)

    expected = [{"question": row["question"], "id": row["id"]} for row in ROWS]
    assert [{name: row.values[name] for name in ("question", "id")} for row in rows(None)] == expected
    assert len(list(rows("test"))) == 2
    with pytest.raises(InvalidInputError, match=r"can't be read: .*dev"):
        list(rows("dev"))
    (Path(repository) / "train.jsonl").rename(Path(repository) / "validation.jsonl")
    with pytest.raises(InvalidInputError, match="no split 'train'; name one of validation, test"):
        list(rows(None))


def test_a_data_set_that_can_not_be_reached_is_one_clear_line() -> None:
    with pytest.raises(InvalidInputError, match=r"data set nobody/nothing-at-all can't be read: ") as raised:
        list(read_rows("nobody/nothing-at-all"))
    assert "\n" not in str(raised.value)


def test_a_local_path_has_no_revision(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="config and revision are for Hugging Face names"):
        _read(_write(tmp_path, ".jsonl"), revision="main")


# --- examples --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selection", "examples", "rows", "generations"),
    [
        (None, 2, {Reason.NOT_CORRECT: 1}, {Reason.NOT_CORRECT: 2, Reason.NOT_TAKEN: 2}),
        ("first_verified", 2, {Reason.NOT_CORRECT: 1}, {Reason.NOT_CORRECT: 2, Reason.NOT_TAKEN: 2}),
        (
            "shortest_verified",
            2,
            {Reason.NOT_CORRECT: 1},
            {Reason.NOT_CORRECT: 2, Reason.NOT_TAKEN: 1, Reason.NOT_COMPLETE: 1},
        ),
        ("all_verified", 3, {Reason.NOT_CORRECT: 1}, {Reason.NOT_CORRECT: 2, Reason.NOT_COMPLETE: 1}),
        ("first", 3, {}, {Reason.NOT_TAKEN: 3}),
        ("all", 5, {}, {Reason.NOT_COMPLETE: 1}),
    ],
)
def test_the_funnel_of_each_selection(
    selection: str | None, examples: int, rows: dict[str, int], generations: dict[str, int]
) -> None:
    found, funnel = _examples(DATA / "openr1_rows.jsonl", selection=selection)
    assert len(found) == len({example.uuid for example in found}) == examples
    assert {example.source for example in found} == {"openr1_rows.jsonl"}
    assert (funnel.entered("rows"), funnel.entered("generations"), funnel.entered("examples")) == (3, 6, examples)
    assert funnel.passed("generations") == examples
    assert funnel.losses("rows") == rows
    assert funnel.losses("generations") == generations


def test_the_shortest_is_the_shortest() -> None:
    found, _ = _examples(DATA / "openr1_rows.jsonl", selection="shortest_verified")
    assert found[0].chain == "2 + 3 = 5."


@pytest.mark.parametrize("name", ["openthoughts_rows", "openthoughts_metadata_rows"])
def test_data_sets_that_verify_nothing_are_taken_unless_it_is_asked_for(name: str) -> None:
    found, funnel = _examples(DATA / f"{name}.jsonl")
    assert len(found) == funnel.passed("rows") > 0
    with pytest.raises(
        InvalidInputError, match=r"needs one of the columns .*correctness_math_verify.*: the first 2 row"
    ):
        _examples(DATA / f"{name}.jsonl", selection="all_verified")
    with pytest.raises(InvalidInputError, match="needs one of the columns"):
        _examples(DATA / f"{name}.jsonl", correct=True)
    with pytest.raises(InvalidInputError, match=r"completeness needs .* is_reasoning_complete, finish_reasons"):
        _examples(DATA / f"{name}.jsonl", complete=True)


def test_a_row_of_a_verified_data_set_without_its_flags_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{**ROWS[0], "correct": True}, ROWS[1]]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found, funnel = _examples(path)
    assert [example.uuid for example in found] == ["0"]
    assert funnel.losses("rows") == {Reason.NOT_CORRECT: 1}
    assert len(_examples(path, correct=False)[0]) == 2


def test_options_that_do_not_fit_fail_before_the_first_example(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "x", "label": 3}\n' * 3)
    with pytest.raises(
        InvalidInputError, match=r"no known layout fits: the first 3 rows .* columns text, label\. Name"
    ):
        read_examples(SourceOptions(str(path)), Funnel())
    with pytest.raises(InvalidInputError, match="the layout 'messages' doesn't fit"):
        read_examples(SourceOptions(str(path), layout="messages"), Funnel())
    path.write_text("{\n[1]\n")
    with pytest.raises(InvalidInputError, match=r"none of the first 2 rows .* can be read: invalid JSON line \(rows"):
        read_examples(SourceOptions(str(path)), Funnel())
    with pytest.raises(InvalidInputError, match="limit must be at least 1"):
        SourceOptions("x", limit=0)
    with pytest.raises(InvalidInputError, match="takes correct generations only"):
        SourceOptions("x", selection="all_verified", correct=False)
    with pytest.raises(InvalidInputError, match="selection 'best' is unknown"):
        SourceOptions("x", selection="best")


def test_duplicates_are_counted_and_other_rows_of_the_same_id_kept(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    other = {**ROWS[0], "question": "another?"}
    path.write_text("".join(json.dumps(row) + "\n" for row in (ROWS[0], other, ROWS[0], ROWS[1])))
    found, funnel = _examples(path)
    assert [example.question for example in found] == [ROWS[0]["question"], "another?", ROWS[1]["question"]]
    assert len({example.uuid for example in found}) == 3
    assert [example.uuid for example in found] == [example.uuid for example in _examples(path)[0]]
    assert funnel.losses("rows") == {Reason.DUPLICATE: 1}
    assert funnel.passed("rows") == funnel.passed("generations") == funnel.entered("examples") == 3


def test_ids_stay_unique_over_several_sources() -> None:
    ids, funnel = ExampleIds(), Funnel()
    options = SourceOptions(str(DATA / "openr1_rows.jsonl"), selection="all")
    assert len(list(read_examples(options, funnel, ids))) == 5
    assert not list(read_examples(options, funnel, ids)), "the same examples again"
    assert funnel.lost("rows", Reason.DUPLICATE) == 3


def test_a_source_is_called_without_the_way_there(tmp_path: Path) -> None:
    assert source_name(str(tmp_path / "rows.jsonl")) == "rows.jsonl"
    assert source_name(str(tmp_path)) == tmp_path.name
    assert source_name("open-r1/OpenR1-Math-220k") == "open-r1/OpenR1-Math-220k"
    assert source_name("hf://datasets/open-r1/OpenR1-Math-220k") == "open-r1/OpenR1-Math-220k"


@settings(max_examples=60, deadline=None)
@given(lines=st.lists(st.binary(max_size=12) | st.sampled_from([line.encode() for line in LINES.split("\n")[:3]])))
def test_no_file_of_any_bytes_raises_and_every_row_is_counted(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("any") / "rows.jsonl"
    path.write_bytes(b"\n".join([LINES.split("\n")[4].encode(), *lines]))
    found, funnel = _examples(path)
    assert len(found) == funnel.passed("rows") == funnel.entered("examples") > 0
    assert funnel.entered("rows") == sum(1 for _ in read_rows(str(path)))
