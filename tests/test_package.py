"""The package as a whole: what importing it costs, what it exports, and what its files must not say."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import inftythink_graph

ROOT = Path(__file__).parents[1]
PACKAGES = ("inftythink_graph", "datasets_build", "sft")
HEAVY = {"torch", "transformers", "trl", "datasets", "vllm", "matplotlib", "math_verify"}

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _modules() -> list[str]:
    return [str(path.relative_to(ROOT)) for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]


def _imported_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after the statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted({{m.partition('.')[0] for m in sys.modules}})))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(run.stdout.splitlines()[-1]))


def _top_level_names(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                yield from ((alias.asname or alias.name).partition(".")[0] for alias in names)
            case ast.If(body=inner, orelse=other):
                yield from _top_level_names(inner + other)
            case ast.Try(body=inner, handlers=handlers, orelse=other):
                yield from _top_level_names(inner + other + [each for item in handlers for each in item.body])
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                yield from (name.id for each in targets for name in ast.walk(each) if isinstance(name, ast.Name))


def _exports(body: list[ast.stmt]) -> list[str] | None:
    for node in body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            names: list[str] = ast.literal_eval(node.value)
            return names
    return None


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_loads_no_heavy_library(package: str) -> None:
    assert not _imported_by(f"import {package}") & HEAVY


def test_every_export_can_be_imported_without_a_heavy_library() -> None:
    """Lazy exports resolve too, and none of them drags a model library in before it is used."""
    assert inftythink_graph.__all__
    assert not _imported_by("from inftythink_graph import *") & HEAVY


def test_exports_resolve() -> None:
    missing = [name for name in inftythink_graph.__all__ if not hasattr(inftythink_graph, name)]
    assert not missing


@pytest.mark.parametrize("path", _modules())
def test_public_modules_say_what_they_export(path: str) -> None:
    body = ast.parse((ROOT / path).read_text()).body
    docstring_only = all(isinstance(node, ast.Expr) for node in body)
    if docstring_only or Path(path).name == "__main__.py":
        return
    exports = _exports(body)
    if exports is None and re.match(r"_[a-z]", Path(path).name):  # private modules may do without
        return
    assert exports is not None, f"{path} has no __all__"
    defined = set(_top_level_names(body))
    if "__getattr__" not in defined:
        assert not set(exports) - defined
    assert len(exports) == len(set(exports))


def test_one_version_everywhere() -> None:
    version = PROJECT["version"]
    assert inftythink_graph.__version__ == version
    assert importlib.metadata.version("inftythink-graph") == version
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_constraints_pin_exact_versions_that_the_extras_allow() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), "constraints are name==version, nothing else"
    pins = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}
    assert len(pins) == len(lines), "pinned twice"
    asked = [*PROJECT["dependencies"], *(each for extra in PROJECT["optional-dependencies"].values() for each in extra)]
    for requirement in map(Requirement, asked):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), str(requirement)


def test_files_name_no_registry_and_no_machine() -> None:
    """A clone installs from wherever its own machine is told to."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode:
        pytest.skip("not a git checkout")
    hosts = ("pypi", "pythonhosted", "download.pytorch", "registry.npmjs", "deb.debian")
    places = ("/opt/pypi", "/opt/wheels", "/work/", "/root/", "/home/")
    forbidden = re.compile(
        "|".join([*(rf"\b{re.escape(host)}\.org\b" for host in hosts), *(rf"(?<![\w.*~-]){place}" for place in places)])
    )
    found = []
    for name in listing.stdout.decode().split("\0"):
        path = ROOT / name
        if not name or path == Path(__file__) or not path.is_file():
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:  # weights, pictures
            continue
        found += [f"{name}: {match.group()}" for match in forbidden.finditer(text)]
    assert not found


@pytest.mark.integration
def test_wheel_carries_models_recipes_and_types(tmp_path: Path) -> None:
    """Build the wheel as an index would hold it, from a copy, and look inside."""
    import shutil
    import zipfile

    source = tmp_path / "source"
    source.mkdir()
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--no-deps",
            "--no-build-isolation",
            "--quiet",
            "-w",
            str(tmp_path),
            ".",
        ],
        cwd=source,
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    wanted = {str(path.relative_to(ROOT)) for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file()}
    wanted = {name for name in wanted if "__pycache__" not in name}
    assert {f"{name}/py.typed" for name in PACKAGES} <= wanted
    assert not wanted - packed
