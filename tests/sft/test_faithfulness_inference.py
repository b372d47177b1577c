"""What a model is trained on is, token for token, what the graph asks: the real graph, every prompt written down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from small_bases import BASES, small_model, small_tokenizer

from datasets_build.instances import Instance, inftythink_instances, rescue_instance
from datasets_build.row_tokens import tokenize_row
from inftythink_graph import create_inftythink_graph
from inftythink_graph.models import EmbeddedChatModel
from inftythink_graph.models._batcher import Batcher
from inftythink_graph.models._generate import Completion, Engine, Request
from inftythink_graph.protocol import Protocol
from sft.templates import set_template

QUESTION = "What is 2 to the power of 5?\n\nCount the steps."
SEGMENTS = ["We double 1 and get 2.", "2, 4, 8\n\nthen 16", "16, 32"]
CUT = "2, 4, 8\n\nthe"
SUMMARIES = ["at 2", "at 16"]
CONCLUSION = "It is \\boxed{32}."
ETA = 60


def _rows(protocol: Protocol) -> list[Instance]:
    """The rows of one problem in the order in which a run meets them; the second segment is cut and summarized."""
    shared: dict[str, Any] = {"protocol": protocol, "source": "test", "uuid": "u", "eta": ETA}
    first, _, last = inftythink_instances(QUESTION, SEGMENTS, SUMMARIES, CONCLUSION, **shared)
    rescue = rescue_instance(QUESTION, SUMMARIES[0], CUT, SUMMARIES[1], epoch=2, epochs=3, **shared)
    cut = first | {
        "prompt": protocol.render(QUESTION, SUMMARIES[0]),
        "completion": [{"role": "assistant", "content": f"<think>\n{CUT}"}],
    }
    return [first, Instance(**cut), rescue, last]


class Recording:
    """In the place of a model's weights: says what the rows teach, and writes down what it is asked."""

    def __init__(self, path: Path, rows: Sequence[Instance]) -> None:
        self.engine = Engine(path, device="cpu", dtype="float32")
        self.asked: list[list[int]] = []
        items = [tokenize_row(row, self.engine.tokenizer) for row in rows]
        self.trained = [item["input_ids"][: item["labels"].count(-100)] for item in items]
        learned = [[label for label in item["labels"] if label != -100][:-1] for item in items]
        self._replies = [self.engine.tokenizer.decode(ids, skip_special_tokens=True) for ids in learned]

    def run(self, requests: Sequence[Request]) -> list[Completion]:
        done = []
        for request in requests:
            reply = self._replies[len(self.asked)]
            self.asked.append(list(request.prompt))
            done.append(Completion(reply, 5, "length" if reply.endswith(CUT) else "stop"))
        return done

    def model(self, path: Path) -> EmbeddedChatModel:
        model = EmbeddedChatModel(model_path=str(path))
        model._engine, model._batcher = self.engine, Batcher(self.run, max_batch=1, name="recording")
        return model


@pytest.mark.parametrize("history", ["user", "assistant"])
@pytest.mark.parametrize("name", list(BASES))
def test_every_prompt_of_a_run_is_the_prompt_of_a_training_row(name: str, history: Any, tmp_path: Path) -> None:
    tokenizer = small_tokenizer(BASES[name])
    model = small_model(tokenizer)
    set_template(BASES[name].choice, model, tokenizer)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    protocol = Protocol(history=history)
    recording = Recording(tmp_path, _rows(protocol))
    graph = create_inftythink_graph(recording.model(tmp_path), protocol=protocol, eta=ETA, summary_budget=40)
    result = graph.invoke({"question": QUESTION})
    assert (result["status"], result["answer"], result["epochs"]) == ("answered", "32", 3)
    assert recording.asked == recording.trained

    blocks = Recording(tmp_path, _rows(protocol))
    graph = create_inftythink_graph(blocks.model(tmp_path), protocol=protocol, eta=ETA, summary_budget=40)
    graph.invoke({"question": [{"type": "text", "text": QUESTION}]})
    assert blocks.asked == blocks.trained, "a question in content blocks is asked like a plain one"
