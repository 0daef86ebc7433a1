"""``python -m vmalloc_model.report``: see `vmalloc_model.report.cli`."""

from vmalloc_model.report.cli import main

main()
