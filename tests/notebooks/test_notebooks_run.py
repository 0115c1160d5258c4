"""Every notebook runs on a fresh bank and leaves it as it was; its stored outputs are whole and free of the machine.

``make test`` executes the quick ones; of the others it reads the stored outputs and imports what they import.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from tests.conftest import LAKES, Bank

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# Notebooks that take a minute or more.
SLOW = {"berka_tour", "dormant_customers", "feature_walk", "own_bank"}
MACHINE = re.compile(r"/(work|tmp|home|root|Users)/|Traceback|\bWARN|Warning")


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds(cell: NotebookNode) -> list[tuple[str, ...]]:
    """What each output of a cell is: a stream's name, or the formats of a value or picture."""
    return [
        (o.output_type, *([o.name] if o.output_type == "stream" else sorted(o.get("data", ())))) for o in cell.outputs
    ]


def texts(cell: NotebookNode) -> list[str]:
    found = []
    for output in cell.outputs:
        found += [output.text] if output.output_type == "stream" else []
        found += [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
    return found


def files(lake: str) -> set[Path]:
    return {path for path in Path(lake).rglob("*") if path.is_file()}


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs_say_nothing_of_the_machine(path: Path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.kernelspec.name == "python3"
    stained = [text for cell in code_cells(notebook) for text in texts(cell) if MACHINE.search(text)]
    assert stained == []
    assert [cell.execution_count for cell in code_cells(notebook)] == list(range(1, len(code_cells(notebook)) + 1))


def imported(notebook: NotebookNode) -> Iterator[tuple[str, str]]:
    """Each name that the notebook imports from the package, with its module."""
    for cell in code_cells(notebook):
        for part in ast.walk(ast.parse(cell.source)):
            if isinstance(part, ast.ImportFrom) and (part.module or "").startswith("strata"):
                yield from ((part.module, name.name) for name in part.names)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_notebook_imports_is_there(path: Path):
    names = [*imported(nbformat.read(path, as_version=4))]
    assert names
    assert [name for module, name in names if not hasattr(import_module(module), name)] == []


@pytest.fixture(scope="module")
def kernel() -> Iterator[KernelManager]:
    """One kernel for all notebooks: a second Spark in a warm JVM starts and compiles in a tenth of the time."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(FOLDER))
    yield manager
    manager.shutdown_kernel(now=True)


def fresh(kernel: KernelManager, lake: str) -> None:
    """Forget every name and the Spark of the notebook before; the next one reads ``lake``."""
    forget = (
        "from pyspark.sql import SparkSession\n"
        "[session.stop() for session in [SparkSession.getActiveSession()] if session]\n"
        f"import os; os.environ['STRATA_LAKE'] = {lake!r}\n"
        "get_ipython().reset()"
    )
    NotebookClient(new_notebook(cells=[new_code_cell(forget)]), km=kernel, timeout=60).execute()


@pytest.mark.notebook
@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.slow] if path.stem in SLOW else [], id=path.stem) for path in NOTEBOOKS],
)
def test_notebook_runs_with_its_stored_outputs_and_writes_nothing_to_the_lake(
    path: Path, request: pytest.FixtureRequest, kernel: KernelManager
):
    bank: Bank = request.getfixturevalue(LAKES.get(path.stem, "bank"))
    stored = nbformat.read(path, as_version=4)
    executed = nbformat.read(path, as_version=4)
    for cell in code_cells(executed):
        cell.outputs = []
    found = files(bank.lake)
    fresh(kernel, bank.lake)
    # A failing cell raises here, with its source and its error.
    NotebookClient(executed, km=kernel, timeout=300).execute()
    for before, after in zip(code_cells(stored), code_cells(executed), strict=True):
        assert kinds(before) == kinds(after), before.source
    assert files(bank.lake) == found
