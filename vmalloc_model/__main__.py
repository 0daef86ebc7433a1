"""``python -m vmalloc_model``: the same as ``vmalloc-model``."""

from vmalloc_model.cli import main

main()
