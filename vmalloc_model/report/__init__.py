"""From a notebook to a page: artefacts of figures, tables and numbers, and what makes them.

A notebook imports `figure`, `table` and `number` from here. The other modules of this package run
notebooks; they are imported by the command line only, so that a notebook does not load papermill.
"""

from vmalloc_model.report.artefacts import figure, number, table

__all__ = ["figure", "number", "table"]
