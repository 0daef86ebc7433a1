"""One run of one notebook through papermill, in this process and a kernel of its own.

What is in here and in the modules it imports shapes every result, so each record of a run counts
them among the modules the notebook used.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from vmalloc_model.dependencies import PACKAGE, module_files
from vmalloc_model.errors import ModelError, NotebookError
from vmalloc_model.report import notebooks
from vmalloc_model.report.job import Job
from vmalloc_model.report.provenance import RECORD, record_of

__all__ = ["execute"]

_ENGINE: Final = (f"{PACKAGE}.report.execution", f"{PACKAGE}.report.kernel")
_CELL_SECONDS: Final = 600
_QUIET: Final = {"PYTHONHASHSEED": "0", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
_ONE_THREAD: Final = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def execute(job: Job, progress: Callable[[], None]) -> None:
    """Run a notebook and leave results and record in ``job.results``.

    Sets environment variables of this process.

    Parameters
    ----------
    job : Job
        What to run and where.
    progress : callable
        Called after each cell.

    Raises
    ------
    NotebookError
        If a cell fails, runs too long, kills its kernel, leaves the notebook, or writes to stderr.
    ModelError
        If the notebook read a file it must not depend on.
    """
    job.results.mkdir(parents=True)
    started = job.results.stat().st_mtime_ns
    source = job.project.source(job.name)
    notebook = notebooks.read(source)
    record = _prepare(job)
    executed = _run(job, notebook, progress)
    failure = notebooks.problem(job.name, executed)
    if failure:
        raise failure
    (job.results / f"{job.name}.ipynb").write_bytes(notebooks.kept_form(executed))
    used = json.loads(record.read_text(encoding="utf-8"))
    root = job.project.root
    # what it loaded, and what it read because results that were kept follow from it
    read = [path for path in used["opened"] if path.endswith(".py")]
    loaded = {path for path in map(Path, used["modules"]) if path.is_relative_to(root)}
    loaded |= {path for path in map(Path, read) if path.is_relative_to(root / PACKAGE)}
    provenance = record_of(
        job.project,
        job.name,
        job.results,
        parameters=job.parameters,
        overrides=job.overrides,
        command=job.command,
        modules=loaded | module_files(root, notebooks.code_cells(notebook), _ENGINE),
        data=_data_files(job, used),
        started=started,
    )
    text = json.dumps(provenance, indent=1, ensure_ascii=False) + "\n"
    (job.results / RECORD).write_text(text, encoding="utf-8", newline="\n")


def _prepare(job: Job) -> Path:
    """Set the environment of the kernel and define it; return where its record will be.

    The kernel is this interpreter in any case, whatever kernels the user has installed. It computes
    in one thread: sums do not depend on the number of cores, and kernels run side by side.
    """
    spec = job.private / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    argv = [sys.executable, "-m", f"{PACKAGE}.report.kernel", "-f", "{connection_file}"]
    spec.write_text(
        json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}),
        encoding="utf-8",
    )
    for name in [name for name in os.environ if name.startswith("POLARS_")]:
        del os.environ[name]
    search = [str(job.project.root), os.environ.get("PYTHONPATH", "")]
    record = job.private / "record.json"
    os.environ |= {
        **_QUIET,
        **dict.fromkeys(_ONE_THREAD, "1"),
        "PYTHONPATH": os.pathsep.join(filter(None, search)),
        "TMPDIR": str(job.private),
        "IPYTHONDIR": str(job.private / "ipython"),
        "JUPYTER_PATH": str(job.private),
        "JUPYTER_RUNTIME_DIR": str(job.private / "runtime"),
        "VMALLOC_MODEL_DATA": str(job.project.data),
        "VMALLOC_REPORT_RECORD": str(record),
        "VMALLOC_REPORT_OUT": str(job.results),
        "VMALLOC_REPORT_NOTEBOOK": job.name,
        "VMALLOC_REPORT_PARAMETERS": json.dumps(job.parameters),
        "VMALLOC_REPORT_COMMAND": job.command,
    }
    tempfile.tempdir = None  # what was found in the environment before
    return record


def _run(job: Job, notebook: NotebookNode, progress: Callable[[], None]) -> NotebookNode:
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    begun: list[NotebookNode] = []
    numbers = {cell.id: number for number, cell in enumerate(notebook.cells, start=1)}
    # Sockets in a folder of this kernel: no port, and ipykernel does not warn of unencrypted TCP.
    # The system allows a socket's path 107 bytes.
    sockets = os.fspath(job.private / "k")
    transport = {"transport": "ipc", "ip": sockets} if len(os.fsencode(sockets)) < 100 else {}

    def failure(error: str) -> NotebookError:
        cell = begun[-1] if begun else notebook.cells[0]
        return NotebookError(
            job.name, numbers.get(cell.id, 0), notebooks.first_line(cell.source), error
        )

    try:
        executed: NotebookNode = papermill.execute_notebook(  # type: ignore[no-untyped-call,attr-defined]
            notebook,
            job.raw,
            parameters=job.overrides,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            cwd=job.project.root,
            execution_timeout=_CELL_SECONDS,
            coalesce_streams=True,
            shutdown_kernel="immediate",
            config=Config({"KernelManager": transport}),
            on_cell_start=lambda cell, cell_index: begun.append(cell),
            on_cell_executed=lambda cell, cell_index, execute_reply: progress(),
        )
        return executed
    except PapermillExecutionError as error:
        raise failure(notebooks.one_line(f"{error.ename}: {error.evalue}")) from None
    except CellTimeoutError:
        raise failure(f"ran longer than {_CELL_SECONDS} s") from None
    except DeadKernelError:
        raise failure("the kernel died (killed, or out of memory)") from None


def _data_files(job: Job, used: Mapping[str, list[str]]) -> set[Path]:
    """Files and folders a run depends on, out of all that its kernel opened and listed.

    Those are: what lies in the data folder or in the checkout, except Python files and this run's
    own outputs; and files outside that a parameter names.
    """
    project = job.project
    values = [one for v in job.parameters.values() for one in (v if isinstance(v, list) else [v])]
    named = {(project.root / one).resolve() for one in values if isinstance(one, str)}
    # What is kept there is found by a digest of its sources, which are inputs of their own.
    prefixes = [Path(sys.prefix), Path(sys.base_prefix), project.root / ".git", job.work]
    prefixes.append(project.caches)
    found: set[Path] = set()
    for path in map(Path, used["opened"]):
        if path.resolve() in named or path.is_relative_to(project.data):
            found.add(path)
        elif path.is_relative_to(project.root) and not any(map(path.is_relative_to, prefixes)):
            if path.is_relative_to(project.build):
                raise ModelError(
                    f"notebook {job.name}: reads {project.label(path)}, which is a result and "
                    "may not be there or be old; allowed: what is under version control"
                )
            if path.suffix not in (".py", ".pyc", ".so"):
                found.add(path)
    return found | {p for p in map(Path, used["listed"]) if p.is_relative_to(project.data)}
