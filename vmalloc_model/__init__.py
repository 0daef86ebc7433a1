"""Model of the per-CPU vmalloc chunk: the arguments for its size, as code that can be checked.

The package is built in floors; a module imports only from floors below it (see ``DESIGN.md``).
"""

__version__ = "0.2.0"
