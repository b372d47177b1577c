"""Keys and passwords appear nowhere: not in what is shown, traced, raised, logged or kept."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_vllm import KEY, QUESTION, FakeVLLM, Refusal, running
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumps
from pydantic import ValidationError

from datasets_build.pipeline.options import BuildOptions
from datasets_build.pipeline.summarizers import connect
from inftythink_graph import create_inftythink_graph
from inftythink_graph.chat_model import ChatInftyThink
from inftythink_graph.cli import main
from inftythink_graph.evaluation.folder import prepare_folder
from inftythink_graph.evaluation.methods import InftyThink, Vanilla
from inftythink_graph.models.vllm import ChatVLLM
from inftythink_graph.redaction import shown_url, split_address

PASSWORD, PARAMETER, HEADER = "hidden-word", "hidden-parameter", "hidden-header"
SECRETS = (KEY, PASSWORD, PARAMETER, HEADER)


def _assert_hidden(text: str) -> None:
    assert [secret for secret in SECRETS if secret in text] == []


def _model(url: str, **fields: Any) -> ChatVLLM:
    """A model with a credential at every place that takes one."""
    where = url.replace("://", f"://user:{PASSWORD}@") + f"?api_key={PARAMETER}"
    headers = {"X-Api-Key": HEADER}
    return ChatVLLM(model="m", base_url=where, api_key=KEY, default_headers=headers, max_retries=0, **fields)


@pytest.fixture
def fake() -> Any:
    with running() as server:
        yield server


def _causes(error: BaseException | None) -> list[BaseException]:
    """An error and what it came from; an error may be its own cause."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


class _Traced(BaseCallbackHandler):
    """Everything that a tracer is told, as text."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        self.told.append(json.dumps([serialized, kwargs], default=repr))

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.told.append(response.model_dump_json())

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        self.told.append(repr(error))


def test_a_model_does_not_show_its_credentials() -> None:
    model = _model("http://127.0.0.1:9/v1", openai_proxy=f"http://user:{PASSWORD}@127.0.0.1:9")
    for text in (repr(model), str(model), dumps(model), json.dumps(model._identifying_params)):
        _assert_hidden(text)
    _assert_hidden(repr(ChatInftyThink(model=model)) + dumps(ChatInftyThink(model=model)))
    _assert_hidden(repr(InftyThink(model)) + repr(Vanilla(model)))


def test_credentials_of_an_address_still_reach_the_server(fake: FakeVLLM) -> None:
    _model(fake.url).invoke(QUESTION)
    path, _ = fake.requests[-1]
    assert path == f"/v1/chat/completions?api_key={PARAMETER}"
    assert fake.keys[-1] == "Basic dXNlcjpoaWRkZW4td29yZA=="  # user:hidden-word


def test_a_wrong_option_does_not_show_the_others() -> None:
    with pytest.raises(ValidationError, match="n must be at least 1") as caught:
        _model("http://127.0.0.1:9/v1", n=0)
    _assert_hidden(str(caught.value))


async def test_an_error_does_not_repeat_the_key(fake: FakeVLLM, caplog: pytest.LogCaptureFixture) -> None:
    fake.refuse = lambda path, body: Refusal(401, f"Incorrect API key provided: {KEY} (also {HEADER}).")
    model, tracer = _model(fake.url), _Traced()
    calls: list[Callable[[], Any]] = [
        lambda: model.invoke(QUESTION, {"callbacks": [tracer]}),
        lambda: list(model.stream(QUESTION)),
        model.describe,
        lambda: model.count_prompt_tokens(QUESTION),
    ]
    with caplog.at_level(logging.INFO):
        for call in calls:
            with pytest.raises(Exception, match=r".") as caught:
                call()
            for error in _causes(caught.value):  # a traceback shows them as well
                _assert_hidden(str(error) + repr(error) + repr(getattr(error, "body", "")))
        with pytest.raises(Exception, match="Incorrect") as caught:
            await model.ainvoke(QUESTION)
    _assert_hidden(str(caught.value))
    # The HTTP client logs the address of a request, query and all, at level INFO (SECURITY.md); nothing else.
    logged = "".join(record.getMessage() for record in caplog.records)
    assert logged
    _assert_hidden(logged.replace(f"?api_key={PARAMETER}", ""))
    assert tracer.told
    _assert_hidden("".join(tracer.told))


def test_a_trace_does_not_hold_headers_of_a_call(fake: FakeVLLM) -> None:
    tracer = _Traced()
    ChatVLLM(model="m", base_url=fake.url, api_key=KEY).invoke(
        QUESTION, {"callbacks": [tracer]}, extra_headers={"Authorization": f"Bearer {HEADER}"}
    )
    assert fake.keys == [f"Bearer {HEADER}"]
    assert len(tracer.told) == 2
    _assert_hidden("".join(tracer.told))


def test_a_run_is_traced_without_credentials(fake: FakeVLLM) -> None:
    fake.reply = {"content": "<think>\nadd\n</think>\n\nSeven: \\boxed{7}"}
    tracer = _Traced()
    model = ChatVLLM(model="m", base_url=fake.url.replace("://", f"://user:{PASSWORD}@"), api_key=KEY)
    create_inftythink_graph(model, eta=32, summary_budget=16, protocol="native").invoke(
        {"question": "3 + 4"}, {"callbacks": [tracer]}
    )
    assert len(tracer.told) == 2
    _assert_hidden("".join(tracer.told))


@pytest.mark.parametrize("place", [f"user:{PASSWORD}@127.0.0.1:9/v1", f"127.0.0.1:9/v1?api_key={PARAMETER}"])
def test_the_command_line_does_not_repeat_an_address(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["solve", "3 + 4", "--base-url", f"http://{place}", "--model", "m", "--api-key", KEY]) == 2
    said = capsys.readouterr().err
    assert "no server answers at http://127.0.0.1:9/v1" in said
    _assert_hidden(said)


def _texts(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.rglob("*") if path.is_file()]


async def test_an_evaluation_keeps_no_credentials(fake: FakeVLLM, tmp_path: Path) -> None:
    for name, method in (("a", InftyThink(_model(fake.url))), ("b", Vanilla(_model(fake.url)))):
        prepare_folder(tmp_path / name, label="x", task="t", config=await method.aconfig(), questions=[])
    files = _texts(tmp_path)
    assert any('"model": "m"' in text for text in files)
    _assert_hidden("".join(files))


def test_a_build_keeps_no_credentials(fake: FakeVLLM) -> None:
    where = fake.url.replace("://", f"://user:{PASSWORD}@") + f"?api_key={PARAMETER}"
    options = BuildOptions(source="x.jsonl", tokenizer="t", output="o", base_url=[where], api_key=KEY)
    assert options.as_config()["base_url"] == [f"{fake.url}?***"]
    _assert_hidden(repr(options) + json.dumps(options.as_config()) + repr(connect(options)))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("http://u:a/b?c#d@e@host:1/v1", "http://host:1/v1"),
        ("u:p@host/v1", "host/v1"),
        ("https://host/v1?key=abc#def", "https://host/v1?***"),
    ],
)
def test_an_address_is_shown_without_credentials(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_an_address_is_taken_apart() -> None:
    found = split_address("https://me:a%40b@host:1/v1?key=x&y=")
    assert (found.url, found.user, found.query) == ("https://host:1/v1", "me:a@b", {"key": "x", "y": ""})
    assert split_address("no address").url == "no address"
