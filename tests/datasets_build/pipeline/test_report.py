"""What a build says of itself: exact figures, the same page for the same data, a card that Hugging Face can read."""

from __future__ import annotations

import io
import json
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from datasets_build.pipeline.data_card import data_card
from datasets_build.pipeline.distributions import Distribution, Figures
from datasets_build.pipeline.dry_run import request_tokens
from datasets_build.pipeline.folder import BuildFolder
from datasets_build.pipeline.histograms import draw_histograms, histogram_png
from datasets_build.pipeline.hub_upload import upload
from datasets_build.pipeline.options import BuildOptions
from datasets_build.pipeline.report import PREVIEW, BuildReport, Paid, paid_requests
from datasets_build.sources.funnel import Funnel
from inftythink_graph.errors import InftyThinkError


def _options(**changes: Any) -> BuildOptions:
    return BuildOptions(**{"source": "a/b", "output": "out", "tokenizer": "a/t", **changes})


@pytest.fixture
def report() -> BuildReport:
    funnel = Funnel()
    for stage, number in (("rows", 10), ("generations", 12), ("examples", 8), ("segments", 20), ("instances", 18)):
        funnel.enter(stage, number)
    funnel.enter("vanilla", 7)
    funnel.lose("rows", "empty chain", 2)
    funnel.lose("examples", "summary over budget", 1, detail="u1: too long")
    funnel.lose("segments", "its example has no summaries", 2)
    figures = Figures(
        segments_per_example=Distribution([1, 2, 4, 4, 3, 2, 2]),
        segment_tokens=Distribution([4000] * 10 + [900] * 8),
        summary_tokens=Distribution([300] * 11),
        summarized_tokens=33_000,
        instance_tokens=Distribution([4600] * 18),
        vanilla_tokens=Distribution([9000] * 7),
        cuts=Counter({"thought": 9, "end": 7, "sentence": 2}),
        attempts=Distribution([1] * 10 + [2]),
    )
    paid = Paid(requests=12, prompt_tokens=60_000, cached_tokens=15_000, completion_tokens=3_600)
    return BuildReport(_options(summarizer="vllm"), funnel, figures, paid, "some-model")


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.floats(0.01, 1))
def test_a_distribution_is_exact(values: list[int], share: float) -> None:
    distribution = Distribution(values)
    ordered = sorted(values)
    assert distribution.number == len(values)
    assert distribution.total == sum(values)
    assert distribution.mean == pytest.approx(statistics.fmean(values))
    found = distribution.quantile(share)
    assert found is not None
    assert sum(value <= found for value in ordered) >= share * len(ordered)
    assert sum(value < found for value in ordered) < share * len(ordered)
    whole = distribution.as_json()
    assert (whole["min"], whole["max"]) == (ordered[0], ordered[-1])


def test_nothing_at_all_has_figures_and_a_picture_too() -> None:
    report = BuildReport(_options(), Funnel())
    assert report.as_json()["compression_ratio"] is None
    assert report.expansion is None
    assert "## Beside the paper" in report.markdown()
    assert histogram_png(report.figures, report.options, "none").startswith(b"\x89PNG")


def test_the_page_holds_funnel_figures_costs_and_the_paper(report: BuildReport) -> None:
    page = report.markdown()
    for part in (
        "| rows | in | 10 |  |",
        "|  | empty chain | -2 | 20.0% |",
        "| segment | 18 | 2,622.2 | 900 | 900 | 4,000 | 4,000 | 4,000 | 4,000 |",
        "Compression ratio (summary over segment): 0.10",
        "| thought | 9 | 50.0% |",
        "12 requests by some-model: 60,000 prompt tokens, 15,000 of them from the prefix cache (25.0%), 3,600 tokens",
        "1.09 replies for each summary",
        "| instances per example | 2.57 | about 1.5 (333K of 220K) |",
        "| compression ratio | 0.10 | not known |",
    ):
        assert part in page, part
    assert PREVIEW not in page
    assert "hold for eta 4,096 only" not in page
    assert json.loads(json.dumps(report.as_json()))["instances_per_example"] == 2.5714


def test_a_preview_says_so_everywhere(report: BuildReport) -> None:
    preview = BuildReport(_options(eta=1024), report.funnel, report.figures)
    assert PREVIEW in preview.markdown()
    assert PREVIEW in data_card(preview, prompt="")
    assert preview.as_json()["preview"] is True
    assert "hold for eta 4,096 only" in preview.markdown()


@pytest.mark.parametrize("vanilla", [True, False])
def test_the_card_can_be_read_and_names_what_it_is_of(report: BuildReport, vanilla: bool) -> None:
    options = _options(summarizer="vllm", vanilla=vanilla, base_url=["http://secret.example/v1"], api_key="secret")
    whole = data_card(BuildReport(options, report.funnel, report.figures, report.paid, "some-model"), prompt="1-abc")
    _, front, body = whole.split("---\n", 2)
    card = yaml.safe_load(front)
    names = ["inftythink", "vanilla"] if vanilla else ["inftythink"]
    assert [each["config_name"] for each in card["configs"]] == names
    assert card["configs"][0]["data_files"] == "data/train-*.parquet"
    assert card["size_categories"] == ["n<1K"]
    assert "license" not in card, "the choice is the user's"
    for part in ("a/b", "some-model", "1-abc", "a/t", "| `eta` | 4096 |", "Licence"):
        assert part in body
    assert "secret" not in whole


def test_the_picture_shows_every_distribution_with_its_limit(report: BuildReport) -> None:
    figure = draw_histograms(report.figures, report.options, "title")
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [
        "segments of an example", "segments", "summaries", "InftyThink rows", "vanilla rows", "where segments end",
    ]  # fmt: skip
    legends = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in figure.axes[:5]]
    assert legends[1] == ["mean 2,622", "eta 4,096"]
    assert legends[3] == ["mean 4,600", "max_length 16,384"]
    heights = [sum(patch.get_height() for patch in axes.patches) for axes in figure.axes[:5]]
    assert heights == [7, 18, 11, 18, 7], "every value stands in a bar"
    one, two = (histogram_png(report.figures, report.options, "title") for _ in range(2))
    assert one == two
    assert io.BytesIO(one).read(4) == b"\x89PNG"


def test_costs_are_those_of_every_reply() -> None:
    usage = {"requests": 1, "prompt_tokens": 10, "cached_tokens": 4, "completion_tokens": 3, "seconds": 0.1}
    assert paid_requests({"usage": usage} for _ in range(3)) == Paid(3, 30, 12, 9)


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=8),
    st.integers(0, 30),
    st.integers(0, 5),
    st.integers(1, 20),
)
def test_expected_tokens_are_those_of_the_requests_one_by_one(
    segments: list[int], head: int, turn: int, summary: int
) -> None:
    sent, new = request_tokens(segments, head=head, turn=turn, summary=summary)
    lengths = [
        head + sum(size + turn for size in segments[: number + 1]) + number * summary
        for number in range(len(segments) - 1)
    ]
    assert sent == sum(lengths)
    if lengths:
        assert new == lengths[-1] - (len(segments) - 2) * summary, "all but the summaries, which were written before"
    bounded, _ = request_tokens(segments, head=head, turn=turn, summary=summary, window=summary + 40)
    assert bounded == sum(min(length, 40) for length in lengths)


class _Hub:
    calls: list[tuple[str, Any]] = []  # noqa: RUF012

    def create_repo(self, name: str, **options: Any) -> str:
        _Hub.calls.append((name, options))
        if name == "nobody/nothing":
            raise OSError("offline")
        return f"https://hub.example/{name}"

    def upload_folder(self, **options: Any) -> None:
        _Hub.calls.append(("upload", options))


def test_upload_takes_the_data_and_leaves_journals_and_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fnmatch

    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "HfApi", _Hub)
    _Hub.calls.clear()
    assert upload(BuildFolder(tmp_path), "me/data", private=True) == "https://hub.example/me/data"
    (name, made), (_, sent) = _Hub.calls
    assert (name, made) == ("me/data", {"repo_type": "dataset", "private": True, "exist_ok": True})
    assert (sent["repo_id"], sent["repo_type"], sent["folder_path"]) == ("me/data", "dataset", tmp_path)

    def taken(path: str) -> bool:
        return any(fnmatch.fnmatch(path, pattern) for pattern in sent["allow_patterns"])

    assert all(map(taken, ("data/train-00000.parquet", "vanilla/train-00001.parquet", "README.md", "histograms.png")))
    assert not any(map(taken, ("config.yaml", "journal/requests.jsonl", "journal/identity.json", "failed.jsonl")))
    with pytest.raises(InftyThinkError, match=r"offline.*build itself is finished"):
        upload(BuildFolder(tmp_path), "nobody/nothing", private=False)
