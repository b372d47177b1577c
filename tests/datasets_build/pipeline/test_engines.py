"""The choice of an engine: what is wrong with it is one line before any work."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from langchain_core.language_models.fake_chat_models import FakeListChatModel

from datasets_build.pipeline import cli as build_cli
from datasets_build.pipeline.build import build_dataset
from datasets_build.pipeline.cli import main, parse
from datasets_build.pipeline.options import BuildOptions
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.models import bundled_path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "Q?", "response": "<think>One step.</think>So 1."}\n')
    return path


def _options(source: Path, **changes: Any) -> BuildOptions:
    given: dict[str, Any] = {"tokenizer": str(bundled_path()), "output": str(source.parent / "out"), "engine": "ray"}
    return BuildOptions(source=str(source), **{**given, **changes})


def _words(source: Path) -> list[str]:
    return [str(source), "--tokenizer", str(bundled_path()), "--output", str(source.parent / "out"), "--engine", "ray"]


def test_the_engine_and_its_cluster_are_options_like_any_other(tmp_path: Path) -> None:
    assert parse(["a", "--tokenizer", "t", "--output", "o"]).engine == "local"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"source": "a", "tokenizer": "t", "output": "o", "engine": "ray"}))
    options = parse(["--config", str(recipe), "--ray-address", "there:6379"])
    assert (options.engine, options.ray_address) == ("ray", "there:6379")
    with pytest.raises(InvalidInputError, match="argument --engine: invalid choice: 'spark'"):
        parse(["a", "--engine", "spark"])


def test_a_missing_ray_is_named_with_its_extra(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build_cli, "find_spec", lambda name: None if name == "ray" else object())
    assert main(_words(source)) == 2
    assert "engine 'ray' needs ray: pip install 'inftythink-graph[ray]'" in capsys.readouterr().err
    assert not (source.parent / "out").exists()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("ray://there:10001", "run the build on a machine of the cluster"),
        ("127.0.0.1:1", "no Ray cluster at 127.0.0.1:1: "),
        ("127.0.0.1", "no Ray cluster at 127.0.0.1: "),
    ],
)
def test_a_cluster_that_can_not_be_used_leaves_nothing_behind(
    source: Path, address: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert main([*_words(source), "--ray-address", address]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert not (source.parent / "out").exists()


def test_a_model_that_no_worker_can_get_is_refused(source: Path) -> None:
    pytest.importorskip("ray")

    class Bound(FakeListChatModel):
        """Holds what can't be copied to another process."""

        model: str = "bound"
        lock: Any = None

    with pytest.raises(InvalidInputError, match=r"can't be sent to the workers of Ray .* name its server as base_url"):
        build_dataset(_options(source), model=Bound(responses=["A summary."], lock=threading.Lock()))
    assert not (source.parent / "out").exists()
