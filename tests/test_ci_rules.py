"""The rules of tests/conftest.py, seen on a small tree of tests of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
CONFIG = "[pytest]\nmarkers = integration: slow\naddopts = --import-mode=importlib\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Unit tests that sort behind the integration folder by name, and an integration test."""
    folder = tmp_path / "tests" / "integration"
    folder.mkdir(parents=True)
    shutil.copy(CONFTEST, folder.parent)
    (tmp_path / "pytest.ini").write_text(CONFIG)
    (folder / "test_real.py").write_text("def test_real_part(): pass\n")
    (folder.parent / "test_unit.py").write_text("import pytest\ndef test_unit(): pytest.skip('allowed')\n")
    return tmp_path


def _pytest(tree: Path, *arguments: str, ci: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", *arguments]
    environment = {**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # starts in half the time
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_integration_tests_run_last_and_unit_tests_may_skip(tree: Path) -> None:
    run = _pytest(tree, ci="true")
    assert run.returncode == 0, run.stdout
    assert run.stdout.index("test_unit") < run.stdout.index("test_real_part")


def test_integration_tests_can_be_left_out_by_marker(tree: Path) -> None:
    run = _pytest(tree, "-m", "not integration", ci="")
    assert "1 skipped, 1 deselected" in run.stdout


@pytest.mark.parametrize(
    "source",
    [
        "import pytest\ndef test_real_part(): pytest.skip('no server')\n",
        "import pytest\n@pytest.mark.skipif(True, reason='no server')\ndef test_real_part(): pass\n",
        "import pytest\n@pytest.fixture\ndef server(): pytest.skip('no server')\ndef test_real_part(server): pass\n",
        "import pytest\npytest.importorskip('a_library_that_is_missing')\ndef test_real_part(): pass\n",
    ],
    ids=["in the test", "by a mark", "in a fixture", "on import"],
)
def test_skipped_integration_test_fails_in_ci_only(tree: Path, source: str) -> None:
    (tree / "tests" / "integration" / "test_real.py").write_text(source)
    assert _pytest(tree, ci="").returncode == 0
    run = _pytest(tree, ci="true")
    assert run.returncode != 0, run.stdout
    assert "skipped in CI" in run.stdout


def test_expected_failures_stay_expected_in_ci(tree: Path) -> None:
    source = "import pytest\n@pytest.mark.xfail\ndef test_real_part(): raise ValueError\n"
    (tree / "tests" / "integration" / "test_real.py").write_text(source)
    run = _pytest(tree, ci="true")
    assert run.returncode == 0, run.stdout
    assert "1 xfailed" in run.stdout


def test_what_langchains_suites_skip_by_themselves_may_be_skipped_in_ci(tree: Path) -> None:
    (tree / "langchain_tests").mkdir()
    (tree / "langchain_tests" / "__init__.py").touch()
    (tree / "langchain_tests" / "suite.py").write_text(
        "import pytest\ndef test_real_part(): pytest.skip('no images')\n"
    )
    source = f"import sys\nsys.path.insert(0, {str(tree)!r})\nfrom langchain_tests.suite import test_real_part\n"
    (tree / "tests" / "integration" / "test_real.py").write_text(source)
    run = _pytest(tree, ci="true")
    assert run.returncode == 0, run.stdout
    assert "2 skipped" in run.stdout
