"""Nothing that comes with a model, a data set, a recipe or an answer is executed."""

from __future__ import annotations

import ast
import json
import pickle
import shutil
from pathlib import Path

import pytest

from datasets_build.sources.load import hub_rows
from datasets_build.summaries.prompt import load_prompt
from inftythink_graph.answers import answers_equal
from inftythink_graph.errors import InvalidInputError
from inftythink_graph.models import EmbeddedChatModel, bundled_path
from inftythink_graph.recipes import load_recipe

ROOT = Path(__file__).parents[2]
PACKAGES = ("inftythink_graph", "datasets_build", "sft", "examples")


class _Trap:
    """Leaves a file behind wherever it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.marker), "w")


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "executed"


@pytest.mark.parametrize("kind", ["code", "pickle"])
def test_a_model_brings_no_code(tmp_path: Path, marker: Path, kind: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(bundled_path(), folder)
    if kind == "code":
        config = json.loads((folder / "config.json").read_text())
        config |= {"model_type": "trap", "auto_map": {"AutoConfig": "trap.Trap", "AutoModelForCausalLM": "trap.Trap"}}
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "trap.py").write_text(f"open({str(marker)!r}, 'w')\nclass Trap: ...\n")
    else:
        (folder / "model.safetensors").unlink()
        (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"x": _Trap(marker)}))
    with pytest.raises(Exception, match=r"."):
        EmbeddedChatModel(model_path=str(folder)).invoke("3 + 4")
    assert not marker.exists()


def test_a_data_set_brings_no_code(tmp_path: Path, marker: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "rows.py").write_text(f"open({str(marker)!r}, 'w')\n")
    with pytest.raises(InvalidInputError):
        list(hub_rows(str(folder), None, None, None, None, False))
    assert not marker.exists()


def test_yaml_makes_no_objects(tmp_path: Path, marker: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f"instruction: !!python/object/apply:builtins.open [{marker}, w]\n")
    with pytest.raises(InvalidInputError):
        load_recipe(path)
    with pytest.raises(InvalidInputError):
        load_prompt(str(path))
    assert not marker.exists()


@pytest.mark.parametrize("form", ["{}", "\\boxed{{{}}}", "$ {} $", "1 + {}"])
def test_an_answer_is_not_evaluated(marker: Path, form: str) -> None:
    code = f"__import__('pathlib').Path('{marker}').touch()"
    assert not answers_equal(form.format(code), "7")
    assert not marker.exists()


def _calls(path: Path) -> list[tuple[str, ast.Call]]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return [(ast.unparse(node.func), node) for node in nodes if isinstance(node, ast.Call)]


def _problem(name: str, call: ast.Call) -> str:
    options = {each.arg: ast.unparse(each.value) for each in call.keywords}
    if options.get("trust_remote_code") == "True":
        return "trusts remote code"
    if name.startswith("Auto") and name.endswith(".from_pretrained") and "trust_remote_code" not in options:
        return "may ask whether to trust remote code"
    if name in ("eval", "exec", "yaml.load", "yaml.unsafe_load", "os.system"):
        return "executes text"
    if name == "torch.load" and options.get("weights_only") != "True":
        return "unpickles"
    return "unpickles" if name in ("pickle.load", "pickle.loads") else ""


def test_no_call_executes_what_it_reads() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}: {problem}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for name, call in _calls(path)
        if (problem := _problem(name, call))
    ]
    # What Ray's own workers of one build hand one another.
    allowed = "datasets_build/pipeline/ray_flow.py: pickle.loads: unpickles"
    assert [each for each in found if each != allowed] == []
