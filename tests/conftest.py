"""For all tests: fast ones first, nothing phones out, and no skipped integration test in CI."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

# Before anything imports torch, transformers or vllm. One thread: the models here are tiny, sums come out alike on
# every machine, and where something else computes, two threads that wait for each other take several times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # the same for what sets its threads itself, as vLLM does
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "Agg")
for _name in (
    "HF_HUB_OFFLINE",
    "HF_DATASETS_OFFLINE",
    "HF_HUB_DISABLE_TELEMETRY",
    "VLLM_NO_USAGE_STATS",
    "DO_NOT_TRACK",
):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("LANGSMITH_TRACING", "false")
# Whatever a shell starts in the background ignores Ctrl-C, and so would all that is interrupted here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

INTEGRATION = Path(__file__).parent / "integration"
IN_CI = os.environ.get("CI", "").lower() not in {"", "0", "false"}


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """LangChain's suites time how long a model takes to be made. Once is enough: nobody looks at the figures."""
    config.option.benchmark_disable = True


def _must_run(item: pytest.Item) -> bool:
    return IN_CI and item.get_closest_marker("integration") is not None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in tests/integration, put all that is marked so last, and mark what asks a vLLM server."""
    for item in items:
        if "_servers" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.vllm)
        if INTEGRATION in item.path.parents and item.get_closest_marker("integration") is None:
            item.add_marker(pytest.mark.integration)
    items.sort(key=lambda item: item.get_closest_marker("integration") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped integration test fails: there, all that it needs is installed.

    LangChain's suites skip by themselves what a class doesn't claim; the classes say what and why.
    """
    report = yield
    by_itself = isinstance(report.longrepr, tuple) and "langchain_tests" in Path(report.longrepr[0]).parts
    if report.skipped and not by_itself and not hasattr(report, "wasxfail") and _must_run(item):
        report.outcome = "failed"
        report.longrepr = f"integration test skipped in CI: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for an integration module that skips itself while it is imported."""
    report = yield
    if IN_CI and report.skipped and INTEGRATION in collector.path.parents:
        report.outcome = "failed"
        report.longrepr = f"integration tests skipped in CI: {report.longrepr}"
    return report
