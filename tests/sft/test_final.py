"""The finished folder: used right without flags, described for the hub, and readable by older and newer versions."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_runs import write_recipe

from inftythink_graph import EmbeddedChatModel, create_inftythink_graph
from inftythink_graph.errors import CheckpointError
from inftythink_graph.models import CARD_FILE, ModelCard, bundled_path
from inftythink_graph.protocol import Protocol
from inftythink_graph.serve import build_command
from sft.arguments import DataArguments, ModelArguments
from sft.bundle import FILES
from sft.final import cast_weights, generation_settings, model_card
from sft.hub_card import figures_at_the_end, hub_card
from sft.recipe import read_recipe
from sft.train import main
from sft.upload import Upload

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def final(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A freshly trained folder."""
    folder = tmp_path_factory.mktemp("final")
    words = write_recipe(
        folder / "run.yaml",
        sampling_temperature=0.6,
        sampling_top_p=0.9,
        save_dtype="bfloat16",
        model_license="apache-2.0",
        synthetic_eval_chains=3,
        eval_strategy="steps",
        eval_steps=3,
    )
    assert main(words) == 0
    return folder / "run" / "final"


def test_a_fresh_folder_needs_no_flags(final: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    original = EmbeddedChatModel._request

    def spied(self: Any, messages: Any, stop: Any, options: dict[str, Any]) -> Any:
        request = original(self, messages, stop, options)
        asked.append({"messages": messages, "temperature": request.temperature, "limit": request.max_tokens})
        return request

    monkeypatch.setattr(EmbeddedChatModel, "_request", spied)
    model = EmbeddedChatModel(model_path=str(final))
    graph = create_inftythink_graph(model, max_epochs=2, on_exhausted="return", keep_trace=True)
    # Several, because one in ten of such a model's first segments is its conclusion, and then nothing is carried on.
    questions = [f"Multiply {number} by 9 by repeated addition." for number in range(2, 14)]
    results = graph.batch([{"question": question} for question in questions])
    assert asked[0]["temperature"] == 0.6
    assert asked[0]["limit"] < 48 + 2 * 16 + 64  # eta and summary budget of the recipe, not the defaults
    prompts = [str(each["messages"][0].content) for each in asked]
    summaries = [result["trace"][0]["summary"] if result["epochs"] == 2 else "" for result in results]
    assert any(summaries)
    for question, summary in zip(questions, summaries, strict=True):
        if summary:  # native, in the turn that it was trained in
            expected = str(Protocol().render(question, summary)[0]["content"])
            assert "<history>" in expected
            assert expected in prompts
    card = ModelCard.read(final)
    assert card is not None
    assert (card.eta, card.summary_budget, card.context, card.history) == (48, 16, 192, "user")
    assert (card.protocol_kind, card.tags, card.base_model) == ("native", "tokens", "")
    record = json.loads((final.parent / "run.json").read_text())
    assert card.data_fingerprint == record["data_fingerprint"]
    assert card.data_fingerprint.startswith("sha256:")


def test_the_folder_holds_all_that_it_takes(final: Path) -> None:
    written = {path.name for path in final.iterdir()}
    assert written >= {*FILES, CARD_FILE, "README.md", "training.png", "log.jsonl"}
    settings = json.loads((final / "generation_config.json").read_text())
    assert (settings["do_sample"], settings["temperature"], settings["top_p"]) == (True, 0.6, 0.9)
    weights = load_file(final / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    assert json.loads((final / "config.json").read_text())["dtype"] == "bfloat16"
    checkpointed = EmbeddedChatModel(model_path=str(final), dtype="auto")
    assert checkpointed.describe().window == 192
    pytest.importorskip("vllm")
    command, _ = build_command(str(final), device="cpu")
    assert command[command.index("--max-model-len") + 1] == "192"


def test_the_card_for_the_hub_says_what_the_model_is(final: Path) -> None:
    from huggingface_hub import ModelCard as HubCard

    card = HubCard.load(final / "README.md")
    assert card.data.library_name == "transformers"
    assert card.data.license == "apache-2.0"
    assert "inftythink" in card.data.tags
    text = card.text
    assert "inftythink serve . --name run" in text
    assert "![" in text
    assert "training.png" in text
    assert "| held-out loss (mean over tokens) |" in text
    assert ModelCard.read(final).data_fingerprint in text  # type: ignore[union-attr] - the test above holds it


@pytest.mark.parametrize(("base", "named"), [("Qwen/Qwen2.5-Math-7B", True), ("runs/mine/final", False), ("", False)])
def test_only_names_of_the_hub_stand_in_the_front_matter(tmp_path: Path, base: str, named: bool) -> None:
    from huggingface_hub import ModelCard as HubCard

    if base.startswith("runs"):
        base = str(tmp_path)
        (tmp_path / "README.md").write_text("---\nlicense: mit\n---\nA model.\n")
    _, _, config = read_recipe(["--output_dir", "runs/x", "--use_cpu", "true", "--bf16", "false"])
    data = DataArguments(dataset="open-r1/OpenR1-Math-220k")
    card = ModelCard(method="inftythink", context=100, eta=10, summary_budget=5)
    text = hub_card(
        "x", data, ModelArguments(model_name_or_path=base), config, card, [], {"rows": 3, "rows too long": 2}
    )
    front = HubCard(text).data
    assert (front.base_model == base) == named
    assert front.datasets == ["open-r1/OpenR1-Math-220k"]
    assert front.license == ("mit" if base == str(tmp_path) else None)
    assert "- left out: 2 rows too long" in text


def test_the_last_figures_are_those_of_the_end() -> None:
    history = [{"loss": 3.0}, {"eval_loss": 2.0}, {"loss": 1.0, "num_tokens": 5}, {"train_loss": 9.0}]
    assert figures_at_the_end(history) == {"loss": 1.0, "eval_loss": 2.0, "num_tokens": 5}


def test_generation_stops_at_the_turn_s_end_first() -> None:
    tokenizer: Any = SimpleNamespace(eos_token_id=7, pad_token_id=None)
    assert generation_settings(DataArguments(), tokenizer, 3) == {
        "eos_token_id": [7, 3],
        "pad_token_id": 7,
        "do_sample": True,
        "temperature": 0.7,
    }
    greedy = generation_settings(DataArguments(sampling_temperature=0.0), tokenizer, [7])
    assert greedy == {"eos_token_id": 7, "pad_token_id": 7, "do_sample": False}


def test_casting_covers_every_shard_and_leaves_whole_numbers(tmp_path: Path) -> None:
    save_file(
        {"a": torch.ones(3), "n": torch.ones(2, dtype=torch.int64)}, tmp_path / "model-00001-of-00002.safetensors"
    )
    save_file({"b": torch.ones(4)}, tmp_path / "model-00002-of-00002.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 44}, "weight_map": {"a": "..."}}))
    cast_weights(tmp_path, "float16")
    first, second = (load_file(path) for path in sorted(tmp_path.glob("*.safetensors")))
    assert (first["a"].dtype, first["n"].dtype, second["b"].dtype) == (torch.float16, torch.int64, torch.float16)
    content = json.loads(index.read_text())
    assert content == {"metadata": {"total_size": 3 * 2 + 2 * 8 + 4 * 2}, "weight_map": {"a": "..."}}


class TestCards:
    """``inftythink.json`` of other versions."""

    def test_what_ships_is_written_as_it_was(self, tmp_path: Path) -> None:
        shipped = ModelCard.read(bundled_path())
        assert shipped is not None
        shipped.write(tmp_path)
        assert (tmp_path / CARD_FILE).read_text() == (bundled_path() / CARD_FILE).read_text()

    def test_new_fields_come_back(self, tmp_path: Path) -> None:
        card = model_card(DataArguments(eta=9), 99, base_model="a/b", data_fingerprint="sha256:0")
        card.write(tmp_path)
        assert ModelCard.read(tmp_path) == card

    def test_unknown_keys_of_a_newer_one_are_passed_over(self, tmp_path: Path) -> None:
        content = {"method": "inftythink", "context": 99, "eta": 9, "summary_budget": 3, "from_the_future": [1]}
        (tmp_path / CARD_FILE).write_text(json.dumps(content))
        card = ModelCard.read(tmp_path)
        assert card is not None
        assert card.eta == 9

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ({"method": "inftythink", "context": 9, "protocol_version": "2"}, "version '2' of the text format"),
            ({"method": "other", "context": 9}, "method must be one of inftythink, vanilla"),
            ({"method": "inftythink", "context": "9"}, "context must be a whole number"),
            ({"method": "inftythink", "context": 9, "history": "system"}, "history must be one of"),
            ([], "must be a JSON object"),
        ],
    )
    def test_what_can_not_be_used_is_said(self, tmp_path: Path, content: Any, message: str) -> None:
        (tmp_path / CARD_FILE).write_text(json.dumps(content))
        with pytest.raises(CheckpointError, match=message):
            ModelCard.read(tmp_path)


class TestUpload:
    """Sending the folder to the hub, with a stand-in for the hub alone."""

    def _config(self, folder: Path, **options: Any) -> Any:
        words = ["--use_cpu", "true", "--bf16", "false", "--output_dir", str(folder / "mine")]
        config = read_recipe(words)[2]
        config.push_to_hub = True
        config.hub_model_id = options.get("name")
        return config

    def test_without_a_network_it_is_refused_before_anything_is_trained(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = write_recipe(tmp_path / "run.yaml", push_to_hub=True, hub_model_id="me/mine")
        assert main(words) == 2
        assert "push_to_hub: me/mine can't be written on the hub" in capsys.readouterr().err
        assert not (tmp_path / "run").exists()

    def test_the_finished_folder_alone_is_sent(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import huggingface_hub

        calls: list[dict[str, Any]] = []

        class Hub:
            def __init__(self, token: str | None = None) -> None: ...

            def create_repo(self, name: str, **options: Any) -> Any:
                return SimpleNamespace(repo_id=f"me/{name}")

            def upload_folder(self, **options: Any) -> str:
                calls.append(options)
                return "there"

        monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
        config = self._config(tmp_path)
        upload = Upload.planned(config)
        assert not config.push_to_hub  # the Trainer would send the whole output_dir
        upload.send(tmp_path / "mine" / "final")
        assert [(call["repo_id"], call["folder_path"]) for call in calls] == [("me/mine", tmp_path / "mine" / "final")]

    def test_what_can_not_be_sent_stays_and_is_said(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        Upload("me/mine").send(tmp_path)
        assert f"hf upload me/mine {tmp_path}" in capsys.readouterr().err
