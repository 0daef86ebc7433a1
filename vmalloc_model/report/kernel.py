"""The kernel notebooks run in: IPython's, which also notes the files and modules a notebook uses.

Started as ``python -m vmalloc_model.report.kernel -f CONNECTION_FILE``. After each cell it writes
the record to the file that ``VMALLOC_REPORT_RECORD`` names, as JSON: ``opened`` (files opened for
reading), ``listed`` (folders whose names were read) and ``modules`` (files of the package's loaded
modules), all absolute and sorted. Nothing shows in the notebook.
"""

from __future__ import annotations

import glob
import json
import logging
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final

from vmalloc_model.dependencies import PACKAGE

__all__ = ["main"]

_opened: Final[set[str]] = set()
_listed: Final[set[str]] = set()


def main() -> None:
    """Run a kernel until it is shut down."""
    sys.addaudithook(_note)
    _note_polars()

    from ipykernel.kernelapp import IPKernelApp

    # Who ends a kernel interrupts it first. If that meets the end of a cell, the kernel would say
    # so on the stderr of the runner, between the errors that are for the user.
    app: Any = IPKernelApp.instance(log_level=logging.CRITICAL)
    app.initialize()
    record = Path(os.environ["VMALLOC_REPORT_RECORD"])
    app.shell.events.register("post_run_cell", lambda _result: _write(record))
    app.start()


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook of the interpreter."""
    if event == "open":
        path, _mode, flags = arguments
        if flags & os.O_ACCMODE != os.O_WRONLY:
            _add(_opened, path)
    elif event in ("os.listdir", "os.scandir"):
        _add(_listed, arguments[0])


def _add(noted: set[str], path: Any) -> None:
    if isinstance(path, (str, bytes, os.PathLike)):
        # Not Path.resolve(): a link in the data folder is a file of the data folder.
        noted.add(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100


def _note_polars() -> None:
    """Note what the readers of polars open: that happens outside the interpreter, unaudited."""
    import polars

    for name in dir(polars):
        if name.startswith(("read_", "scan_")):
            setattr(polars, name, _noting(getattr(polars, name)))


def _noting(reader: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(reader)
    def read(*args: Any, **kwargs: Any) -> Any:
        first = args[0] if args else kwargs.get("source")
        for path in first if isinstance(first, (list, tuple)) else [first]:
            _add(_opened, path)
            if isinstance(path, (str, os.PathLike)):
                for match in glob.glob(os.fspath(path)):  # noqa: PTH207 (absolute ones too)
                    _add(_opened, match)
        return reader(*args, **kwargs)

    return read


def _write(record: Path) -> None:
    modules = [
        str(module.__file__)
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == PACKAGE and getattr(module, "__file__", None)
    ]
    used = {"opened": sorted(_opened), "listed": sorted(_listed), "modules": sorted(modules)}
    part = record.with_name(f"{record.name}.part")
    part.write_text(json.dumps(used), encoding="utf-8")
    part.replace(record)


if __name__ == "__main__":
    main()
