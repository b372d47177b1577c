"""The report's page as a file: what it holds, what it may load, and that nothing in it can be more than text."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page_parts import PageParts, page_parts
from trial_runs import HOSTILE, example_runs, question_set, trial, trial_run

from inftythink_graph.errors import InvalidInputError
from inftythink_graph.evaluation.report.page import write_page
from inftythink_graph.evaluation.trials import Question, Run, Trace

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>'
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=60) | st.sampled_from(
    [HOSTILE, "</script>", "<!--<script>", "\u2028\u2029", "\ud800", "]]>", "\0", "${policy}", "&lt;", "'\"", "\u202e"]
)


def written(folder: Path, *runs: Run, **options: Any) -> PageParts:
    write_page(runs, folder / "page.html", **options)
    return page_parts(folder / "page.html")


def one_run(text: str, *, label: str = "run") -> Run:
    """One trial, with that text wherever text can be."""
    question = Question("q" + text, text, text, meta={text: text})
    trace = Trace(
        question=question.id,
        sample=0,
        epochs=[{"kind": text, "segment": text, "summary": text, "conclusion": text}],
    )
    return Run(label, text, {text: text}, [question], [trial(question.id, answer=text)], {(question.id, 0): trace})


def test_all_trials_are_there_with_their_texts(tmp_path: Path) -> None:
    runs = example_runs(number=12, samples=3, traces=True)
    parts = written(tmp_path, *runs)
    index, details = parts.packed["index"], parts.details()
    columns = index["trials"]
    assert len(details) == len(columns["run"]) == sum(len(run.trials) for run in runs) == 5 * 12 * 3
    for place, shown in enumerate(details):
        run = runs[columns["run"][place]]
        question = index["tasks"][0]["questions"][columns["question"][place]]
        (made,) = [
            each
            for each in run.trials
            if (each["question"], each["sample"]) == (question["id"], columns["sample"][place])
        ]
        assert shown["answer"] == columns["answer"][place] == made["answer"]
        assert shown["contexts"] == [[list(pair) for pair in requests] for requests in made["contexts"]]
        assert shown["usage"] == made["usage"]
        assert columns["tokens"][place] == made["usage"]["completion_tokens"]
        trace = run.traces[question["id"], made["sample"]]
        assert shown["epochs"] == [list(epoch.values()) for epoch in trace["epochs"]]
    assert {each["gold"] for each in index["tasks"][0]["questions"]} == {each.gold for each in runs[0].questions}


def test_runs_of_a_task_share_its_questions_unless_they_differ(tmp_path: Path) -> None:
    questions = question_set(4)
    other = [Question(each.id, each.text + "!", each.gold) for each in questions[:1]] + questions[1:]
    parts = written(
        tmp_path,
        *(trial_run(label, questions=asked, samples=1) for label, asked in (("one", questions), ("two", other))),
        trial_run("one", task="other", questions=questions, samples=1),
    )
    index = parts.packed["index"]
    assert [len(task["questions"]) for task in index["tasks"]] == [5, 4]
    asked = index["trials"]["question"]
    assert [asked[:4], asked[4:8], asked[8:]] == [[0, 1, 2, 3], [4, 1, 2, 3], [0, 1, 2, 3]]


@pytest.mark.parametrize(
    ("labels", "keys"),
    [
        ([("a", "t"), ("b", "t")], ["a", "b"]),
        ([("a", "t"), ("a", "u")], ["a@t", "a@u"]),
        ([("a", "t"), ("a", "t")], ["a", "a (2)"]),
        ([("a", "t"), ("a", "u"), ("a@t", "u")], ["a@t", "a@u", "a@t (2)"]),
    ],
)
def test_every_run_has_an_address_of_its_own(tmp_path: Path, labels: list[tuple[str, str]], keys: list[str]) -> None:
    runs = [Run(label, task, {}, [], []) for label, task in labels]
    assert [run["key"] for run in written(tmp_path, *runs).packed["index"]["runs"]] == keys


def test_nothing_may_run_or_be_loaded_but_what_is_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "p.svg").write_bytes(SVG)
    (tmp_path / "p.PNG").write_bytes(PNG)
    pictures = [("a <b> picture", tmp_path / "p.svg"), ("another", tmp_path / "p.PNG")]
    parts = written(tmp_path, *example_runs(number=2), pictures=pictures, main_table=[["run", "right"], ["a", "1"]])
    (policy,) = [
        each["content"] for tag, each in parts.elements if tag == "meta" and "Policy" in each.get("http-equiv", "")
    ]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == digest(*parts.scripts)
    assert rules["style-src"] == digest(*parts.styles)
    assert rules["img-src"] == "data:"
    assert "unsafe" not in policy
    loaded = [value for _, each in parts.elements for name, value in each.items() if name in ("src", "href", "srcset")]
    assert all(value.startswith(("#", "data:image/")) for value in loaded)
    assert not [name for _, each in parts.elements for name in each if name.startswith("on") or name == "style"]
    shown = [each["src"].partition(",") for tag, each in parts.elements if tag == "img"]
    assert [(kind, base64.b64decode(content)) for kind, _, content in shown] == [
        ("data:image/svg+xml;base64", SVG),
        ("data:image/png;base64", PNG),
    ]
    assert "http://" not in re.sub(r"http://www\.w3\.org/2000/svg", "", "".join([*parts.scripts, *parts.styles]))


def test_the_script_is_one_that_a_browser_can_parse(tmp_path: Path) -> None:
    """As a test in a browser would say as well, but without one and in a tenth of a second."""
    (script,) = written(tmp_path, *example_runs(number=1)).scripts
    assert not re.search(r"</script|<!--|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", script)
    assert max(len(path.read_text().splitlines()) for path in _assets()) < 300


def _assets() -> list[Path]:
    import inftythink_graph.evaluation.report as report

    (folder,) = report.__path__
    return list((Path(folder) / "assets").iterdir())


@settings(max_examples=60, deadline=None)
@given(ANY_TEXT, ANY_TEXT)
def test_text_of_any_kind_stays_text(text: str, label: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table = [["run", text], [label, text]]
        parts = written(Path(folder), one_run(text, label=label), main_table=table)
        plain = written(Path(folder), one_run("x", label="x"), main_table=[["run", "x"], ["x", "x"]])
        raw = (Path(folder) / "page.html").read_bytes()
    elements = [each for each in parts.elements if each != ("span", {"class": "esc"})]
    # A column of numbers is set to the right: the one thing that text decides.
    tags = [tag for tag, _ in elements]
    assert tags == [tag for tag, _ in plain.elements]
    assert parts.scripts == plain.scripts
    (details,) = parts.details()
    assert details["epochs"] == [[text, text, text, text]]
    assert details["answer"] == text
    index = parts.packed["index"]
    assert index["runs"][0]["key"] == label
    assert index["tasks"][0] == {
        "name": text,
        "questions": [{"id": "q" + text, "text": text, "gold": text, "meta": [[text, text]]}],
    }
    assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", raw)


def test_hidden_characters_are_spelled_out_in_the_table(tmp_path: Path) -> None:
    parts = written(tmp_path, trial_run(), main_table=[["run", "right"], ["a\u202eb\x1b[31m\u200b", "<i>1</i>"]])
    assert "aU+202EbU+001B[31mU+200B" in parts.text
    assert "<i>1</i>" in parts.text
    assert not [tag for tag, _ in parts.elements if tag == "i"]


@pytest.mark.parametrize("limit", [{"max_trajectories": 5}, {"max_characters": 4_000}])
def test_texts_that_are_left_out_are_counted_and_said(tmp_path: Path, limit: dict[str, int]) -> None:
    runs = example_runs(number=6, samples=2, traces=True)
    recorded = sum(len(run.traces) for run in runs)
    parts = written(tmp_path, *runs, **limit)
    texts = parts.packed["index"]["trials"]["text"]
    kept = [each["epochs"] is not None for each in parts.details()]
    assert kept == [text == 1 for text in texts]
    assert 0 < sum(kept) < recorded
    assert texts.count(2) == recorded - sum(kept)
    assert f"holds the texts of {sum(kept)} of {recorded} trials; those of {recorded - sum(kept)} were" in parts.text
    assert all(each["contexts"] for each in parts.details())
    length = sum(len(text) for each in parts.details() for epoch in each["epochs"] or () for text in epoch[1:])
    assert length <= limit.get("max_characters", length)


def test_what_is_kept_can_be_compared(tmp_path: Path) -> None:
    """With room for one text of each run, all of them are of the same question and sample."""
    runs = example_runs(number=6, samples=2, traces=True)
    columns = written(tmp_path, *runs, max_trajectories=len(runs)).packed["index"]["trials"]
    kept = [place for place, text in enumerate(columns["text"]) if text == 1]
    assert {columns["run"][place] for place in kept} == set(range(len(runs)))
    assert {(columns["question"][place], columns["sample"][place]) for place in kept} == {(0, 0)}


def test_without_texts_nothing_is_said_to_be_left_out(tmp_path: Path) -> None:
    parts = written(tmp_path, trial_run(traces=False), max_trajectories=0)
    assert set(parts.packed["index"]["trials"]["text"]) == {0}
    assert "left out to keep" not in parts.text


def test_the_page_stays_small_and_comes_out_alike(tmp_path: Path) -> None:
    """5,000 trials with texts of 8 MB in a few MB, each within reach of one small block."""
    runs = [trial_run(label, questions=question_set(125), samples=20) for label in ("one", "two")]
    parts = written(tmp_path, *runs)
    first = (tmp_path / "page.html").read_bytes()
    written(tmp_path, *runs)
    assert (tmp_path / "page.html").read_bytes() == first
    assert len(parts.details()) == 5000
    text = sum(len(part) for each in parts.details() for epoch in each["epochs"] for part in epoch)
    assert text > 6_000_000
    assert len(first) < text / 2
    blocks = [each["content"] for each in _blocks(first.decode())]
    assert max(len(block) for block in blocks) < 200_000
    assert len(re.findall(r"id=\"index\">([^<]*)<", first.decode())[0]) < 300_000


def _blocks(page: str) -> list[dict[str, str]]:
    return [match.groupdict() for match in re.finditer(r'id="block-\d+">(?P<content>[^<]*)<', page)]


def test_figures_that_json_does_not_know_are_left_out(tmp_path: Path) -> None:
    made = trial("q", seconds=float("inf"))
    run = Run("a", "t", {"rate": float("nan"), "window": True, "tags": ["x"]}, [Question("q", "?", "1")], [made])
    parts = written(tmp_path, run)
    assert parts.packed["index"]["trials"]["seconds"] == [None]
    assert parts.details()[0]["usage"]["seconds"] is None
    facts = parts.packed["index"]["runs"][0]
    assert facts["config"] == [["rate", "NaN"], ["window", "true"], ["tags", '["x"]']]


def _missing(folder: Path) -> dict[str, Any]:
    return {"pictures": [("a", folder / "none.png")]}


@pytest.mark.parametrize(
    ("runs", "options", "said"),
    [
        ([], {}, "no runs"),
        ([trial_run()], {"max_trajectories": -1}, "max_trajectories is -1; allowed are 0 and above"),
        ([trial_run()], {"max_characters": -1}, "max_characters is -1; allowed are 0 and above"),
        ([trial_run()], {"main_table": [["a", "b"], ["c"]]}, "row 2 has 1 cells, the first has 2"),
        ([trial_run()], {"pictures": [("a", Path("a.jpg"))]}, "allowed are pictures that end in .svg, .png"),
        ([trial_run()], _missing, "No such file"),
        ([Run("r", "t", {}, [], [trial("q")])], {}, "'r': question 'q', sample 0 is a trial of none of its questions"),
        ([Run("r", "t", {}, [Question("q", "?", "1")], [trial("q"), trial("q")])], {}, "two trials of question 'q'"),
        ([Run("r", "t", {}, [Question("q", "?", "1")] * 2, [])], {}, "two questions have the same id"),
    ],
)
def test_bad_input_is_named_and_leaves_no_file(
    tmp_path: Path, runs: list[Run], options: dict[str, Any] | Callable[[Path], dict[str, Any]], said: str
) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(said)) as raised:
        write_page(runs, tmp_path / "page.html", **(options(tmp_path) if callable(options) else options))
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_the_module_needs_no_heavy_library() -> None:
    code = "import sys, inftythink_graph.evaluation.report.page; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "datasets", "matplotlib", "numpy"} & set(run.stdout.split())


def test_the_snippet_of_the_documentation_makes_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[3] / "docs" / "evaluation-page.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("accuracy.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    exec(snippet, {"runs": example_runs(number=3, samples=2, traces=True)})
    page = Path("report.html").read_text(encoding="utf-8")
    assert "67.9" in page
    assert "Accuracy against tokens" in page
