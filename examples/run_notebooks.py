"""Runs the notebooks of this folder and writes their outputs into them.

Run as: ``python examples/run_notebooks.py [NOTEBOOK ...]``, without arguments for all. The kernel is the Python that
runs this script, whatever kernels are registered. Outputs are what the code printed and drew: progress bars and
warnings, which differ from run to run, are left out.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient import NotebookClient
from nbformat import NotebookNode

__all__ = ["NOTEBOOKS", "execute", "main", "tidy"]

HERE = Path(__file__).resolve().parent
NOTEBOOKS = tuple(sorted(HERE.glob("*.ipynb")))


class _ThisPython(KernelSpecManager):
    """Knows one kernel: ipykernel in the interpreter that runs this."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name="Python 3", language="python")


def execute(path: Path, folder: Path, *, timeout: int = 1200) -> NotebookNode:
    """Run a notebook from its first cell to its last.

    Args:
        path: the notebook; it isn't changed.
        folder: the working folder of its code.
        timeout: most seconds of one cell.

    Returns:
        The notebook with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised, or took too long.
    """
    notebook = nbformat.read(path, as_version=4)
    modules = [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(modules), "HF_HUB_OFFLINE": "1", "COLUMNS": "100"}
    with TemporaryDirectory() as sockets:  # not ports, which others on this machine could connect to
        manager = AsyncKernelManager(kernel_spec_manager=_ThisPython(), transport="ipc", ip=f"{sockets}/kernel")
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=timeout,
            coalesce_streams=True,  # what is printed in one go stays together, however it came over
            startup_timeout=300,  # on a busy machine a kernel takes its time
            resources={"metadata": {"path": str(folder)}},
        )
        asyncio.run(_execute(client, manager, environment))
    return notebook


async def _execute(client: NotebookClient, kernel: AsyncKernelManager, environment: dict[str, str]) -> None:
    try:
        await client.async_execute(env=environment)
    finally:
        await kernel.shutdown_kernel(now=True)


def tidy(notebook: NotebookNode) -> NotebookNode:
    """The notebook as it is committed: no times, no names of this machine, no warnings or progress bars."""
    notebook.metadata = NotebookNode(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata = NotebookNode()
        if cell.cell_type == "code":
            cell.outputs = [_tidy_output(each) for each in cell.outputs if each.get("name") != "stderr"]
    return notebook


def _tidy_output(output: Any) -> Any:
    if "metadata" in output:
        output.metadata = NotebookNode()
    return output


def main(argv: Sequence[str] | None = None) -> None:
    """Run notebooks and save them with their outputs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, default=NOTEBOOKS)
    for path in parser.parse_args(argv).notebooks:
        print(path.name, flush=True)
        with TemporaryDirectory() as folder:
            nbformat.write(tidy(execute(path, Path(folder))), path)


if __name__ == "__main__":
    main()
